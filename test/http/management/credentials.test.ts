/** The inventory over HTTP: one list over all four kinds of credential. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, createApi } from '../../support/api.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  redeemCode,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/api/v1/credentials';
const METHOD = { tokenEndpointAuthMethod: 'client_secret_post' };

let server: TestServer;
let api: Api;
let root: string;
let operator: string;
let person: { userId: string; email: string; teamId: string };
/** The text of each credential of the person's team. */
const texts: Record<string, string> = {};
let before: Date;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  person = await createPerson(server, { role: 'Operator' });
  [root, operator] = [await api.key('Admin'), await api.keyOf(person)];
  before = new Date();
  const body = { name: 'A key', team_id: person.teamId };
  texts.team_key = (await api.call({ as: operator, path: '/api/preview/teamkeys', body })).body.value.access_key;
  const client = await createTestClient(server, person.teamId, METHOD);
  texts.oauth2_client = (await clientCredentials(server, client)).body.access_token;
  const app = await createTestApp(server, METHOD);
  const params = { scope: 'openid offline_access providers:read' };
  const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId, params });
  texts.oauth2_app = (await redeemCode(server, app, code, pkce)).body.access_token;
}, 30_000);
afterAll(() => server?.close());

type Item = Record<string, unknown> & { id: string; kind: string; last_used_at: string | null };

async function list(query = '', as = operator): Promise<Item[]> {
  await server.domain.lastUsed.flush();
  const { status, body } = await api.call({ as, path: `${PATH}?${query}` });
  expect([query, status]).toEqual([query, 200]);
  return body.values;
}

const kinds = (items: Item[]) => items.map(({ kind }) => kind);

test('every kind of credential has the same fields', async () => {
  const items = await list();
  expect(kinds(items)).toEqual(['personal_key', 'team_key', 'oauth2_client', 'oauth2_app']);
  const [personal, team, client, app] = items;
  const common = {
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    team_id: person.teamId,
    team_name: expect.stringMatching(/^Team /),
    created_at: expect.stringMatching(/Z$/),
    expires_at: null,
    retires_at: null,
    status: 'ACTIVE',
    created_by: null,
  };
  const owner = { id: person.userId, email: person.email };
  const nobody = { owner: null, client_id: null };
  expect(personal).toEqual({
    ...common,
    ...nobody,
    owner,
    kind: 'personal_key',
    name: 'Test',
    prefix: expect.stringMatching(/^lkp_/),
    scopes: expect.arrayContaining(['credentials:read']),
    last_used_at: expect.any(String),
  });
  expect(team).toEqual({
    ...common,
    ...nobody,
    kind: 'team_key',
    name: 'A key',
    prefix: expect.stringMatching(/^lkt_/),
    scopes: ['providers:read', 'providers:write'],
    last_used_at: null,
    created_by: person.userId,
  });
  expect(client).toEqual({
    ...common,
    ...nobody,
    kind: 'oauth2_client',
    name: 'Test client',
    client_id: expect.stringMatching(/^svc_/),
    prefix: expect.stringMatching(/^lks_/),
    scopes: ['providers:read', 'providers:write'],
    last_used_at: expect.any(String),
  });
  expect(app).toEqual({
    ...common,
    owner,
    kind: 'oauth2_app',
    name: 'Test app',
    client_id: expect.stringMatching(/^app_/),
    prefix: null,
    scopes: ['openid', 'offline_access', 'providers:read'],
    last_used_at: expect.any(String),
    expires_at: expect.any(String),
  });
  const text = JSON.stringify(items);
  for (const secret of Object.values(texts)) expect(text).not.toContain(secret);
});

test('using a credential at the API is its last use', async () => {
  await list();
  await new Promise((resolve) => setTimeout(resolve, 5));
  const used = new Date();
  for (const as of [operator, ...Object.values(texts)]) await api.call({ as, path: '/api/v1/providers' });
  const items = await list();
  const later = items.filter(({ last_used_at: at }) => at !== null && at >= used.toISOString());
  // A client's use is the token it gets.
  expect(kinds(later)).toEqual(['personal_key', 'team_key', 'oauth2_app']);
});

describe('narrowed', () => {
  test.each([
    ['never_used=true', []],
    ['never_used=false', ['personal_key', 'team_key', 'oauth2_client', 'oauth2_app']],
    ['kind=team_key', ['team_key']],
    ['filter=kind eq "oauth2_client"', ['oauth2_client']],
    ['filter=kind eq "oauth2_client" and status eq "INACTIVE"', []],
    ['filter=status eq "1"&order_by=created_at desc', ['oauth2_app', 'oauth2_client', 'team_key', 'personal_key']],
    ['kind=team_key&filter=kind eq "oauth2_client"', []],
    ['expires_before=2999-01-01T00:00:00Z', ['oauth2_app']],
    ['unused_since=2999-01-01T00:00:00Z&kind=personal_key', ['personal_key']],
    ['unused_since=2001-01-01T00:00:00Z', []],
  ])('%s', async (query, expected) => {
    if (query.startsWith('never_used')) await api.call({ as: texts.team_key!, path: '/api/v1/providers' });
    expect(kinds(await list(encodeURI(query)))).toEqual(expected);
  });

  test('by the user it acts for', async () => {
    const query = encodeURI(`filter=user_id eq "${person.userId}"`);
    expect(kinds(await list(query))).toEqual(['personal_key', 'oauth2_app']);
    expect(kinds(await list(`${query}&team_id=${ROOT_TEAM_ID}`, root))).toEqual([]);
  });

  test.each([
    ['team_id=x', 'team_id'],
    ['kind=cookie', 'kind'],
    ['never_used=maybe', 'never_used'],
    ['unused_since=yesterday', 'unused_since'],
    ['expires_before=2024-02-31T00:00:00Z', 'expires_before'],
    ['filter=kind%20eq%20%22cookie%22', 'filter'],
    ['order_by=name', 'order_by'],
    ['owner=me', 'owner'],
  ])('%s is refused', async (query, field) => {
    const { status, body } = await api.call({ as: operator, path: `${PATH}?${query}` });
    expect([status, body.details?.[0]?.field_violations[0].field]).toEqual([400, field]);
  });
});

test('row 110: a caller sees what acts for its own team; the root team sees every team', async () => {
  const other = await api.team();
  const theirs = await api.key('Operator', other);
  expect((await list('', theirs)).map(({ team_id }) => team_id)).toEqual([other]);
  for (const query of [`team_id=${person.teamId}`, `filter=team_id%20eq%20%22${person.teamId}%22`]) {
    expect((await api.call({ as: theirs, path: `${PATH}?${query}` })).status).toBe(404);
  }
  expect(await list(`team_id=${person.teamId}`, root)).toEqual(await list());
  const teams = new Set((await list('', root)).map(({ team_id }) => team_id));
  expect(teams).toEqual(new Set([ROOT_TEAM_ID, person.teamId, other]));
  expect((await api.call({ as: await api.key('Viewer', other), path: PATH })).status).toBe(403);
});

test('what is revoked, disabled or expired is INACTIVE', async () => {
  const [personal, team, client] = await list();
  const { apiKeys, oauthClients } = server.domain;
  const actor = { kind: 'operator', id: 'test' } as const;
  await apiKeys.revoke(team!.id, {}, actor);
  await oauthClients.disable(client!.id, {}, actor);
  const expired = await apiKeys.createTeam(
    { teamId: person.teamId, name: 'Expired', expiresAt: new Date(Date.now() + 60_000) },
    actor,
  );
  await server.db.query('UPDATE api_keys SET expires_at = $2 WHERE id = $1', [expired.key.id, before]);
  const inactive = await list(encodeURI('filter=status eq "INACTIVE"'));
  expect(inactive.map(({ id }) => id)).toEqual([team!.id, client!.id, expired.key.id]);
  const active = await list(encodeURI('filter=status eq "ACTIVE"'));
  expect(active.map(({ id }) => id)).toContain(personal!.id);
  expect(active).toHaveLength(2);
  expect((await list(`expires_before=${new Date().toISOString()}`)).map(({ id }) => id)).toEqual([expired.key.id]);
});

test("a disabled user's keys are INACTIVE, as they are refused", async () => {
  const owner = await api.user('Viewer', person.teamId);
  const key = await api.keyOf(owner);
  await api.call({ as: root, method: 'PATCH', path: `/api/v1/users/${owner.userId}`, body: { enabled: false } });
  expect((await api.call({ as: key, path: '/api/v1/providers' })).status).toBe(401);
  const mine = `user_id eq "${owner.userId}"`;
  for (const [filter, expected] of [
    [mine, ['INACTIVE']],
    [`${mine} and status eq "INACTIVE"`, ['INACTIVE']],
    [`${mine} and status eq "ACTIVE"`, []],
  ] as const) {
    expect((await list(encodeURI(`filter=${filter}`))).map(({ status }) => status)).toEqual(expected);
  }
});

test('pages of two are the whole list', async () => {
  const whole = (await list('', root)).map(({ id }) => id);
  const seen: string[] = [];
  let token = '';
  for (let round = 0; round < 20 && (round === 0 || token !== ''); round += 1) {
    const path = `${PATH}?page_size=2&page_token=${encodeURIComponent(token)}`;
    const { body } = await api.call({ as: root, path });
    seen.push(...body.values.map(({ id }: Item) => id));
    token = body.next_page_token;
  }
  expect(seen).toEqual(whole);
});
