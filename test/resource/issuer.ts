import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

/** A key pair of the issuer, with its public half as published. */
export interface IssuerKey {
  kid: string;
  alg: string;
  privateKey: CryptoKey;
  jwk: JWK;
}

export async function createKey(kid: string, alg = 'ES256'): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export interface Issuer {
  url: string;
  key: IssuerKey;
  /** The members of the published key set. */
  keys: unknown[];
  cacheControl: string | undefined;
  /** A status answered in place of the real answer, which then is under `/moved`; 0 cuts the connection. */
  trouble: number | undefined;
  /** Changes to the published metadata. */
  metadata: Record<string, unknown>;
  /** Answers of the introspection endpoint by key. */
  apiKeys: Map<string, Record<string, unknown>>;
  requests: { path: string; authorization: string | undefined; body: string }[];
  /** How often `path` was asked for. */
  count(path: string): number;
  /** A signed access token, good unless changed; a member set to undefined is left out. */
  token(claims?: JWTPayload, header?: Record<string, unknown>, signer?: IssuerKey): Promise<string>;
  stop(): Promise<unknown>;
}

/** Some other party's authorization server: metadata, keys and introspection over HTTP, with every request recorded. */
export async function startIssuer(): Promise<Issuer> {
  const server = createServer((req, res) => void answer(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const key = await createKey('first');
  const issuer: Issuer = {
    url,
    key,
    keys: [key.jwk],
    cacheControl: undefined,
    trouble: undefined,
    metadata: {},
    apiKeys: new Map(),
    requests: [],
    count: (path) => issuer.requests.filter((request) => request.path === path).length,
    token: (claims = {}, header = {}, signer = key) => signToken(url, signer, claims, header),
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
  return issuer;

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url as string;
    const body = await readBody(req);
    issuer.requests.push({ path, authorization: req.headers.authorization, body });
    if (issuer.trouble === 0) return void req.socket.destroy();
    const moved = path.startsWith('/moved');
    if (issuer.trouble && !moved) return void res.writeHead(issuer.trouble, { location: `/moved${path}` }).end();
    const json = document(path.replace('/moved', ''), new URLSearchParams(body).get('token') ?? '');
    const caching = issuer.cacheControl ? { 'cache-control': issuer.cacheControl } : {};
    res.writeHead(json ? 200 : 404, { 'content-type': 'application/json', ...caching }).end(JSON.stringify(json ?? {}));
  }

  function document(path: string, token: string): object | undefined {
    if (path === '/jwks') return { keys: issuer.keys };
    if (path === '/oauth2/introspect') return issuer.apiKeys.get(token) ?? { active: false };
    if (path !== '/.well-known/oauth-authorization-server') return undefined;
    const endpoints = { jwks_uri: `${url}/jwks`, introspection_endpoint: `${url}/oauth2/introspect` };
    return { issuer: url, ...endpoints, ...issuer.metadata };
  }
}

export const AUDIENCE = 'https://api.example.com';
export const TEAM = 'd2f1a6c0-6a3e-4d5b-9d5a-0c1f2f6f7a11';

/** A good access token's claims (RFC 9068 §2.2) unless told otherwise; a claim set to undefined is left out. */
export function goodClaims(issuer: string, changes: JWTPayload = {}): JWTPayload {
  const now = Math.floor(Date.now() / 1000);
  const times = { iat: now, exp: now + 600 };
  const who = { sub: 'svc_reports', client_id: 'svc_reports', team_id: TEAM, scope: 'providers:read' };
  return { iss: issuer, aud: AUDIENCE, jti: randomUUID(), ...who, ...times, ...changes };
}

function signToken(issuer: string, key: IssuerKey, claims: JWTPayload, header: Record<string, unknown>) {
  return new SignJWT(goodClaims(issuer, claims))
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header })
    .sign(key.privateKey);
}

export function createApiKey(prefix: 'lkp_' | 'lkt_' = 'lkp_'): string {
  const random = randomBytes(32);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(random));
  return prefix + Buffer.concat([random, check]).toString('base64url');
}

async function readBody(req: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of req) body += chunk;
  return body;
}
