import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, type ApiCall, createApi, fieldsOf } from '../../support/api.ts';
import { clientCredentials, createTestClient } from '../../support/flows.ts';
import { createClientKey } from '../../support/proofs.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const CLIENTS = '/api/v1/oauth2/clients';
const KEYS = [
  'allowed_scopes',
  'client_id',
  'created_at',
  'created_by',
  'description',
  'enabled',
  'id',
  'last_used_at',
  'name',
  'secrets',
  'team_id',
  'team_name',
  'token_endpoint_auth_method',
  'updated_at',
];

let server: TestServer;
let api: Api;
let root: string;
let team: string;
let operator: string;
let elsewhere: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  team = await api.team('Mine');
  [root, operator] = [await api.key('Admin'), await api.key('Operator', team)];
  elsewhere = await api.key('Admin', await api.team('Theirs'));
}, 30_000);
afterAll(() => server?.close());

const call = (path: string, more: Partial<ApiCall> = {}) =>
  api.call({ as: operator, path: `${CLIENTS}${path}`, ...more });
const input = (changes: object = {}) => ({
  name: 'Billing',
  team_id: team,
  allowed_scopes: ['providers:read'],
  ...changes,
});

async function create(changes: object = {}, as = operator) {
  const { status, body } = await call('', { as, body: input(changes) });
  expect([status, body]).toEqual([200, { value: expect.any(Object) }]);
  return body.value;
}

test('a client has the fields of the contract, and its secret once', async () => {
  const { client_secret: text, ...made } = await create({ description: 'sends invoices' });
  expect(Object.keys(made).sort()).toEqual(KEYS);
  expect(made).toMatchObject({
    ...input({ description: 'sends invoices' }),
    team_name: 'Mine',
    enabled: true,
    token_endpoint_auth_method: 'client_secret_basic',
    created_by: expect.any(String),
    secrets: [{ prefix: text.slice(0, 8) }],
  });
  expect((await call(`/${made.client_id}`)).body).toEqual({ value: made });
  const seen = [(await call('')).text, JSON.stringify(await server.auditEvents()), server.log.join('\n')];
  expect(seen.filter((one) => one.includes(text.slice(8, -4)))).toEqual([]);
});

test('lists are filtered, and every team sees its own', async () => {
  const [one] = [await create({ name: 'listed' }), await create()];
  const theirs = await api.team();
  await createTestClient(server, theirs);
  const list = async (query: Record<string, string>, as = operator) =>
    (await call(`?${new URLSearchParams(query)}`, { as })).body;
  const idsOf = ({ values }: { values: { id: string }[] }) => values.map(({ id }) => id);
  expect(idsOf(await list({ filter: 'name eq "listed" and enabled eq "true"' }))).toEqual([one.id]);
  expect(idsOf(await list({ filter: `client_id eq "${one.client_id}"` }))).toEqual([one.id]);
  const teams = async (query: Record<string, string>, as?: string) =>
    new Set((await list(query, as)).values.map(({ team_id }: { team_id: string }) => team_id));
  expect(await teams({})).toEqual(new Set([team]));
  expect(await teams({}, root)).toEqual(new Set([team, theirs]));
  expect(await teams({ filter: `team_id eq "${theirs}"` }, root)).toEqual(new Set([theirs]));
  expect(await list({ filter: `team_id eq "${theirs}"` })).toMatchObject({ code: 5 });
  expect(await list({ filter: 'enabled eq "perhaps"' })).toMatchObject({ code: 3 });
});

test("row 110: another team's client is not found, by any verb, in path, query or body", async () => {
  const made = await create();
  const secret = made.secrets[0].id;
  const before = await api.rows('oauth_clients', 'client_secrets');
  for (const reference of [made.id, made.client_id]) {
    for (const [method, path, body] of [
      ['GET', ''],
      ['PATCH', '', { name: 'mine' }],
      ['DELETE', ''],
      ['POST', ':enable', {}],
      ['POST', ':disable', {}],
      ['POST', '/secrets', {}],
      ['DELETE', `/secrets/${secret}?force=true`],
    ] as const) {
      const answer = await call(`/${reference}${path}`, { as: elsewhere, method, ...(body && { body }) });
      expect([method, path, answer.status, answer.body.code]).toEqual([method, path, 404, 5]);
    }
  }
  const foreign = await call('', { as: elsewhere, body: input() });
  expect([foreign.status, foreign.body.code]).toEqual([404, 5]);
  expect((await call('', { as: root, body: input({ team_id: made.id }) })).status).toBe(404);
  expect(await api.rows('oauth_clients', 'client_secrets')).toEqual(before);
});

test('row 111, row 112: what is protected may be echoed, and not changed', async () => {
  const { client_secret: _, ...made } = await create();
  const echoed = await call(`/${made.id}`, { method: 'PATCH', body: { ...made, description: 'changed' } });
  expect(echoed.body.value.description).toBe('changed');
  for (const changes of [{ id: ROOT_TEAM_ID }, { team_id: ROOT_TEAM_ID }, { enabled: false }, { created_by: null }]) {
    const { status, body } = await call(`/${made.id}`, { as: root, method: 'PATCH', body: changes });
    expect([status, fieldsOf({ body })]).toEqual([400, Object.keys(changes)]);
  }
  for (const changes of [{ id: made.id }, { enabled: true }, { created_by: null }, { role: 'Admin' }]) {
    const { status, body } = await call('', { as: root, body: input(changes) });
    expect([status, fieldsOf({ body })]).toEqual([400, Object.keys(changes)]);
  }
});

test.each<[object, string]>([
  [{ allowed_scopes: [] }, 'allowed_scopes'],
  [{ allowed_scopes: ['openid'] }, 'allowed_scopes'],
  [{ allowed_scopes: ['providers:*'] }, 'allowed_scopes'],
  [{ token_endpoint_auth_method: 'none' }, 'token_endpoint_auth_method'],
  [{ name: '' }, 'name'],
  [{ jwks: { keys: [{ kty: 'oct', k: 'AA' }] } }, 'jwks'],
  [{ jwks_uri: 'https://127.0.0.1/jwks' }, 'jwks_uri'],
])('%j is refused', async (changes, field) => {
  const { status, body } = await call('', { body: input(changes) });
  expect([status, fieldsOf({ body })]).toEqual([400, [field]]);
});

describe('nobody gives a client what they lack', () => {
  test('neither scopes nor the means to act as it', async () => {
    // Made by root: an operator of the team may not change settings.
    const strong = await create({ allowed_scopes: ['providers:read', 'settings:write'] }, root);
    const path = `/${strong.id}`;
    expect((await call(`${path}:disable`, { body: {} })).status).toBe(200);
    const before = await api.rows('oauth_clients', 'client_secrets');
    const { jwks } = await createClientKey();
    for (const [method, where, body] of [
      ['POST', '', input({ allowed_scopes: ['settings:write'] })],
      ['PATCH', path, { token_endpoint_auth_method: 'client_secret_post' }],
      ['PATCH', path, { token_endpoint_auth_method: 'private_key_jwt', jwks }],
      ['PATCH', path, { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: 'https://keys.example.com/jwks' }],
      ['PATCH', path, { allowed_scopes: ['settings:write', 'users:write'] }],
      ['POST', `${path}/secrets`, {}],
      ['POST', `${path}:enable`, {}],
    ] as const) {
      const answer = await call(where, { method, body });
      expect([where, body, answer.status, answer.body.code]).toEqual([where, body, 403, 7]);
      expect(answer.body.message).toContain(body && 'allowed_scopes' in body ? ':write' : 'settings:write');
    }
    expect(await api.rows('oauth_clients', 'client_secrets')).toEqual(before);
    // Naming it, and taking away, lets nobody act as it.
    const narrowed = await call(path, { method: 'PATCH', body: { name: 'x', allowed_scopes: ['providers:read'] } });
    expect(narrowed.status).toBe(200);
    expect((await call(`${path}:enable`, { body: {} })).status).toBe(200);
    const refusals = (await server.auditEvents()).filter(({ action }) => action === 'api_request.refused');
    expect(refusals.length).toBeGreaterThanOrEqual(7);
  });

  test('a credential gives no more than its own scopes', async () => {
    const narrow = await api.key('Operator', team, ['oauth2clients:write', 'oauth2clients:read', 'teams:read']);
    const client = await create({ allowed_scopes: ['providers:write'] });
    expect((await call('', { as: narrow, body: input() })).status).toBe(403);
    expect((await call(`/${client.id}/secrets`, { as: narrow, body: {} })).status).toBe(403);
    const own = await call('', { as: narrow, body: input({ allowed_scopes: ['teams:read'] }) });
    expect(own.status).toBe(200);
    expect((await call(`/${own.body.value.id}/secrets`, { as: narrow, body: {} })).status).toBe(200);
  });

  test('a viewer of the team has nothing to do with its clients', async () => {
    const viewer = await api.key('Viewer', team);
    const made = await create();
    for (const [method, where] of [
      ['GET', ''],
      ['PATCH', ''],
      ['POST', ':disable'],
      ['POST', '/secrets'],
    ] as const) {
      const body = method === 'GET' ? undefined : {};
      expect((await call(`/${made.id}${where}`, { as: viewer, method, body })).status).toBe(403);
    }
  });
});

describe('changes', () => {
  test('row 117, row 118: one row changes, and of two changes at once one is told', async () => {
    const [made] = [await create(), await create()];
    const before = await api.rows('oauth_clients', 'client_secrets');
    const headers = { 'if-match': String((await call(`/${made.id}`)).headers.etag) };
    const answers = await Promise.all(
      ['One', 'Two'].map((name) => call(`/${made.id}`, { method: 'PATCH', body: { name }, headers })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    for (const [method, where] of [
      ['DELETE', ''],
      ['POST', ':disable'],
      ['POST', ':enable'],
    ] as const) {
      expect((await call(`/${made.id}${where}`, { method, headers })).status).toBe(412);
    }
    const row = `oauth_clients ${made.id}`;
    expect({ ...(await api.rows('oauth_clients', 'client_secrets')), [row]: '' }).toEqual({ ...before, [row]: '' });
  });

  test('disabling, ending its secret and deleting: at once neither secret nor token work', async () => {
    const made = await createTestClient(server, team, { tokenEndpointAuthMethod: 'client_secret_post' });
    const path = `/${made.id}`;
    const tokenOf = async (clientSecret = made.clientSecret) =>
      (await clientCredentials(server, { clientId: made.clientId, clientSecret })).body;
    const works = async (token: string) => (await api.call({ as: token, path: '/api/v1/providers' })).status === 200;
    const { access_token: token } = await tokenOf();
    expect(await works(token)).toBe(true);

    expect((await call(`${path}:disable`, { body: {} })).body).toEqual({ ended_grants: 0, ended_tokens: 0 });
    expect([(await tokenOf()).error, await works(token)]).toEqual(['invalid_client', false]);
    expect((await call(`${path}:enable`, { body: {} })).body).toEqual({});

    const { client_secret: second } = (await call(`${path}/secrets`, { body: { overlap_seconds: 0 } })).body.value;
    expect([(await tokenOf()).error, (await tokenOf(second)).error]).toEqual(['invalid_client', undefined]);
    const { access_token: last } = await tokenOf(second);
    expect(await works(last)).toBe(true);

    const deleted = await call(path, { method: 'DELETE' });
    expect(deleted.body).toEqual({
      value: expect.objectContaining({ id: made.id }),
      ended_grants: 0,
      ended_tokens: 0,
    });
    expect([(await tokenOf(second)).error, await works(last)]).toEqual(['invalid_client', false]);
    expect((await call(path)).status).toBe(404);
    const events = (await server.auditEvents()).filter((event) => event.target_id === made.id);
    expect(events.map(({ action, team_id }) => [action, team_id])).toEqual(
      ['created', 'disabled', 'enabled', 'deleted'].map((verb) => [`oauth_client.${verb}`, team]),
    );
  });
});
