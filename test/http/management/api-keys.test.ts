/** Personal API keys over HTTP: whose they are, what they may do, and who else may end them. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { NAMED_ONLY, ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { ALL_SCOPES, type Api, createApi, fieldsOf, type TestUser } from '../../support/api.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  redeemCode,
} from '../../support/flows.ts';
import { countStatuses, inParallel } from '../../support/parallel.ts';
import type { RawAnswer } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const KEYS = '/api/v1/apikeys';

let server: TestServer;
let api: Api;
let ada: TestUser;
/** Ada's credential. */
let as: string;
let root: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  ada = await api.user('Operator', await api.team());
  as = await api.keyOf(ada);
  root = await api.key('Admin');
}, 30_000);

afterAll(() => server?.close());

const post = (body: object, by = as) => api.call({ as: by, path: KEYS, body: { name: 'laptop', ...body } });

async function make(body: object = {}, by = as) {
  const answer = await post({ team_id: ada.teamId, ...body }, by);
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  const key = answer.body.value;
  return { key, path: `${KEYS}/${key.id}`, etag: String(answer.headers.etag) };
}

const uses = async (text: string) => (await api.call({ as: text, path: '/api/v1/providers' })).status;
const list = (query: Record<string, string> = {}, by = as) =>
  api.call({ as: by, path: `${KEYS}?${new URLSearchParams({ page_size: '1000', ...query })}` });
const ids = ({ body }: RawAnswer): string[] => body.values.map(({ id }: { id: string }) => id);

describe('making a key', () => {
  test('it is shown once, and stands for its owner in everything but what only scopes can name', async () => {
    const session = await logIn('Admin');
    const { key } = await session.create();
    expect(key).toEqual({
      id: expect.any(String),
      access_key: expect.stringMatching(/^lkp_[\w-]{48}$/),
      name: 'laptop',
      created_at: expect.any(String),
      last_access_at: key.created_at,
      status: 'ACTIVE',
      team_id: session.teamId,
      team_name: expect.any(String),
      prefix: key.access_key.slice(0, 8),
      last_four: key.access_key.slice(-4),
      expires_at: null,
      retires_at: null,
      created_by: session.userId,
      user_id: session.userId,
      owner_email: session.email,
      scopes: [],
      is_narrowed: false,
    });
    const read = await api.call({ as: key.access_key, path: `${KEYS}/${key.id}` });
    expect(read.body.value).toMatchObject({ id: key.id, access_key: '' });
    const { scopes } = (await server.domain.apiKeys.verify(key.access_key))!;
    const rights = (await server.domain.authority.permissionsIn(session.userId, session.teamId))!;
    expect(scopes).toEqual(new Set([...rights].filter((one) => !NAMED_ONLY.has(one))));
  });

  test('row 92: a key makes no keys unless its scopes say so', async () => {
    const plain = await api.keyOf(
      ada,
      [...ALL_SCOPES].filter((one) => one !== 'apikeys:write'),
    );
    const { key } = await (await logIn('Admin')).create();
    for (const by of [plain, key.access_key]) {
      expect(await post({ team_id: key.team_id }, by)).toMatchObject({ status: 403, body: { code: 7 } });
    }
  });

  test('row 92: with scopes it gives no more than it has, and without asking for any exactly what it has', async () => {
    const narrow = await api.keyOf(ada, ['apikeys:read', 'apikeys:write', 'providers:read', 'settings:write']);
    const { key } = await make({}, narrow);
    expect(key.scopes.toSorted()).toEqual(['apikeys:read', 'providers:read']);
    expect((await make({ scopes: ['apikeys:write'] }, narrow)).key.scopes).toEqual(['apikeys:write']);
    for (const scopes of [['providers:write'], ['providers:read', 'teamkeys:write'], ['settings:write']]) {
      const answer = await post({ team_id: ada.teamId, scopes }, narrow);
      expect([scopes, answer.status, answer.body.code]).toEqual([scopes, 403, 7]);
    }
    for (const scopes of [[], ['everything'], ['openid'], 'providers:read', [1]]) {
      const answer = await post({ team_id: ada.teamId, scopes });
      expect([scopes, answer.status, fieldsOf(answer)[0]]).toEqual([scopes, 400, expect.stringMatching(/^scopes/)]);
    }
  });

  test("row 92: an app's token makes keys only with that scope, and none wider than itself", async () => {
    const { userId, teamId, token, reading } = await logIn('Admin');
    const { key } = await make({ team_id: teamId }, token);
    expect([key.user_id, key.scopes]).toEqual([userId, ['providers:read']]);
    expect((await post({ team_id: teamId, scopes: ['providers:write'] }, token)).status).toBe(403);
    expect((await post({ team_id: teamId }, reading)).status).toBe(403);
    const wide = await server.domain.apiKeys.createPersonal({ userId, teamId, name: 'wide' }, OPERATOR);
    expect((await api.call({ as: token, path: `${KEYS}/${wide.key.id}:rotate`, method: 'POST' })).status).toBe(403);
    expect((await api.call({ as: token, path: `${KEYS}/${key.id}:rotate`, method: 'POST' })).status).toBe(200);
  });

  test('row 89: whose it is comes from the caller, never from the body', async () => {
    const other = await api.user('Operator', ada.teamId);
    const before = await api.rows('api_keys');
    for (const [field, value] of Object.entries({
      user_id: other.userId,
      userId: other.userId,
      owner_email: other.email,
      created_by: other.userId,
      permissions: ['users:write'],
      rateLimit: 1_000_000,
      status: 'ACTIVE',
      access_key: 'lkp_mine',
      id: randomUUID(),
    })) {
      const answer = await post({ team_id: ada.teamId, [field]: value });
      expect([field, answer.status, fieldsOf(answer)]).toEqual([field, 400, [field]]);
      const nobody = await api.call({ path: KEYS, body: { name: 'x', team_id: ada.teamId, [field]: value } });
      expect([field, nobody.status]).toEqual([field, 401]);
    }
    expect(await api.rows('api_keys')).toEqual(before);
    expect((await make({ user_id: ada.userId })).key.user_id).toBe(ada.userId);
  });

  test('row 110: in no team but that of the credential; with one of the root team in every team of its user', async () => {
    const [elsewhere, teamId] = [await api.team(), await api.team()];
    const both = await api.user('Admin', ROOT_TEAM_ID);
    await server.domain.memberships.setRoles({ userId: both.userId, teamId, roles: [ROLE_IDS.Viewer] }, OPERATOR);
    for (const team_id of [elsewhere, ROOT_TEAM_ID, randomUUID(), 'x']) {
      expect([team_id, (await post({ team_id })).status]).toEqual([team_id, 404]);
    }
    const rooted = await api.keyOf(both);
    expect((await make({ team_id: teamId }, rooted)).key.team_id).toBe(teamId);
    expect(await post({ team_id: elsewhere }, rooted)).toMatchObject({ status: 400, body: { code: 9 } });
  });

  test('who is no user has no personal keys', async () => {
    const { text } = await server.domain.apiKeys.createTeam({ teamId: ada.teamId, name: 'push' }, OPERATOR);
    const client = await createTestClient(server, ada.teamId, { allowedScopes: ['apikeys:read', 'apikeys:write'] });
    const service = (await clientCredentials(server, client)).body.access_token;
    for (const by of [text, service]) {
      expect([(await post({ team_id: ada.teamId }, by)).status, (await list({}, by)).status]).toEqual([403, 403]);
    }
  });
});

describe('one user and the others', () => {
  test('row 110: keys of others are not there, by any verb, in the same team as well', async () => {
    const { key, path } = await make();
    const neighbour = await api.key('Admin', ada.teamId);
    const before = await api.rows('api_keys');
    for (const [method, suffix, body] of [
      ['GET', ''],
      ['PATCH', '', { name: 'Mine' }],
      ['POST', ':revoke'],
      ['POST', ':reinstate'],
      ['POST', ':rotate'],
      ['DELETE', ''],
    ] as const) {
      const answer = await api.call({ as: neighbour, method, path: path + suffix, body });
      const missing = await api.call({ as: neighbour, method, path: `${KEYS}/${randomUUID()}${suffix}`, body });
      expect([method, suffix, answer.status, answer.text]).toEqual([method, suffix, 404, missing.text]);
    }
    expect(await api.rows('api_keys')).toEqual(before);
    expect(ids(await list({}, neighbour))).not.toContain(key.id);
    expect((await list({ filter: `user_id eq "${ada.userId}"` }, neighbour)).status).toBe(404);
  });

  test('row 110: nor one of your own keys in another team', async () => {
    const teamId = await api.team();
    await server.domain.memberships.setRoles({ userId: ada.userId, teamId, roles: [ROLE_IDS.Viewer] }, OPERATOR);
    const there = await api.keyOf({ ...ada, teamId });
    const { path, key } = await make();
    expect((await api.call({ as: there, path })).status).toBe(404);
    expect(ids(await list({}, there))).not.toContain(key.id);
  });

  test('a root administrator lists, revokes, reinstates and deletes keys of others, and no more', async () => {
    const { key, path } = await make();
    const filter = `user_id eq "${ada.userId}"`;
    const found = await list({ filter }, root);
    expect(new Set(found.body.values.map((one: { user_id: string }) => one.user_id))).toEqual(new Set([ada.userId]));
    expect(ids(found)).toContain(key.id);
    expect(await list({ filter: `${filter} and name eq "laptop" and status eq "INACTIVE"` }, root)).toMatchObject({
      body: { values: [] },
    });
    const before = await api.rows('api_keys');
    for (const [method, suffix, body] of [
      ['PATCH', '', { name: 'Theirs' }],
      ['POST', ':rotate'],
    ] as const) {
      expect((await api.call({ as: root, method, path: path + suffix, body })).status).toBe(404);
    }
    const created = await post({ team_id: ada.teamId, user_id: ada.userId }, root);
    expect([created.status, fieldsOf(created)]).toEqual([400, ['user_id']]);
    expect(await api.rows('api_keys')).toEqual(before);
    for (const [verb, status] of [
      ['revoke', 401],
      ['reinstate', 200],
    ] as const) {
      const answer = await api.call({ as: root, path: `${path}:${verb}`, method: 'POST' });
      expect([answer.status, answer.body, await uses(key.access_key)]).toEqual([200, {}, status]);
    }
    const deleted = await api.call({ as: root, path, method: 'DELETE' });
    expect(deleted.body.value).toMatchObject({ id: key.id, access_key: '', status: 'INACTIVE' });
    expect(await uses(key.access_key)).toBe(401);
  });

  test('it takes users:write, in the root team', async () => {
    const { path } = await make();
    const without = ALL_SCOPES.filter((one) => one !== 'users:write');
    for (const by of [await api.key('Admin', ROOT_TEAM_ID, without), await api.key('Operator')]) {
      expect((await api.call({ as: by, path })).status).toBe(404);
      expect((await list({ filter: `user_id eq "${ada.userId}"` }, by)).status).toBe(404);
      expect((await api.call({ as: by, path: `${path}:revoke`, method: 'POST' })).status).toBe(404);
    }
  });
});

describe('the life of a key', () => {
  test('row 91: it ends with its owner: disabled, out of the team, deleted', async () => {
    const owners = await inParallel(3, () => api.user('Operator', ada.teamId));
    const texts: string[] = [];
    for (const owner of owners) texts.push((await make({}, await api.keyOf(owner))).key.access_key);
    for (const text of texts) expect(await uses(text)).toBe(200);
    const [disabled, removed, deleted] = owners as [TestUser, TestUser, TestUser];
    await server.domain.users.setEnabled(disabled.userId, false, OPERATOR);
    await server.domain.memberships.remove({ userId: removed.userId, teamId: removed.teamId }, OPERATOR);
    await server.domain.users.delete(deleted.userId, OPERATOR);
    await server.domain.notifications.settle();
    for (const text of texts) expect(await uses(text)).toBe(401);
  });

  test('row 94: rotated by itself it overlaps; the two texts are one key', async () => {
    const { key, path } = await make({ scopes: ['apikeys:read', 'apikeys:write', 'providers:read'] });
    const rotated = await api.call({ as: key.access_key, path: `${path}:rotate`, body: { overlap_seconds: 60 } });
    const text = rotated.body.value.access_key;
    expect(text).toMatch(/^lkp_/);
    for (const one of [key.access_key, text]) expect((await api.call({ as: one, path })).body.value.id).toBe(key.id);
    await api.call({ as, path: `${path}:revoke`, method: 'POST' });
    expect([await uses(key.access_key), await uses(text)]).toEqual([401, 401]);
  });

  test('rows 111, 112: what the server sets is refused by name, and may be echoed', async () => {
    const { key, path } = await make({ scopes: ['providers:read'] });
    const echo = await api.call({ as, path, method: 'PATCH', body: { ...key, access_key: '', name: 'Echoed' } });
    expect([echo.status, echo.body.value?.name]).toEqual([200, 'Echoed']);
    const wrong = {
      id: randomUUID(),
      user_id: randomUUID(),
      owner_email: 'x@example.com',
      scopes: [],
      is_narrowed: false,
      team_id: ROOT_TEAM_ID,
    };
    for (const [field, value] of Object.entries(wrong)) {
      const answer = await api.call({ as, path, method: 'PATCH', body: { name: 'Moved', [field]: value } });
      expect([field, answer.status, fieldsOf(answer)]).toEqual([field, 400, [field]]);
    }
    expect((await api.call({ as, path })).body).toEqual(echo.body);
  });

  test('row 118: parallel edits of one version: one is made', async () => {
    const { path, etag } = await make();
    const edit = (index: number) =>
      api.call({ as, path, method: 'PATCH', body: { name: `Edit ${index}` }, headers: { 'if-match': etag } });
    expect(countStatuses(await inParallel(4, edit))).toEqual({ 200: 1, 412: 3 });
  });
});

/** A new person with a session at the console, and with two tokens of an app: one may make keys, one may read them. */
async function logIn(role: 'Admin') {
  const person = await createPerson(server, { role });
  const app = await createTestApp(server, {
    allowedScopes: ['openid', 'apikeys:read', 'apikeys:write', 'providers:read'],
    tokenEndpointAuthMethod: 'client_secret_post',
  });
  const tokenFor = async (scope: string, browser?: Awaited<ReturnType<typeof authorize>>['browser']) => {
    const options = { ...person, clientId: app.clientId, params: { scope }, ...(browser && { browser }) };
    const flow = await authorize(server, options);
    const { body } = await redeemCode(server, app, flow.code, flow.pkce);
    return { token: String(body.access_token), browser: flow.browser };
  };
  const { token, browser } = await tokenFor('openid apikeys:write providers:read');
  const { token: reading } = await tokenFor('openid apikeys:read', browser);
  const cookie = await browser.jar.getCookieString(server.origin);
  return {
    ...person,
    token,
    reading,
    async create() {
      const { headers } = await api.call({ path: KEYS, headers: { cookie } });
      const proof = { cookie, origin: server.origin, 'x-csrf-token': String(headers['x-csrf-token']) };
      const body = { name: 'laptop', team_id: person.teamId };
      const answer = await api.call({ path: KEYS, body, headers: proof });
      expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
      return { key: answer.body.value };
    },
  };
}
