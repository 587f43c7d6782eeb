import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { calculateJwkThumbprint, exportJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import { createAuthenticator } from '../../src/resource/index.ts';
import { createReplayCache } from '../../src/resource/replay-cache.ts';
import { type Api, startApi } from './api.ts';
import { createKey, type Issuer, type IssuerKey, startIssuer } from './issuer.ts';

const ORIGIN = 'https://api.example.com';
const ALGS = 'algs="ES256 RS256 PS256 EdDSA Ed25519"';
let issuer: Issuer;
let api: Api;
let holder: IssuerKey;
let other: IssuerKey;
let jwk: JWK;
let token: string;

beforeAll(async () => {
  issuer = await startIssuer();
  api = await startApi({ issuer: issuer.url });
  [holder, other] = await Promise.all([createKey('holder'), createKey('other')]);
  const { kty, crv, x, y } = holder.jwk;
  jwk = { kty, crv, x, y } as JWK;
  token = await issuer.token({ cnf: { jkt: await calculateJwkThumbprint(jwk) } });
});
afterAll(() => Promise.all([api.stop(), issuer.stop()]));

interface Changes {
  claims?: JWTPayload;
  header?: Record<string, unknown>;
  key?: IssuerKey;
}

function proof({ claims, header, key = holder }: Changes = {}): Promise<string> {
  const ath = createHash('sha256').update(token).digest('base64url');
  const iat = Math.floor(Date.now() / 1000);
  return new SignJWT({ htm: 'GET', htu: `${ORIGIN}/a`, jti: randomUUID(), iat, ath, ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header })
    .sign(key.privateKey);
}

function send(dpop: string | string[], path = '/a?q=1') {
  return api.send({ authorization: `DPoP ${token}`, dpop }, path);
}

test('row 82: a bound token with a fresh matching proof is accepted', async () => {
  const answer = await send(await proof());
  expect(answer.status).toBe(200);
  expect(answer.body.subject).toBe('svc_reports');
  expect((await api.send({ authorization: `dpop ${token}`, DPoP: await proof() }, '/a')).status).toBe(200);
});

test.each([
  ['query and fragment', `${ORIGIN}/a?x#y`],
  ['default port and case of the host', 'HTTPS://API.example.com:443/a'],
])('row 82: %s of htu make no difference', async (_, htu) => {
  expect((await send(await proof({ claims: { htu } }))).status).toBe(200);
});

const now = () => Math.floor(Date.now() / 1000);
const wrong: [string, () => Changes | Promise<Changes>][] = [
  ['of another key', () => ({ key: other, header: { jwk: other.jwk } })],
  ['signed by another key', () => ({ key: other })],
  ['for another method', () => ({ claims: { htm: 'POST' } })],
  ['for a method in other case', () => ({ claims: { htm: 'get' } })],
  ['for another path', () => ({ claims: { htu: `${ORIGIN}/b` } })],
  ['for another host', () => ({ claims: { htu: 'https://evil.example/a' } })],
  ['for another scheme', () => ({ claims: { htu: 'http://api.example.com/a' } })],
  ['with an htu that is a list', () => ({ claims: { htu: [`${ORIGIN}/a`] } })],
  ['of 6 minutes ago', () => ({ claims: { iat: now() - 360 } })],
  ['of 62 seconds ago', () => ({ claims: { iat: now() - 62 } })],
  ['of 20 seconds ahead', () => ({ claims: { iat: now() + 20 } })],
  ['without iat', () => ({ claims: { iat: undefined } })],
  ['without jti', () => ({ claims: { jti: undefined } })],
  ['with a jti that is a number', () => ({ claims: { jti: 1 as never } })],
  ['without ath', () => ({ claims: { ath: undefined } })],
  ['with the ath of another token', () => ({ claims: { ath: createHash('sha256').digest('base64url') } })],
  ['without htm', () => ({ claims: { htm: undefined } })],
  ['without htu', () => ({ claims: { htu: undefined } })],
  ['of another typ', () => ({ header: { typ: 'JWT' } })],
  ['without its key', () => ({ header: { jwk: undefined } })],
  [
    'that shows its private key',
    async () => ({ header: { jwk: { ...jwk, d: (await exportJWK(holder.privateKey)).d } } }),
  ],
  ['that points at a key', () => ({ header: { jku: 'https://evil.example/' } })],
];

test.each(wrong)('row 82: a proof %s is 401', async (_, changes) => {
  const answer = await send(await proof(await changes()));
  expect(answer.status).toBe(401);
  expect(answer.challenge).toMatch(/^DPoP error="invalid_dpop_proof"/);
  expect(answer.challenge).toContain(ALGS);
  expect(answer.body).toEqual({ code: 16, message: 'Invalid DPoP proof', details: [] });
});

test('row 82: a missing, unsigned, tampered or doubled proof is 401', async () => {
  const good = await proof();
  const [, payload] = good.split('.');
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'dpop+jwt', jwk })).toString('base64url');
  const answers = await Promise.all([
    api.send({ authorization: `DPoP ${token}` }, '/a'),
    send(''),
    send('x'),
    send(`${none}.${payload}.`),
    send(good.slice(0, -2)),
    send([good, await proof()]),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 401]);
});

test('row 82: two proofs are 401 when a framework hands them over as a list', async () => {
  const { authenticate } = createAuthenticator({ issuer: issuer.url, audience: ORIGIN });
  const request = { method: 'GET', url: `${ORIGIN}/a` };
  const headers = { authorization: `DPoP ${token}`, dpop: [await proof(), await proof()] };
  expect(await authenticate({ ...request, headers })).toMatchObject({
    status: 401,
    body: { message: 'Invalid DPoP proof' },
  });
  expect(await authenticate({ ...request, headers: { ...headers, dpop: [await proof()] } })).toHaveProperty(
    'principal',
  );
});

test('row 82: a replayed proof is 401, one after the other and all at once', async () => {
  const once = await proof();
  expect((await send(once)).status).toBe(200);
  expect((await send(once)).status).toBe(401);
  const raced = await proof();
  const statuses = (await Promise.all(Array.from({ length: 10 }, () => send(raced)))).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200).length).toBe(1);
});

test('row 82: a token bound to something else besides is 401, since that cannot be checked', async () => {
  const cnf = { jkt: await calculateJwkThumbprint(jwk), 'x5t#S256': 'abc' };
  const twice = await issuer.token({ cnf });
  const dpop = await proof({ claims: { ath: createHash('sha256').update(twice).digest('base64url') } });
  expect((await api.send({ authorization: `DPoP ${twice}`, dpop }, '/a')).status).toBe(401);
});

describe('schemes', () => {
  test('row 82: a bound token sent as Bearer is 401, even with its proof', async () => {
    const answer = await api.send({ authorization: `Bearer ${token}`, dpop: await proof() }, '/a');
    expect(answer.status).toBe(401);
    expect(answer.challenge).toMatch(/^Bearer error="invalid_token".*, DPoP algs=/);
  });

  test('row 82: a token that is not bound sent as DPoP is 401', async () => {
    const answer = await api.send({ authorization: `DPoP ${await issuer.token()}`, dpop: await proof() }, '/a');
    expect(answer.status).toBe(401);
    expect(answer.challenge).toMatch(/^DPoP error="invalid_token"/);
    expect(answer.challenge).toContain(ALGS);
  });

  test('row 82: the Host header has no say in htu', async () => {
    const dpop = await proof({ claims: { htu: 'https://evil.example/a' } });
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
    expect((await api.send({ ...headers, authorization: `DPoP ${token}`, dpop }, '/a')).status).toBe(401);
  });

  test('a 403 for a bound token challenges with its own scheme', async () => {
    const answer = await send(await proof({ claims: { htu: `${ORIGIN}/write` } }), '/write');
    expect(answer.status).toBe(403);
    expect(answer.challenge).toMatch(/^DPoP error="insufficient_scope"/);
  });
});

test('row 82: proofs are forgotten after their time, and none early to make room', () => {
  let time = 0;
  const useOnce = createReplayCache(1000, 2, () => time);
  expect([useOnce('a'), useOnce('a'), useOnce('b'), useOnce('c'), useOnce('a')]).toEqual([
    'new',
    'replayed',
    'new',
    'full',
    'replayed',
  ]);
  time = 999;
  expect(useOnce('a')).toBe('replayed');
  time = 1000;
  expect([useOnce('c'), useOnce('a')]).toEqual(['new', 'new']);
});
