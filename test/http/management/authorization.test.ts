/** Row 109: every operation with every kind of caller. The table here is written by hand, apart from the one in the code. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { OPERATIONS, type OperationId } from '../../../src/domain/authorization.ts';
import { PERMISSIONS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, createApi, type TestUser } from '../../support/api.ts';
import { createBrowser } from '../../support/browser.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  redeemCode,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { EXAMPLES } from './examples.ts';

/*
 * none      without a credential
 * viewer, operator, admin   personal keys, with every scope, of users with that role in the team whose objects are asked for
 * elsewhere a personal key, with every scope, of an operator of another team
 * root      a personal key, with every scope, of a root administrator
 * plain     a root administrator's personal key without scopes of its own
 * push      a team key of the team
 * token     an app's access token for an administrator of the team, with the scope the operation needs and no other
 * other     the same, with a scope the operation does not need
 * client    an OAuth2 client's token of the team, with the scope the operation needs and no other
 */
const CALLERS = [
  'none',
  'viewer',
  'operator',
  'admin',
  'elsewhere',
  'root',
  'plain',
  'push',
  'token',
  'other',
  'client',
];
const TABLE = `
providers.list               401 200 200 200 200 200 200 200 200 403 200
custom_providers.list        401 200 200 200 200 200 200 200 200 403 200
custom_providers.get         401 200 200 200 404 200 200 200 200 403 200
custom_providers.create      401 403 200 200 404 200 200 200 200 403 200
custom_providers.update      401 403 200 200 404 200 200 200 200 403 200
custom_providers.delete      401 403 200 200 404 200 200 200 200 403 200
team_keys.list               401 200 200 200 404 200 200 403 200 403 200
team_keys.get                401 200 200 200 404 200 200 403 200 403 200
team_keys.create             401 403 200 200 404 200 403 403 200 403 200
team_keys.update             401 403 200 200 404 200 403 403 200 403 200
team_keys.revoke             401 403 200 200 404 200 403 403 200 403 200
team_keys.reinstate          401 403 200 200 404 200 403 403 200 403 200
team_keys.rotate             401 403 200 200 404 200 403 403 200 403 200
team_keys.delete             401 403 200 200 404 200 403 403 200 403 200
api_keys.list                401 200 200 200 200 200 200 403 200 403 403
api_keys.get                 401 200 200 200 200 200 200 403 200 403 403
api_keys.create              401 200 200 200 200 200 403 403 200 403 403
api_keys.update              401 200 200 200 200 200 403 403 200 403 403
api_keys.revoke              401 200 200 200 200 200 403 403 200 403 403
api_keys.reinstate           401 200 200 200 200 200 403 403 200 403 403
api_keys.rotate              401 200 200 200 200 200 403 403 403 403 403
api_keys.delete              401 200 200 200 200 200 403 403 200 403 403
api_keys.import              401 403 403 403 403 200 403 403 403 403 403
teams.list                   401 200 200 200 200 200 200 403 200 403 200
teams.get                    401 200 200 200 404 200 200 403 200 403 200
teams.create                 401 403 403 403 403 200 200 403 403 403 403
teams.replace                401 403 403 200 403 200 200 403 200 403 200
teams.update                 401 403 403 200 403 200 200 403 200 403 200
teams.delete                 401 403 403 403 403 200 200 403 403 403 403
users.list                   401 200 200 200 200 200 200 403 200 403 200
users.get                    401 200 200 200 404 200 200 403 200 403 200
users.create                 401 403 403 200 403 200 403 403 403 403 403
users.update                 401 403 403 200 403 200 403 403 200 403 200
users.delete                 401 403 403 403 403 200 403 403 403 403 403
roles.list                   401 200 200 200 200 200 200 403 200 403 200
oauth_apps.list              401 403 403 403 403 200 200 403 403 403 403
oauth_apps.get               401 403 403 403 403 200 200 403 403 403 403
oauth_apps.create            401 403 403 403 403 200 403 403 403 403 403
oauth_apps.update            401 403 403 403 403 200 403 403 403 403 403
oauth_apps.enable            401 403 403 403 403 200 403 403 403 403 403
oauth_apps.disable           401 403 403 403 403 200 403 403 403 403 403
oauth_apps.delete            401 403 403 403 403 200 403 403 403 403 403
oauth_app_secrets.create     401 403 403 403 403 200 403 403 403 403 403
oauth_app_secrets.delete     401 403 403 403 403 200 403 403 403 403 403
oauth_clients.list           401 403 200 200 200 200 200 403 200 403 200
oauth_clients.get            401 403 200 200 404 200 200 403 200 403 200
oauth_clients.create         401 403 200 200 404 200 403 403 200 403 200
oauth_clients.update         401 403 200 200 404 200 403 403 200 403 200
oauth_clients.enable         401 403 200 200 404 200 403 403 200 403 200
oauth_clients.disable        401 403 200 200 404 200 403 403 200 403 200
oauth_clients.delete         401 403 200 200 404 200 403 403 200 403 200
oauth_client_secrets.create  401 403 200 200 404 200 403 403 403 403 403
oauth_client_secrets.delete  401 403 200 200 404 200 403 403 200 403 200
sign_in_settings.get         401 403 403 403 403 200 200 403 403 403 403
sign_in_settings.update      401 403 403 403 403 200 200 403 403 403 403
signing_keys.list            401 403 403 403 403 200 200 403 403 403 403
signing_keys.rotate          401 403 403 403 403 200 200 403 403 403 403
signing_keys.delete          401 403 403 403 403 200 200 403 403 403 403
resource_servers.list        401 403 403 403 403 200 200 403 403 403 403
resource_servers.get         401 403 403 403 403 200 200 403 403 403 403
resource_servers.create      401 403 403 403 403 200 200 403 403 403 403
resource_servers.update      401 403 403 403 403 200 200 403 403 403 403
resource_servers.delete      401 403 403 403 403 200 200 403 403 403 403
audit_events.list            401 403 403 200 403 200 200 403 200 403 200
credentials.list             401 403 200 200 404 200 200 403 200 403 200
credential_usage.list        401 403 200 200 404 200 200 403 200 403 200
credential_usage.keys        401 403 200 200 404 200 200 403 200 403 200
key_retirements.list         401 403 200 200 404 200 200 403 200 403 200
key_retirements.get          401 403 200 200 404 200 200 403 200 403 200
key_retirements.create       401 403 403 200 403 200 403 403 200 403 200
key_retirements.update       401 403 403 200 403 200 403 403 200 403 200
key_retirements.delete       401 403 403 200 403 200 403 403 200 403 200
connected_apps.list          401 200 200 200 200 200 200 403 200 403 403
connected_apps.delete        401 200 200 200 200 200 200 403 200 403 403
`;

const EXPECTED = new Map(
  TABLE.trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map(([operation, ...statuses]) => [operation!, statuses.map(Number)]),
);

interface Described {
  operationId: OperationId;
  method: string;
}

let server: TestServer;
let api: Api;
let teamId: string;
let described: Described[];
const callers: Record<string, { user?: TestUser; credential(permission: string): string | undefined }> = {};

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  teamId = await api.team();
  const document = (await api.call({ path: '/openapi.json' })).body;
  described = Object.values(document.paths as Record<string, Record<string, { operationId: OperationId }>>).flatMap(
    (methods) =>
      Object.entries(methods).map(([method, { operationId }]) => ({ operationId, method: method.toUpperCase() })),
  );

  const keys = { viewer: 'Viewer', operator: 'Operator', admin: 'Admin' } as const;
  for (const [name, role] of Object.entries(keys)) await addKey(name, await api.user(role, teamId));
  await addKey('elsewhere', await api.user('Operator', await api.team()));
  const root = await api.user('Admin', ROOT_TEAM_ID);
  await addKey('root', root);
  const plain = { userId: root.userId, teamId: ROOT_TEAM_ID, name: 'Plain' };
  const plainText = (await server.domain.apiKeys.createPersonal(plain, OPERATOR)).text;
  callers.plain = { user: root, credential: () => plainText };
  const push = (await server.domain.apiKeys.createTeam({ teamId, name: 'Push' }, OPERATOR)).text;
  callers.push = { credential: () => push };
  callers.none = { credential: () => undefined };
  await addTokens();
}, 60_000);

afterAll(() => server?.close());

async function addKey(name: string, user: TestUser): Promise<void> {
  const text = await api.keyOf(user);
  callers[name] = { user, credential: () => text };
}

async function addTokens(): Promise<void> {
  const person = await createPerson(server, { role: 'Admin', teamId });
  const method = { tokenEndpointAuthMethod: 'client_secret_post' };
  const scopes = Object.keys(PERMISSIONS);
  const app = await createTestApp(server, { ...method, allowedScopes: scopes });
  const client = await createTestClient(server, teamId, { ...method, allowedScopes: scopes });
  const browser = createBrowser();
  const tokens = new Map<string, string>();
  const clientTokens = new Map<string, string>();
  for (const scope of new Set(Object.values(OPERATIONS).map(({ permission }) => permission))) {
    const params = { scope, prompt: 'consent' };
    const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId, params, browser });
    tokens.set(scope, (await redeemCode(server, app, code, pkce)).body.access_token);
    clientTokens.set(scope, (await clientCredentials(server, client, { scope })).body.access_token);
  }
  callers.token = { user: person, credential: (permission) => tokens.get(permission) };
  callers.other = {
    user: person,
    credential: (permission) => tokens.get(permission === 'roles:read' ? 'teams:read' : 'roles:read'),
  };
  callers.client = { credential: (permission) => clientTokens.get(permission) };
}

test('row 109: the description, the rules in the code, the examples and this table have the same operations', () => {
  const ids = described.map(({ operationId }) => operationId).sort();
  expect(ids).toEqual(Object.keys(OPERATIONS).sort());
  expect(ids).toEqual(Object.keys(EXAMPLES).sort());
  expect(ids).toEqual([...EXPECTED.keys()].sort());
  expect([...EXPECTED.values()].every((statuses) => statuses.length === CALLERS.length)).toBe(true);
});

test.each(Object.keys(OPERATIONS) as OperationId[])('row 109: %s', async (id) => {
  const method = described.find(({ operationId }) => operationId === id)?.method ?? '';
  const expected = EXPECTED.get(id) ?? [];
  const statuses: Record<string, number> = {};
  const example = (owner: TestUser) => EXAMPLES[id]({ server, api, teamId, owner });
  // Whoever is refused leaves it as it is, so all of them can be refused at the same one; but a token with the right scope
  // may be refused for what the object is, and asks for its own.
  const untouched = await example(callers.viewer!.user!);
  for (const [index, name] of CALLERS.entries()) {
    const { user, credential } = callers[name]!;
    const isRefused = [401, 403].includes(expected[index] ?? 0) && name !== 'token';
    const { path, body } = isRefused ? untouched : await example(user ?? callers.viewer!.user!);
    const as = credential(OPERATIONS[id].permission);
    const answer = await api.call({ as, method, path, ...(body && { body }) });
    statuses[name] = answer.status;
    if (answer.status >= 400) {
      expect(answer.body).toEqual({
        code: expect.any(Number),
        message: expect.any(String),
        details: expect.any(Array),
      });
    }
  }
  expect(statuses).toEqual(Object.fromEntries(CALLERS.map((name, index) => [name, expected[index]])));
});
