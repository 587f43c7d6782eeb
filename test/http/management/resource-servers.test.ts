import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { PERMISSIONS } from '../../../src/domain/permissions.ts';
import { type Api, type ApiCall, createApi, fieldsOf } from '../../support/api.ts';
import { createTestApp, createTestClient } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const REPORTS = 'https://reports.example.com';
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);

let server: TestServer;
let api: Api;
let root: string;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
}, 30_000);
afterAll(() => server?.close());
beforeEach(async () => {
  await server.db.query('DELETE FROM resource_servers WHERE NOT is_built_in');
});

const call = (path = '', more: Partial<ApiCall> = {}) =>
  api.call({ as: root, path: `/api/v1/resource_servers${path}`, ...more });
const input = (changes: object = {}) => ({
  identifier: REPORTS,
  name: 'Reports',
  scopes: [{ name: 'reports:read', description: 'Read reports' }, { name: 'reports:write' }],
  ...changes,
});

async function create(changes: object = {}) {
  const { status, body } = await call('', { body: input(changes) });
  expect([status, body]).toEqual([200, { value: expect.any(Object) }]);
  return body.value;
}

test('a resource server is registered, read, changed and deleted', async () => {
  const made = await create({ access_token_ttl_seconds: 120, signing_alg: 'EdDSA' });
  expect(made).toEqual({
    id: expect.any(String),
    identifier: REPORTS,
    name: 'Reports',
    scopes: [
      { name: 'reports:read', description: 'Read reports' },
      { name: 'reports:write', description: '' },
    ],
    access_token_ttl_seconds: 120,
    signing_alg: 'EdDSA',
    accepts_api_keys: true,
    client_ids: [],
    is_built_in: false,
    created_by: expect.any(String),
    created_at: TIME,
    updated_at: TIME,
  });
  expect((await call(`/${made.id}`)).body).toEqual({ value: made });

  const changed = await call(`/${made.id}`, { method: 'PATCH', body: { ...made, name: 'All reports' } });
  expect([changed.status, changed.body.value]).toEqual([200, { ...made, name: 'All reports', updated_at: TIME }]);
  const deleted = await call(`/${made.id}`, { method: 'DELETE' });
  expect([deleted.status, deleted.body]).toEqual([200, changed.body]);
  expect((await call(`/${made.id}`)).status).toBe(404);
});

test("the server's own API is listed first, and cannot be changed or deleted", async () => {
  await create();
  const { body } = await call();
  expect(body).toMatchObject({ next_page_token: '', has_more: false });
  const [own, reports] = body.values;
  expect(own).toMatchObject({ identifier: server.audience, is_built_in: true, created_by: null, signing_alg: 'ES256' });
  expect(own.scopes.map(({ name }: { name: string }) => name)).toEqual(Object.keys(PERMISSIONS));
  expect(reports.identifier).toBe(REPORTS);
  const refused = [
    await call(`/${own.id}`, { method: 'PATCH', body: { name: 'Mine' } }),
    await call(`/${own.id}`, { method: 'DELETE' }),
  ];
  expect(refused.map(({ status, body }) => [status, body.code])).toEqual(Array(2).fill([400, 9]));
  expect((await call('', { body: input({ identifier: server.audience }) })).status).toBe(409);
});

test('the list is filtered, ordered and paged', async () => {
  for (const name of ['B', 'C', 'A']) await create({ name, identifier: `urn:example:${name}`, scopes: [] });
  const names = async (query: string) =>
    (await call(`?${query}`)).body.values.map(({ name }: { name: string }) => name);
  expect(await names('filter=identifier%20eq%20%22urn:example:B%22')).toEqual(['B']);
  expect(await names('order_by=name%20desc')).toEqual(['Latchkey API', 'C', 'B', 'A']);
  const first = (await call('?page_size=3')).body;
  expect([first.has_more, first.values.length]).toEqual([true, 3]);
  expect(await names(`page_size=3&page_token=${first.next_page_token}`)).toEqual(['A']);
});

test.each<[string, object, string]>([
  ['no identifier', { identifier: undefined }, 'identifier'],
  ['an identifier with a fragment', { identifier: `${REPORTS}/#a` }, 'identifier'],
  ['an identifier in clear text across a network', { identifier: 'http://reports.example.com' }, 'identifier'],
  ['no name', { name: '' }, 'name'],
  ['too long a life', { access_token_ttl_seconds: 86_401 }, 'access_token_ttl_seconds'],
  ['a symmetric algorithm', { signing_alg: 'HS256' }, 'signing_alg'],
  ['one of our permissions', { scopes: [{ name: 'users:write' }] }, 'scopes.0.name'],
  ['an identity scope', { scopes: [{ name: 'email' }] }, 'scopes.0.name'],
  ['more about a scope than is known', { scopes: [{ name: 'a', role: 'admin' }] }, 'scopes.0.role'],
  ['row 112: being built in', { is_built_in: true }, 'is_built_in'],
  ['row 112: an id', { id: '00000000-0000-4000-8000-000000000001' }, 'id'],
])('%s is refused by name', async (_, changes, field) => {
  const { status, body } = await call('', { body: input(changes) });
  expect([status, fieldsOf({ body })]).toEqual([400, [field]]);
  expect((await call()).body.values).toHaveLength(1);
});

test('rows 111, 112: what the server sets, the id and the identifier stay as they are', async () => {
  const [made, other] = [await create(), await create({ identifier: 'urn:example:other', scopes: [] })];
  for (const [field, value] of Object.entries({
    id: other.id,
    identifier: 'https://evil.example.com',
    is_built_in: true,
    created_by: null,
    created_at: '2020-01-01T00:00:00.000Z',
  })) {
    const { status, body } = await call(`/${made.id}`, { method: 'PATCH', body: { name: 'New', [field]: value } });
    expect([field, status, fieldsOf({ body })]).toEqual([field, 400, [field]]);
  }
  expect((await call(`/${made.id}`)).body.value).toEqual(made);
});

test('row 118: of parallel changes with one ETag one is made; a deletion with an old one is none', async () => {
  const { id } = await create();
  const headers = { 'if-match': (await call(`/${id}`)).headers.etag! };
  const answers = await Promise.all(
    ['One', 'Two'].map((name) => call(`/${id}`, { method: 'PATCH', body: { name }, headers })),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
  expect((await call(`/${id}`, { method: 'DELETE', headers })).status).toBe(412);
  expect((await call(`/${id}`)).status).toBe(200);
});

test('it says whether it takes API keys, and which OAuth2 clients it is', async () => {
  const { clientId } = await createTestClient(server, await api.team());
  const made = await create({ accepts_api_keys: false, client_ids: [clientId, clientId] });
  expect(made).toMatchObject({ accepts_api_keys: false, client_ids: [clientId] });
  const change = async (body: object) => (await call(`/${made.id}`, { method: 'PATCH', body })).body.value;
  expect(await change({ ...made, name: 'Other' })).toMatchObject({ accepts_api_keys: false, client_ids: [clientId] });
  expect(await change({ accepts_api_keys: true })).toMatchObject({ accepts_api_keys: true, client_ids: [clientId] });
  expect(await change({ client_ids: [] })).toMatchObject({ accepts_api_keys: true, client_ids: [] });
  const [event] = (await server.auditEvents()).filter(({ action }) => action === 'resource_server.created').slice(-1);
  expect(event!.details).toMatchObject({ accepts_api_keys: false, client_ids: [clientId] });
});

test('what is no OAuth2 client cannot be a resource server', async () => {
  const { clientId: appId } = await createTestApp(server);
  const { clientId } = await createTestClient(server, await api.team());
  const made = await create();
  const unknown = `svc_${'A'.repeat(22)}`;
  for (const [client_ids, field] of [
    [[clientId, appId], 'client_ids.1'],
    [[unknown], 'client_ids.0'],
    [[clientId, 'reports'], 'client_ids.1'],
    [[''], 'client_ids.0'],
    [[clientId, 'svc_\u0000'], 'client_ids.1'],
    [Array(21).fill(clientId), 'client_ids'],
  ] as const) {
    const answers = [
      await call('', { body: input({ identifier: 'urn:example:x', scopes: [], client_ids }) }),
      await call(`/${made.id}`, { method: 'PATCH', body: { client_ids } }),
    ];
    expect(answers.map((one) => [one.status, fieldsOf(one)])).toEqual(Array(2).fill([400, [field]]));
  }
  expect((await call('')).body.values.slice(1)).toEqual([made]);
});

test('a client that is deleted, or ends with its team, is no resource server any more', async () => {
  const team = await api.team();
  const clients = await Promise.all(Array.from({ length: 4 }, () => createTestClient(server, team)));
  const stays = await createTestClient(server, await api.team());
  const [first, second, third, fourth] = clients.map(({ clientId }) => clientId);
  const made = await create({ client_ids: [first, second, stays.clientId] });
  const other = await create({ identifier: 'urn:example:other', scopes: [], client_ids: [stays.clientId, third] });
  const ids = async () =>
    Promise.all([made, other].map(async ({ id }) => (await call(`/${id}`)).body.value.client_ids));

  await api.call({ as: root, method: 'DELETE', path: `/api/v1/oauth2/clients/${clients[0]!.id}` });
  expect(await ids()).toEqual([
    [second, stays.clientId],
    [stays.clientId, third],
  ]);
  const [event] = (await server.auditEvents()).filter(({ action }) => action === 'resource_server.updated').slice(-1);
  expect(event).toMatchObject({ target_id: made.id, details: { changed: ['client_ids'] } });
  expect((await api.call({ as: root, method: 'DELETE', path: `/api/v1/teams/${team}` })).status).toBe(200);
  expect(await ids()).toEqual([[stays.clientId], [stays.clientId]]);
  const gone = await call(`/${made.id}`, { method: 'PATCH', body: { client_ids: [stays.clientId, fourth] } });
  expect([gone.status, fieldsOf(gone)]).toEqual([400, ['client_ids.1']]);
});

test('clients deleted while resource servers change leave nobody waiting for another', async () => {
  const team = await api.team();
  const made = await create();
  for (let round = 0; round < 5; round++) {
    const clients = await Promise.all(Array.from({ length: 4 }, () => createTestClient(server, team)));
    const client_ids = clients.map(({ clientId }) => clientId);
    await call(`/${made.id}`, { method: 'PATCH', body: { client_ids } });
    const answers = await Promise.all([
      ...clients.map(({ id }) => api.call({ as: root, method: 'DELETE', path: `/api/v1/oauth2/clients/${id}` })),
      ...client_ids.map((one) => call(`/${made.id}`, { method: 'PATCH', body: { client_ids: [one] } })),
      call(`/${made.id}`, { method: 'PATCH', body: { scopes: [{ name: `reports:${round}` }] } }),
    ]);
    expect(answers.filter(({ status }) => status >= 500 || status === 409)).toEqual([]);
    expect((await call(`/${made.id}`)).body.value.client_ids).toEqual([]);
  }
});

test('row 117: changing or deleting one leaves the others as they are', async () => {
  const [made] = [await create(), await create({ identifier: 'urn:example:other', scopes: [{ name: 'other:read' }] })];
  const team = await api.team();
  const holder = await createTestClient(server, team, { allowedScopes: ['providers:read', 'reports:read'] });
  await createTestClient(server, team, { allowedScopes: ['providers:read', 'other:read'] });
  const before = await api.rows('resource_servers', 'oauth_clients', 'oauth_apps');
  await call(`/${made.id}`, { method: 'DELETE' });
  const after = await api.rows('resource_servers', 'oauth_clients', 'oauth_apps');
  const changed = Object.keys(before).filter((key) => before[key] !== after[key]);
  expect(changed.sort()).toEqual([`oauth_clients ${holder.id}`, `resource_servers ${made.id}`]);
  expect(JSON.parse(after[`oauth_clients ${holder.id}`]!).allowed_scopes).toEqual(['providers:read']);
});

test('row 109: only callers of the root team with the permission', async () => {
  const { id } = await create();
  const team = await api.team();
  const callers = [
    [undefined, 401, 401],
    [await api.key('Admin', team), 403, 403],
    [await api.key('Viewer'), 403, 403],
    [await api.key('Admin', undefined, ['resourceservers:read']), 200, 403],
  ] as const;
  for (const [as, read, write] of callers) {
    const answers = [
      await call('', { as }),
      await call(`/${id}`, { as }),
      await call('', { as, body: input({ identifier: 'urn:example:x', scopes: [] }) }),
      await call(`/${id}`, { as, method: 'PATCH', body: { name: 'Mine' } }),
      await call(`/${id}`, { as, method: 'DELETE' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([read, read, write, write, write]);
  }
  expect((await call(`/${id}`)).body.value.name).toBe('Reports');
});
