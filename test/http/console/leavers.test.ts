import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Browser, formOn, type Visit } from '../../support/browser.ts';
import { copiedFrom, fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { authorize, createPerson, createTestApp, redeemCode, refresh } from '../../support/flows.ts';
import { send } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
/** A root administrator, and the browser they are logged in with. */
let admin: Browser;
let adminId: string;
beforeAll(async () => {
  server = await startTestServer();
  const person = await createPerson(server, { teamId: ROOT_TEAM_ID });
  adminId = person.userId;
  admin = await logInAt(server, person);
});
afterAll(() => server.close());

const open = (path: string, browser = admin) => browser.get(`${server.origin}${path}`);
const press = (path: string, changes: Record<string, string | undefined> = {}, browser = admin) =>
  fillIn(server, browser, path, changes);

/** The API's answer to this credential. */
async function statusWith(credential: string): Promise<number> {
  const port = Number(new URL(server.origin).port);
  const { status } = await send(port, {
    path: '/api/v1/providers',
    headers: { authorization: `Bearer ${credential}` },
  });
  return status;
}

async function keyOf(person: { userId: string; teamId: string }, name: string, more: { scopes?: string[] } = {}) {
  return server.domain.apiKeys.createPersonal({ ...person, name, ...more }, OPERATOR);
}

/** A person with a key, a connected app that got tokens, and a browser they are logged in with. */
async function leaver({ teamId, role = 'Admin' }: { teamId?: string; role?: keyof typeof ROLE_IDS } = {}) {
  const person = await createPerson(server, { role, ...(teamId && { teamId }) });
  const key = await keyOf(person, 'Nightly import');
  const app = await createTestApp(server, { name: 'Their dashboards', tokenEndpointAuthMethod: 'client_secret_post' });
  const { code, pkce, browser } = await authorize(server, { ...person, clientId: app.clientId });
  const { body: tokens } = await redeemCode(server, app, code, pkce);
  return { person, key, app, browser, tokens };
}
type Leaver = Awaited<ReturnType<typeof leaver>>;

/** What of it is let in: key, access token, refresh token, session. */
async function live({ key, app, tokens, browser }: Leaver) {
  const renewed = await refresh(server, app, tokens.refresh_token);
  if (renewed.status === 200) tokens.refresh_token = renewed.body.refresh_token;
  return {
    key: (await statusWith(key.text)) === 200,
    token: (await statusWith(tokens.access_token)) === 200,
    refresh: renewed.status === 200,
    session: (await browser.get(`${server.origin}/console/team`)).status === 200,
  };
}
const ALL = { key: true, token: true, refresh: true, session: true };
const NONE = { key: false, token: false, refresh: false, session: false };

function numbers(page: Visit) {
  const words = wordsOf(page);
  const after = (title: string) => new RegExp(`${title}: ([^ ]+( than \\d+)?)`).exec(words)?.[1];
  return {
    keys: after('Personal keys that (?:stop|end)'),
    apps: after('Connected apps that are cut off'),
    sessions: after('Browser sessions that end'),
  };
}

describe('the page before somebody leaves lists exactly what then stops:', () => {
  test('row 102: deleting', async () => {
    const one = await leaver();
    const spare = await keyOf(one.person, 'Never used <b>');
    expect(await live(one)).toEqual(ALL);
    const page = await open(`/console/users/${one.person.userId}/delete`);
    expect(numbers(page)).toEqual({ keys: '2', apps: '1', sessions: '1' });
    const words = wordsOf(page);
    const { key } = one.key;
    expect(words).toContain(`Nightly import ${key.prefix}…${key.lastFour}`);
    expect(words).toContain('1 of them was used in the last 30 days');
    expect(words).toContain('Their dashboards');
    // The one in use comes first, whatever was made last.
    expect(words.indexOf('Nightly import')).toBeLessThan(words.indexOf('Never used <b>'));
    const after = await press(`/console/users/${one.person.userId}/delete`);
    expect([new URL(after.url).pathname, wordsOf(after)]).toEqual([
      '/console/users',
      expect.stringContaining('It is deleted.'),
    ]);
    expect(await live(one)).toEqual(NONE);
    expect(await statusWith(spare.text)).toBe(401);
  });

  test('row 102: disabling, which lets the keys come back and nothing else', async () => {
    const one = await leaver();
    const path = `/console/users/${one.person.userId}`;
    expect(await live(one)).toEqual(ALL);
    const page = await open(`${path}/disable`);
    expect(numbers(page)).toEqual({ keys: '1', apps: '1', sessions: '1' });
    expect(wordsOf(page)).toContain('Their personal keys are refused until you enable them again.');
    expect(wordsOf(await press(`${path}/disable`))).toContain('Disabled');
    expect(await live(one)).toEqual(NONE);
    expect(numbers(await open(`${path}/delete`))).toEqual({ keys: '1', apps: '0', sessions: '0' });
    expect(wordsOf(await fillIn(server, admin, path, {}, '/enable'))).toContain('Active');
    expect(await live(one)).toEqual({ ...NONE, key: true });
  });

  test('not a session that the session lifetimes have ended', async () => {
    const { person } = await leaver();
    const path = `/console/users/${person.userId}`;
    await server.db.query(`UPDATE sessions SET last_used_at = now() - interval '1 year' WHERE user_id = $1`, [
      person.userId,
    ]);
    expect(await server.domain.sessions.list({ userId: person.userId }, { limit: 1 })).toEqual([]);
    expect(numbers(await open(`${path}/delete`)).sessions).toBe('0');
    expect(wordsOf(await open(path))).toContain('Browser sessions None');
  });

  test('leaving one of two teams', async () => {
    const one = await leaver();
    const { userId } = one.person;
    const other = await server.domain.teams.create({ name: `Second ${userId}` }, OPERATOR);
    await server.domain.memberships.setRoles({ userId, teamId: other.id, roles: ['Viewer'] }, OPERATOR);
    const stays = await keyOf({ userId, teamId: other.id }, 'Of the other team');
    const path = `/console/users/${userId}/teams/${one.person.teamId}/remove`;
    const page = await open(path);
    expect(numbers(page)).toEqual({ keys: '1', apps: '1', sessions: undefined });
    expect(wordsOf(page)).not.toContain('Of the other team');
    expect(wordsOf(page)).toContain('They lose the role Admin.');
    expect(wordsOf(await press(path))).toContain('It is removed.');
    expect(await live(one)).toEqual({ ...NONE, session: true });
    expect(await statusWith(stays.text)).toBe(200);
    expect((await open(path)).status).toBe(404);
  });

  test('leaving the root team takes from what keys may do in other teams, and the page says so', async () => {
    const person = await createPerson(server, { teamId: ROOT_TEAM_ID });
    const path = `/console/users/${person.userId}/teams/${ROOT_TEAM_ID}/remove`;
    expect(wordsOf(await open(path))).not.toContain('reach every team');
    const team = await server.domain.teams.create({ name: `Of ${person.userId}` }, OPERATOR);
    await server.domain.memberships.setRoles({ ...person, teamId: team.id, roles: ['oaa_push'] }, OPERATOR);
    expect(wordsOf(await open(path))).toContain('Roles of the root team reach every team');
  });

  test('what is over already is not counted: revoked and expired keys', async () => {
    const one = await createPerson(server);
    const { key } = await keyOf(one, 'Revoked');
    await server.domain.apiKeys.revoke(key.id, {}, OPERATOR);
    const expired = await keyOf(one, 'Expired');
    await server.db.query("UPDATE api_keys SET expires_at = now() - interval '1 hour' WHERE id = $1", [expired.key.id]);
    const page = await open(`/console/users/${one.userId}/delete`);
    expect(numbers(page)).toEqual({ keys: '0', apps: '0', sessions: '0' });
    expect(wordsOf(page)).not.toMatch(/Revoked|Expired/);
  });

  test('of very many keys the fifty used last, on a page that stays small', async () => {
    const one = await createPerson(server);
    await server.db.query(
      `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id, user_id, created_at, last_access_at)
       SELECT 'personal', sha256(($1::text || n)::bytea), 'lkp_many', 'abcd', rpad('Key number ' || n, 255, '…'), $2, $1::uuid,
         now() - interval '1 year', now() - n * interval '1 day' FROM generate_series(1, 150) AS n`,
      [one.userId, one.teamId],
    );
    const page = await open(`/console/users/${one.userId}/disable`);
    expect(numbers(page).keys).toBe('more than 50');
    expect(page.text.match(/Key number \d+/g)).toEqual(Array.from({ length: 50 }, (_, n) => `Key number ${n + 1}`));
    expect(wordsOf(page)).toContain('The others stop with them.');
    expect(page.text.length).toBeLessThan(100_000);
  });
});

test('what goes on is listed: team keys, clients and apps they made and nobody switched off', async () => {
  const maker = await createPerson(server, { teamId: ROOT_TEAM_ID });
  const { teamId } = await createPerson(server);
  const actor = { kind: 'user', id: maker.userId } as const;
  const { domain } = server;
  const made = await domain.apiKeys.createTeam({ teamId, name: 'Made team key' }, actor);
  await domain.oauthClients.create({ teamId, name: 'Made client', allowedScopes: ['providers:read'] }, actor);
  const revoked = await domain.apiKeys.createTeam({ teamId, name: 'Made and revoked' }, actor);
  await domain.apiKeys.revoke(revoked.key.id, {}, OPERATOR);
  await domain.oauthApps.create(
    { name: 'Made app', baseUrl: 'https://a.example.com', redirectUris: ['https://a.example.com/cb'] },
    actor,
  );
  const words = wordsOf(await open(`/console/users/${maker.userId}/delete`));
  expect(words).toContain('What goes on: 3');
  for (const name of ['Made team key', 'Made client', 'Made app']) expect(words).toContain(name);
  expect(words).not.toContain('Made and revoked');
  await press(`/console/users/${maker.userId}/delete`);
  expect(await statusWith(made.text)).toBe(200);
});

describe('handing a key over', () => {
  const handOver = (person: { userId: string }, key: { id: string }, from = 'delete') =>
    `/console/users/${person.userId}/hand-over/${key.id}?from=${from}`;

  test('to a team key: the new one works at once, the old one until its owner is deleted', async () => {
    const one = await createPerson(server);
    const old = await keyOf(one, 'Import', { scopes: ['providers:read', 'providers:write'] });
    const preview = await open(`/console/users/${one.userId}/delete`);
    expect(wordsOf(preview)).toContain('Nothing yet');
    const shown = await press(handOver(one, old.key));
    const { 'API key': text } = copiedFrom(shown);
    expect(text).toMatch(/^lkt_/);
    expect(await statusWith(text!)).toBe(200);
    expect(await statusWith(old.text)).toBe(200);
    const [event] = (await server.auditEvents()).filter(
      ({ target_id, action }) => target_id === old.key.id && action === 'api_key.handed_over',
    );
    const made = (await server.domain.apiKeys.list({ kind: 'team', teamId: one.teamId }))[0]!;
    expect(event).toMatchObject({
      actor_id: adminId,
      team_id: one.teamId,
      details: { to_kind: 'team_key', to_id: made.id, to_name: 'Import', user_id: one.userId },
    });
    expect(JSON.stringify(event)).not.toContain(text!);
    expect(wordsOf(await open(`/console/users/${one.userId}/delete`))).toContain('Team key Import (in use)');
    await press(`/console/users/${one.userId}/delete`);
    expect([await statusWith(text!), await statusWith(old.text)]).toEqual([200, 401]);
  });

  test('to a client with the scopes of the key, and with no other', async () => {
    const one = await createPerson(server);
    const old = await keyOf(one, 'Watcher', { scopes: ['providers:read', 'teams:read', 'users:read'] });
    const page = await open(handOver(one, old.key));
    expect(wordsOf(page)).toContain('This key may do more than a team key ever can: teams:read, users:read.');
    // Which is why a client is offered first.
    const shown = await fillIn(server, admin, page, { 'scopes:users:read': undefined });
    const copied = copiedFrom(shown);
    const basic = Buffer.from(`${copied['Client ID']}:${copied['Client secret']}`).toString('base64');
    const response = await fetch(`${server.origin}/oauth2/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
      headers: { authorization: `Basic ${basic}` },
    });
    const token = (await response.json()) as { access_token: string; scope: string };
    expect([response.status, token.scope]).toEqual([200, 'providers:read teams:read']);
    expect([await statusWith(token.access_token), await statusWith(old.text)]).toEqual([200, 200]);
    expect(wordsOf(await open(`/console/users/${one.userId}/delete`))).toContain('Client Watcher');
    await press(`/console/users/${one.userId}/delete`);
    expect([await statusWith(token.access_token), await statusWith(old.text)]).toEqual([200, 401]);
  });

  test('a key without scopes is offered as a client with what a client can do in that team, and no more', async () => {
    const one = await createPerson(server);
    const page = await open(handOver(one, (await keyOf(one, 'Everything')).key));
    const { fields } = formOn(page, new URL(page.url).pathname);
    const words = Object.keys(fields).flatMap((name) => (name.startsWith('scopes:') ? [name.slice(7)] : []));
    expect(words).toEqual(expect.arrayContaining(['providers:read', 'providers:write', 'teams:read', 'audit:read']));
    // Its owner's own things, what only the root team has, and what only scopes can name.
    for (const word of ['connectedapps:read', 'apikeys:read', 'settings:write', 'oauth2apps:read', 'users:write']) {
      expect(words).not.toContain(word);
    }
    expect(wordsOf(page)).toContain('What belongs to a person nothing else can do: apikeys:read, connectedapps:read');
    expect((await fillIn(server, admin, page)).status).toBe(200);
  });

  test('from the page of the key, and back to it', async () => {
    const one = await createPerson(server);
    const old = await keyOf(one, 'From its page');
    const keyPage = `/console/api-keys/personal/${old.key.id}`;
    const form = handOver(one, old.key, '').replace('?from=', '');
    expect((await open(keyPage)).text).toContain(`href="${form}"`);
    const asked = await open(form);
    expect(wordsOf(asked)).toMatch(/^← From its page/);
    const shown = await fillIn(server, admin, asked, { kind: 'team_key' });
    expect(copiedFrom(shown)['API key']).toMatch(/^lkt_/);
    expect(shown.text).toContain(`href="${keyPage}"`);
    await server.domain.apiKeys.revoke(old.key.id, {}, OPERATOR);
    expect((await open(keyPage)).text).not.toContain('hand-over');
    const viewer = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID, role: 'Viewer' }));
    expect((await open(keyPage, viewer)).text).not.toContain('hand-over');
  });

  test('a form sent twice makes one credential', async () => {
    const one = await createPerson(server);
    const old = await keyOf(one, 'Twice', { scopes: ['providers:read'] });
    const page = await open(handOver(one, old.key));
    const first = await fillIn(server, admin, page, { kind: 'team_key' });
    expect(Object.keys(copiedFrom(first))).toContain('API key');
    const second = await fillIn(server, admin, page, { kind: 'team_key' });
    expect(wordsOf(second)).toContain('This was done already');
    expect(await server.domain.apiKeys.list({ kind: 'team', teamId: one.teamId })).toHaveLength(1);
  });

  test('row 112: scopes the key has not are refused at the field, whatever the form says', async () => {
    const one = await createPerson(server);
    const old = await keyOf(one, 'Narrow', { scopes: ['providers:read'] });
    const path = handOver(one, old.key);
    const client = { kind: 'oauth2_client' };
    const more = await press(path, { ...client, 'scopes:users:write': 'on' });
    expect([more.status, wordsOf(more)]).toEqual([
      422,
      expect.stringContaining('more than the key could hand over: users:write'),
    ]);
    const none = await press(path, { ...client, 'scopes:providers:read': undefined });
    expect([none.status, wordsOf(none)]).toEqual([
      422,
      expect.stringContaining('Scopes of the client name at least one'),
    ]);
    const past = await press(path, { kind: 'team_key', expires_at: 'day', expires_on: '2001-01-01' });
    expect([past.status, wordsOf(past)]).toEqual([
      422,
      expect.stringContaining('Team key: its last day must not be over'),
    ]);
    expect((await press(path, { kind: 'anything' })).status).toBe(422);
    expect(await server.domain.apiKeys.list({ kind: 'team', teamId: one.teamId })).toEqual([]);
  });

  test('what opens nothing any more is not handed over', async () => {
    const one = await createPerson(server);
    const old = await keyOf(one, 'Old', { scopes: ['providers:read'] });
    await server.domain.apiKeys.revoke(old.key.id, {}, OPERATOR);
    const answer = await press(handOver(one, old.key));
    expect([answer.status, wordsOf(answer)]).toEqual([400, expect.stringContaining('opens nothing any more')]);
  });

  test('row 110: somebody else’s key, a team key and a key that is none are not found', async () => {
    const [one, other] = [await createPerson(server), await createPerson(server)];
    const theirs = await keyOf(other, 'Theirs');
    const team = await server.domain.apiKeys.createTeam({ teamId: one.teamId, name: 'Team' }, OPERATOR);
    for (const id of [theirs.key.id, team.key.id, crypto.randomUUID(), 'x']) {
      expect((await open(handOver(one, { id }))).status).toBe(404);
    }
  });

  test('nobody makes what they could not make otherwise', async () => {
    const teamId = (await createPerson(server)).teamId;
    const { rows } = await server.db.query<{ id: string }>(
      `INSERT INTO roles (name, permissions) VALUES
         ('Helper', '{users:read,users:write,teamkeys:write,oauth2clients:write,apikeys:read}'),
         ('Doorkeeper', '{users:read,users:write}') RETURNING id`,
    );
    const [helper, doorkeeper] = await Promise.all(
      rows.map(async ({ id }) => {
        const person = await createPerson(server, { teamId });
        await server.domain.memberships.setRoles({ ...person, roles: [id] }, OPERATOR);
        return logInAt(server, person);
      }),
    );
    const one = await createPerson(server, { teamId });
    const old = await keyOf(one, 'Reader', { scopes: ['providers:read'] });
    const path = handOver(one, old.key, teamId);
    for (const kind of ['team_key', 'oauth2_client']) {
      const lacks = await press(path, { kind }, helper);
      expect([lacks.status, wordsOf(lacks)]).toEqual([
        403,
        expect.stringContaining('You cannot give what you may not do'),
      ]);
      const mayNot = await press(path, { kind }, doorkeeper);
      expect([mayNot.status, wordsOf(mayNot)]).toEqual([
        403,
        expect.stringMatching(/needs the permission (teamkeys|oauth2clients):write/),
      ]);
    }
    expect(await server.domain.apiKeys.list({ kind: 'team', teamId })).toEqual([]);
  });
});

describe('from within a team', () => {
  test('row 110: only the membership of that team can be ended, and only what is in it is shown', async () => {
    const boss = await createPerson(server);
    const browser = await logInAt(server, boss);
    const one = await createPerson(server, { teamId: boss.teamId, role: 'Operator' });
    const elsewhere = await createPerson(server);
    await server.domain.memberships.setRoles({ ...elsewhere, teamId: boss.teamId, roles: ['Viewer'] }, OPERATOR);
    await keyOf({ ...elsewhere }, 'Not for their eyes');
    const hidden = await open(`/console/users/${elsewhere.userId}/teams/${elsewhere.teamId}/remove`, browser);
    expect(hidden.status).toBe(404);
    const page = await open(`/console/users/${elsewhere.userId}/teams/${boss.teamId}/remove`, browser);
    expect([page.status, wordsOf(page)]).toEqual([200, expect.not.stringContaining('Not for their eyes')]);
    for (const way of ['disable', 'delete']) {
      expect((await open(`/console/users/${one.userId}/${way}`, browser)).status).toBe(403);
    }
    const mine = await createPerson(server);
    expect((await open(`/console/users/${mine.userId}/teams/${mine.teamId}/remove`, browser)).status).toBe(404);
    const { csrf, team } = formOn(page, new URL(page.url).pathname).fields;
    for (const person of [elsewhere, mine]) {
      const url = `${server.origin}/console/users/${person.userId}/teams/${person.teamId}/remove`;
      expect((await browser.post(url, { csrf: csrf!, team: team! })).status).toBe(404);
      expect(await server.domain.authority.isMember(person.userId, person.teamId)).toBe(true);
    }
    const key = await keyOf(one, 'Mine to end');
    const path = `/console/users/${one.userId}/teams/${boss.teamId}/remove`;
    const after = await press(path, {}, browser);
    expect(new URL(after.url).pathname).toBe('/console/users');
    expect(await statusWith(key.text)).toBe(401);
  });

  test('row 113: a form of another session or origin ends nothing', async () => {
    const one = await leaver();
    const path = `/console/users/${one.person.userId}/delete`;
    const theirs = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
    const page = await open(path, theirs);
    const {
      csrf = '',
      version = '',
      team = '',
    } = Object.fromEntries(
      [...page.text.matchAll(/name="(csrf|version|team)" value="([^"]*)"/g)].map(([, name, value]) => [name!, value!]),
    );
    const url = `${server.origin}${path}`;
    expect((await admin.post(url, { csrf, version, team: team || ROOT_TEAM_ID })).status).toBe(403);
    expect((await admin.post(url, { version })).status).toBe(403);
    const origin = { origin: 'https://evil.example' };
    expect((await theirs.post(url, { csrf, version, team: ROOT_TEAM_ID }, origin)).status).toBe(403);
    expect(await live(one)).toEqual(ALL);
  });
});

test('the last root administrator stays, and the page says why', async () => {
  const alone = await startTestServer();
  try {
    const person = await createPerson(alone, { teamId: ROOT_TEAM_ID });
    const browser = await logInAt(alone, person);
    const path = `/console/users/${person.userId}`;
    const shown = await browser.get(`${alone.origin}${path}`);
    expect(wordsOf(shown)).toContain('Cannot be disabled or deleted');
    expect(shown.text).not.toMatch(/href="[^"]*\/(disable|delete)"/);
    for (const way of ['disable', 'delete', `teams/${ROOT_TEAM_ID}/remove`]) {
      const answer = await fillIn(alone, browser, `${path}/${way}`);
      expect([answer.status, wordsOf(answer)]).toEqual([
        400,
        expect.stringContaining('This is the last root administrator.'),
      ]);
    }
    expect(await alone.domain.users.find(person.userId)).toMatchObject({
      enabled: true,
      teamRoles: [{ roleName: 'Admin' }],
    });
  } finally {
    await alone.close();
  }
});

test('somebody who changed the user meanwhile is not overruled', async () => {
  const one = await createPerson(server);
  const path = `/console/users/${one.userId}/delete`;
  const page = await open(path);
  await server.domain.users.update(one.userId, { name: 'Renamed' }, {}, OPERATOR);
  const answer = await fillIn(server, admin, page);
  expect([answer.status, wordsOf(answer)]).toEqual([412, expect.stringContaining('It was changed since you read it.')]);
  expect((await fillIn(server, admin, answer)).status).toBe(200);
  expect(await server.domain.users.find(one.userId)).toBeUndefined();
});
