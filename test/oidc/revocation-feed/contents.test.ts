/** Rows 39, 59, 81, 91, 93, 102: whatever takes a right away is in the feed when its answer comes, and nothing else is. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { deleteExpired } from '../../../src/storage/purge.ts';
import { type Api, createApi } from '../../support/api.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  postForm,
  redeemCode,
} from '../../support/flows.ts';
import { digestOf, readFeed } from '../../support/revocation-feed.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let api: Api;
let root: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
});
afterAll(() => server?.close());

const POST = { tokenEndpointAuthMethod: 'client_secret_post' };

/** A person with a connected app, a key for which a token was issued, and a client with a token; and the words of all of it. */
async function makeSituation(role: keyof typeof ROLE_IDS = 'Admin') {
  const person = await createPerson(server, { role });
  const { userId, teamId, email } = person;
  const app = await createTestApp(server, POST);
  const client = await createTestClient(server, teamId, POST);
  const { code, pkce } = await authorize(server, { email, teamId, clientId: app.clientId });
  const first = (await redeemCode(server, app, code, pkce)).body;
  const clientToken = (await clientCredentials(server, client)).body.access_token as string;
  const keys = {
    personal: (await server.domain.apiKeys.createPersonal({ userId, teamId, name: 'k' }, OPERATOR)).key.id,
    team: (await server.domain.apiKeys.createTeam({ teamId, name: 'k' }, OPERATOR)).key.id,
    withoutTokens: (await server.domain.apiKeys.createTeam({ teamId, name: 'k' }, OPERATOR)).key.id,
  };
  await server.db.query(`UPDATE api_keys SET tokens_until = now() + interval '5 minutes' WHERE id = ANY ($1)`, [
    [keys.personal, keys.team],
  ]);
  const words = {
    user: `user:${userId}`,
    member: `member:${userId}:${teamId}`,
    team: `team:${teamId}`,
    app: `client:${app.clientId}`,
    client: `client:${client.clientId}`,
    grant: `grant:${decodeJwt(first.access_token).grant_id}`,
    token: `token:${decodeJwt(first.access_token).jti}`,
    'client token': `token:${decodeJwt(clientToken).jti}`,
    'personal key': `key:${keys.personal}`,
    'team key': `key:${keys.team}`,
    'key without tokens': `key:${keys.withoutTokens}`,
  };
  return { person, app, client, clientToken, first, keys, words };
}

type Situation = Awaited<ReturnType<typeof makeSituation>>;

/** What came into the feed: `all`, or `earlier` for tokens from before now (and, for what was narrowed, a second more). */
async function newsOf({ words }: Situation, change: () => Promise<unknown>): Promise<Record<string, string>> {
  const nameOf = new Map(Object.entries(words).map(([name, word]) => [digestOf(word), name]));
  const before = (await readFeed(server)).payload.revocations;
  const start = Math.floor(Date.now() / 1000);
  await change();
  const { revocations } = (await readFeed(server)).payload;
  const end = Math.floor(Date.now() / 1000);
  const news = Object.entries(revocations).filter(([digest, until]) => before[digest] !== until);
  return Object.fromEntries(
    news.map(([digest, until]) => {
      const isNow = until >= start && until <= end + 1;
      return [nameOf.get(digest) ?? digest, until === 0 ? 'all' : isNow ? 'earlier' : String(until)];
    }),
  );
}

async function ask(method: string, path: string, body?: object): Promise<void> {
  const answer = await api.call({ as: root, method, path, ...(body && { body }) });
  expect([method, path, answer.status, answer.text]).toEqual([method, path, 200, expect.any(String)]);
}

const user = ({ person }: Situation) => `/api/v1/users/${person.userId}`;
const roleIn = (teamId: string, role: keyof typeof ROLE_IDS) => ({ team_id: teamId, role_id: ROLE_IDS[role] });
const app = ({ app: { id } }: Situation) => `/api/v1/oauth2/apps/${id}`;
const client = ({ client: { id } }: Situation) => `/api/v1/oauth2/clients/${id}`;
const teamKey = ({ keys }: Situation) => `/api/preview/teamkeys/${keys.team}`;
const revoke = (as: { clientId: string; clientSecret: string }, token: string) =>
  postForm(`${server.origin}/oauth2/revoke`, { client_id: as.clientId, client_secret: as.clientSecret, token });

const expireTokens = ({ keys }: Situation) =>
  server.db.query(`UPDATE api_keys SET tokens_until = now() - interval '1 second' WHERE id = $1`, [keys.team]);

type Change = [what: string, change: (one: Situation) => Promise<unknown>, news: Record<string, string>];

const CHANGES: Change[] = [
  ['a user who is disabled', (one) => ask('PATCH', user(one), { enabled: false }), { user: 'all' }],
  ['a user who is deleted', (one) => ask('DELETE', user(one)), { user: 'all' }],
  [
    'a user whose time is over',
    (one) => ask('PATCH', user(one), { expires_at: '2020-01-01T00:00:00Z' }),
    { user: 'all' },
  ],
  [
    'a user whose end comes soon',
    (one) => ask('PATCH', user(one), { expires_at: new Date(Date.now() + 60_000).toISOString() }),
    { user: 'earlier' },
  ],
  [
    'a user whose end comes after every token',
    (one) => ask('PATCH', user(one), { expires_at: new Date(Date.now() + 86_400_000).toISOString() }),
    {},
  ],
  ['a user who gets another name', (one) => ask('PATCH', user(one), { display_name: 'New' }), {}],
  [
    'a user who leaves the team',
    (one) => ask('PATCH', user(one), { team_roles: [] }),
    { grant: 'all', 'personal key': 'all' },
  ],
  [
    'a user who leaves the team after the consent expired, whose tokens may live on for a day',
    async (one) => {
      await server.db.query(`UPDATE grants SET expires_at = now() - interval '20 hours' WHERE id = $1`, [
        decodeJwt(one.first.access_token).grant_id,
      ]);
      expect(await deleteExpired(server.db, 'grants', 500)).toBe(0);
      await ask('PATCH', user(one), { team_roles: [] });
    },
    { grant: 'all', 'personal key': 'all' },
  ],
  [
    'a consent that expired so long ago that it is purged',
    async (one) => {
      await server.db.query(`UPDATE grants SET expires_at = now() - interval '26 hours' WHERE id = $1`, [
        decodeJwt(one.first.access_token).grant_id,
      ]);
      expect(await deleteExpired(server.db, 'grants', 500)).toBe(1);
    },
    {},
  ],
  [
    'a user with a smaller role',
    (one) => ask('PATCH', user(one), { team_roles: [roleIn(one.person.teamId, 'Viewer')] }),
    { member: 'earlier' },
  ],
  [
    'a user with one more role',
    (one) =>
      ask('PATCH', user(one), {
        team_roles: [roleIn(one.person.teamId, 'Admin'), roleIn(one.person.teamId, 'Viewer')],
      }),
    {},
  ],
  [
    'a user who loses a role in the root team',
    async (one) => {
      const own = roleIn(one.person.teamId, 'Admin');
      await ask('PATCH', user(one), { team_roles: [own, roleIn(ROOT_TEAM_ID, 'Viewer')] });
      await ask('PATCH', user(one), { team_roles: [own] });
    },
    { user: 'earlier' },
  ],
  [
    'a team that is deleted',
    (one) => ask('DELETE', `/api/v1/teams/${one.person.teamId}`),
    { team: 'all', client: 'all' },
  ],
  ['an app that is disabled', (one) => ask('POST', `${app(one)}:disable`), { app: 'all' }],
  ['an app that is deleted', (one) => ask('DELETE', app(one)), { app: 'all' }],
  [
    'an app that may ask for less',
    (one) => ask('PATCH', app(one), { allowed_scopes: ['openid', 'providers:read'] }),
    { app: 'earlier' },
  ],
  ['an app that gets another name', (one) => ask('PATCH', app(one), { name: 'New' }), {}],
  ['a client that is disabled', (one) => ask('POST', `${client(one)}:disable`), { client: 'all' }],
  ['a client that is deleted', (one) => ask('DELETE', client(one)), { client: 'all' }],
  [
    'a client that may do less',
    (one) => ask('PATCH', client(one), { allowed_scopes: ['providers:read'] }),
    { client: 'earlier' },
  ],
  [
    'a consent that is disconnected',
    async (one) => {
      const as = await api.keyOf(one.person);
      const path = `/api/v1/users/self/connected_apps/${one.app.clientId}`;
      expect((await api.call({ as, method: 'DELETE', path })).status).toBe(200);
    },
    { grant: 'all' },
  ],
  ['a refresh token', (one) => revoke(one.app, one.first.refresh_token), { grant: 'all' }],
  ['an access token', (one) => revoke(one.app, one.first.access_token), { token: 'all' }],
  ['the access token of a client', (one) => revoke(one.client, one.clientToken), { 'client token': 'all' }],
  ['a key for which there are tokens', (one) => ask('POST', `${teamKey(one)}:revoke`), { 'team key': 'all' }],
  ['a key that is deleted', (one) => ask('DELETE', teamKey(one)), { 'team key': 'all' }],
  [
    'a key whose tokens have just expired, while a clock may be late',
    async (one) => {
      await expireTokens(one);
      await ask('POST', `${teamKey(one)}:revoke`);
    },
    { 'team key': 'all' },
  ],
  [
    'one that is deleted then',
    async (one) => {
      await expireTokens(one);
      await ask('DELETE', teamKey(one));
    },
    { 'team key': 'all' },
  ],
  ['a key that is rotated', (one) => ask('POST', `${teamKey(one)}:rotate`, {}), { 'team key': 'earlier' }],
  [
    'a key that is rotated, whose former text outlives its tokens',
    (one) => ask('POST', `${teamKey(one)}:rotate`, { overlap_seconds: 3600 }),
    {},
  ],
  ['a key that gets another name', (one) => ask('PATCH', teamKey(one), { name: 'New' }), {}],
  ['a key without tokens', (one) => ask('POST', `/api/preview/teamkeys/${one.keys.withoutTokens}:revoke`), {}],
];

test.each(CHANGES)('row 81: %s', async (_what, change, news) => {
  const situation = await makeSituation();
  expect(await newsOf(situation, () => change(situation))).toEqual(news);
});

const RETURNS: Change[] = [
  [
    'a user',
    async (one) => {
      await ask('PATCH', user(one), { enabled: false });
      await ask('PATCH', user(one), { enabled: true });
    },
    { user: 'earlier' },
  ],
  [
    'an app',
    async (one) => {
      await ask('POST', `${app(one)}:disable`);
      await ask('POST', `${app(one)}:enable`);
    },
    { app: 'earlier' },
  ],
  [
    'a client',
    async (one) => {
      await ask('POST', `${client(one)}:disable`);
      await ask('POST', `${client(one)}:enable`);
    },
    { client: 'earlier' },
  ],
  [
    'a key',
    async (one) => {
      await ask('POST', `${teamKey(one)}:revoke`);
      await ask('POST', `${teamKey(one)}:reinstate`);
    },
    { 'team key': 'earlier' },
  ],
  [
    'a key, after its tokens have expired,',
    async (one) => {
      await ask('POST', `${teamKey(one)}:revoke`);
      await expireTokens(one);
      await ask('POST', `${teamKey(one)}:reinstate`);
    },
    { 'team key': 'earlier' },
  ],
];

test.each(RETURNS)('%s that comes back leaves its former tokens dead', async (_what, change, news) => {
  const situation = await makeSituation();
  expect(await newsOf(situation, () => change(situation))).toEqual(news);
});

test('row 81: a role that permits less concerns whoever has it', async () => {
  const situation = await makeSituation('Operator');
  const { rows } = await server.db.query<{ permissions: string[] }>('SELECT permissions FROM roles WHERE id = $1', [
    ROLE_IDS.Operator,
  ]);
  const set = async (permissions: string[]) => {
    await server.db.query('UPDATE roles SET permissions = $2 WHERE id = $1', [ROLE_IDS.Operator, permissions]);
    await server.domain.notifications.settle();
  };
  expect(await newsOf(situation, () => set(['providers:read']))).toEqual({ member: 'earlier' });
  expect(await newsOf(situation, () => set(rows[0]!.permissions))).toEqual({});
});
