/** Row 110: an id of another team, wherever it is put, finds nothing and changes nothing. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { OPERATIONS, type OperationId, type Rule } from '../../../src/domain/authorization.ts';
import { ROLE_IDS } from '../../../src/domain/permissions.ts';
import { type Api, createApi, type TestUser } from '../../support/api.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { EXAMPLES, type World } from './examples.ts';

let server: TestServer;
let api: Api;
let theirs: World;
let mine: { user: TestUser; key: string; provider: string };
let methods: Map<string, string>;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  const teamId = await api.team();
  theirs = { server, api, teamId, owner: await api.user('Admin', teamId) };
  const user = await api.user('Admin', await api.team());
  const { id } = await server.domain.providers.createCustom({ name: 'Mine', teamId: user.teamId }, OPERATOR);
  mine = { user, key: await api.keyOf(user), provider: id };
  const { paths } = (await api.call({ path: '/openapi.json' })).body;
  methods = new Map(
    Object.values(paths as Record<string, Record<string, { operationId: string }>>).flatMap((byMethod) =>
      Object.entries(byMethod).map(([method, { operationId }]) => [operationId, method.toUpperCase()] as const),
    ),
  );
}, 30_000);

afterAll(() => server?.close());

/** Every row of every table, but what says that requests came: the trail, their number, and times of last use. */
async function everything(): Promise<Record<string, string>> {
  await server.domain.lastUsed.flush();
  const { rows } = await server.db.query<{ table: string }>(
    `SELECT tablename AS table FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^credential_use'
       AND tablename NOT IN ('audit_events', 'oidc_payloads')`,
  );
  return api.rows(...rows.map(({ table }) => table));
}

const reachesTeams = (Object.entries(OPERATIONS) as [OperationId, Rule][]).filter(
  ([, { reach }]) => reach === 'team' || reach === 'own',
);
const byId = reachesTeams
  .filter(([id]) => !/\.(list|create)$/.test(id) || /secrets\.create$/.test(id))
  .map(([id]) => id);

test.each(byId)("row 110: %s of another team's object is not found, and changes nothing", async (id) => {
  const { path, body } = await EXAMPLES[id](theirs);
  const before = await everything();
  const answer = await api.call({ as: mine.key, method: methods.get(id)!, path, ...(body && { body }) });
  expect([answer.status, answer.body.code]).toEqual([404, 5]);
  expect(await everything()).toEqual(before);
});

/** Ids of another team in a query or a body; `T` is their team, `M` my user. */
const SWAPS: [string, string, string, object?][] = [
  ['a team in the filter of team keys', 'GET', '/api/preview/teamkeys?filter=team_id+eq+"T"'],
  ['a team in the filter of personal keys', 'GET', '/api/v1/apikeys?filter=team_id+eq+"T"'],
  ['a team in the filter of users', 'GET', '/api/v1/users?filter=team_id+eq+"T"'],
  ['a team in the filter of clients', 'GET', '/api/v1/oauth2/clients?filter=team_id+eq+"T"'],
  ['a team in the filter of providers', 'GET', '/api/v1/providers?filter=team_id+eq+"T"'],
  ['a team in the filter of audit events', 'GET', '/api/v1/audit_events?filter=team_id+eq+"T"'],
  ['a team in the query of credentials', 'GET', '/api/v1/credentials?team_id=T'],
  ['a team in the filter of key retirements', 'GET', '/api/v1/key_retirements?filter=team_id+eq+"T"'],
  ['a team in the filter of usage', 'GET', '/api/v1/credential_usage?filter=team_id+eq+"T"'],
  ['a team in the query of callers', 'GET', '/api/v1/credential_usage/keys?team_id=T'],
  ['a team to retire keys of', 'POST', '/api/v1/key_retirements', { team_id: 'T', retires_at: '2099-01-31T00:00:00Z' }],
  ['a team for a team key', 'POST', '/api/preview/teamkeys', { name: 'Mine', team_id: 'T' }],
  ['a team for a personal key', 'POST', '/api/v1/apikeys', { name: 'Mine', team_id: 'T' }],
  ['a team for a provider', 'POST', '/api/v1/providers/custom', { name: 'Mine', team_id: 'T' }],
  [
    'a team for a client',
    'POST',
    '/api/v1/oauth2/clients',
    { name: 'Mine', team_id: 'T', allowed_scopes: ['teams:read'] },
  ],
  [
    'a team for a new user',
    'POST',
    '/api/v1/users',
    {
      name: 'New',
      email: 'new@example.com',
      password: 'a long enough pass phrase',
      team_roles: [{ team_id: 'T', role_id: ROLE_IDS.Viewer }],
    },
  ],
  [
    'a team for one of my users',
    'PATCH',
    '/api/v1/users/M',
    { team_roles: [{ team_id: 'T', role_id: ROLE_IDS.Viewer }] },
  ],
];

test.each(SWAPS.map(([what, method, path, body]) => [what, method, path, body] as const))(
  'row 110: %s is not found, and changes nothing',
  async (_what, method, path, body) => {
    const their = (text: string) => text.replaceAll('"T"', `"${theirs.teamId}"`).replaceAll('=T', `=${theirs.teamId}`);
    const before = await everything();
    const answer = await api.call({
      as: mine.key,
      method,
      path: their(path).replaceAll('"', '%22').replace(/\/M$/, `/${mine.user.userId}`),
      ...(body && { body: their(JSON.stringify(body)) }),
    });
    expect([answer.status, answer.body.code]).toEqual([404, 5]);
    expect(await everything()).toEqual(before);
  },
);

test("row 110: lists hold nothing of another team's, whatever is in there", async () => {
  for (const id of byId) await EXAMPLES[id](theirs);
  for (const [id] of reachesTeams.filter(([one]) => one.endsWith('.list'))) {
    const { path } = await EXAMPLES[id]({ ...theirs, teamId: mine.user.teamId, owner: mine.user });
    const { status, text } = await api.call({ as: mine.key, path });
    expect([id, status]).toEqual([id, 200]);
    expect(text.includes(theirs.teamId) && id !== 'providers.list').toBe(false);
  }
});

test('row 111: the id in the path counts, and another in the body is refused', async () => {
  const path = `/api/v1/providers/custom/${mine.provider}`;
  const { path: other } = await EXAMPLES['custom_providers.get'](theirs);
  const before = await everything();
  const body = { id: other.split('/').at(-1), name: 'Swapped' };
  const answer = await api.call({ as: mine.key, method: 'PATCH', path, body });
  expect([answer.status, answer.body.details[0].field_violations[0].field]).toEqual([400, 'id']);
  expect(await everything()).toEqual(before);
});
