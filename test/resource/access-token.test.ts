import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exportJWK, exportSPKI, importJWK, SignJWT } from 'jose';
import type { Principal } from '../../src/resource/index.ts';
import { type Api, startApi } from './api.ts';
import { AUDIENCE, createKey, goodClaims, type Issuer, type IssuerKey, startIssuer, TEAM } from './issuer.ts';

let issuer: Issuer;
let api: Api;
let rsa: IssuerKey;
let now = 0;
const clock = () => Date.now() + now;

beforeAll(async () => {
  issuer = await startIssuer();
  rsa = await createKey('rsa', 'RS256');
  issuer.keys.push(rsa.jwk);
  api = await startApi({ issuer: issuer.url, clock });
});
afterAll(() => Promise.all([api.stop(), issuer.stop()]));

async function expectRefused(token: string): Promise<void> {
  const answer = await api.bearer(token);
  expect(answer.status).toBe(401);
  expect(answer.challenge).toContain('error="invalid_token"');
  expect(answer.body).toEqual({ code: 16, message: 'Invalid access token', details: [] });
}

function base64url(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

describe('a good token', () => {
  test('row 69: gives the principal of a client', async () => {
    const exp = Math.floor(Date.now() / 1000) + 600;
    const { status, body } = await api.bearer(await issuer.token({ jti: 'j1', exp, scope: 'a:read b:write a:read' }));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      kind: 'client',
      credential: { kind: 'access_token', id: 'j1' },
      subject: 'svc_reports',
      clientId: 'svc_reports',
      teamId: TEAM,
      scopes: ['a:read', 'b:write'],
      expiresAt: exp,
      claims: { iss: issuer.url, aud: AUDIENCE },
    } satisfies Principal);
  });

  test('row 69: gives the principal of a user who let an app in', async () => {
    const user = await issuer.token({ sub: 'd7b1f3a8-user', client_id: 'app_x', scope: undefined });
    expect((await api.bearer(user)).body).toMatchObject({
      kind: 'user',
      subject: 'd7b1f3a8-user',
      clientId: 'app_x',
      scopes: [],
    });
  });

  test('row 69: gives the principal of a team, whichever client acts for it', async () => {
    const team = await issuer.token({ sub: `team:${TEAM}`, derived_from: ['key:k1'], act: { sub: 'svc_reports' } });
    expect((await api.bearer(team)).body).toMatchObject({
      kind: 'team',
      subject: `team:${TEAM}`,
      clientId: 'svc_reports',
    });
    const same = await issuer.token({ sub: 'team:a', client_id: 'team:a' });
    expect((await api.bearer(same)).body.kind).toBe('team');
  });

  test('row 69: may be signed with RS256, typed application/at+jwt and name several audiences', async () => {
    const token = await issuer.token({ aud: ['other', AUDIENCE] }, { typ: 'application/AT+JWT' }, rsa);
    expect((await api.bearer(token)).status).toBe(200);
  });

  test.each(['EdDSA', 'PS256'])('row 69: may be signed with %s', async (alg) => {
    const key = await createKey(`key-${alg}`, alg);
    const local = await startApi({ issuer: issuer.url, jwks: () => ({ keys: [key.jwk] }) });
    expect((await local.bearer(await issuer.token({}, {}, key))).status).toBe(200);
    await local.stop();
  });
});

test('row 70: an algorithm left out of the algorithms option is refused', async () => {
  const local = await startApi({ issuer: issuer.url, algorithms: ['ES256'] });
  const statuses = [await local.bearer(await issuer.token()), await local.bearer(await issuer.token({}, {}, rsa))];
  expect(statuses.map(({ status }) => status)).toEqual([200, 401]);
  await local.stop();
});

describe('claims', () => {
  test.each(['iss', 'aud', 'exp', 'iat', 'sub', 'client_id', 'jti', 'team_id'])(
    'row 69: %s is required',
    async (claim) => expectRefused(await issuer.token({ [claim]: undefined })),
  );

  test.each([
    ['sub', 1],
    ['client_id', ['a']],
    ['jti', ''],
    ['team_id', {}],
    ['scope', ['providers:read']],
    ['iat', 'now'],
    ['exp', 'never'],
    ['cnf', { 'x5t#S256': 'abc' }],
    ['cnf', null],
  ])('row 69: a %s of %j is refused', async (claim, value) => {
    await expectRefused(await issuer.token({ [claim]: value }));
  });

  const seconds = () => Math.floor(clock() / 1000);
  const wrong: [string, () => Record<string, unknown>][] = [
    ['another issuer', () => ({ iss: 'https://evil.example' })],
    ['an issuer with a slash more', () => ({ iss: `${issuer.url}/` })],
    ['another audience', () => ({ aud: 'https://other.example.com' })],
    ['an audience with a slash more', () => ({ aud: `${AUDIENCE}/` })],
    ['an audience in other case', () => ({ aud: AUDIENCE.toUpperCase() })],
    ['an exp in the past', () => ({ iat: seconds() - 600, exp: seconds() - 6 })],
    ['an nbf in the future', () => ({ nbf: seconds() + 20 })],
    ['an iat in the future', () => ({ iat: seconds() + 20 })],
    ['an iat after its exp', () => ({ iat: seconds() + 4, exp: seconds() + 3 })],
  ];
  test.each(wrong)('row 71: a token with %s is refused', async (_, claims) => {
    await expectRefused(await issuer.token(claims()));
  });

  test('row 71: clocks may differ by the tolerance and no more', async () => {
    const late = await issuer.token({ exp: seconds() - 1, iat: seconds() - 600 });
    const early = await issuer.token({ nbf: seconds() + 3, iat: seconds() + 3 });
    expect((await api.bearer(late)).status).toBe(200);
    expect((await api.bearer(early)).status).toBe(200);
  });

  test('row 72: an ID token is refused', async () => {
    await expectRefused(await issuer.token({ nonce: 'n' }, { typ: 'JWT' }));
    await expectRefused(await issuer.token({ nonce: 'n' }, { typ: undefined }));
  });

  test('row 72: a client assertion is refused', async () => {
    const claims = { iss: 'svc_reports', aud: issuer.url };
    await expectRefused(await issuer.token(claims, { typ: 'JWT' }));
    await expectRefused(await issuer.token({}, { typ: 'client-authentication+jwt' }));
  });
});

describe('row 70: forged tokens', () => {
  let visits = 0;
  let evil: string;
  let attacker: IssuerKey;
  let rsaPss: IssuerKey['privateKey'];
  const server = createServer((_, res) => {
    visits++;
    res.end(JSON.stringify({ keys: [attacker.jwk] }));
  });
  beforeAll(async () => {
    attacker = await createKey('first');
    const rsaJwk = await exportJWK(rsa.privateKey);
    rsaPss = (await importJWK({ ...rsaJwk, alg: 'PS256' }, 'PS256')) as IssuerKey['privateKey'];
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    evil = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  async function hs256(secret: string): Promise<string> {
    const header = { alg: 'HS256', kid: 'rsa', typ: 'at+jwt' };
    return new SignJWT(goodClaims(issuer.url)).setProtectedHeader(header).sign(new TextEncoder().encode(secret));
  }
  function rewrite(token: string, part: 0 | 1, change: (value: Record<string, unknown>) => unknown): string {
    const parts = token.split('.');
    parts[part] = base64url(change(JSON.parse(Buffer.from(parts[part] as string, 'base64url').toString())));
    return parts.join('.');
  }
  const recase = (text: string) =>
    text.replace(/[a-z]/i, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()));
  /** Another spelling of the same 64 signature bytes: the last character has four bits that decode to nothing. */
  const respell = (token: string) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1) as string) + 1];
  };

  const forgeries: [string, (good: string) => string | Promise<string>][] = [
    [
      'alg none without signature',
      (good) => `${rewrite(good, 0, (h) => ({ ...h, alg: 'none' })).replace(/[^.]*$/, '')}`,
    ],
    ['alg none with a signature', (good) => rewrite(good, 0, (h) => ({ ...h, alg: 'NoNe' }))],
    ['HS256 with the public key as PEM', async () => hs256(await exportSPKI((await importJWK(rsa.jwk)) as never))],
    ['HS256 with the public key as JWK', () => hs256(JSON.stringify(rsa.jwk))],
    ['another key under a known kid', () => issuer.token({}, {}, attacker)],
    ['an unknown kid', () => issuer.token({}, { kid: 'unknown' })],
    ['no kid', () => issuer.token({}, { kid: undefined })],
    ['a kid that is a list', () => issuer.token({}, { kid: ['first'] })],
    ['a kid with a path in it', () => issuer.token({}, { kid: '../../dev/null' })],
    ['a kid named like an object member', () => issuer.token({}, { kid: '__proto__' })],
    ['jku', () => issuer.token({}, { jku: evil, kid: 'attacker' }, attacker)],
    ['jku on a good signature', () => issuer.token({}, { jku: evil })],
    ['x5u', () => issuer.token({}, { x5u: evil }, attacker)],
    ['x5u on a good signature', () => issuer.token({}, { x5u: evil })],
    ['jwk on a good signature', () => issuer.token({}, { jwk: issuer.key.jwk })],
    ['zip', () => issuer.token({}, { zip: 'DEF' })],
    ['enc', () => issuer.token({}, { enc: 'A256GCM' })],
    ['an embedded jwk', () => issuer.token({}, { jwk: attacker.jwk }, attacker)],
    ['an embedded x5c', () => issuer.token({}, { x5c: ['MIIB'] })],
    ['crit', (good) => rewrite(good, 0, (h) => ({ ...h, crit: ['exp'] }))],
    ['b64', (good) => rewrite(good, 0, (h) => ({ ...h, b64: false }))],
    ['an alg that is not the key’s', () => issuer.token({}, { kid: 'rsa' })],
    ['another alg of the same key', () => issuer.token({}, { alg: 'PS256' }, { ...rsa, privateKey: rsaPss })],
    ['a tampered payload', (good) => rewrite(good, 1, (p) => ({ ...p, scope: 'providers:write' }))],
    ['a payload that is not JSON', (good) => good.replace(/\.[^.]*\./, `.${base64url('no')}.`)],
    ['a header that is not JSON', (good) => good.replace(/^[^.]*/, base64url('no'))],
    ['a header that is null', (good) => good.replace(/^[^.]*/, base64url('null'))],
    ['a tampered signature', (good) => good.replace(/\.([^.]*)$/, (_, s) => `.${recase(s)}`)],
    ['a re-cased header', (good) => recase(good)],
    ['no signature', (good) => good.replace(/[^.]*$/, '')],
    ['one character less', (good) => good.slice(0, -1)],
    ['one character more', (good) => `${good}A`],
    ['the same signature spelled otherwise', respell],
    ['padding', (good) => `${good}==`],
    ['empty parts', () => '..'],
  ];

  test.each(forgeries)('row 70: %s is refused', async (_, forge) => {
    const good = await issuer.token();
    expect((await api.bearer(good)).status).toBe(200);
    await expectRefused(await forge(good));
    expect(visits).toBe(0);
  });

  test('row 70: every part cut off, at any length, is refused', async () => {
    const good = await issuer.token();
    const answers = await Promise.all([10, 100, 200, 300, 400].map((length) => api.bearer(good.slice(0, length))));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401]);
  });
});

describe('a remembered token', () => {
  test('row 71: is refused from its exp on', async () => {
    const token = await issuer.token();
    expect((await api.bearer(token)).status).toBe(200);
    now = 598_000;
    expect((await api.bearer(token)).status).toBe(200);
    now = 606_000;
    await expectRefused(token);
    now = 0;
  });

  test('row 70: is refused once its key is gone or is another one', async () => {
    let keys = [issuer.key.jwk];
    const local = await startApi({ issuer: issuer.url, jwks: () => ({ keys }) });
    const token = await issuer.token();
    const statuses = [await local.bearer(token), await local.bearer(token)];
    keys = [rsa.jwk];
    statuses.push(await local.bearer(token));
    keys = [(await createKey('first')).jwk];
    statuses.push(await local.bearer(token));
    keys = [issuer.key.jwk];
    statuses.push(await local.bearer(token));
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 401, 401, 200]);
    await local.stop();
  });

  test('is refused as soon as isRevoked says so, and 503 when it cannot say', async () => {
    let revoked: () => boolean | Promise<boolean> = () => false;
    const errors: Error[] = [];
    const local = await startApi({
      issuer: issuer.url,
      jwks: () => ({ keys: [issuer.key.jwk] }),
      isRevoked: (claims) => claims.jti === 'j2' && revoked(),
      onError: (error) => errors.push(error),
    });
    const token = await issuer.token({ jti: 'j2' });
    const statuses = [(await local.bearer(token)).status];
    revoked = async () => true;
    statuses.push((await local.bearer(token)).status);
    revoked = () => {
      throw new Error('no feed');
    };
    statuses.push((await local.bearer(token)).status);
    expect(statuses).toEqual([200, 401, 503]);
    expect(errors.map(({ message }) => message)).toEqual(['no feed']);
    await local.stop();
  });
});
