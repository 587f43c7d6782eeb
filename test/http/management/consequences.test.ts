/**
 * Rows 39, 59, 81, 91, 93, 102: what ends, ends everything that hung on it, at once, on every instance. Each change is
 * made through the API of one instance (`there`) and looked for at the other (`here`).
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { PERMISSIONS } from '../../../src/domain/permissions.ts';
import { type Api, createApi } from '../../support/api.ts';
import {
  authorizationUrl,
  authorize,
  clientCredentials,
  createPerson,
  createPkce,
  createTestApp,
  createTestClient,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let here: TestServer;
let there: TestServer;
/** Calls the API at the other instance, by the name both have. */
let call: Api['call'];
let root: string;

beforeAll(async () => {
  here = await startTestServer();
  // The same issuer, so that tokens of the one are tokens of the other.
  const { issuer, connectionString, secret } = here;
  there = await startTestServer({ issuer, connectionString, secret });
  const host = new URL(issuer).host;
  const elsewhere = createApi(there);
  call = (one) => elsewhere.call({ ...one, headers: { ...one.headers, host } });
  root = await createApi(here).key('Admin');
}, 30_000);

afterAll(async () => {
  await there?.close();
  await here?.close();
});

const POST = { tokenEndpointAuthMethod: 'client_secret_post' };

/** Somebody with a session, a connected app, a code on its way, a key; and the team's own key and client. */
async function makeSituation() {
  const { domain } = here;
  const person = await createPerson(here, { role: 'Admin' });
  const { userId, teamId, email } = person;
  const app = await createTestApp(here, POST);
  const first = await authorize(here, { email, teamId, clientId: app.clientId });
  const tokens = (await redeemCode(here, app, first.code, first.pkce)).body;
  const second = await authorize(here, { email, teamId, clientId: app.clientId, browser: first.browser });
  const personal = await domain.apiKeys.createPersonal({ userId, teamId, name: 'Script' }, OPERATOR);
  const team = await domain.apiKeys.createTeam({ teamId, name: 'Push' }, OPERATOR);
  const client = await createTestClient(here, teamId, POST);
  const clientToken = (await clientCredentials(here, client)).body.access_token as string;
  return { person, app, tokens, second, personal, team, client, clientToken, browser: first.browser };
}

type Situation = Awaited<ReturnType<typeof makeSituation>>;

/** Whether each of them still opens something here. Codes and refresh tokens are used up by it. */
async function usable(one: Situation): Promise<Record<string, boolean>> {
  const opens = async (as: string) => (await createApi(here).call({ as, path: '/api/v1/providers' })).status === 200;
  const silent = authorizationUrl(here, one.app.clientId, createPkce(), { prompt: 'none' });
  const { location = here.origin } = await one.browser.get(silent);
  return {
    session: (await one.browser.get(`${here.origin}/api/v1/roles`)).status !== 401,
    consent: new URL(location).searchParams.has('code'),
    accessToken: await opens(one.tokens.access_token),
    personalKey: await opens(one.personal.text),
    teamKey: await opens(one.team.text),
    clientToken: await opens(one.clientToken),
    clientSecret: (await clientCredentials(here, one.client)).status === 200,
    refreshToken: (await refresh(here, one.app, one.tokens.refresh_token)).status === 200,
    code: (await redeemCode(here, one.app, one.second.code, one.second.pkce)).status === 200,
  };
}

const ALL = [
  'session',
  'consent',
  'accessToken',
  'personalKey',
  'teamKey',
  'clientToken',
  'clientSecret',
  'refreshToken',
  'code',
];
const APP = ['consent', 'accessToken', 'refreshToken', 'code'];
const CLIENT = ['clientToken', 'clientSecret'];

type Change = [what: string, method: string, path: (one: Situation) => string, ends: string[], body?: object];

const CHANGES: Change[] = [
  ['nothing', 'GET', () => '/api/v1/teams', []],
  [
    'disabling a user',
    'PATCH',
    ({ person }) => `/api/v1/users/${person.userId}`,
    ['session', 'personalKey', ...APP],
    { enabled: false },
  ],
  ['deleting a user', 'DELETE', ({ person }) => `/api/v1/users/${person.userId}`, ['session', 'personalKey', ...APP]],
  [
    'an expiry that has passed',
    'PATCH',
    ({ person }) => `/api/v1/users/${person.userId}`,
    ['session', 'personalKey', ...APP],
    { expires_at: '2020-01-01T00:00:00Z' },
  ],
  [
    'removing a user from the team',
    'PATCH',
    ({ person }) => `/api/v1/users/${person.userId}`,
    ['personalKey', ...APP],
    { team_roles: [] },
  ],
  [
    'deleting a team',
    'DELETE',
    ({ person }) => `/api/v1/teams/${person.teamId}`,
    ['personalKey', 'teamKey', ...APP, ...CLIENT],
  ],
  ['disabling an app', 'POST', ({ app }) => `/api/v1/oauth2/apps/${app.id}:disable`, APP],
  ['deleting an app', 'DELETE', ({ app }) => `/api/v1/oauth2/apps/${app.id}`, APP],
  ['disabling a client', 'POST', ({ client }) => `/api/v1/oauth2/clients/${client.id}:disable`, CLIENT],
  ['deleting a client', 'DELETE', ({ client }) => `/api/v1/oauth2/clients/${client.id}`, CLIENT],
  ['revoking a team key', 'POST', ({ team }) => `/api/preview/teamkeys/${team.key.id}:revoke`, ['teamKey']],
  ['deleting a team key', 'DELETE', ({ team }) => `/api/preview/teamkeys/${team.key.id}`, ['teamKey']],
  ['revoking a personal key', 'POST', ({ personal }) => `/api/v1/apikeys/${personal.key.id}:revoke`, ['personalKey']],
  ['deleting a personal key', 'DELETE', ({ personal }) => `/api/v1/apikeys/${personal.key.id}`, ['personalKey']],
];

test.each(CHANGES.map(([what, ...rest]) => [what, rest] as const))(
  '%s ends what hangs on it and nothing else',
  async (_what, rest) => {
    const [method, path, ends, body] = rest;
    const situation = await makeSituation();
    const changed = await call({ as: root, method, path: path(situation), ...(body && { body }) });
    expect([changed.status, changed.text]).toEqual([200, expect.any(String)]);
    const alive = ALL.filter((one) => !ends.includes(one));
    // What this instance remembered it has forgotten as soon as it has heard of the change, well within a second.
    await here.domain.notifications.settle();
    const found = await usable(situation);
    expect(Object.keys(found).filter((one) => found[one])).toEqual(ALL.filter((one) => alive.includes(one)));
  },
);

test('a client secret that is ended opens nothing any more, and the one beside it goes on', async () => {
  const { client } = await makeSituation();
  const path = `/api/v1/oauth2/clients/${client.id}`;
  const [old] = (await call({ as: root, path })).body.value.secrets as { id: string }[];
  const added = await call({ as: root, method: 'POST', path: `${path}/secrets`, body: {} });
  const next = { ...client, clientSecret: added.body.value.client_secret as string };
  expect([(await clientCredentials(here, client)).status, (await clientCredentials(here, next)).status]).toEqual([
    200, 200,
  ]);
  await call({ as: root, method: 'DELETE', path: `${path}/secrets/${old!.id}` });
  await here.domain.notifications.settle();
  expect([(await clientCredentials(here, client)).status, (await clientCredentials(here, next)).status]).toEqual([
    401, 200,
  ]);
});

test('a consent that is disconnected ends with its tokens, and the list no longer has it', async () => {
  const situation = await makeSituation();
  const { person, app } = situation;
  const own = await createApi(here).keyOf({ ...person }, Object.keys(PERMISSIONS));
  const path = '/api/v1/users/self/connected_apps';
  const before = await call({ as: own, path });
  expect(before.body.values).toMatchObject([{ client_id: app.clientId, team_id: person.teamId }]);
  expect((await call({ as: own, method: 'DELETE', path: `${path}/${app.clientId}` })).status).toBe(200);
  expect((await call({ as: own, path })).body.values).toEqual([]);
  await here.domain.notifications.settle();
  const found = await usable(situation);
  expect(ALL.filter((one) => !found[one])).toEqual(APP.toSorted((a, b) => ALL.indexOf(a) - ALL.indexOf(b)));
});
