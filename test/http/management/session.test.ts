/** The console's session at the management API: the cookie in place of a credential, and what it takes to change something. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { formOn } from '../../support/browser.ts';
import { later } from '../../support/clock.ts';
import { authorize, createPerson, createTestApp, type Role } from '../../support/flows.ts';
import { type RawAnswer, type RawRequest, send } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

const KEYS = '/api/preview/teamkeys';

let server: TestServer;
let port: number;
let clientId: string;
let admin: LoggedIn;

beforeAll(async () => {
  server = await startTestServer();
  port = Number(new URL(server.origin).port);
  clientId = (await createTestApp(server)).clientId;
  admin = await logInNew();
}, 30_000);

afterAll(() => server?.close());

/** A person with a live session: `cookie` as the browser sends it, `proof` as our page's script does. */
type LoggedIn = Awaited<ReturnType<typeof logInNew>>;

async function logInNew({ role = 'Admin', teamId }: { role?: Role; teamId?: string } = {}) {
  const person = await createPerson(server, { role, ...(teamId && { teamId }) });
  return { ...person, ...(await logIn(person)) };
}

async function logIn(person: { email: string; teamId: string }) {
  const { browser } = await authorize(server, { ...person, clientId });
  const cookie = await browser.jar.getCookieString(server.origin);
  const { headers } = await get(cookie);
  const token = String(headers['x-csrf-token']);
  return { browser, cookie, token, proof: { origin: server.origin, 'x-csrf-token': token } };
}

type Headers = Record<string, string>;

function get(cookie: string, headers: Headers = {}, path = KEYS): Promise<RawAnswer> {
  return send(port, { path, headers: { cookie, ...headers } });
}

function write(request: Partial<RawRequest>, cookie: string, headers: Headers): Promise<RawAnswer> {
  const json = { 'content-type': 'application/json' };
  return send(port, { method: 'POST', path: KEYS, ...request, headers: { ...json, cookie, ...headers } });
}

function createKey({ teamId, cookie }: { teamId: string; cookie: string }, headers: Headers, name = randomUUID()) {
  return write({ body: JSON.stringify({ name, team_id: teamId }) }, cookie, headers);
}

/** Everything there is of keys, as text. */
async function allKeys(): Promise<string> {
  const { rows } = await server.db.query<{ all: string }>(
    `SELECT coalesce(string_agg(to_jsonb(k)::text, E'\\n' ORDER BY id), '') AS all FROM api_keys AS k`,
  );
  return rows[0]!.all;
}

async function locksWaitedFor(): Promise<number> {
  const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return (await server.db.query(waiting)).count;
}

describe('a session', () => {
  test('reads as the user who is logged in, for our own pages only', async () => {
    const { key } = await server.domain.apiKeys.createTeam({ teamId: admin.teamId, name: 'Push' }, OPERATOR);
    const answer = await get(admin.cookie, { origin: 'https://evil.example' });
    expect([answer.status, answer.body.values.map(({ id }: { id: string }) => id)]).toEqual([200, [key.id]]);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    const preflight = await send(port, {
      method: 'OPTIONS',
      path: KEYS,
      headers: { cookie: admin.cookie, origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    });
    expect(Object.keys(preflight.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    expect(preflight.status).toBeGreaterThanOrEqual(400);
  });

  test('changes something with the proof its reads come with, in the name of its user', async () => {
    const made = await createKey(admin, admin.proof);
    expect(made).toMatchObject({ status: 200, body: { value: { team_id: admin.teamId, created_by: admin.userId } } });
    const path = `${KEYS}/${made.body.value.id}`;
    const renamed = await write({ method: 'PATCH', path, body: '{"name":"Pull"}' }, admin.cookie, admin.proof);
    expect(renamed.body.value.name).toBe('Pull');
    expect((await write({ method: 'DELETE', path }, admin.cookie, admin.proof)).status).toBe(200);
    const events = (await server.auditEvents()).filter((event) => event.target_id === made.body.value.id);
    expect(events.map(({ action }) => action)).toEqual(['api_key.created', 'api_key.renamed', 'api_key.deleted']);
    for (const event of events) expect(event).toMatchObject({ actor_kind: 'user', actor_id: admin.userId });
  });

  test('of a browser that says Sec-Fetch-Site in place of Origin counts as well', async () => {
    const { 'x-csrf-token': token } = admin.proof;
    const from = (site: string) => createKey(admin, { 'x-csrf-token': token, 'sec-fetch-site': site });
    expect((await from('same-origin')).status).toBe(200);
    expect((await from('same-site')).status).toBe(403);
    expect((await from('cross-site')).status).toBe(403);
  });

  test('may do what its user may do, at that moment', async () => {
    const viewer = await logInNew({ role: 'Viewer' });
    expect((await createKey(viewer, viewer.proof)).body).toMatchObject({ code: 7 });
    const { userId, teamId } = viewer;
    await server.db.transaction((tx) =>
      server.domain.memberships.assign(tx, { userId, teamId, roles: [ROLE_IDS.Admin] }, OPERATOR),
    );
    await server.domain.notifications.settle();
    expect((await createKey(viewer, viewer.proof)).status).toBe(200);
  });

  test('row 101: is prolonged by being used here, with one write a minute', async () => {
    const person = await logInNew();
    await server.db.query(`CREATE SEQUENCE writes MINVALUE 0;
      CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''writes''); RETURN NULL; END';
      CREATE TRIGGER count_write AFTER UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION count_write()`);
    const seen = async () => {
      const { rows } = await server.db.query<{ at: Date; writes: number }>(
        'SELECT expires_at AS at, last_value::int + is_called::int AS writes FROM sessions, writes WHERE user_id = $1',
        [person.userId],
      );
      return rows[0]!;
    };
    const before = await seen();
    const answers = [await get(person.cookie), await createKey(person, person.proof)];
    expect(answers.map(({ headers }) => headers['set-cookie'])).toEqual([undefined, undefined]);
    expect([before.writes, await seen()]).toEqual([0, before]);
    await later(600, async () => {
      const { uses } = await server.db.transaction(async (tx) => {
        await tx.query('SELECT FROM sessions WHERE user_id = $1 FOR UPDATE', [person.userId]);
        const uses = [1, 2, 3].map(() => get(person.cookie));
        expect(await soon(async () => (await locksWaitedFor()) === uses.length)).toBe(true);
        return { uses };
      });
      expect((await Promise.all(uses)).map(({ status }) => status)).toEqual([200, 200, 200]);
      expect((await get(person.cookie)).status).toBe(200);
      const after = await seen();
      expect(after.writes).toBe(1);
      expect(after.at.getTime() - before.at.getTime()).toBeGreaterThanOrEqual(590_000);
    });
    await server.db.query('DROP TRIGGER count_write ON sessions');
  });
});

describe('row 113: a change asked for with a cookie', () => {
  test.each<[string, (headers: { origin: string; 'x-csrf-token': string }) => Promise<Headers> | Headers]>([
    ['without anything', () => ({})],
    ['without the token', ({ origin }) => ({ origin })],
    ['with an empty token', ({ origin }) => ({ origin, 'x-csrf-token': '' })],
    ["with another session's token", async ({ origin }) => ({ origin, 'x-csrf-token': (await logInNew()).token })],
    [
      'with a shortened token',
      ({ origin, ...rest }) => ({ origin, 'x-csrf-token': rest['x-csrf-token'].slice(0, -2) }),
    ],
    ['without an origin', ({ 'x-csrf-token': token }) => ({ 'x-csrf-token': token })],
    ['from another site', (proof) => ({ ...proof, origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' })],
    ['from another port', (proof) => ({ ...proof, origin: 'http://localhost:1' })],
    ['from an opaque origin', (proof) => ({ ...proof, origin: 'null' })],
  ])('%s is refused, whatever it asks for', async (_, headersFor) => {
    const { key } = await server.domain.apiKeys.createTeam({ teamId: admin.teamId, name: 'Stays' }, OPERATOR);
    const headers = await headersFor(admin.proof);
    const before = await allKeys();
    const path = `${KEYS}/${key.id}`;
    const answers = [
      await createKey(admin, headers),
      await write({ method: 'PATCH', path, body: '{"name":"Gone"}' }, admin.cookie, headers),
      await write({ method: 'DELETE', path }, admin.cookie, headers),
      await write({ path: `${path}:revoke` }, admin.cookie, headers),
    ];
    for (const { status, body, headers: sent } of answers) {
      expect([status, body.code, body.details, sent['x-csrf-token']]).toEqual([403, 7, [], undefined]);
    }
    expect(await allKeys()).toBe(before);
  });

  test.each([
    ['a form', 'application/x-www-form-urlencoded', (teamId: string) => `name=Planted&team_id=${teamId}`],
    ['JSON as text', 'text/plain', (teamId: string) => `{"name":"Planted","team_id":"${teamId}"}`],
    ['a multipart form', 'multipart/form-data; boundary=x', () => '--x--'],
  ])('as %s of another site is refused, and so it is from our own', async (_, type, bodyFor) => {
    const before = await allKeys();
    const body = bodyFor(admin.teamId);
    const foreign = { 'content-type': type, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    expect((await write({ body }, admin.cookie, foreign)).status).toBe(403);
    const own = await write({ body }, admin.cookie, { ...admin.proof, 'content-type': type });
    expect([400, 415]).toContain(own.status);
    expect(await allKeys()).toBe(before);
  });

  test('is on the audit trail once when it was refused', async () => {
    const { headers } = await createKey(admin, { origin: 'https://evil.example' });
    const events = (await server.auditEvents()).filter((event) => event.request_id === headers['x-request-id']);
    expect(events).toMatchObject([{ action: 'api_request.refused', actor_kind: 'user', actor_id: admin.userId }]);
  });
});

describe('next to a cookie', () => {
  test('an Authorization header counts alone', async () => {
    const { text } = await server.domain.apiKeys.createTeam({ teamId: admin.teamId, name: 'Both' }, OPERATOR);
    for (const authorization of ['Bearer nothing', 'Basic dXNlcjpwYXNz', '', `Bearer ${text.slice(0, -1)}`]) {
      const answer = await createKey(admin, { ...admin.proof, authorization });
      expect([authorization, answer.status]).toEqual([authorization, 401]);
    }
    // A team key sees providers and no keys, whoever's cookie comes with it.
    const withKey = { authorization: `Bearer ${text}` };
    const answer = await get(admin.cookie, withKey);
    expect([answer.status, answer.headers['x-csrf-token']]).toEqual([403, undefined]);
  });

  test.each<[string, string, Headers, number]>([
    ['an access token in the query', `${KEYS}?access_token=x`, {}, 400],
    ['a key in the query', `${KEYS}?api_key=x`, {}, 401],
    ['a key in a header of its own', KEYS, { 'x-api-key': 'x' }, 401],
  ])('%s is refused as it is alone', async (_, path, headers, status) => {
    const [alone, together] = [await get('', headers, path), await get(admin.cookie, headers, path)];
    expect([alone.status, together.status]).toEqual([status, status]);
    expect(together.body).toEqual(alone.body);
  });
});

describe('the team a session acts in', () => {
  const teamsOfKeys = async (cookie: string, headers: Headers = {}) => {
    const { status, body } = await get(cookie, headers);
    return status === 200
      ? [...new Set((body.values as { team_id: string }[]).map(({ team_id }) => team_id))].sort()
      : [status, body.code];
  };

  test('is the first by name of the user, or the one the request names', async () => {
    const { id: other } = await server.domain.teams.create({ name: `A team before ${randomUUID()}` }, OPERATOR);
    const person = await logInNew({ role: 'Viewer' });
    const { userId, cookie, teamId } = person;
    for (const team of [other, teamId]) {
      await server.domain.apiKeys.createTeam({ teamId: team, name: 'One' }, OPERATOR);
    }
    expect(await teamsOfKeys(cookie)).toEqual([teamId]);
    await server.db.transaction((tx) =>
      server.domain.memberships.assign(tx, { userId, teamId: other, roles: [ROLE_IDS.Viewer] }, OPERATOR),
    );
    await server.domain.notifications.settle();
    expect(await teamsOfKeys(cookie)).toEqual([other]);
    expect(await teamsOfKeys(cookie, { 'x-latchkey-team': teamId })).toEqual([teamId]);
    expect(await teamsOfKeys(cookie, { 'x-latchkey-team': other })).toEqual([other]);
  });

  test('is the root team for its members', async () => {
    const { id } = await server.domain.teams.create({ name: `A team before ${randomUUID()}` }, OPERATOR);
    const { userId, cookie, teamId } = await logInNew({ role: 'Viewer', teamId: id });
    await server.domain.apiKeys.createTeam({ teamId, name: 'One' }, OPERATOR);
    await server.db.transaction((tx) =>
      server.domain.memberships.assign(tx, { userId, teamId: ROOT_TEAM_ID, roles: [ROLE_IDS.Admin] }, OPERATOR),
    );
    await server.domain.notifications.settle();
    expect((await teamsOfKeys(cookie)).length).toBeGreaterThan(1);
    expect(await teamsOfKeys(cookie, { 'x-latchkey-team': teamId })).toEqual([teamId]);
    // The root team's reach is used from the root team, not by claiming to be in another.
    expect(await teamsOfKeys(cookie, { 'x-latchkey-team': admin.teamId })).toEqual([403, 7]);
  });

  test('is none the user is not a member of', async () => {
    const { cookie, proof, teamId } = await logInNew();
    for (const team of [admin.teamId, ROOT_TEAM_ID, randomUUID(), 'x', `${teamId}, ${admin.teamId}`]) {
      expect(await teamsOfKeys(cookie, { 'x-latchkey-team': team })).toEqual([403, 7]);
    }
    const before = await allKeys();
    const answer = await createKey({ teamId: admin.teamId, cookie }, { ...proof, 'x-latchkey-team': admin.teamId });
    expect(answer.status).toBe(403);
    expect(await allKeys()).toBe(before);
  });

  test('is none at all for a user without teams', async () => {
    const { userId, teamId, cookie } = await logInNew();
    await server.domain.memberships.remove({ userId, teamId }, OPERATOR);
    await server.domain.notifications.settle();
    expect(await teamsOfKeys(cookie)).toEqual([403, 7]);
  });
});

describe('no session', () => {
  /** What somebody who brings nothing is answered. */
  async function expectNobody(answer: RawAnswer): Promise<void> {
    const nobody = await get('');
    expect([answer.status, answer.body]).toEqual([401, nobody.body]);
    expect(answer.headers['www-authenticate']).toBe(nobody.headers['www-authenticate']);
    expect(answer.headers['x-csrf-token']).toBeUndefined();
  }

  test.each<[string, (cookie: string) => string]>([
    ['an empty cookie', () => 'latchkey_session='],
    ['a cookie without its signature', (cookie) => cookie.replace(/; latchkey_session\.sig=[^;]*/, '')],
    ['a signature of something else', (cookie) => cookie.replace(/latchkey_session=./, 'latchkey_session=_')],
    ['a made-up signature', (cookie) => cookie.replace(/(latchkey_session\.sig=)[^;]*/, `$1${'A'.repeat(27)}`)],
  ])('is %s', async (_, forge) => {
    const forged = forge(admin.cookie);
    expect(forged).not.toBe(admin.cookie);
    await expectNobody(await get(forged));
    await expectNobody(await createKey({ ...admin, cookie: forged }, admin.proof));
  });

  test('is what has ended by logging in again, by logging out, or in time', async () => {
    const { browser, cookie, ...person } = await logInNew();
    await authorize(server, { ...person, clientId, browser, params: { prompt: 'login' } });
    await expectNobody(await get(cookie));
    const again = await browser.jar.getCookieString(server.origin);
    expect((await get(again)).status).toBe(200);
    const form = formOn(await browser.get(`${server.origin}/oauth2/logout`), '/oauth2/logout/confirm');
    await browser.post(form.url, { ...form.fields, logout: 'yes' });
    await expectNobody(await get(again));
    const idle = server.config.lifetimes.sessionIdle;
    expect((await later(idle - 60, () => get(admin.cookie))).status).toBe(200);
    // That was a use, and another idle time begins.
    expect((await later(idle + 60, () => get(admin.cookie))).status).toBe(200);
    await later(idle * 2 + 61, async () => expectNobody(await get(admin.cookie)));
  });

  test.each([
    ['disabled', (userId: string) => server.domain.users.setEnabled(userId, false, OPERATOR)],
    ['deleted', (userId: string) => server.domain.users.delete(userId, OPERATOR)],
  ])('is left of a user who was %s, from the next request on', async (_, end) => {
    const person = await logInNew();
    await end(person.userId);
    await expectNobody(await get(person.cookie));
    await expectNobody(await createKey(person, person.proof));
  });

  test('is left of a user who was disabled past the domain, though the session itself is there', async () => {
    const person = await logInNew();
    await server.db.query('UPDATE users SET enabled = false WHERE id = $1', [person.userId]);
    await server.domain.notifications.settle();
    await expectNobody(await get(person.cookie));
  });
});
