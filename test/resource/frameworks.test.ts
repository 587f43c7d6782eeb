import { createHash, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CryptoKey, calculateJwkThumbprint, exportSPKI, importJWK, type JWK, SignJWT } from 'jose';
import type { ResourceOptions } from '../../src/resource/index.ts';
import { FRAMEWORKS, startFramework, WRITE } from './frameworks.ts';
import {
  AUDIENCE,
  createApiKey,
  createKey,
  goodClaims,
  type Issuer,
  type IssuerKey,
  startIssuer,
  TEAM,
} from './issuer.ts';

interface Sent {
  method?: string;
  path?: string;
  headers?: Record<string, string | string[]>;
  form?: Record<string, string>;
}

interface Case {
  name: string;
  /** Made anew for each framework: a proof works once. */
  send: () => Sent | Promise<Sent>;
  status: number;
  /** In the body of a refusal; `subject` of the principal otherwise. */
  says: string;
  /** Headers about the key that is to be given up. */
  notice?: Record<string, string>;
}

type Server = Awaited<ReturnType<typeof startFramework>>;

const NOTICE = ['deprecation', 'sunset', 'link'];
const COMPARED = ['content-type', 'www-authenticate', 'cache-control', 'retry-after', ...NOTICE];
const personal = createApiKey('lkp_');
const team = createApiKey('lkt_');
const aging = createApiKey('lkt_');
const retired = createApiKey('lkt_');
const sunset = {
  deprecation: '@1800000000',
  sunset: 'Fri, 15 Jan 2027 08:00:00 GMT',
  link: '<https://docs.example/tokens>; rel="deprecation sunset"',
};
const key = { active: true, token_type: 'api_key', team_id: TEAM, scope: 'providers:read' };
let issuer: Issuer;
let holder: IssuerKey;
let servers: Server[];
let cutOff: Server[];
let token: string;
let bound: string;
let boundToWrite: string;
let ofTeamKey: string;
const revoked = { client_id: 'app_revoked', sub: 'u1' };
/** What token exchange makes of a team key. */
const exchanged = (id: string) => ({
  sub: `team:${TEAM}`,
  client_id: `key:${id}`,
  derived_from: [`key:${id}`],
  act: { sub: 'svc_reports' },
});
const now = () => Math.floor(Date.now() / 1000);

beforeAll(async () => {
  issuer = await startIssuer();
  issuer.apiKeys.set(personal, { ...key, kind: 'personal', key_id: 'k1', sub: 'u1' });
  issuer.apiKeys.set(team, { ...key, kind: 'team', key_id: 'k2', sub: `team:${TEAM}` });
  issuer.apiKeys.set(aging, { ...key, kind: 'team', key_id: 'k3', sub: `team:${TEAM}` });
  issuer.notices.set(aging, sunset);
  const { deprecation: _, ...gone } = sunset;
  issuer.notices.set(retired, gone);
  issuer.revoked = { 'client:app_revoked': 0, 'key:k2': now() + 60 };
  holder = await createKey('holder');
  token = await issuer.token();
  const cnf = { jkt: await calculateJwkThumbprint(holder.jwk) };
  bound = await issuer.token({ cnf });
  ofTeamKey = await issuer.token(exchanged('k1'));
  boundToWrite = await issuer.token({ cnf, scope: WRITE.join(' ') });
  const introspection = { clientId: 'svc_api', clientSecret: 'lks_x' };
  const options: ResourceOptions = { issuer: issuer.url, audience: AUDIENCE, introspection, realm: 'api' };
  servers = await startAll({ ...options, resource: `${AUDIENCE}/v1`, scopesSupported: ['providers:read'] });
  // Nobody listens there.
  cutOff = await startAll({ ...options, issuer: 'http://127.0.0.1:1', onError: () => {} });
});
afterAll(() => Promise.all([...servers, ...cutOff, issuer].map((one) => one.stop())));

function startAll(options: ResourceOptions, own = false): Promise<Server[]> {
  return Promise.all(FRAMEWORKS.map((name) => startFramework(name, options, own)));
}

const bearer = (credential: string): Sent => ({ headers: { authorization: `Bearer ${credential}` } });

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

async function withPublicKey(): Promise<string> {
  const pem = await exportSPKI((await importJWK(issuer.key.jwk, 'ES256', { extractable: true })) as CryptoKey);
  return new SignJWT(goodClaims(issuer.url))
    .setProtectedHeader({ alg: 'HS256', kid: issuer.key.kid, typ: 'at+jwt' })
    .sign(Buffer.from(pem));
}

/** What the holder of a bound token sends (RFC 9449 §7.1). */
async function withProof(accessToken: string, path: string) {
  const { kty, crv, x, y } = holder.jwk;
  const ath = createHash('sha256').update(accessToken).digest('base64url');
  const proof = await new SignJWT({ htm: 'GET', htu: AUDIENCE + path, jti: randomUUID(), iat: now(), ath })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } as JWK })
    .sign(holder.privateKey);
  return { authorization: `DPoP ${accessToken}`, dpop: proof };
}

const basic = 'Basic dTpw';
const one = { authorization: 'Bearer a' };
const form = { access_token: 'x' };
const INVALID = 'Invalid access token';
const SEVERAL = 'Send exactly one credential';
const MISSING = 'Authentication required';
const MISPLACED = 'Credentials are accepted in the Authorization header only';
const LACKING = 'This credential lacks the scope the request needs: providers:read providers:write';

const CASES: Case[] = [
  { name: 'row 69: a good access token', send: () => bearer(token), status: 200, says: 'svc_reports' },
  { name: 'row 69: a personal key', send: () => bearer(personal), status: 200, says: 'u1' },
  { name: 'row 69: a team key', send: () => bearer(team), status: 200, says: `team:${TEAM}` },
  {
    name: 'row 69: a token made from a team key',
    send: () => bearer(ofTeamKey),
    status: 200,
    says: `team:${TEAM}`,
  },
  {
    name: 'row 81: a token made from a team key that was revoked since',
    send: async () => bearer(await issuer.token(exchanged('k2'))),
    status: 401,
    says: INVALID,
  },
  {
    name: 'row 81: a token of an app that was revoked since',
    send: async () => bearer(await issuer.token(revoked)),
    status: 401,
    says: INVALID,
  },
  {
    name: 'a key that is to be given up',
    send: () => bearer(aging),
    status: 200,
    says: `team:${TEAM}`,
    notice: sunset,
  },
  {
    name: 'a key that is to be given up, without the scope',
    send: () => ({ ...bearer(aging), path: '/write' }),
    status: 403,
    says: LACKING,
    notice: sunset,
  },
  {
    name: 'a retired key',
    send: () => bearer(retired),
    status: 401,
    says: 'Unauthenticated',
    notice: { sunset: sunset.sunset, link: sunset.link },
  },
  {
    name: 'row 82: a bound token with its proof',
    send: async () => ({ path: '/a?b=c', headers: await withProof(bound, '/a') }),
    status: 200,
    says: 'svc_reports',
  },
  {
    name: 'row 82: a bound token with its proof and the scope',
    send: async () => ({ path: '/write', headers: await withProof(boundToWrite, '/write') }),
    status: 200,
    says: 'svc_reports',
  },
  {
    name: 'row 82: a bound token with its proof, without the scope',
    send: async () => ({ path: '/write', headers: await withProof(bound, '/write') }),
    status: 403,
    says: LACKING,
  },
  {
    name: 'row 82: a bound token without a proof',
    send: () => ({ headers: { authorization: `DPoP ${bound}` } }),
    status: 401,
    says: 'Invalid DPoP proof',
  },
  {
    name: 'row 82: two proofs',
    async send() {
      const [one, two] = await Promise.all([withProof(bound, '/'), withProof(bound, '/')]);
      return { headers: { ...one, dpop: [one.dpop, two.dpop] } };
    },
    status: 401,
    says: 'Invalid DPoP proof',
  },
  { name: 'row 82: a bound token as Bearer', send: () => bearer(bound), status: 401, says: INVALID },
  { name: 'row 10: no credential', send: () => ({}), status: 401, says: MISSING },
  { name: 'row 73: no credential, by HEAD', send: () => ({ method: 'HEAD' }), status: 401, says: '' },
  { name: 'row 73: the Basic scheme', send: () => ({ headers: { authorization: basic } }), status: 401, says: MISSING },
  {
    name: 'row 73: an access token without the scope',
    send: () => ({ ...bearer(token), path: '/write' }),
    status: 403,
    says: LACKING,
  },
  {
    name: 'row 73: a key without the scope',
    send: () => ({ ...bearer(team), path: '/write' }),
    status: 403,
    says: LACKING,
  },
  {
    name: 'row 73: a malformed header',
    send: () => bearer('a b'),
    status: 400,
    says: 'Malformed Authorization header',
  },
  { name: 'row 71: an expired token', send: () => expired(), status: 401, says: INVALID },
  {
    name: 'row 71: another audience',
    send: async () => bearer(await issuer.token({ aud: 'https://other.example' })),
    status: 401,
    says: INVALID,
  },
  {
    name: 'row 70: alg none',
    send: () => bearer(`${part({ alg: 'none', kid: 'first', typ: 'at+jwt' })}.${part(goodClaims(issuer.url))}.`),
    status: 401,
    says: INVALID,
  },
  {
    name: 'row 70: HS256 with the public key',
    send: async () => bearer(await withPublicKey()),
    status: 401,
    says: INVALID,
  },
  {
    name: 'row 70: an unknown kid',
    send: async () => bearer(await issuer.token({}, { kid: 'other' })),
    status: 401,
    says: INVALID,
  },
  { name: 'row 70: a truncated token', send: () => bearer(token.slice(0, -3)), status: 401, says: INVALID },
  {
    name: 'row 72: an ID token',
    send: async () => bearer(await issuer.token({}, { typ: 'JWT' })),
    status: 401,
    says: INVALID,
  },
  { name: 'row 85: an unknown key', send: () => bearer(createApiKey()), status: 401, says: 'Unauthenticated' },
  { name: 'row 85: a malformed key', send: () => bearer('lkp_abc'), status: 401, says: 'Malformed API key' },
  { name: 'row 85: no base64 at all', send: () => bearer('!'), status: 401, says: 'Invalid API key' },
  { name: 'row 87: a key in the query', send: () => ({ path: `/?api_key=${team}` }), status: 401, says: MISPLACED },
  {
    name: 'row 75: a token in the query',
    send: () => ({ path: `/?access_token=${token}` }),
    status: 400,
    says: MISPLACED,
  },
  {
    name: 'row 76: a token in the header and one in the query',
    send: () => ({ ...bearer(token), path: '/?access_token=x' }),
    status: 400,
    says: MISPLACED,
  },
  { name: 'row 76: a token in a form', send: () => ({ method: 'POST', form }), status: 400, says: MISPLACED },
  {
    name: 'row 76: a token in the header and one in a form',
    send: () => ({ ...bearer(token), method: 'POST', form }),
    status: 400,
    says: MISPLACED,
  },
  {
    name: 'row 69: a token in the header and a form without one',
    send: () => ({ ...bearer(token), method: 'POST', form: { a: 'b' } }),
    status: 200,
    says: 'svc_reports',
  },
  {
    name: 'row 76: an API key header beside the token',
    send: () => ({ headers: { authorization: `Bearer ${token}`, 'x-api-key': team } }),
    status: 400,
    says: SEVERAL,
  },
  ...[
    [`Bearer ${'a'}`, one.authorization],
    [basic, one.authorization],
    [one.authorization, basic],
    [basic, basic],
    ['', one.authorization],
    [basic, 'Bearer'],
  ].map((authorization) => ({
    name: `row 76: the headers ${JSON.stringify(authorization)}`,
    send: () => ({ headers: { authorization } }),
    status: 400,
    says: SEVERAL,
  })),
  {
    name: 'row 73: another scheme with commas of its own',
    send: () => ({ headers: { authorization: 'Digest username="a b", realm="c", nc=1' } }),
    status: 401,
    says: MISSING,
  },
];

async function expired(): Promise<Sent> {
  return bearer(await issuer.token({ iat: now() - 700, exp: now() - 100 }));
}

interface Answer {
  status: number | undefined;
  headers: Record<string, unknown>;
  body: string;
}

function send({ port }: Server, { method = 'GET', path = '/', headers = {}, form }: Sent): Promise<Answer> {
  const body = form && new URLSearchParams(form).toString();
  const typed = form ? { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' } : {};
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method, headers: { ...typed, ...headers }, agent: false };
    const sent = request(options, async (res) => {
      let text = '';
      for await (const chunk of res) text += chunk;
      resolve({
        status: res.statusCode,
        headers: Object.fromEntries(COMPARED.map((name) => [name, res.headers[name]])),
        body: text,
      });
    });
    sent.on('error', reject).end(body);
  });
}

/** One request to each; the answer, if all gave the same one. */
async function sameAnswer(all: Server[], make: Case['send']): Promise<Answer> {
  const answers: Record<string, Answer> = {};
  for (const server of all) answers[server.name] = await send(server, await make());
  const first = answers.koa as Answer;
  expect(answers).toEqual(Object.fromEntries(FRAMEWORKS.map((name) => [name, first])));
  return first;
}

function noticeIn(headers: Answer['headers']) {
  return Object.fromEntries(NOTICE.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])));
}

describe('Koa, Express, Fastify, Hono and node:http answer alike', () => {
  test.each(CASES.filter(({ status }) => status !== 200))('$name: $status', async (one) => {
    const { status, headers, body } = await sameAnswer(servers, one.send);
    expect(status).toBe(one.status);
    expect(body === '' ? '' : JSON.parse(body).message).toBe(one.says);
    expect(headers).toMatchObject({ 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
    const pointer = 'resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/v1"';
    expect(headers['www-authenticate']).toContain(pointer);
    expect(noticeIn(headers)).toEqual(one.notice ?? {});
  });

  test.each(CASES.filter(({ status }) => status === 200))('$name: one principal', async (one) => {
    const principals = [];
    for (const server of servers) {
      const { status, headers, body } = await send(server, await one.send());
      expect({ [server.name]: status }).toEqual({ [server.name]: 200 });
      expect({ [server.name]: noticeIn(headers) }).toEqual({ [server.name]: one.notice ?? {} });
      principals.push(JSON.parse(body));
    }
    expect(principals[0].subject).toBe(one.says);
    for (const principal of principals) expect(principal).toEqual(principals[0]);
  });

  test.each([
    ['an access token', () => bearer(token)],
    ['a key', () => bearer(team)],
  ])('row 84: %s while the authorization server is away: 503', async (_, make) => {
    const { status, headers, body } = await sameAnswer(cutOff, make);
    expect(status).toBe(503);
    expect(JSON.parse(body).code).toBe(14);
    expect(headers).toMatchObject({ 'retry-after': '5', 'cache-control': 'no-store' });
    expect(headers['www-authenticate']).toBeUndefined();
  });

  test('row 83: a flood of unknown keys is one fetch of the key set in each', async () => {
    const before = issuer.count('/jwks');
    await Promise.all(
      servers.flatMap((server) =>
        Array.from({ length: 20 }, async (_, at) => send(server, bearer(await issuer.token({}, { kid: `k${at}` })))),
      ),
    );
    expect(issuer.count('/jwks') - before).toBeLessThanOrEqual(servers.length);
  });

  test.each(['', '/v1'])('row 9: the metadata with "%s" appended, to whoever asks', async (suffix) => {
    const path = `/.well-known/oauth-protected-resource${suffix}`;
    const { status, headers, body } = await sameAnswer(servers, () => ({ path, headers: { host: 'evil.example' } }));
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'public, max-age=300',
    });
    expect(JSON.parse(body)).toMatchObject({ resource: `${AUDIENCE}/v1`, authorization_servers: [issuer.url] });
    expect((await sameAnswer(servers, () => ({ path, method: 'HEAD' }))).body).toBe('');
    expect((await sameAnswer(servers, () => ({ path, method: 'POST' }))).status).toBe(401);
  });

  test('an API may render refusals itself, in each', async () => {
    const own = await startAll({ issuer: issuer.url, audience: AUDIENCE }, true);
    try {
      for (const [path, status] of [['/', 401] as const, ['/write', 403] as const]) {
        for (const server of own) {
          const answer = await send(server, { ...(status === 401 ? {} : bearer(token)), path });
          expect({ [server.name]: answer.status }).toEqual({ [server.name]: status });
          expect(JSON.parse(answer.body)).toMatchObject({ code: status === 401 ? 16 : 7, request_id: 'r1' });
          expect(answer.headers['www-authenticate']).toMatch(/^Bearer /);
        }
      }
    } finally {
      await Promise.all(own.map((server) => server.stop()));
    }
  });
});
