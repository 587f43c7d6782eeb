/**
 * Yardstick "ceiling": what is left of a token request when nothing is checked: node:http, the body read, one
 * synchronous ES256 (or RS256) signature, the answer.
 */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { readSettings } from './provider.ts';

const { port, algorithm } = readSettings();
const issuer = `http://localhost:${port}`;
const { privateKey, publicKey } =
  algorithm === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...publicKey.export({ format: 'jwk' }), kid: 'ceiling', alg: algorithm, use: 'sig' };
const header = encode({ alg: algorithm, typ: 'at+jwt', kid: key.kid });

createServer((request, response) => {
  if (request.url === '/oauth2/jwks' || request.url?.startsWith('/.well-known/')) {
    const body = request.url === '/oauth2/jwks' ? { keys: [key] } : { issuer, jwks_uri: `${issuer}/oauth2/jwks` };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    return;
  }
  let body = '';
  request.setEncoding('latin1');
  request.on('data', (chunk: string) => {
    body += chunk;
  });
  request.on('end', () => {
    const form = new URLSearchParams(body);
    const answer = { access_token: accessToken(form), expires_in: 600, token_type: 'Bearer', scope: form.get('scope') };
    const text = JSON.stringify(answer);
    response
      .writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
      .end(text);
  });
}).listen(port, '127.0.0.1', () => console.log('ready'));

function accessToken(form: URLSearchParams): string {
  const iat = Math.floor(Date.now() / 1000);
  const client_id = form.get('client_id');
  const claims = { iss: issuer, sub: client_id, client_id, aud: `${issuer}/api`, jti: randomUUID() };
  const text = `${header}.${encode({ ...claims, scope: form.get('scope'), iat, exp: iat + 600 })}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
