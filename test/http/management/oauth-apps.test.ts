import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, type ApiCall, createApi, fieldsOf } from '../../support/api.ts';
import {
  authorizationUrl,
  authorize,
  clientCredentials,
  connect,
  createPkce,
  createTestApp,
  postForm,
  REDIRECT_URI,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import { createClientKey } from '../../support/proofs.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const APPS = '/api/v1/oauth2/apps';
const APP = { name: 'Web', base_url: 'https://app.example.com', redirect_uris: [REDIRECT_URI] };
const KEYS = [
  'allowed_scopes',
  'base_url',
  'client_id',
  'created_at',
  'created_by',
  'enabled',
  'id',
  'id_token_signed_response_alg',
  'last_used_at',
  'name',
  'post_logout_redirect_uris',
  'redirect_uris',
  'secrets',
  'token_endpoint_auth_method',
  'type',
  'updated_at',
];

let server: TestServer;
let api: Api;
let root: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
}, 30_000);
afterAll(() => server?.close());

const call = (path: string, more: Partial<ApiCall> = {}) => api.call({ as: root, path: `${APPS}${path}`, ...more });

async function create(changes: object = {}) {
  const { status, body } = await call('', { body: { ...APP, ...changes } });
  expect([status, body]).toEqual([200, { value: expect.any(Object) }]);
  return body.value;
}

test('an app has the fields of the contract, and those only', async () => {
  const made = await create();
  expect(Object.keys(made).sort()).toEqual([...KEYS, 'client_secret'].sort());
  const { body, headers } = await call(`/${made.id}`);
  expect(Object.keys(body.value).sort()).toEqual(KEYS);
  expect(body.value).toMatchObject({
    ...APP,
    type: 'confidential',
    allowed_scopes: ['openid', 'profile', 'email', 'offline_access'],
    token_endpoint_auth_method: 'client_secret_basic',
    enabled: true,
    last_used_at: null,
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  });
  expect(Object.keys(body.value.secrets[0]).sort()).toEqual([
    'created_at',
    'expires_at',
    'id',
    'last_used_at',
    'prefix',
  ]);
  expect(headers.etag).toMatch(/^"\d+"$/);
  expect((await call(`/${made.client_id}`)).body).toEqual(body);
  const { jwks } = await createClientKey();
  const withKeys = await create({ jwks, logo_url: 'https://cdn.example.com/logo.png' });
  expect(withKeys).toMatchObject({ jwks, logo_url: 'https://cdn.example.com/logo.png', secrets: [] });
  const published = await create({ jwks_uri: 'https://app.example.com/jwks' });
  expect(published).toMatchObject({ jwks_uri: 'https://app.example.com/jwks' });
  for (const one of [withKeys, published]) {
    expect(one.token_endpoint_auth_method).toBe('private_key_jwt');
    expect(one).not.toHaveProperty('client_secret');
  }
  expect(await create({ type: 'public' })).not.toHaveProperty('client_secret');
});

test('row 86: a secret is in the answer that made it, and nowhere else', async () => {
  const { id, client_secret: first } = await create();
  const added = await call(`/${id}/secrets`, { body: {} });
  const texts = [first, added.body.value.client_secret];
  const seen = [(await call(`/${id}`)).text, (await call('?page_size=1000')).text, server.log.join('\n')];
  seen.push((await call(`/${id}`, { method: 'PATCH', body: { name: 'Other' } })).text);
  seen.push(JSON.stringify(await api.rows('oauth_apps', 'client_secrets')), JSON.stringify(await server.auditEvents()));
  seen.push((await call(`/${id}`, { method: 'DELETE' })).text);
  for (const text of texts) {
    expect(text).toMatch(/^lks_/);
    expect(seen.filter((one) => one.includes(text.slice(8, -4)))).toEqual([]);
  }
});

describe('lists', () => {
  test('are filtered, ordered and paged', async () => {
    const names = ['list c', 'list a', 'list b'];
    for (const name of names) await create({ name, type: name === 'list b' ? 'public' : 'confidential' });
    const list = async (query: Record<string, string>) => (await call(`?${new URLSearchParams(query)}`)).body;
    const one = (await list({ filter: 'name eq "list a"' })).values;
    expect(one.map(({ name }: { name: string }) => name)).toEqual(['list a']);
    expect((await list({ filter: `client_id eq "${one[0].client_id}"` })).values).toEqual(one);
    const open = await list({ filter: 'type eq "public" and enabled eq "true" and name eq "list b"' });
    expect(open.values).toMatchObject([{ name: 'list b', type: 'public' }]);
    expect((await list({ filter: 'name eq "list b" and type eq "confidential"' })).values).toEqual([]);
    const seen: string[] = [];
    for (let token = '', pages = 0; pages < 100; pages += 1) {
      const page = await list({ page_size: '2', order_by: 'name desc', page_token: token });
      seen.push(...page.values.map(({ name }: { name: string }) => name));
      token = page.next_page_token;
      if (!page.has_more) break;
    }
    expect(seen.filter((name) => name.startsWith('list'))).toEqual(['list c', 'list b', 'list a']);
    const bad: Record<string, string>[] = [
      { filter: 'type eq "native"' },
      { filter: 'base_url eq "x"' },
      { order_by: 'enabled' },
    ];
    for (const query of bad) {
      expect(await list(query)).toMatchObject({ code: 3 });
    }
  });

  test('a page takes two statements, however long it is', async () => {
    await server.db.query(
      `WITH app AS (INSERT INTO oauth_apps (client_id, name, base_url, redirect_uris, allowed_scopes, type,
           token_endpoint_auth_method)
         SELECT 'app_bulk' || n, 'bulk', 'https://a.example', '{}', '{}', 'confidential', 'client_secret_basic' FROM generate_series(1, 999) AS n
         RETURNING id)
       INSERT INTO client_secrets (oauth_app_id, digest, prefix, last_four) SELECT id, sha256(id::text::bytea), 'lks_', '' FROM app`,
    );
    const { query } = server.db;
    const statements: string[] = [];
    server.db.query = (text, values) => {
      if (/oauth_apps|client_secrets/.test(text)) statements.push(text);
      return query(text, values);
    };
    const { body } = await call('?page_size=1000&filter=name+eq+%22bulk%22');
    server.db.query = query;
    expect(body.values.filter(({ secrets }: { secrets: unknown[] }) => secrets.length === 1)).toHaveLength(999);
    expect(statements).toHaveLength(2);
    await server.db.query("DELETE FROM oauth_apps WHERE name = 'bulk'");
  });
});

describe('what can be sent', () => {
  test.each([
    '*',
    'https://*.example.com/callback',
    'https://app.example.com/*',
    'https://app.example.com/callback#fragment',
    'https://user:pass@app.example.com/callback',
    'http://app.example.com/callback',
    'http://localhost/callback',
    'https://evil.example/callback',
    'javascript:alert(1)',
    'data:text/html,x',
    'myapp://callback',
    '//app.example.com/callback',
    '',
  ])('row 115: the redirect URI %j is refused', async (uri) => {
    const made = await call('', { body: { ...APP, redirect_uris: [uri] } });
    expect([made.status, made.body.code, fieldsOf(made)]).toEqual([400, 3, ['redirect_uris']]);
    const { id } = await create();
    const changed = await call(`/${id}`, { method: 'PATCH', body: { redirect_uris: [REDIRECT_URI, uri] } });
    expect([changed.status, fieldsOf(changed)]).toEqual([400, ['redirect_uris']]);
  });

  test('row 115: "any redirect URI" is refused with an explanation', async () => {
    for (const redirect_uris of [['*'], []]) {
      const { status, body } = await call('', { body: { ...APP, redirect_uris } });
      expect([status, body.message]).toEqual([400, expect.stringMatching(/any redirect URI.*RFC 9700/)]);
    }
  });

  test.each([
    'http://keys.example.com/jwks',
    'https://127.0.0.1/jwks',
    'https://[::1]/jwks',
    'https://[::ffff:127.0.0.1]/jwks',
    'https://[fd00::1]/jwks',
    'https://169.254.169.254/latest/meta-data',
    'https://0x7f000001/jwks',
    'https://2130706433/jwks',
    'https://127.1/jwks',
    'https://10.1.2.3/jwks',
    'https://100.64.0.1/jwks',
    'https://0.0.0.0/jwks',
    'https://localhost/jwks',
    'https://localhost./jwks',
    'https://api.localhost/jwks',
    'https://user:pass@keys.example.com/jwks',
    'https://keys.example.com/jwks#one',
    'https:keys.example.com/jwks',
    'file:///etc/passwd',
    'keys.example.com',
    '',
  ])('row 116: %j is neither a jwks_uri nor a logo_url', async (url) => {
    for (const field of ['jwks_uri', 'logo_url']) {
      const { status, body } = await call('', { body: { ...APP, [field]: url } });
      expect([status, body.code, fieldsOf({ body })]).toEqual([400, 3, [field]]);
    }
  });

  test('keys come as they are or by address, and only for private_key_jwt', async () => {
    const { jwks } = await createClientKey();
    const jwks_uri = 'https://keys.example.com/jwks';
    for (const [changes, field] of [
      [{ jwks, jwks_uri }, 'jwks_uri'],
      [{ jwks_uri, token_endpoint_auth_method: 'client_secret_post' }, 'jwks_uri'],
      [{ token_endpoint_auth_method: 'private_key_jwt' }, 'jwks'],
    ] as const) {
      const { status, body } = await call('', { body: { ...APP, ...changes } });
      expect([status, fieldsOf({ body })]).toEqual([400, [field]]);
    }
    const { id } = await create({ jwks });
    const patch = async (body: object) => (await call(`/${id}`, { method: 'PATCH', body })).body.value;
    const moved = await patch({ jwks_uri });
    expect(moved.jwks_uri).toBe(jwks_uri);
    expect(moved).not.toHaveProperty('jwks');
    expect(await patch({ name: 'Other' })).toMatchObject({ jwks_uri });
    expect(await patch({ jwks })).not.toHaveProperty('jwks_uri');
    expect(await patch({ token_endpoint_auth_method: 'client_secret_post' })).not.toHaveProperty('jwks');
  });

  test('row 111, row 112: what is protected may be echoed, and not changed', async () => {
    const { client_secret: _, ...made } = await create();
    const path = `/${made.id}`;
    expect((await call(path, { method: 'PATCH', body: { ...made, name: 'Echoed' } })).body.value.name).toBe('Echoed');
    const before = await api.rows('oauth_apps', 'client_secrets');
    const other = await create();
    for (const changes of [
      { id: other.id },
      { client_id: other.client_id },
      { type: 'public' },
      { enabled: false },
      { created_by: null },
      { created_at: '2020-01-01T00:00:00.000Z' },
      { secrets: [] },
      { last_used_at: '2020-01-01T00:00:00.000Z' },
    ]) {
      const { status, body } = await call(path, { method: 'PATCH', body: { name: 'x', ...changes } });
      expect([status, fieldsOf({ body })]).toEqual([400, Object.keys(changes)]);
      const created = await call('', { body: { ...APP, ...changes } });
      if (!('type' in changes)) expect([created.status, fieldsOf(created)]).toEqual([400, Object.keys(changes)]);
    }
    expect((await call(path, { method: 'PATCH', body: { owner: 'x' } })).body.details[0].field_violations).toHaveLength(
      1,
    );
    expect(await api.rows('oauth_apps', 'client_secrets')).toMatchObject(before);
  });
});

test('only callers that act in the root team reach apps', async () => {
  const { id } = await create();
  const team = await api.team();
  for (const as of [await api.key('Admin', team), await api.key('Viewer', ROOT_TEAM_ID)]) {
    expect((await call('', { as, body: APP })).status).toBe(403);
    expect((await call(`/${id}/secrets`, { as, body: {} })).status).toBe(403);
    expect((await call(`/${id}`, { as, method: 'DELETE' })).status).toBe(403);
  }
  expect((await call('', { as: await api.key('Admin', team) })).status).toBe(403);
});

describe('changes', () => {
  test('row 117: changing one thing of one app leaves the rest and all others', async () => {
    const [one] = [await create(), await create()];
    const before = await api.rows('oauth_apps', 'client_secrets', 'grants');
    const { body } = await call(`/${one.id}`, { method: 'PATCH', body: { allowed_scopes: ['openid'] } });
    const after = await api.rows('oauth_apps', 'client_secrets', 'grants');
    const row = `oauth_apps ${one.id}`;
    expect({ ...after, [row]: '' }).toEqual({ ...before, [row]: '' });
    const { client_secret: _, ...rest } = one;
    expect(body.value).toEqual({ ...rest, allowed_scopes: ['openid'], updated_at: expect.any(String) });
  });

  test('row 118: of two changes at once one is told', async () => {
    const { id } = await create();
    const { etag } = (await call(`/${id}`)).headers;
    const headers = { 'if-match': String(etag) };
    const answers = await Promise.all(
      ['One', 'Two'].map((name) => call(`/${id}`, { method: 'PATCH', body: { name }, headers })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    for (const [method, path, body] of [
      ['DELETE', `/${id}`, undefined],
      ['POST', `/${id}:disable`, {}],
      ['POST', `/${id}:enable`, {}],
    ] as const) {
      const stale = await call(path, { method, headers, ...(body && { body }) });
      expect([path, stale.status, stale.body.code]).toEqual([path, 412, 9]);
    }
    // A secret is part of what was read.
    const fresh = String((await call(`/${id}`)).headers.etag);
    await call(`/${id}/secrets`, { body: {} });
    expect((await call(`/${id}`, { method: 'DELETE', headers: { 'if-match': fresh } })).status).toBe(412);
  });

  test('disabling ends consents, codes, refresh tokens and pushed requests at once, and enabling brings none back', async () => {
    const { app, person, tokens } = await connect(server);
    const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
    const userinfo = async () =>
      (await fetch(`${server.origin}/oauth2/userinfo`, { headers: { authorization: `Bearer ${tokens.access_token}` } }))
        .status;
    expect(tokens.refresh_token).toEqual(expect.any(String));
    const query = new URL(authorizationUrl(server, app.clientId, createPkce())).searchParams;
    const pushed = await postForm(`${server.origin}/oauth2/par`, {
      ...Object.fromEntries(query),
      client_id: app.clientId,
      client_secret: app.clientSecret,
    });
    expect(pushed.status).toBe(201);

    const disabled = await call(`/${app.clientId}:disable`, { body: {} });
    expect([disabled.status, disabled.body]).toEqual([200, { ended_grants: 2, ended_tokens: 2 }]);
    expect((await call(`/${app.id}:disable`, { body: {} })).body).toEqual({ ended_grants: 0, ended_tokens: 0 });
    expect((await refresh(server, app, tokens.refresh_token)).body.error).toBe('invalid_client');
    expect((await redeemCode(server, app, code, pkce)).body.error).toBe('invalid_client');
    const resume = new URLSearchParams({ client_id: app.clientId, request_uri: pushed.body.request_uri });
    const asked = await fetch(`${server.origin}/oauth2/authorize?${resume}`, { redirect: 'manual' });
    expect([asked.status, asked.headers.get('location')]).toEqual([400, null]);
    expect(await userinfo()).toBe(401);

    expect((await call(`/${app.id}:enable`, { body: {} })).body).toEqual({});
    expect((await call(`/${app.id}:enable`, { body: {} })).body).toEqual({});
    expect((await refresh(server, app, tokens.refresh_token)).body.error).toBe('invalid_grant');
    expect((await redeemCode(server, app, code, pkce)).body.error).toBe('invalid_grant');
    expect(await userinfo()).toBe(401);
    const events = (await server.auditEvents()).filter((event) => event.target_id === app.id);
    expect(events.map(({ action }) => action)).toEqual([
      'oauth_app.created',
      'oauth_app.disabled',
      'oauth_app.enabled',
    ]);
  });

  test('deleting says what it ended, and ends it', async () => {
    const { app, tokens } = await connect(server);
    const { status, body } = await call(`/${app.id}`, { method: 'DELETE' });
    expect([status, body]).toEqual([
      200,
      { value: expect.objectContaining({ id: app.id }), ended_grants: 1, ended_tokens: 1 },
    ]);
    expect((await refresh(server, app, tokens.refresh_token)).body.error).toBe('invalid_client');
    for (const [path, more] of [
      [`/${app.id}`, {}],
      [`/${app.id}`, { method: 'DELETE' }],
      [`/${app.id}`, { method: 'PATCH', body: {} }],
      [`/${app.id}:enable`, { body: {} }],
      [`/${app.id}/secrets`, { body: {} }],
    ] as const) {
      const gone = await call(path, more);
      expect([path, gone.status, gone.body.code]).toEqual([path, 404, 5]);
    }
  });
});

describe('secrets', () => {
  const authenticates = async (clientId: string, clientSecret: string) => {
    // Apps have no grant that needs nothing else; who is refused for the grant has proved who it is.
    const { body } = await clientCredentials(server, { clientId, clientSecret });
    return body.error === 'unauthorized_client';
  };

  test('row 59: the old and the new one work until the overlap ends, then the new one only', async () => {
    const made = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const { status, body } = await call(`/${made.clientId}/secrets`, { body: { overlap_seconds: 1 } });
    expect([status, Object.keys(body.value).sort()]).toEqual([
      200,
      ['client_secret', 'created_at', 'expires_at', 'id', 'last_used_at', 'prefix'],
    ]);
    const both = [made.clientSecret, body.value.client_secret];
    expect(await Promise.all(both.map((text) => authenticates(made.clientId, text)))).toEqual([true, true]);
    const { secrets } = (await call(`/${made.id}`)).body.value;
    await new Promise((resolve) => setTimeout(resolve, Date.parse(secrets[0].expires_at) - Date.now() + 10));
    expect(await Promise.all(both.map((text) => authenticates(made.clientId, text)))).toEqual([false, true]);
    expect((await call(`/${made.id}`)).body.value.secrets).toMatchObject([{ id: body.value.id, expires_at: null }]);
  });

  test('two live at once; the last one ends by force only', async () => {
    const made = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const path = `/${made.id}/secrets`;
    const end = (id: string, query = '') => call(`${path}/${id}${query}`, { method: 'DELETE' });
    const second = await call(path, { body: { expires_at: '2100-01-01T00:00:00Z' } });
    expect(second.body.value.expires_at).toBe('2100-01-01T00:00:00.000Z');
    const third = await call(path, { body: {} });
    expect([third.status, third.body.code]).toEqual([400, 9]);
    const [first] = (await call(`/${made.id}`)).body.value.secrets;
    expect((await end(first.id)).body).toEqual({});
    expect(await authenticates(made.clientId, made.clientSecret)).toBe(false);
    const last = await end(second.body.value.id);
    expect([last.status, last.body.code]).toEqual([400, 9]);
    expect((await end(second.body.value.id, '?force=yes')).status).toBe(400);
    expect(await authenticates(made.clientId, second.body.value.client_secret)).toBe(true);
    expect((await end(second.body.value.id, '?force=true')).status).toBe(200);
    expect(await authenticates(made.clientId, second.body.value.client_secret)).toBe(false);
    expect((await end(first.id, '?force=true')).status).toBe(404);
  });

  test.each<[object, string]>([
    [{ overlap_seconds: -1 }, 'overlap_seconds'],
    [{ overlap_seconds: 1.5 }, 'overlap_seconds'],
    [{ overlap_seconds: '60' }, 'overlap_seconds'],
    [{ expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    [{ expires_at: 'soon' }, 'expires_at'],
    [{ client_secret: 'mine' }, 'client_secret'],
  ])('%j is refused', async (body, field) => {
    const { id } = await create();
    const answer = await call(`/${id}/secrets`, { body });
    expect([answer.status, fieldsOf(answer)]).toEqual([400, [field]]);
  });

  test("a secret of another app is not this one's to end", async () => {
    const [one, other] = [await create(), await create()];
    const { status } = await call(`/${one.id}/secrets/${other.secrets[0].id}?force=true`, { method: 'DELETE' });
    expect(status).toBe(404);
  });
});
