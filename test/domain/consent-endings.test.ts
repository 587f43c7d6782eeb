import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createConnectedApps } from '../../src/domain/connected-apps.ts';
import { digestOf } from '../../src/domain/secret-text.ts';
import { createSessions } from '../../src/domain/sessions.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

let all: Credentials;
let connected: ReturnType<typeof createConnectedApps>;
let sessions: ReturnType<typeof createSessions>;
beforeAll(async () => {
  all = await openCredentials();
  connected = createConnectedApps(all);
  const current = async () => ({ session_lifetime_seconds: 86_400, session_idle_seconds: 86_400 });
  sessions = createSessions({ ...all, settings: { current } as Parameters<typeof createSessions>[0]['settings'] });
});
afterAll(() => all.close());

/** A user with sessions and consents, which are in the table in the opposite order of their ids. */
async function prepare() {
  const team = await all.makeTeam();
  const user = await all.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] });
  const { app } = await all.apps.create(
    { name: 'Reports', baseUrl: 'https://app.example.com', redirectUris: ['https://app.example.com/cb'] },
    TESTER,
  );
  const grants = Array.from({ length: 3 }, () => randomUUID()).toSorted();
  for (const id of grants.toReversed()) {
    await all.db.query(
      `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
       VALUES ($1, $2, $3, $4, '{}', now() + interval '1 day')`,
      [id, user.id, team.id, app.clientId],
    );
    await all.db.query(
      `INSERT INTO oidc_payloads (model, id, grant_id, user_id, payload, expires_at)
       VALUES ('RefreshToken', $1, $2, $3, '', now() + interval '1 day')`,
      [randomBytes(32), id, user.id],
    );
  }
  const uids = ['first', 'second'].map((name) => `${name} of ${user.id}`);
  const ids = [randomUUID(), randomUUID()].toSorted();
  for (const [place, uid] of uids.entries()) {
    await all.db.query(
      `INSERT INTO sessions (id, uid, user_id, logged_in_at, last_used_at, expires_at, grant_ids)
       VALUES ($1, $2, $3, now(), now(), now() + interval '1 day', $4)`,
      [ids[1 - place], digestOf(uid), user.id, grants.toReversed()],
    );
  }
  return { user, team, app, grants, sessionIds: ids, current: 'another session' };
}

type Prepared = Awaited<ReturnType<typeof prepare>>;

const WAYS: Record<string, (prepared: Prepared) => Promise<unknown>> = {
  'a user who disconnects the app': ({ app, user }) => connected.disconnect(app.clientId, { userId: user.id }, TESTER),
  'the end of a session': ({ sessionIds, user }) => sessions.end(sessionIds[0]!, { userId: user.id }, TESTER),
  'the end of all other sessions': ({ user, current }) => sessions.endOthers({ userId: user.id, current }, TESTER),
  'an app that is disabled': ({ app }) => all.apps.disable(app.id, TESTER),
  'an app that is deleted': ({ app }) => all.apps.delete(app.id, TESTER),
  'a new password': ({ user }) => all.users.setPassword(user.id, 'correct horse battery staple', TESTER),
  'a user who leaves the team': ({ user, team }) =>
    all.memberships.remove({ userId: user.id, teamId: team.id }, TESTER),
  'a user who is deleted': ({ user }) => all.users.delete(user.id, TESTER),
  'a team that is deleted': ({ team }) => all.teams.delete(team.id, TESTER),
};

/** How many rows of a table nobody has locked, while `way` waits for somebody who holds one row. */
async function freeWhileWaiting(
  held: { table: string; id: string },
  counted: string,
  way: () => Promise<unknown>,
): Promise<number> {
  const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  let ended: Promise<unknown> | undefined;
  const free = await all.db.transaction(async (tx) => {
    await tx.query(`SELECT FROM ${held.table} WHERE id = $1 FOR UPDATE`, [held.id]);
    ended = way();
    ended.catch(() => {});
    expect(await soon(async () => (await all.db.query(waiting)).count > 0)).toBe(true);
    return (await tx.query(`${counted} FOR UPDATE SKIP LOCKED`)).count;
  });
  await ended;
  return free;
}

test.each(Object.entries(WAYS))(
  '%s ends consents from the lowest id on, and tokens after all of them',
  async (_, way) => {
    const prepared = await prepare();
    const [lowest, ...others] = prepared.grants;
    const quoted = prepared.grants.map((id) => `'${id}'`).join();
    const free = await freeWhileWaiting(
      { table: 'grants', id: lowest! },
      `SELECT FROM grants JOIN oidc_payloads AS token ON token.grant_id = grants.id WHERE grants.id IN (${quoted})`,
      () => way(prepared),
    );
    expect(free).toBe(others.length + 1);
    expect((await all.db.query(`SELECT FROM grants WHERE id IN (${quoted})`)).count).toBe(0);
  },
);

const OF_ALL_SESSIONS = ['the end of all other sessions', 'a new password', 'a user who is deleted'];
test.each(OF_ALL_SESSIONS)(
  '%s ends consents after the last of the sessions, and these from the lowest id on',
  async (name) => {
    for (const place of [0, 1]) {
      const prepared = await prepare();
      const { user, sessionIds } = prepared;
      const held = { table: 'sessions', id: sessionIds[place]! };
      const counted = `SELECT FROM grants WHERE user_id = '${user.id}'`;
      expect(await freeWhileWaiting(held, counted, () => WAYS[name]!(prepared))).toBe(3);
    }
    const prepared = await prepare();
    const [first, second] = prepared.sessionIds;
    const counted = `SELECT FROM sessions WHERE id = '${second}'`;
    expect(await freeWhileWaiting({ table: 'sessions', id: first! }, counted, () => WAYS[name]!(prepared))).toBe(1);
  },
);
