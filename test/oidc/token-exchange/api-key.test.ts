/** An API key for a short, narrower JWT (RFC 8693): what the token says, what it opens, and what is refused. */
import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { clientCredentials, credentials, introspect } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange, GRANT, TYPES } from './exchange.ts';

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof exchange.person>>;
let client: Awaited<ReturnType<typeof exchange.client>>;
let guard: Awaited<ReturnType<typeof exchange.client>>;

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
  person = await exchange.person();
  client = await exchange.client(person.teamId);
  guard = await exchange.client(person.teamId, { allowedScopes: ['credentials:introspect'] });
});
afterAll(() => server.close());

const claimNames = (token: string) => Object.keys(decodeJwt(token)).sort();

test('a personal key without a client: a token like every other, for its user, no more than asked', async () => {
  const key = await exchange.personalKey(person);
  const { status, headers, body } = await exchange.key(key.text, { scope: 'providers:read' });
  expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
  expect(body).toEqual({
    access_token: expect.any(String),
    issued_token_type: TYPES.accessToken,
    token_type: 'Bearer',
    expires_in: 600,
    scope: 'providers:read',
  });
  const claims = decodeJwt(body.access_token);
  expect(claims).toEqual({
    iss: server.issuer,
    sub: person.userId,
    aud: server.audience,
    client_id: `key:${key.id}`,
    team_id: person.teamId,
    scope: 'providers:read',
    derived_from: [`key:${key.id}`],
    jti: expect.stringMatching(/^[\w-]{43}$/),
    iat: expect.any(Number),
    exp: claims.iat! + 600,
  });
  expect((await exchange.call(body.access_token, '/api/v1/providers')).status).toBe(200);
});

test('the form of an exchanged token is that of every other: header, and claims but for where it came from', async () => {
  const { text } = await exchange.teamKey(person.teamId);
  const ours = (await exchange.key(text, {}, client)).body.access_token;
  const other = (await clientCredentials(server, client)).body.access_token;
  expect(decodeProtectedHeader(ours)).toEqual(decodeProtectedHeader(other));
  expect(claimNames(ours)).toEqual([...claimNames(other), 'act', 'derived_from'].sort());
});

test('a team key is its team, with all it may do when nothing is asked', async () => {
  const { id, text } = await exchange.teamKey(person.teamId);
  const { body } = await exchange.key(text);
  expect(body.scope).toBe('providers:read providers:write');
  expect(decodeJwt(body.access_token)).toMatchObject({
    sub: `team:${person.teamId}`,
    team_id: person.teamId,
    client_id: `key:${id}`,
  });
  expect((await exchange.call(body.access_token, '/api/v1/providers')).status).toBe(200);
  expect((await exchange.call(body.access_token, '/api/v1/teams')).status).toBe(403);
});

test('a client that authenticates is named as the one who acts; one that cannot is refused as ever', async () => {
  const key = await exchange.personalKey(person);
  const { body } = await exchange.key(key.text, { requested_token_type: TYPES.jwt }, client);
  expect(body.issued_token_type).toBe(TYPES.jwt);
  expect(decodeJwt(body.access_token)).toMatchObject({
    sub: person.userId,
    client_id: client.clientId,
    act: { sub: client.clientId },
    derived_from: [`key:${key.id}`],
  });
  const wrong = { clientId: client.clientId, clientSecret: 'wrong' };
  expect(await exchange.key(key.text, {}, wrong)).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  const nobody = await exchange.key(key.text, { client_secret: client.clientSecret });
  expect([nobody.status, nobody.body.error]).toEqual([401, 'invalid_client']);
  const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
  const unproved = await exchange.key(key.text, { client_assertion_type: type });
  expect([unproved.status, unproved.body.error]).toEqual([401, 'invalid_client']);
  const { clientId } = await exchange.app({ type: 'public', tokenEndpointAuthMethod: 'none' });
  const refused = await exchange.key(key.text, {}, { clientId });
  expect([refused.status, refused.body.error]).toEqual([400, 'unauthorized_client']);
});

test('row 92: a key is traded for tokens only where API keys are accepted, and never for more than it is', async () => {
  const closed = await exchange.api([], { acceptsApiKeys: false });
  const open = await exchange.api(['read', 'write']);
  const key = await exchange.personalKey(person, { scopes: ['providers:read', open.names[0]!] });
  const refused = await exchange.key(key.text, { resource: closed.identifier });
  expect([refused.status, refused.body.error]).toEqual([400, 'invalid_target']);
  const { body } = await exchange.key(key.text, { audience: open.identifier });
  expect([body.scope, decodeJwt(body.access_token).aud]).toEqual([open.names[0], open.identifier]);
  for (const scope of [open.names[1]!, 'providers:read', 'teams:write', 'openid', 'apikeys:write']) {
    const more = await exchange.key(key.text, { resource: open.identifier, scope });
    expect([scope, more.status, more.body.error]).toEqual([scope, 400, 'invalid_scope']);
  }
  const all = await exchange.personalKey(person, {});
  const named = await exchange.key(all.text, { scope: 'apikeys:write' });
  expect([named.status, named.body.error]).toEqual([400, 'invalid_scope']);
});

test('without a scope in the request: all there is; nothing where the API has scopes is refused, and no scopes are fine', async () => {
  const [some, none] = [await exchange.api(['read']), await exchange.api([])];
  const key = await exchange.personalKey(person);
  const refused = await exchange.key(key.text, { resource: some.identifier });
  expect([refused.status, refused.body.error]).toEqual([400, 'invalid_scope']);
  const { status, body } = await exchange.key(key.text, { resource: none.identifier });
  expect([status, body.scope]).toEqual([200, undefined]);
  expect(decodeJwt(body.access_token).scope).toBeUndefined();
});

test('lifetime and algorithm are those of the resource server', async () => {
  const api = await exchange.api([], { accessTokenTtlSeconds: 90, signingAlg: 'EdDSA' });
  const key = await exchange.personalKey(person);
  const { body } = await exchange.key(key.text, { resource: api.identifier });
  const { iat, exp } = decodeJwt(body.access_token);
  expect([body.expires_in, exp! - iat!]).toEqual([90, 90]);
  expect(decodeProtectedHeader(body.access_token)).toMatchObject({ alg: 'EdDSA', typ: 'at+jwt' });
});

test('a token ends with its key, and with the text it was got for', async () => {
  const expiresAt = new Date(Date.now() + 100_000);
  const key = await exchange.personalKey(person, { scopes: ['providers:read'], expiresAt });
  const first = await exchange.key(key.text);
  expect(decodeJwt(first.body.access_token).exp).toBe(Math.floor(expiresAt.getTime() / 1000));
  await server.domain.apiKeys.rotate(key.id, { overlapSeconds: 30 }, {}, OPERATOR);
  await server.domain.notifications.settle();
  const second = await exchange.key(key.text);
  expect(second.body.expires_in).toBeLessThanOrEqual(30);
  expect(second.body.expires_in).toBeGreaterThan(20);
});

test.each([
  ['no subject_token', { subject_token: '' }, 'invalid_request', /subject_token is missing/],
  ['another subject type', { subject_token_type: TYPES.idToken }, 'invalid_client', /authentication/],
  ['another token wanted', { requested_token_type: TYPES.refreshToken }, 'invalid_request', /requested_token_type/],
  ['an actor token', { actor_token: 'x', actor_token_type: TYPES.jwt }, 'invalid_request', /actor_token/],
  ['an unknown resource', { resource: 'urn:nobody' }, 'invalid_target', /no such resource/],
  ['two resources', { resource: 'urn:a', audience: 'urn:b' }, 'invalid_target', /one resource/],
  ['a scope that is none', { scope: 'a"b' }, 'invalid_scope', /characters/],
  ['a wrong key', { subject_token: 'lkp_x' }, 'invalid_grant', /unknown, revoked or expired/],
  ['a key in the wrong type', { subject_token_type: TYPES.accessToken }, 'invalid_client', /authentication/],
])('refused in words that say what to do: %s', async (_name, fields, error, description) => {
  const key = await exchange.personalKey(person);
  const { status, headers, body } = await exchange.key(key.text, fields as unknown as Record<string, string>);
  expect([status, body.error]).toEqual([error === 'invalid_client' ? 401 : 400, error]);
  expect(body.error_description).toMatch(description);
  expect(headers.get('cache-control')).toBe('no-store');
  expect(JSON.stringify(body)).not.toContain(key.text);
});

test('whoever has nothing to exchange does not learn which resources there are', async () => {
  const api = await exchange.api(['read']);
  const asked = [api.identifier, 'urn:nobody'].map(
    async (resource) => (await exchange.key('lkp_x', { resource })).body,
  );
  const [known, unknown] = await Promise.all(asked);
  expect([known?.error, unknown]).toEqual(['invalid_grant', known]);
});

test('a parameter that comes twice is refused, with a client and without', async () => {
  const { text } = await exchange.personalKey(person);
  for (const who of [{}, credentials(client)]) {
    for (const [name, error] of [
      ['subject_token', 'invalid_request'],
      ['scope', 'invalid_request'],
      ['requested_token_type', 'invalid_request'],
      ['resource', 'invalid_target'],
      ['audience', 'invalid_target'],
    ] as const) {
      const fields = { grant_type: GRANT, subject_token: text, subject_token_type: TYPES.key, ...who };
      const form = new URLSearchParams(fields);
      const value = error === 'invalid_target' ? server.audience : 'a';
      for (const one of name === 'subject_token' ? [text] : [value, value]) form.append(name, one);
      const response = await fetch(`${server.origin}/oauth2/token`, { method: 'POST', body: form });
      expect([name, response.status, ((await response.json()) as { error: string }).error]).toEqual([name, 400, error]);
    }
  }
});

test('an imported key is exchanged by the text it always had, until it is replaced or revoked', async () => {
  const text = `legacy-${randomUUID()}`;
  const digest = createHash('sha256').update(text).digest('hex');
  const owner = { name: 'old', owner: person.userId, team: person.teamId, scopes: ['providers:read'] };
  const fields = { digest, algorithm: 'sha256', prefix: 'legacy-', ...owner };
  await server.domain.keyImport.run([{ line: 1, fields }], { source: 'test' }, OPERATOR);
  await server.domain.notifications.settle();
  const { body } = await exchange.key(text);
  const { sub, scope, derived_from } = decodeJwt(body.access_token) as {
    sub: string;
    scope: string;
    derived_from: string[];
  };
  expect([sub, scope]).toEqual([person.userId, 'providers:read']);
  const id = derived_from[0]!.slice('key:'.length);
  await server.domain.apiKeys.rotate(id, { overlapSeconds: 30 }, {}, OPERATOR);
  await server.domain.notifications.settle();
  const overlapping = await exchange.key(text);
  expect(overlapping.body.expires_in).toBeLessThanOrEqual(30);
  const { text: newest } = await server.domain.apiKeys.rotate(id, {}, {}, OPERATOR);
  await server.domain.notifications.settle();
  for (const token of [body, overlapping.body]) {
    expect((await exchange.call(token.access_token, '/api/v1/providers')).status).toBe(401);
  }
  expect([(await exchange.key(text)).status, (await exchange.key(newest)).status]).toEqual([400, 200]);
});

test('a key that is to be given up: its token ends with it and says so; retired, it is told what to use', async () => {
  const key = await exchange.personalKey(person);
  const replacementUrl = 'https://docs.example.com/keys';
  const retiresAt = new Date(Date.now() + 60_000);
  const retire = { keyId: key.id, retiresAt, replacementUrl };
  const before = (await exchange.key(key.text)).body.access_token;
  const { id } = await server.domain.retirements.create(retire, {}, OPERATOR);
  await server.domain.notifications.settle();
  const { headers, body } = await exchange.key(key.text);
  expect(decodeJwt(body.access_token).exp).toBe(Math.floor(retiresAt.getTime() / 1000));
  const notice = {
    deprecation: expect.stringMatching(/^@\d+$/),
    sunset: retiresAt.toUTCString(),
    link: `<${replacementUrl}>; rel="deprecation sunset"`,
  };
  expect(Object.fromEntries(headers)).toMatchObject(notice);
  // Issued when nobody knew of it yet, and longer than the key has now.
  expect((await exchange.call(before, '/api/v1/providers')).status).toBe(401);
  await server.db.query('UPDATE retirements SET retires_at = now() WHERE id = $1', [id]);
  await server.domain.notifications.settle();
  for (const as of [undefined, client]) {
    const retired = await exchange.key(key.text, {}, as);
    expect([retired.status, retired.body.error]).toEqual([400, 'invalid_grant']);
    expect(retired.body.error_description).toMatch(/retired/);
    expect(Object.fromEntries(retired.headers)).toMatchObject({ ...notice, sunset: expect.any(String) });
  }
});

test('introspection knows the token as the key: what it may do now, or nothing', async () => {
  const key = await exchange.personalKey(person);
  const { body } = await exchange.key(key.text);
  expect((await introspect(server, guard, body.access_token)).body).toMatchObject({
    active: true,
    sub: person.userId,
    scope: 'providers:read providers:write',
    derived_from: [`key:${key.id}`],
  });
  await server.domain.apiKeys.revoke(key.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect((await introspect(server, guard, body.access_token)).body).toEqual({ active: false });
  expect((await exchange.call(body.access_token, '/api/v1/providers')).status).toBe(401);
  const again = await exchange.key(key.text);
  expect([again.status, again.body.error]).toEqual([400, 'invalid_grant']);
  await server.domain.apiKeys.reinstate(key.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect((await introspect(server, guard, body.access_token)).body).toEqual({ active: false });
  const fresh = await exchange.key(key.text);
  expect((await introspect(server, guard, fresh.body.access_token)).body.active).toBe(true);
});

test('the trail names the key and who it acts for, never the text', async () => {
  const key = await exchange.personalKey(person);
  const { body } = await exchange.key(key.text);
  await exchange.key(key.text, { scope: 'teams:write' });
  await exchange.key(key.text, { scope: 'providers:read' }, client);
  const events = (await server.auditEvents()).filter(
    ({ details }) => (details as { key_id?: string }).key_id === key.id,
  );
  const about = { subject: 'personal_key', key_id: key.id, resource: server.audience, grant_type: GRANT };
  const target = { target_kind: 'user', target_id: person.userId, team_id: person.teamId };
  expect(events).toEqual([
    expect.objectContaining({
      action: 'token.issued',
      actor_kind: 'personal_key',
      actor_id: key.id,
      ...target,
      details: { ...about, scope: body.scope, jti: decodeJwt(body.access_token).jti },
    }),
    expect.objectContaining({
      action: 'token.refused',
      outcome: 'refused',
      actor_kind: 'personal_key',
      actor_id: key.id,
      ...target,
      details: expect.objectContaining({ ...about, error: 'invalid_scope' }),
    }),
    expect.objectContaining({ action: 'token.issued', actor_kind: 'client', actor_id: client.clientId, ...target }),
  ]);
  expect(JSON.stringify(await server.auditEvents())).not.toContain(key.text);
  expect(server.log.join('')).not.toContain(key.text);
});

test('an exchange is a use of the key and of the client', async () => {
  const key = await exchange.personalKey(person);
  await server.domain.lastUsed.flush();
  await server.db.query(`UPDATE api_keys SET last_access_at = '2020-01-01' WHERE id = $1`, [key.id]);
  await server.db.query('UPDATE oauth_clients SET last_used_at = NULL WHERE id = $1', [client.id]);
  await exchange.key(key.text, {}, client);
  await server.domain.lastUsed.flush();
  const { rows } = await server.db.query<{ fresh: boolean }>(
    `SELECT last_access_at > now() - interval '1 minute' AS fresh FROM api_keys WHERE id = $1
     UNION ALL SELECT last_used_at IS NOT NULL FROM oauth_clients WHERE id = $2`,
    [key.id, client.id],
  );
  expect(rows).toEqual([{ fresh: true }, { fresh: true }]);
});

test('a page of another origin cannot read the answer', async () => {
  const { text } = await exchange.personalKey(person);
  const { headers } = await exchange.key(text, {}, undefined, { origin: 'https://evil.example' });
  expect(headers.get('access-control-allow-origin')).toBeNull();
});

test('userinfo is not for a token that was got for a key', async () => {
  const { text } = await exchange.personalKey(person);
  const { body } = await exchange.key(text);
  expect((await exchange.call(body.access_token, '/oauth2/userinfo')).status).toBe(401);
});

test('while the server is switched off nothing is exchanged', async () => {
  const { text } = await exchange.personalKey(person);
  await server.domain.settings.update({ oauth2_authorization_server_enabled: false }, {}, OPERATOR);
  try {
    await server.domain.notifications.settle();
    for (const as of [undefined, client]) {
      const { status, body } = await exchange.key(text, {}, as);
      expect([status, body.error]).toEqual([503, 'temporarily_unavailable']);
    }
  } finally {
    await server.domain.settings.update({ oauth2_authorization_server_enabled: true }, {}, OPERATOR);
    await server.domain.notifications.settle();
  }
});
