import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { createApi } from '../../support/api.ts';
import { type Browser, formOn, type Visit } from '../../support/browser.ts';
import { logInAt, wordsOf } from '../../support/console.ts';
import { clientCredentials, connect, createPerson, createTestClient, refresh } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/console/credentials';
const DAY = 24 * 3600 * 1000;

let server: TestServer;
let api: ReturnType<typeof createApi>;
let root: Browser;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
});
afterAll(() => server.close());

const open = (browser: Browser, query = '') => browser.get(`${server.origin}${PATH}${query}`);
const namesIn = ({ text }: Visit) =>
  [...text.matchAll(/data-label="Name">\s*(?:<a [^>]*>)?\s*<bdi>([^<]*)/g)].map(([, name]) => name!);

/** A team with an administrator at the console. */
async function teamWithAdmin() {
  const person = await createPerson(server);
  return { ...person, browser: await logInAt(server, person) };
}

type Kind = 'personal_key' | 'team_key' | 'oauth2_client' | 'oauth2_app';

/** Sends the form of the list with these rows chosen; what it asks then. */
function choose(browser: Browser, list: Visit, picks: readonly (readonly [Kind, string])[]): Promise<Visit> {
  const { url, fields } = formOn(list, `${PATH}/revoke`);
  const chosen = Object.fromEntries(picks.map(([kind, id]) => [`pick:${kind}.${id}`, 'on']));
  return browser.post(url, { ...fields, ...chosen });
}

/** Says yes to what it asks. */
function confirm(browser: Browser, asked: Visit, more: Record<string, string> = {}): Promise<Visit> {
  const { url, fields } = formOn(asked, `${PATH}/revoked`);
  return browser.post(url, { ...fields, ...more });
}

/** Names with what came of each. */
function resultsIn({ text }: Visit): Record<string, string> {
  const rows = [...text.matchAll(/<tr role="row">([\s\S]*?)<\/tr>/g)].map(([, row]) => wordsOf({ text: row! }));
  return Object.fromEntries(
    rows.flatMap((row) => {
      const [, name, outcome] = /^(\S+) .*?(Ended|Not permitted|Gone|Not done)/.exec(row) ?? [];
      return name === undefined ? [] : [[name, outcome!]];
    }),
  );
}

const personalKey = (userId: string, teamId: string, name: string) =>
  server.domain.apiKeys.createPersonal({ userId, teamId, name }, OPERATOR);
const teamKey = (teamId: string, name: string, expiresAt?: Date) =>
  server.domain.apiKeys.createTeam({ teamId, name, ...(expiresAt && { expiresAt }) }, OPERATOR);
const statusWith = async (as: string) => (await api.call({ as, path: '/api/v1/providers' })).status;
const grantOf = async (userId: string) =>
  (await server.db.query<{ id: string }>('SELECT id FROM grants WHERE user_id = $1', [userId])).rows[0]!.id;

describe('the list', () => {
  test('has every kind, and is narrowed by kind, status, last use and expiry', async () => {
    const { person } = await connect(server);
    const { userId, teamId } = person;
    const browser = await logInAt(server, person);
    await personalKey(userId, teamId, 'mine');
    const [old, idle] = [await teamKey(teamId, 'old-unused'), await teamKey(teamId, 'idle')];
    await teamKey(teamId, 'soon-over', new Date(Date.now() + 5 * DAY));
    await teamKey(teamId, 'later-over', new Date(Date.now() + 20 * DAY));
    await server.domain.apiKeys.revoke((await teamKey(teamId, 'revoked')).key.id, {}, OPERATOR);
    await createTestClient(server, teamId, { name: 'service' });
    const used = (id: string, age: number) =>
      server.db.query(
        `UPDATE api_keys SET created_at = now() - interval '400 days',
           last_access_at = now() - least(400, $2::int) * interval '1 day' WHERE id = $1`,
        [id, age],
      );
    await used(old.key.id, 400);
    await used(idle.key.id, 100);
    const named = async (query: string) => namesIn(await open(browser, query)).sort();
    const all = ['idle', 'later-over', 'mine', 'old-unused', 'revoked', 'service', 'soon-over'];
    expect(await named('')).toEqual(['Test app', ...all]);
    expect(await named('?kind=personal_key')).toEqual(['mine']);
    expect(await named('?kind=oauth2_app')).toEqual(['Test app']);
    expect(await named('?kind=oauth2_client')).toEqual(['service']);
    expect(await named('?status=inactive')).toEqual(['revoked']);
    expect(await named('?kind=team_key&status=active')).toEqual(['idle', 'later-over', 'old-unused', 'soon-over']);
    expect(await named('?use=never-30')).toEqual(['old-unused']);
    expect(await named('?use=never&kind=team_key')).toEqual(['later-over', 'old-unused', 'revoked', 'soon-over']);
    expect(await named('?use=unused-90')).toEqual(['idle']);
    expect(await named('?use=unused-180')).toEqual([]);
    expect(await named('?expires=7')).toEqual(['soon-over']);
    expect(await named('?expires=30')).toEqual(['later-over', 'soon-over']);
    expect(await named('?q=servi')).toEqual(['service']);
    expect(await named(`?q=${old.key.prefix}`)).toContain('old-unused');
  });

  test('goes on page by page, each once, and says what it is empty of', async () => {
    const { teamId, browser } = await teamWithAdmin();
    expect(wordsOf(await open(browser))).toContain('Nothing can act yet');
    await server.db.query(
      `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id)
       SELECT 'team', sha256(($1 || n)::bytea), 'lkt_abcd', 'wxyz', 'n' || n, $1::uuid FROM generate_series(1, 60) AS n`,
      [teamId],
    );
    const names: string[] = [];
    for (let next: string | undefined = PATH; next !== undefined; ) {
      const page = await browser.get(`${server.origin}${next}`);
      names.push(...namesIn(page));
      next = /href="([^"]*)" rel="next"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&');
    }
    expect(names).toHaveLength(60);
    expect(new Set(names).size).toBe(60);
  });

  test('row 110: has nothing of other teams, whatever the address says; the root team has all', async () => {
    const [mine, other] = [await teamWithAdmin(), await teamWithAdmin()];
    await teamKey(mine.teamId, 'ours');
    await teamKey(other.teamId, 'theirs');
    expect(namesIn(await open(mine.browser, `?team=${other.teamId}`))).toEqual(['ours']);
    expect(namesIn(await open(root, `?team=${other.teamId}`))).toEqual(['theirs']);
    expect(namesIn(await open(root))).toEqual(expect.arrayContaining(['ours', 'theirs']));
  });

  test('row 38: names are text', async () => {
    const { teamId, browser } = await teamWithAdmin();
    const name = '<img src=x onerror=alert(1)>"\'&=1+1 👩‍🚀';
    const { key } = await teamKey(teamId, name);
    const list = await open(browser);
    const asked = await choose(browser, list, [['team_key', key.id]]);
    const done = await confirm(browser, asked);
    for (const page of [list, asked, done]) {
      expect(page.text).not.toContain('<img src=x');
      expect(wordsOf(page)).toContain(name);
    }
  });
});

describe('revoking what is selected', () => {
  test('ends every kind at once, at the API too, after it was asked', async () => {
    const { person, app, tokens } = await connect(server);
    const { userId, teamId } = person;
    const browser = await logInAt(server, person);
    const own = await personalKey(userId, teamId, 'mine');
    const team = await teamKey(teamId, 'teams');
    const kept = await teamKey(teamId, 'kept');
    const client = await createTestClient(server, teamId, { name: 'service' });
    const picks = [
      ['personal_key', own.key.id],
      ['team_key', team.key.id],
      ['oauth2_client', client.id],
      ['oauth2_app', await grantOf(userId)],
    ] as const;
    const asked = await choose(browser, await open(browser), picks);
    expect(wordsOf(asked)).toContain('Revoke 4 credentials');
    expect(wordsOf(asked)).toContain('Apps are disconnected');
    expect(await Promise.all([own.text, team.text, tokens.access_token!].map(statusWith))).toEqual([200, 200, 200]);
    const done = await confirm(browser, asked);
    expect(done.status).toBe(200);
    expect(wordsOf(done)).toContain('All of them have ended');
    expect(await Promise.all([own.text, team.text, tokens.access_token!].map(statusWith))).toEqual([401, 401, 401]);
    expect(await statusWith(kept.text)).toBe(200);
    expect((await clientCredentials(server, client)).status).not.toBe(200);
    expect((await refresh(server, app, tokens.refresh_token!)).body.error).toBe('invalid_grant');
    const { domain } = server;
    await domain.audit.flush();
    const events = await domain.auditEvents.list(
      { teamId },
      { limit: 100, conditions: [{ field: 'actor_id', operator: 'eq', value: userId }] },
    );
    const actions = events.map(({ action }) => action);
    expect(actions.filter((one) => /revoked|disabled|ended/.test(one)).sort()).toEqual([
      ...['api_key.revoked', 'api_key.revoked', 'consent.ended', 'oauth_client.disabled'],
    ]);
  });

  test('leads to the app that acts for somebody else', async () => {
    const { person, app } = await connect(server);
    const { text } = await open(root, `?kind=oauth2_app&team=${person.teamId}`);
    expect(text).toContain(`href="/console/api-keys/apps/${app.clientId}"`);
  });

  test('a second consent to the same app in the team ends with the first, and is not told to be gone', async () => {
    const { person } = await connect(server);
    const browser = await logInAt(server, person);
    const first = await grantOf(person.userId);
    const second = randomUUID();
    await server.db.query(
      `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
       SELECT $2, user_id, team_id, client_id, payload, expires_at FROM grants WHERE id = $1`,
      [first, second],
    );
    const list = await open(browser, '?kind=oauth2_app');
    const done = await confirm(
      browser,
      await choose(browser, list, [
        ['oauth2_app', first],
        ['oauth2_app', second],
      ]),
    );
    expect(wordsOf(done)).toContain('All of them have ended');
    expect(namesIn(await open(browser, '?kind=oauth2_app'))).toEqual([]);
  });

  test("a team's administrator ends what is the team's and their own, not another user's key or consent", async () => {
    const { person, tokens } = await connect(server);
    const { teamId } = person;
    const boss = await createPerson(server, { teamId });
    const browser = await logInAt(server, boss);
    const theirs = await personalKey(person.userId, teamId, 'theirs');
    const own = await personalKey(boss.userId, teamId, 'own');
    const team = await teamKey(teamId, 'teams');
    const grant = await grantOf(person.userId);
    const asked = await choose(browser, await open(browser), [
      ['personal_key', theirs.key.id],
      ['oauth2_app', grant],
      ['personal_key', own.key.id],
      ['team_key', team.key.id],
    ]);
    expect(wordsOf(asked)).toContain('Revoke 2 credentials');
    expect(wordsOf(asked)).toMatch(/Stays as it is .* theirs /);
    // What the form did not offer is sent along all the same.
    const done = await confirm(browser, asked, {
      [`pick:personal_key.${theirs.key.id}`]: 'on',
      [`pick:oauth2_app.${grant}`]: 'on',
    });
    expect(wordsOf(done)).toContain('2 of 4 have ended');
    expect(resultsIn(done)).toMatchObject({ theirs: 'Not permitted', own: 'Ended', teams: 'Ended' });
    expect(await Promise.all([theirs.text, tokens.access_token!].map(statusWith))).toEqual([200, 200]);
    expect(await Promise.all([own.text, team.text].map(statusWith))).toEqual([401, 401]);
  });

  test('the root team ends keys and consents of others with users:write, and not without', async () => {
    const { person, tokens } = await connect(server);
    const theirs = await personalKey(person.userId, person.teamId, 'theirs');
    const picks = [
      ['personal_key', theirs.key.id],
      ['oauth2_app', await grantOf(person.userId)],
    ] as const;
    const operator = await logInAt(server, await createPerson(server, { role: 'Operator', teamId: ROOT_TEAM_ID }));
    const refused = await choose(operator, await open(operator), picks);
    expect(wordsOf(refused)).toContain('Nothing here is yours to revoke');
    const done = await confirm(root, await choose(root, await open(root), picks));
    expect(wordsOf(done)).toContain('All of them have ended');
    expect(await Promise.all([theirs.text, tokens.access_token!].map(statusWith))).toEqual([401, 401]);
  });

  test('row 110: ids of another team end nothing, and look like ids of nobody', async () => {
    const [mine, other] = [await teamWithAdmin(), await connect(server)];
    const { teamId, userId } = other.person;
    const ours = await teamKey(mine.teamId, 'ours');
    const key = await teamKey(teamId, 'secret-name');
    const client = await createTestClient(server, teamId);
    const asked = await choose(mine.browser, await open(mine.browser), [['team_key', ours.key.id]]);
    const foreign: [Kind, string][] = [
      ['team_key', key.key.id],
      ['personal_key', (await personalKey(userId, teamId, 'private')).key.id],
      ['oauth2_client', client.id],
      ['oauth2_app', await grantOf(userId)],
      ['team_key', randomUUID()],
      ['team_key', 'no-uuid'],
      // The right id under the wrong kind.
      ['personal_key', ours.key.id],
    ];
    const more = Object.fromEntries(foreign.map(([kind, id]) => [`pick:${kind}.${id}`, 'on']));
    const done = await confirm(mine.browser, asked, more);
    expect(wordsOf(done)).toContain('1 of 8 have ended');
    expect([...done.text.matchAll(/>Gone</g)]).toHaveLength(7);
    expect(done.text).not.toMatch(/secret-name|private/);
    expect(await statusWith(key.text)).toBe(200);
    expect(await statusWith(other.tokens.access_token!)).toBe(200);
    expect((await clientCredentials(server, client)).status).toBe(200);
  });

  test('what ended meanwhile is told to be gone, what was revoked already stays so', async () => {
    const { teamId, browser } = await teamWithAdmin();
    const [gone, revoked] = [await teamKey(teamId, 'gone'), await teamKey(teamId, 'again')];
    const asked = await choose(browser, await open(browser), [
      ['team_key', gone.key.id],
      ['team_key', revoked.key.id],
    ]);
    await server.domain.apiKeys.delete(gone.key.id, {}, OPERATOR);
    await server.domain.apiKeys.revoke(revoked.key.id, {}, OPERATOR);
    const done = await confirm(browser, asked);
    expect(wordsOf(done)).toContain('1 of 2 have ended');
    expect(resultsIn(done)).toMatchObject({ again: 'Ended' });
  });

  test('row 113: without the token of the session nothing is asked and nothing ends', async () => {
    const { teamId, browser } = await teamWithAdmin();
    const key = await teamKey(teamId, 'safe');
    const list = await open(browser);
    const { fields } = formOn(list, `${PATH}/revoke`);
    const foreign = formOn(await open(root), `${PATH}/revoke`).fields.csrf!;
    for (const path of [`${PATH}/revoke`, `${PATH}/revoked`]) {
      for (const csrf of ['', foreign]) {
        const pick = { [`pick:team_key.${key.key.id}`]: 'on' };
        expect((await browser.post(`${server.origin}${path}`, { ...fields, csrf, ...pick })).status).toBe(403);
      }
    }
    expect(await statusWith(key.text)).toBe(200);
  });

  test('none chosen leads back, and more than a hundred are refused before any of them ends', async () => {
    const { teamId, browser } = await teamWithAdmin();
    const key = await teamKey(teamId, 'first');
    const list = await open(browser);
    const back = await browser.follow(await choose(browser, list, []), server.origin);
    expect(wordsOf(back)).toContain('Nothing was chosen.');
    const asked = await choose(browser, list, [['team_key', key.key.id]]);
    const many = Object.fromEntries(Array.from({ length: 100 }, () => [`pick:team_key.${randomUUID()}`, 'on']));
    expect((await confirm(browser, asked, many)).status).toBe(400);
    expect((await confirm(browser, asked, { 'pick:toaster.1': 'on' })).status).toBe(400);
    expect(await statusWith(key.text)).toBe(200);
  });
});
