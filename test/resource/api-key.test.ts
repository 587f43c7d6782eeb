import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createAuthenticator, type Failure, type Principal, type ResourceOptions } from '../../src/resource/index.ts';
import { startApi } from './api.ts';
import { AUDIENCE, createApiKey, type Issuer, startIssuer, TEAM } from './issuer.ts';

let issuer: Issuer;
let errors: Error[];
let now: number;

beforeEach(async () => {
  issuer = await startIssuer();
  errors = [];
  now = Date.now();
});
afterEach(() => issuer.stop());

function resource(options: Partial<ResourceOptions>) {
  const onError = (error: Error) => errors.push(error);
  const core = createAuthenticator({ issuer: issuer.url, audience: AUDIENCE, clock: () => now, onError, ...options });
  return (token: string, scheme = 'Bearer') =>
    core.authenticate({ method: 'GET', headers: { authorization: `${scheme} ${token}` } });
}

const OWNER: Principal = {
  kind: 'team',
  credential: { kind: 'team_key', id: 'k1' },
  subject: `team:${TEAM}`,
  teamId: TEAM,
  scopes: ['providers:read'],
};

describe('row 85: the text of a key', () => {
  const lookups: string[] = [];
  const verifyApiKey = async (key: string) => {
    lookups.push(key);
    return OWNER;
  };
  beforeEach(() => {
    lookups.length = 0;
  });

  test('row 85: a whole key is looked up, personal or team', async () => {
    const check = resource({ verifyApiKey });
    const keys = [createApiKey('lkp_'), createApiKey('lkt_')];
    for (const key of keys) expect(await check(key)).toEqual({ principal: OWNER });
    expect(lookups).toEqual(keys);
  });

  test('row 85: one flipped character anywhere is 401 with no lookup', async () => {
    const check = resource({ verifyApiKey });
    const key = createApiKey();
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (let at = 0; at < key.length; at++) {
      for (const other of alphabet) {
        const damaged = key.slice(0, at) + other + key.slice(at + 1);
        // The two prefixes differ in one letter; the checksum covers what follows them.
        if (damaged === key || damaged.startsWith('lkt_')) continue;
        expect(await check(damaged)).toMatchObject({ status: 401, body: { message: 'Malformed API key' } });
      }
    }
    expect(lookups).toEqual([]);
  });

  test('row 85: every truncation, front and back, and every extension is 401 with no lookup', async () => {
    const check = resource({ verifyApiKey });
    const key = createApiKey();
    const damaged = [
      `${key}A`,
      `${key}AAAA`,
      `${key}=`,
      `A${key}`,
      key + key,
      key.toLowerCase(),
      `lks_${key.slice(4)}`,
    ];
    for (let length = 1; length < key.length; length++) damaged.push(key.slice(0, length), key.slice(length));
    for (const text of damaged) {
      expect(await check(text)).toMatchObject({ status: 401, body: { message: 'Malformed API key' } });
    }
    expect(lookups).toEqual([]);
  });

  test.each(['lkp_!', 'a.b', 'a.b.c.d', 'käse', 'abc+_', '====', 'a=b', `${createApiKey()}%`])(
    'row 85: "%s" is not base64: "Invalid API key" with no lookup',
    async (text) => {
      expect(await resource({ verifyApiKey })(text)).toMatchObject({
        status: 401,
        body: { message: 'Invalid API key' },
      });
      expect(lookups).toEqual([]);
    },
  );

  test('a bad JWT is never tried as a key, nor as anything else', async () => {
    const check = resource({ verifyApiKey });
    expect(await check('a.b.c')).toMatchObject({ status: 401, body: { message: 'Invalid access token' } });
    expect(lookups).toEqual([]);
    expect(issuer.requests).toEqual([]);
  });

  test('a key is not accepted with the DPoP scheme', async () => {
    expect(await resource({ verifyApiKey })(createApiKey(), 'DPoP')).toMatchObject({ status: 401 });
    expect(lookups).toEqual([]);
  });

  test('without a way to check keys every key is Unauthenticated', async () => {
    expect(await resource({})(createApiKey())).toMatchObject({ status: 401, body: { message: 'Unauthenticated' } });
  });

  test('with the apiKeys option off no key is looked up', async () => {
    const check = resource({ verifyApiKey, apiKeys: false });
    expect(await check(createApiKey())).toMatchObject({ status: 401, body: { message: 'Unauthenticated' } });
    expect(lookups).toEqual([]);
  });

  test('row 84: a check that throws is 503', async () => {
    const check = resource({ verifyApiKey: () => Promise.reject(new Error('database away')) });
    expect(await check(createApiKey())).toMatchObject({ status: 503, headers: { 'Retry-After': '5' } });
    expect(errors.length).toBe(1);
  });
});

describe('introspection', () => {
  const introspection = { clientId: 'svc_api', clientSecret: 'lks_s e/c:r%t' };
  const active = { active: true, token_type: 'api_key', kind: 'personal', key_id: 'k2', sub: 'u1', team_id: TEAM };
  let key: string;
  beforeEach(() => {
    key = createApiKey();
  });

  test('gives the principal of a personal and of a team key, asking as the configured client', async () => {
    const teamKey = createApiKey('lkt_');
    const exp = Math.floor(now / 1000) + 60;
    issuer.apiKeys.set(key, { ...active, iss: issuer.url, scope: 'providers:read teams:read', exp });
    issuer.apiKeys.set(teamKey, {
      ...active,
      kind: 'team',
      key_id: 'k1',
      sub: `team:${TEAM}`,
      scope: 'providers:read',
    });
    const api = await startApi({ issuer: issuer.url, introspection });
    expect((await api.bearer(key)).body).toEqual({
      kind: 'user',
      credential: { kind: 'personal_key', id: 'k2' },
      subject: 'u1',
      teamId: TEAM,
      scopes: ['providers:read', 'teams:read'],
      expiresAt: exp,
    } satisfies Principal);
    expect((await api.bearer(teamKey)).body).toEqual(OWNER);
    expect((await api.bearer(key, '/write')).status).toBe(403);
    const asked = issuer.requests.find(({ path }) => path === '/oauth2/introspect');
    expect(asked?.body).toBe(`token=${key}`);
    expect(Buffer.from(asked?.authorization?.slice('Basic '.length) ?? '', 'base64').toString()).toBe(
      'svc_api:lks_s+e%2Fc%3Ar%25t',
    );
    await api.stop();
  });

  test('row 88: wrong, expired, revoked, malformed and other keys get one 401 shape', async () => {
    const expired = createApiKey();
    issuer.apiKeys.set(expired, { ...active, exp: Math.floor(now / 1000) - 1 });
    const check = resource({ introspection });
    const [unknown, late, malformed] = (await Promise.all(
      [key, expired, 'lkp_abc'].map((text) => check(text)),
    )) as Failure[];
    expect(unknown).toMatchObject({ status: 401, body: { code: 16, message: 'Unauthenticated', details: [] } });
    expect({ ...late, reason: '' }).toEqual({ ...unknown, reason: '' });
    const shape = ({ status, headers, body }: Failure) =>
      JSON.stringify({ status, headers, body }).replaceAll(/Unauthenticated|Malformed API key/g, 'TEXT');
    expect(shape(malformed as Failure)).toBe(shape(unknown as Failure));
  });

  test('a key that is for other APIs of the same client is not for this one', async () => {
    const other = createApiKey();
    issuer.apiKeys.set(key, { ...active, aud: ['https://other.example', AUDIENCE] });
    issuer.apiKeys.set(other, { ...active, aud: 'https://other.example' });
    const core = createAuthenticator({ issuer: issuer.url, audience: AUDIENCE, introspection });
    const ask = (token: string) => core.authenticate({ method: 'GET', headers: { authorization: `Bearer ${token}` } });
    expect([await ask(key), await ask(other)]).toMatchObject([{ principal: { subject: 'u1' } }, { status: 401 }]);
  });

  test('a live key is remembered for 4 s, a dead one not at all', async () => {
    const check = resource({ introspection });
    const asked = () => issuer.count('/oauth2/introspect');
    await check(key);
    await check(key);
    expect(asked()).toBe(2);
    issuer.apiKeys.set(key, active);
    for (let i = 0; i < 5; i++) expect(await check(key)).toHaveProperty('principal');
    expect(asked()).toBe(3);
    issuer.apiKeys.delete(key);
    now += 3_900;
    expect(await check(key)).toHaveProperty('principal');
    now += 100;
    expect(await check(key)).toMatchObject({ status: 401 });
  });

  test('a remembered key ends at its expiry', async () => {
    issuer.apiKeys.set(key, { ...active, exp: Math.floor(now / 1000) + 2 });
    const check = resource({ introspection });
    expect(await check(key)).toHaveProperty('principal');
    now += 2_000;
    expect(await check(key)).toMatchObject({ status: 401 });
  });

  test('the same key asked for 50 times at once is one question', async () => {
    issuer.apiKeys.set(key, active);
    const check = resource({ introspection });
    const decisions = await Promise.all(Array.from({ length: 50 }, () => check(key)));
    expect(decisions.every((decision) => decision.principal)).toBe(true);
    expect(issuer.count('/oauth2/introspect')).toBe(1);
  });

  test('20 keys at once ask for the metadata once', async () => {
    const check = resource({ introspection });
    await Promise.all(Array.from({ length: 20 }, () => check(createApiKey())));
    expect(issuer.count('/.well-known/oauth-authorization-server')).toBe(1);
  });

  test('row 84: refused client credentials and other answers are told apart for the operator', async () => {
    const check = resource({ introspection });
    await check(key);
    for (const status of [401, 403]) {
      issuer.trouble = status;
      await check(key);
    }
    expect(errors.map(({ message }) => message)).toEqual([
      'The issuer refuses the client of the introspection option',
      'Introspection answered 403',
    ]);
  });

  test.each([0, 302, 401, 403, 429, 500, 503])(
    'row 84: an issuer that answers %d is 503 and reported',
    async (status) => {
      issuer.apiKeys.set(key, active);
      const check = resource({ introspection });
      await check(createApiKey());
      issuer.trouble = status;
      expect(await check(key)).toMatchObject({ status: 503, headers: { 'Retry-After': '5' }, body: { code: 14 } });
      expect(errors.map((error) => error.name)).toEqual(['AppError']);
      issuer.trouble = undefined;
      expect(await check(key)).toHaveProperty('principal');
    },
  );

  test.each([
    {},
    { ...active, active: 'true' },
    { ...active, token_type: 'Bearer' },
    { ...active, kind: 'admin' },
    { ...active, team_id: undefined },
    { ...active, scope: ['providers:read'] },
    { ...active, exp: 'never' },
    { ...active, iss: 'https://other.example' },
  ])('row 84: the answer %j is not understood: 503', async (answer) => {
    issuer.apiKeys.set(key, answer);
    expect(await resource({ introspection })(key)).toMatchObject({ status: 503 });
  });
});

describe('the notice of a key that is to be given up', () => {
  const notice = { Deprecation: '@1800000000', Sunset: 'Fri, 15 Jan 2027 08:00:00 GMT', Link: '<https://a.example>' };

  test('is in the principal, or with the refusal once the key is retired', async () => {
    expect(await resource({ verifyApiKey: async () => ({ ...OWNER, notice }) })(createApiKey())).toEqual({
      principal: { ...OWNER, notice },
    });
    const refused = (await resource({ verifyApiKey: async () => ({ retired: notice }) })(createApiKey())) as Failure;
    expect(refused).toMatchObject({ status: 401, headers: notice, body: { message: 'Unauthenticated' } });
    expect(refused.headers['WWW-Authenticate']).toContain('error="invalid_token"');
  });

  test('has no headers but its own, and no text that is not plain', async () => {
    const odd = { Sunset: 'a\r\nSet-Cookie: a=b', Link: '<https://ä.example>', 'Set-Cookie': 'a=b', Deprecation: '@1' };
    const decision = await resource({ verifyApiKey: async () => ({ ...OWNER, notice: odd }) })(createApiKey());
    expect(decision.principal?.notice).toEqual({ Deprecation: '@1' });
    const refused = await resource({ verifyApiKey: async () => ({ retired: odd }) })(createApiKey());
    expect(Object.keys((refused as Failure).headers)).toEqual(['Cache-Control', 'Deprecation', 'WWW-Authenticate']);
  });

  test('comes with introspection, as the headers of its answer, and is remembered as long', async () => {
    const key = createApiKey();
    issuer.apiKeys.set(key, {
      active: true,
      token_type: 'api_key',
      kind: 'team',
      key_id: 'k1',
      sub: OWNER.subject,
      team_id: TEAM,
    });
    issuer.notices.set(key, notice);
    const check = resource({ introspection: { clientId: 'a', clientSecret: 'b' } });
    expect((await check(key)).principal?.notice).toEqual(notice);
    issuer.notices.delete(key);
    expect((await check(key)).principal?.notice).toEqual(notice);
    now += 4_000;
    expect((await check(key)).principal).not.toHaveProperty('notice');
    issuer.apiKeys.delete(key);
    issuer.notices.set(key, { Link: '<https://a.example>' });
    now += 4_000;
    expect((await check(key)) as Failure).not.toHaveProperty('headers.Link');
    issuer.notices.set(key, notice);
    expect(await check(key)).toMatchObject({ status: 401, headers: notice });
  });
});

test('keys from elsewhere are looked up when the API says so, whatever their shape; JWTs and keys of ours never are', async () => {
  const asked: string[] = [];
  const legacyKeys = (text: string) => {
    asked.push(text);
    return text.startsWith('SG.');
  };
  const check = resource({ verifyApiKey: async (key) => (key === 'SG.a.b' ? OWNER : undefined), legacyKeys });
  expect(await check('SG.a.b')).toEqual({ principal: OWNER });
  const messageOf = async (key: string) => ((await check(key)) as Failure).body.message;
  expect(await messageOf('SG.a.c')).toBe('Unauthenticated');
  expect(await messageOf('SH.a.b')).toBe('Invalid access token');
  expect(await messageOf('other')).toBe('Malformed API key');
  expect(asked).toEqual(['SG.a.b', 'SG.a.c', 'SH.a.b', 'other']);
  expect(await messageOf('eyJ.a.b')).toBe('Invalid access token');
  expect(await messageOf('lkp_x')).toBe('Malformed API key');
  expect(asked).toHaveLength(4);
  expect(await check('SG.a.b', 'DPoP')).toMatchObject({ status: 401 });
});
