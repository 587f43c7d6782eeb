/** What a user connected, looked at and ended over HTTP. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, createApi } from '../../support/api.ts';
import { createBrowser } from '../../support/browser.ts';
import {
  authorize,
  createPerson,
  createTestApp,
  introspect,
  redeemCode,
  refresh,
  type TokenClient,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/api/v1/users/self/connected_apps';
const SCOPE = { scope: 'openid offline_access providers:read' };

let server: TestServer;
let api: Api;
let app: TokenClient;
let person: { userId: string; email: string; teamId: string };
let key: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post', name: 'Reports' });
}, 30_000);
beforeEach(async () => {
  person = await createPerson(server);
  key = await api.keyOf(person);
});
afterAll(() => server?.close());

/** The person lets the app in; its tokens. */
async function connect(changes: { params?: Record<string, string>; teamId?: string; client?: TokenClient } = {}) {
  const { params = SCOPE, teamId = person.teamId, client = app } = changes;
  const consent = { params: { ...params, prompt: 'consent' }, teamId, email: person.email, clientId: client.clientId };
  const { code, pkce } = await authorize(server, { ...consent, browser: createBrowser() });
  const { body } = await redeemCode(server, client, code, pkce);
  return { access: body.access_token as string, refreshToken: body.refresh_token as string };
}

async function list(as = key, query = '') {
  await server.domain.lastUsed.flush();
  const { status, body } = await api.call({ as, path: `${PATH}${query}` });
  expect(status).toBe(200);
  return body.values;
}

const disconnect = (as = key, query = '', clientId = app.clientId) =>
  api.call({ as, method: 'DELETE', path: `${PATH}/${clientId}${query}` });

describe('looking', () => {
  test('several consents to one app are one, with all of their scopes', async () => {
    expect(await list()).toEqual([]);
    await connect();
    await connect({ params: { scope: 'openid email' } });
    const logo = 'https://app.example.com/logo.png';
    await server.db.query('UPDATE oauth_apps SET logo_url = $2 WHERE client_id = $1', [app.clientId, logo]);
    const [one, ...more] = await list();
    expect(more).toEqual([]);
    expect(one).toEqual({
      client_id: app.clientId,
      name: 'Reports',
      logo_url: logo,
      team_id: person.teamId,
      team_name: expect.stringMatching(/^Team /),
      scopes: expect.any(Array),
      created_at: expect.stringMatching(/Z$/),
      last_used_at: expect.stringMatching(/Z$/),
      expires_at: expect.stringMatching(/Z$/),
    });
    expect(one.scopes.toSorted()).toEqual(['email', 'offline_access', 'openid', 'providers:read']);
    expect(one.last_used_at > one.created_at && one.expires_at > one.last_used_at).toBe(true);
  });

  test('it is there without a live token, until the consent expires', async () => {
    await connect();
    await server.db.query('DELETE FROM oidc_payloads WHERE grant_id IS NOT NULL');
    expect(await list()).toHaveLength(1);
    await server.db.query(`UPDATE grants SET expires_at = now() WHERE user_id = $1`, [person.userId]);
    expect(await list()).toEqual([]);
    expect((await disconnect()).status).toBe(404);
  });

  test('redeeming, refreshing and using a token are its last use, each later than the one before', async () => {
    const pause = () => new Promise((resolve) => setTimeout(resolve, 3));
    const { access, refreshToken } = await connect();
    const used = [(await list())[0].last_used_at];
    await pause();
    await refresh(server, app, refreshToken);
    used.push((await list())[0].last_used_at);
    await pause();
    expect((await api.call({ as: access, path: '/api/v1/providers' })).status).toBe(200);
    used.push((await list())[0].last_used_at);
    expect(used).not.toContain(null);
    expect(used).toEqual([...new Set(used)].toSorted());
    const { rows } = await server.db.query<{ at: Date }>('SELECT last_refresh_at AS at FROM users WHERE id = $1', [
      person.userId,
    ]);
    // Of the user it was the refresh: after the first use, and before the last.
    const refreshed = rows[0]!.at.toISOString();
    expect([refreshed > used[0], refreshed < used[2]]).toEqual([true, true]);
  });

  test('a code that is redeemed is no refresh of its user', async () => {
    await connect();
    await server.domain.lastUsed.flush();
    const { rows } = await server.db.query('SELECT last_refresh_at AS at FROM users WHERE id = $1', [person.userId]);
    expect(rows).toEqual([{ at: null }]);
  });

  test('pages, filters and what they may not be', async () => {
    const others = [await createTestApp(server), await createTestApp(server)];
    const teamId = await api.team();
    await member(teamId);
    const root = await everywhere();
    for (const client of [app, ...others]) await connect({ client });
    await connect({ teamId });
    const whole = await list(root);
    expect(whole).toHaveLength(4);
    const first = await api.call({ as: root, path: `${PATH}?page_size=3` });
    expect(first.body.values).toEqual(whole.slice(0, 3));
    const token = encodeURIComponent(first.body.next_page_token);
    expect((await api.call({ as: root, path: `${PATH}?page_size=3&page_token=${token}` })).body.values).toEqual(
      whole.slice(3),
    );
    expect(await list(root, `?filter=team_id%20eq%20%22${teamId}%22`)).toEqual([whole[3]]);
    expect(await list(root, `?filter=client_id%20eq%20%22${others[0]!.clientId}%22`)).toEqual([whole[1]]);
    expect((await api.call({ as: root, path: `${PATH}?order_by=name` })).status).toBe(400);
  });
});

/** Makes the person a member of another team. */
function member(teamId: string) {
  return server.domain.memberships.setRoles(
    { userId: person.userId, teamId, roles: [ROLE_IDS.Admin] },
    { kind: 'operator', id: 'test' },
  );
}

/** A key with which the person reaches every team they are in. */
async function everywhere(): Promise<string> {
  await member(ROOT_TEAM_ID);
  return api.keyOf({ ...person, teamId: ROOT_TEAM_ID });
}

describe('disconnecting', () => {
  test('ends the consents, and at once every token and code that came of them', async () => {
    const [one, two] = [await connect(), await connect()];
    expect((await api.call({ as: one.access, path: '/api/v1/providers' })).status).toBe(200);
    expect(await disconnect()).toMatchObject({ status: 200, body: { ended_grants: 2 } });
    for (const { access, refreshToken } of [one, two]) {
      expect((await api.call({ as: access, path: '/api/v1/providers' })).status).toBe(401);
      expect((await introspect(server, app, access)).body).toEqual({ active: false });
      expect((await refresh(server, app, refreshToken)).body.error).toBe('invalid_grant');
    }
    expect(await list()).toEqual([]);
    const left = 'SELECT count(*)::int AS count FROM oidc_payloads WHERE user_id = $1 AND grant_id IS NOT NULL';
    expect((await server.db.query(left, [person.userId])).rows).toEqual([{ count: 0 }]);
    expect((await disconnect()).status).toBe(404);
    expect((await list()).length).toBe(0);
  });

  test("row 110: ends what is the own user's, in the team the caller acts in", async () => {
    const teamId = await api.team();
    await member(teamId);
    const here = await connect();
    const there = await connect({ teamId });
    const stranger = await api.key('Admin');
    expect((await disconnect(stranger)).status).toBe(404);
    expect((await disconnect(key, `?team_id=${teamId}`)).status).toBe(404);
    const colleague = await api.key('Admin', person.teamId);
    expect((await disconnect(colleague)).status).toBe(404);
    expect(await list(colleague)).toEqual([]);
    expect((await list()).map((one: { team_id: string }) => one.team_id)).toEqual([person.teamId]);
    expect((await disconnect()).body).toEqual({ ended_grants: 1 });
    expect((await api.call({ as: here.access, path: '/api/v1/providers' })).status).toBe(401);
    expect((await api.call({ as: there.access, path: '/api/v1/providers' })).status).toBe(200);
  });

  test('from the root team it ends one team, or all', async () => {
    const teamId = await api.team();
    await member(teamId);
    const root = await everywhere();
    await connect();
    await connect({ teamId });
    expect((await disconnect(root, `?team_id=${teamId}`)).body).toEqual({ ended_grants: 1 });
    expect((await list(root)).map((one: { team_id: string }) => one.team_id)).toEqual([person.teamId]);
    await connect({ teamId });
    expect((await disconnect(root)).body).toEqual({ ended_grants: 2 });
  });

  test('there is nothing to end by a name that is none', async () => {
    await connect();
    for (const clientId of ['nobody', `app_${'x'.repeat(22)}`, '%00', randomUUID()]) {
      expect([clientId, (await disconnect(key, '', clientId)).status]).toEqual([clientId, 404]);
    }
    expect((await disconnect(key, '?team_id=x')).status).toBe(400);
    expect(await list()).toHaveLength(1);
  });

  test('a team key has no user behind it, and a viewer may end only with the permission', async () => {
    const team = await api.call({
      as: key,
      path: '/api/preview/teamkeys',
      body: { name: 'Push', team_id: person.teamId },
    });
    expect((await api.call({ as: team.body.value.access_key, path: PATH })).status).toBe(403);
    const reads = await api.keyOf(person, ['connectedapps:read']);
    await connect();
    expect(await list(reads)).toHaveLength(1);
    expect((await disconnect(reads)).status).toBe(403);
  });
});
