/** API keys at their pages: made, used, changed and ended as a person does it with forms. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { createExchange } from '../../oidc/token-exchange/exchange.ts';
import { type Browser, createBrowser, formOn, type Visit } from '../../support/browser.ts';
import { copiedFrom, fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { runCurl } from '../../support/curl.ts';
import { createPerson, createTestClient, type Role } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PERSONAL = '/console/api-keys/personal';
const TEAM = '/console/api-keys/team';
const DAY = 86_400_000;

let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let ada: Browser;
let root: Browser;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  ada = await logInAt(server, person);
  root = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
}, 30_000);

afterAll(() => server?.close());

const open = (path: string, browser = ada) => browser.get(`${server.origin}${path}`);
const uses = async (text: string) =>
  (await fetch(`${server.origin}/api/v1/providers`, { headers: { authorization: `Bearer ${text}` } })).status;

async function create(path: string, changes: Record<string, string | undefined> = {}, browser = ada): Promise<Visit> {
  return fillIn(server, browser, `${path}/new`, { name: 'Nightly report', ...changes });
}

/** The key a page shows for the only time. */
async function madeOn(page: Visit) {
  const text = copiedFrom(page)['API key'];
  expect([page.status, text]).toEqual([200, expect.stringMatching(/^lk[pt]_[\w-]{48}$/)]);
  const path = [...page.text.matchAll(/href="([^"]*\/[0-9a-f-]{36})"/g)].map(([, href]) => href!).at(-1)!;
  const key = (await server.domain.apiKeys.find(path.split('/').at(-1)!))!;
  return { text: text!, path, key };
}

const personalKey = async (changes?: Record<string, string | undefined>) => madeOn(await create(PERSONAL, changes));
const keysOf = ({ teamId }: { teamId: string }) => server.domain.apiKeys.list({ teamId });

describe('the tabs', () => {
  const tabsOf = ({ text }: Visit) =>
    [.../<nav class="tabs"[\s\S]*?<\/nav>/.exec(text)![0].matchAll(/href="[^"]*\/(\w+)"/g)].map(([, tab]) => tab);

  test('are those the person has the permission for, and API Keys leads to the first', async () => {
    const tabs = async (role: Role, teamId?: string) => {
      const browser = await logInAt(server, await createPerson(server, { role, ...(teamId && { teamId }) }));
      return tabsOf(await browser.follow(await open('/console/api-keys', browser), server.origin));
    };
    expect(await tabs('Viewer')).toEqual(['personal', 'team']);
    expect(await tabs('Operator')).toEqual(['personal', 'team', 'clients']);
    expect(await tabs('Admin')).toEqual(['personal', 'team', 'clients']);
    expect(await tabs('Admin', ROOT_TEAM_ID)).toEqual(['personal', 'team', 'apps', 'clients']);
    expect((await open('/console/api-keys')).location).toBe(`${server.origin}${PERSONAL}`);
  });

  test('somebody without any of them is refused', async () => {
    const nobody = await createPerson(server, { role: 'oaa_push' });
    expect((await open('/console/api-keys', await logInAt(server, nobody))).status).toBe(403);
  });

  test('say which kind is for what, and an empty list what a key is', async () => {
    const fresh = await logInAt(server, await createPerson(server));
    for (const path of [PERSONAL, TEAM]) {
      const page = await open(path, fresh);
      expect(page.text).toContain('<details class="guide" open>');
      const words = wordsOf(page);
      for (const kind of ['Personal key', 'Team key', 'OAuth2 App', 'OAuth2 Client']) expect(words).toContain(kind);
      expect(words).toMatch(/No (personal|team) key yet/);
      expect(page.text).toContain(`href="${path}/new"`);
    }
  });
});

describe('making a personal key', () => {
  test('row 86: it is shown once, with commands that work as they stand', async () => {
    const page = await create(PERSONAL);
    const { text, key, path } = await madeOn(page);
    expect(key).toMatchObject({ kind: 'personal', userId: person.userId, teamId: person.teamId, scopes: null });
    expect(copiedFrom(page)['.env']).toBe(`LATCHKEY_URL=${server.issuer}\nLATCHKEY_API_KEY=${text}`);
    expect((await runCurl(copiedFrom(page)['Try it']!)).status).toBe(200);
    expect(page.url).not.toContain(text);
    expect(page.headers.get('cache-control')).toContain('no-store');
    for (const later of [PERSONAL, path, `${path}/rotate`, `${path}/delete`]) {
      expect((await open(later)).text).not.toContain(text.slice(8, -4));
    }
  });

  test('what each scope lets it do is said beside it', async () => {
    const words = wordsOf(await open(`${PERSONAL}/new`));
    expect(words).toContain('providers See the data providers of the team');
    expect(words).toMatch(/credentials .* Introspect credentials/);
  });

  test('it expires in 30 days, unless the person says otherwise', async () => {
    const days = async (changes: Record<string, string>) => {
      const { key } = await personalKey(changes);
      return key.expiresAt && (key.expiresAt.getTime() - Date.now()) / DAY;
    };
    expect(await days({})).toBeCloseTo(30, 1);
    expect(await days({ expires_at: '90' })).toBeCloseTo(90, 1);
    expect(await days({ expires_at: 'never' })).toBeNull();
    const { key } = await personalKey({ expires_at: 'day', expires_on: '2099-02-28' });
    expect(key.expiresAt?.toISOString()).toBe('2099-03-01T00:00:00.000Z');
    expect(wordsOf(await open(`${PERSONAL}/new`))).toContain('If it leaks, it works until somebody notices.');
  });

  test.each([
    ['no name', { name: ' ' }, 'Name must not be empty'],
    ['a day that is over', { expires_at: 'day', expires_on: '2020-01-01' }, 'Its last day must not be over'],
    ['a day there is not', { expires_at: 'day', expires_on: '2099-02-30' }, 'Its last day must be a day'],
    ['no access', { access: undefined }, 'What it may do must be one of these'],
    ['scopes, and none', { access: 'some' }, 'Only these name at least one'],
    ['everything, but scopes', { 'scopes:teams:read': 'on' }, 'What it may do says everything, but'],
  ])('%s is told at its field, and what was typed is kept', async (_, changes, complaint) => {
    const before = await keysOf(person);
    const page = await create(PERSONAL, { name: 'Kept name', ...changes });
    expect([page.status, wordsOf(page)]).toEqual([422, expect.stringContaining(complaint)]);
    expect(formOn(page, `${PERSONAL}/new`).fields).toMatchObject({
      name: 'Kept name',
      ...JSON.parse(JSON.stringify(changes)),
    });
    expect(await keysOf(person)).toEqual(before);
  });

  test('an expiry that is no choice is refused', async () => {
    for (const expires_at of ['36500', '-1', undefined]) {
      const page = await create(PERSONAL, { expires_at });
      expect([page.status, wordsOf(page)]).toEqual([422, expect.stringContaining('Expires must be one of these')]);
    }
  });

  test('scopes are those the person may give, by resource, and of other APIs those that take keys', async () => {
    const server2 = {
      identifier: 'https://rides.example.com',
      name: 'Rides',
      scopes: [{ name: 'rides:book', description: 'Book rides' }],
    };
    await server.domain.resourceServers.create(server2, OPERATOR);
    const closed = {
      identifier: 'https://closed.example.com',
      name: 'Closed',
      scopes: [{ name: 'closed:read', description: '' }],
    };
    await server.domain.resourceServers.create({ ...closed, acceptsApiKeys: false }, OPERATOR);
    const offered = ({ text }: Visit) => [...text.matchAll(/name="scopes:([^"]+)"/g)].map(([, scope]) => scope!);
    const viewer = await createPerson(server, { role: 'Viewer' });
    const browser = await logInAt(server, viewer);
    const permissions = (await server.domain.authority.permissionsIn(viewer.userId, viewer.teamId))!;
    expect(offered(await open(`${PERSONAL}/new`, browser)).sort()).toEqual([...permissions, 'rides:book'].sort());

    const some = { access: 'some', 'scopes:teams:read': 'on', 'scopes:rides:book': 'on' };
    const page = await create(PERSONAL, some, browser);
    const { key } = await madeOn(page);
    expect(key.scopes!.toSorted()).toEqual(['rides:book', 'teams:read']);
    expect(copiedFrom(page)['Try it']).toContain(`${server.issuer}/api/v1/teams`);
    expect((await runCurl(copiedFrom(page)['Try it']!)).status).toBe(200);

    const other = await create(PERSONAL, { access: 'some', 'scopes:rides:book': 'on' }, browser);
    expect(copiedFrom(other)['Try it']).toContain('/oauth2/verify?resource=https%3A%2F%2Frides.example.com');
    expect((await runCurl(copiedFrom(other)['Try it']!)).status).toBe(200);
  });

  test('row 112: what the form does not offer is not taken from it', async () => {
    const viewer = await createPerson(server, { role: 'Viewer' });
    const browser = await logInAt(server, viewer);
    const refused = await create(PERSONAL, { access: 'some', 'scopes:users:write': 'on' }, browser);
    expect([refused.status, wordsOf(refused)]).toEqual([
      403,
      expect.stringContaining('more than you may do: users:write'),
    ]);
    const unknown = await create(PERSONAL, { access: 'some', 'scopes:made:up': 'on' }, browser);
    expect(unknown.status).toBe(422);
    const elsewhere = await create(PERSONAL, { team_id: person.teamId }, browser);
    expect(elsewhere.status).toBe(422);
    expect(await keysOf(viewer)).toEqual([]);
    const extra = { user_id: person.userId, kind: 'team', status: '2', created_by: person.userId, prefix: 'mine' };
    const { key } = await madeOn(await create(PERSONAL, extra, browser));
    const own = {
      userId: viewer.userId,
      teamId: viewer.teamId,
      kind: 'personal',
      state: 'active',
      createdBy: viewer.userId,
    };
    expect(key).toMatchObject(own);
  });

  test('the same form sent twice, or at once, makes one key and shows it once', async () => {
    const someone = await createPerson(server);
    const browser = await logInAt(server, someone);
    const form = formOn(await open(`${PERSONAL}/new`, browser), `${PERSONAL}/new`);
    const fields = { ...form.fields, name: 'Once' };
    const answers = await Promise.all([1, 2, 3].map(() => browser.post(form.url, fields)));
    const again = await browser.post(form.url, fields);
    expect(await keysOf(someone)).toHaveLength(1);
    expect([...answers, again].filter((page) => copiedFrom(page)['API key'])).toHaveLength(1);
    const later = await browser.follow(again, server.origin);
    expect([later.status, wordsOf(later)]).toEqual([200, expect.stringContaining('This was done already')]);
  });

  test('a form that was opened before the person switched teams makes the key in the team it was opened for', async () => {
    const both = await createPerson(server);
    const other = await server.domain.teams.create({ name: `Other ${randomUUID().slice(0, 8)}` }, OPERATOR);
    const teamRoles = [both.teamId, other.id].map((teamId) => ({ teamId, roles: ['Admin'] }));
    await server.domain.users.update(both.userId, { teamRoles }, {}, OPERATOR);
    const browser = await logInAt(server, both);
    const actIn = async (teamId: string) => {
      const form = formOn(await open('/console/team', browser), '/logout');
      await browser.post(`${server.origin}/console/team`, { csrf: form.fields.csrf!, team_id: teamId, team: teamId });
    };
    for (const path of [PERSONAL, TEAM]) {
      await actIn(both.teamId);
      const stale = await open(`${path}/new`, browser);
      await actIn(other.id);
      const { key } = await madeOn(await fillIn(server, browser, stale, { name: 'Stale' }));
      expect(key.teamId).toBe(both.teamId);
    }
    await actIn(both.teamId);
    const stale = await open(`${TEAM}/new`, browser);
    const left = [{ teamId: other.id, roles: ['Admin'] }];
    await server.domain.users.update(both.userId, { teamRoles: left }, {}, OPERATOR);
    await server.domain.notifications.settle();
    expect((await fillIn(server, browser, stale, { name: 'Left' })).status).toBe(403);
  });
});

describe('making a team key', () => {
  test('it acts as the service account of the team, and works as shown', async () => {
    const page = await create(TEAM);
    const { key } = await madeOn(page);
    expect(key).toMatchObject({ kind: 'team', teamId: person.teamId, userId: null, createdBy: person.userId });
    expect((await runCurl(copiedFrom(page)['Try it']!)).status).toBe(200);
    expect(wordsOf(await open(TEAM))).toContain('providers:read');
  });

  test('from the root team, for any team by its name or from the list', async () => {
    const team = await server.domain.teams.create({ name: `Chosen ${randomUUID().slice(0, 8)}` }, OPERATOR);
    for (const team_id of [team.id, team.name]) {
      expect((await madeOn(await create(TEAM, { team_id }, root))).key.teamId).toBe(team.id);
    }
    const none = await create(TEAM, { team_id: '' }, root);
    expect([none.status, wordsOf(none)]).toEqual([422, expect.stringContaining('Team must be chosen')]);
    expect((await create(TEAM, { team_id: 'No such team' }, root)).status).toBe(422);
  });

  test('row 110: not for a team that is not the person’s', async () => {
    const other = await createPerson(server);
    expect((await create(TEAM, { team_id: other.teamId })).status).toBe(404);
    expect(await keysOf(other)).toEqual([]);
  });
});

describe('one key', () => {
  test('its page says all that is known of it', async () => {
    const { key, path, text } = await personalKey({ name: 'Well known' });
    const before = wordsOf(await open(path));
    for (const fact of [
      'Well known',
      `${key.prefix}…${key.lastFour}`,
      person.email,
      'All its owner may do',
      'Never',
      'Active',
      'You',
      key.id,
    ]) {
      expect(before).toContain(fact);
    }
    await uses(text);
    await server.domain.lastUsed.flush();
    expect(wordsOf(await open(path))).not.toContain('Never');
  });

  test('it is renamed, and a form of an earlier version is told so', async () => {
    const { path, text } = await personalKey();
    const stale = await open(`${path}/rename`);
    const renamed = await fillIn(server, ada, `${path}/rename`, { name: 'Better name' });
    expect(wordsOf(renamed)).toContain('The name is changed. ← Personal keys Better name');
    expect((await fillIn(server, ada, stale, { name: 'Lost update' })).status).toBe(412);
    expect(wordsOf(await open(path))).toContain('Better name');
    expect((await fillIn(server, ada, `${path}/rename`, { name: '' })).status).toBe(422);
    expect(await uses(text)).toBe(200);
  });

  test.each([
    ['now', '0', 401],
    ['1 hour', '3600', 200],
    ['24 hours', '86400', 200],
    ['7 days', '604800', 200],
  ])('it is rotated, its former text good for %s', async (_, overlap_seconds, expected) => {
    const { path, text, key } = await personalKey();
    const page = await fillIn(server, ada, `${path}/rotate`, { overlap_seconds });
    const rotated = await madeOn(page);
    expect(rotated.key.id).toBe(key.id);
    expect(rotated.text).not.toBe(text);
    expect([await uses(rotated.text), await uses(text)]).toEqual([200, expected]);
    const left = rotated.key.previousExpiresAt ? rotated.key.previousExpiresAt.getTime() - Date.now() : 0;
    expect(left / 1000).toBeGreaterThan(Number(overlap_seconds) - 60);
    expect(wordsOf(await open(path)).includes('Old key ends')).toBe(expected === 200);
    expect((await runCurl(copiedFrom(page)['Try it']!)).status).toBe(200);
  });

  test('it is rotated by one form once, and with a day’s overlap unless told otherwise', async () => {
    const { path, text } = await personalKey();
    const form = formOn(await open(`${path}/rotate`), `${path}/rotate`);
    expect(form.fields.overlap_seconds).toBe('86400');
    const [first] = [await ada.post(form.url, form.fields)];
    const { text: second } = await madeOn(first);
    const again = await ada.follow(await ada.post(form.url, form.fields), server.origin);
    expect(wordsOf(again)).toContain('This was done already');
    expect([await uses(text), await uses(second)]).toEqual([200, 200]);
    for (const overlap_seconds of ['-1', '1e9', 'x', '', undefined]) {
      expect((await fillIn(server, ada, `${path}/rotate`, { overlap_seconds })).status).toBe(422);
    }
    expect(await uses(second)).toBe(200);
  });

  test('it is revoked and reinstated, after being told what that does', async () => {
    const { path, text } = await personalKey();
    await uses(text);
    const asked = wordsOf(await open(`${path}/revoke`));
    expect(asked).toContain('Whatever uses the key is refused, at once.');
    expect(asked).toContain('It was last used on');
    expect(await uses(text)).toBe(200);
    const rotate = await open(`${path}/rotate`);
    const revoked = await fillIn(server, ada, `${path}/revoke`);
    expect(wordsOf(revoked)).toContain('Revoked');
    expect(await uses(text)).toBe(401);
    // What it would be rotated to is refused, too.
    expect(revoked.text).not.toContain('/rotate"');
    for (const answer of [await open(`${path}/rotate`), await fillIn(server, ada, rotate)]) {
      expect([answer.status, wordsOf(answer)]).toEqual([400, expect.stringContaining('Reinstate it, then rotate it.')]);
      expect(copiedFrom(answer)).toEqual({});
    }
    const reinstated = await fillIn(server, ada, `${path}/reinstate`);
    expect(wordsOf(reinstated)).toContain('The key is good again.');
    expect(await uses(text)).toBe(200);
  });

  test.each([
    ['expired', true],
    ['was retired', false],
  ])('one that %s meanwhile is not said to be good again when it is reinstated', async (why, isExpired) => {
    const { path, text } = await personalKey();
    await fillIn(server, ada, `${path}/revoke`);
    const keyId = path.split('/').pop()!;
    if (isExpired) {
      await server.db.query("UPDATE api_keys SET expires_at = now() - interval '1 day' WHERE id = $1", [keyId]);
    } else {
      await server.domain.retirements.create({ keyId, retiresAt: new Date(Date.now() + 3_600_000) }, {}, OPERATOR);
      await server.db.query("UPDATE retirements SET retires_at = now() - interval '1 day' WHERE key_id = $1", [keyId]);
    }
    await server.domain.notifications.settle();
    const asked = wordsOf(await open(`${path}/reinstate`));
    expect(asked).toContain(`It stays refused: it ${why} on`);
    expect(asked).not.toMatch(/let in with it again|still expires/);
    const after = wordsOf(await fillIn(server, ada, `${path}/reinstate`));
    expect(after).toContain('Your changes are saved.');
    expect(after).not.toContain('good again');
    expect(await uses(text)).toBe(401);
  });

  test('it is told of tokens that end with it', async () => {
    const { path, text } = await personalKey();
    expect(wordsOf(await open(`${path}/delete`))).not.toContain('Tokens');
    const exchanged = await createExchange(server).key(text);
    expect(exchanged.status).toBe(200);
    expect(wordsOf(await open(`${path}/delete`))).toContain('Tokens that were got for it end with it');
  });

  test('of one that is revoked its page leads to who still comes with it', async () => {
    const { path, key, text } = await personalKey({ name: 'Still tried' });
    expect((await open(path)).text).not.toContain('outcome=refused');
    await fillIn(server, ada, `${path}/revoke`);
    expect(await uses(text)).toBe(401);
    await server.domain.audit.flush();
    const href = /href="(\/console\/audit\?[^"]*outcome=refused)"/
      .exec((await open(path)).text)![1]!
      .replace('&amp;', '&');
    const [asTeam, asRoot] = [await open(href), await open(href, root)];
    for (const page of [asTeam, asRoot]) {
      expect(page.status).toBe(200);
      expect([...page.text.matchAll(/data-label="What"/g)]).toHaveLength(1);
      expect(wordsOf(page)).toContain('api_request.refused');
      expect(wordsOf(page)).toContain('A personal key');
    }
    const link = `<a href="${PERSONAL}/${key.id}"`;
    expect([asTeam.text.includes(link), asRoot.text.includes(link)]).toEqual([false, true]);
  });

  test('it is deleted for good', async () => {
    const { path, text } = await personalKey();
    expect(wordsOf(await open(`${path}/delete`))).toContain('It was never used. It cannot be brought back.');
    const page = await fillIn(server, ada, `${path}/delete`);
    expect([new URL(page.url).pathname, wordsOf(page)]).toEqual([PERSONAL, expect.stringContaining('It is deleted.')]);
    expect([await uses(text), (await open(path)).status]).toEqual([401, 404]);
  });

  test('an expired one reads as expired, cannot be rotated, and can be deleted', async () => {
    const { path, key } = await personalKey({ name: 'Gone by' });
    await server.db.query(`UPDATE api_keys SET expires_at = now() - interval '1 minute' WHERE id = $1`, [key.id]);
    const page = await open(path);
    expect(wordsOf(page)).toContain('Expired');
    expect(page.text).not.toContain(`${path}/rotate`);
    const rotated = await fillIn(server, ada, `${path}/rotate`);
    expect([rotated.status, wordsOf(rotated)]).toEqual([400, expect.stringContaining('This key has expired')]);
    expect((await fillIn(server, ada, `${path}/delete`)).status).toBe(200);
  });

  test('what is done is in the audit trail as the person’s', async () => {
    const { path, key } = await madeOn(await create(TEAM));
    for (const what of ['revoke', 'reinstate', 'delete']) await fillIn(server, ada, `${path}/${what}`);
    const events = (await server.auditEvents()).filter(({ target_id }) => target_id === key.id);
    expect(events.map(({ action }) => action)).toEqual(
      ['created', 'revoked', 'reinstated', 'deleted'].map((verb) => `api_key.${verb}`),
    );
    expect(new Set(events.map(({ actor_id }) => actor_id))).toEqual(new Set([person.userId]));
  });
});

describe('whose keys', () => {
  const PAGES = ['', '/rename', '/rotate', '/revoke', '/reinstate', '/delete'];

  test('row 110: nobody reaches a key of another team, or of another person, or under the other tab', async () => {
    const stranger = await createPerson(server);
    const teamKey = (await server.domain.apiKeys.createTeam({ teamId: stranger.teamId, name: 'Theirs' }, OPERATOR)).key;
    const theirs = { userId: stranger.userId, teamId: stranger.teamId, name: 'Theirs' };
    const personal = (await server.domain.apiKeys.createPersonal(theirs, OPERATOR)).key;
    const colleague = await createPerson(server, { teamId: person.teamId });
    const ofColleague = { userId: colleague.userId, teamId: person.teamId, name: 'Colleague’s' };
    const near = (await server.domain.apiKeys.createPersonal(ofColleague, OPERATOR)).key;
    const own = (await madeOn(await create(TEAM))).key;
    const { csrf, team } = formOn(await open(`${TEAM}/new`), `${TEAM}/new`).fields;
    const rows = async () =>
      (
        await server.db.query(
          "SELECT (to_jsonb(k) - '{last_access_at,last_used_hour}'::text[])::text FROM api_keys k ORDER BY id",
        )
      ).rows;
    const before = await rows();
    const wrong = [
      [TEAM, teamKey],
      [TEAM, personal],
      [PERSONAL, personal],
      [PERSONAL, near],
      [PERSONAL, teamKey],
      [PERSONAL, own],
      ['/account/keys', personal],
      ['/account/keys', near],
      ['/account/keys', own],
    ] as const;
    const fields = { csrf: csrf!, team: team!, name: 'Taken', overlap_seconds: '0', version: '1' };
    for (const [path, { id }] of wrong) {
      for (const page of PAGES) {
        expect([path, page, (await open(`${path}/${id}${page}`)).status]).toEqual([path, page, 404]);
        if (page === '') continue;
        const answer = await ada.post(`${server.origin}${path}/${id}${page}`, fields);
        expect([path, page, answer.status]).toEqual([path, page, 404]);
      }
    }
    expect(await rows()).toEqual(before);
    for (const list of [PERSONAL, TEAM]) expect(wordsOf(await open(list))).not.toMatch(/Theirs|Colleague/);
  });

  test('a root administrator sees and ends those of others, but does not rename or rotate them', async () => {
    const { path, key, text } = await personalKey({ name: 'Watched' });
    expect(wordsOf(await open(`${PERSONAL}?q=watched`, root))).toContain(person.email);
    expect(wordsOf(await open(`${PERSONAL}?q=watched&owner=me`, root))).toContain('Nothing here matches');
    const page = await open(path, root);
    expect(page.text).toContain(`${path}/revoke`);
    for (const what of ['rename', 'rotate']) {
      expect(page.text).not.toContain(`${path}/${what}`);
      expect((await open(`${path}/${what}`, root)).status).toBe(404);
    }
    await fillIn(server, root, `${path}/revoke`);
    expect(await uses(text)).toBe(401);
    await fillIn(server, root, `${path}/delete`);
    expect(await server.domain.apiKeys.find(key.id)).toBeUndefined();
  });

  test('a viewer sees team keys and changes none', async () => {
    const viewer = await logInAt(server, await createPerson(server, { role: 'Viewer', teamId: person.teamId }));
    const { path } = await madeOn(await create(TEAM));
    const page = await open(path, viewer);
    expect(page.status).toBe(200);
    for (const what of PAGES.slice(1)) {
      expect(page.text).not.toContain(`${path}${what}`);
      expect((await open(`${path}${what}`, viewer)).status).toBe(403);
    }
    expect((await open(TEAM, viewer)).text).not.toContain(`${TEAM}/new`);
    const alone = await logInAt(server, await createPerson(server, { role: 'Viewer' }));
    expect((await open(TEAM, alone)).text).not.toContain(`${TEAM}/new`);
  });
});

describe('the list', () => {
  let team: Awaited<ReturnType<typeof createPerson>>;
  let browser: Browser;
  const names = (page: Visit) =>
    [...page.text.matchAll(/<td[^>]*data-label="Name"><a[^>]*><bdi>([^<]*)</g)].map(([, name]) => name!.trim());

  beforeAll(async () => {
    team = await createPerson(server);
    browser = await logInAt(server, team);
    const { db, domain } = server;
    for (const name of ['Alpha', 'Beta', 'Gamma', 'Delta']) {
      await domain.apiKeys.createTeam({ teamId: team.teamId, name }, OPERATOR);
    }
    const set = (name: string, what: string) =>
      db.query(`UPDATE api_keys SET ${what} WHERE team_id = $1 AND name = $2`, [team.teamId, name]);
    await set('Alpha', `created_at = now() - interval '4 days', last_access_at = now() - interval '2 hours'`);
    await set('Beta', `created_at = now() - interval '3 days', expires_at = now() - interval '1 day'`);
    await set('Gamma', `created_at = now() - interval '2 days'`);
    await set(
      'Delta',
      `created_at = now() - interval '1 days', expires_at = now() + interval '1 day', last_access_at = now()`,
    );
    await set('Gamma', 'last_access_at = created_at, status = 2');
    await set('Beta', 'last_access_at = created_at');
  });

  test.each([
    ['', ['Delta', 'Gamma', 'Beta', 'Alpha']],
    ['?sort=created_at', ['Alpha', 'Beta', 'Gamma', 'Delta']],
    ['?sort=name', ['Alpha', 'Beta', 'Delta', 'Gamma']],
    ['?sort=-name', ['Gamma', 'Delta', 'Beta', 'Alpha']],
    ['?sort=-last_access_at', ['Delta', 'Alpha']],
    ['?sort=expires_at', ['Beta', 'Delta']],
    ['?q=alp', ['Alpha']],
    ['?q=nothing', []],
    ['?status=active', ['Delta', 'Alpha']],
    ['?status=expired', ['Beta']],
    ['?status=revoked', ['Gamma']],
    ['?status=given_up', []],
    ['?status=active&sort=name', ['Alpha', 'Delta']],
    ['?status=active&sort=-expires_at&q=a', []],
    ['?status=active&sort=-expires_at', ['Alpha', 'Delta']],
  ])('%s', async (query, expected) => {
    expect(names(await open(`${TEAM}${query}`, browser)).slice(0, expected.length || 99)).toEqual(expected);
  });

  test('keys that have been given up, and those that are to be', async () => {
    const gamma = (await server.domain.apiKeys.list({ teamId: team.teamId })).find(({ name }) => name === 'Alpha')!;
    const made = await server.domain.retirements.create(
      { keyId: gamma.id, retiresAt: new Date(Date.now() + 3 * DAY) },
      {},
      OPERATOR,
    );
    await server.domain.notifications.settle();
    expect(wordsOf(await open(TEAM, browser))).toContain('Retires on');
    await server.db.query(`UPDATE retirements SET retires_at = now() - interval '1 minute' WHERE id = $1`, [made.id]);
    await server.domain.notifications.settle();
    expect(names(await open(`${TEAM}?status=given_up`, browser))).toEqual(['Alpha']);
    expect(names(await open(`${TEAM}?status=active`, browser))).toEqual(['Delta']);
    expect(wordsOf(await open(TEAM, browser))).toContain('Retired');
  });

  test('a key that is pasted whole is found, and does not stay in the address', async () => {
    const { key, text } = await server.domain.apiKeys.createTeam({ teamId: team.teamId, name: 'Leaked' }, OPERATOR);
    const address = `${server.origin}${TEAM}?sort=name&q=${text}`;
    const answer = await browser.get(address);
    expect(answer.status).toBe(303);
    const found = await browser.follow(answer, server.origin);
    expect(found.url).toBe(
      `${server.origin}${TEAM}?${new URLSearchParams({ sort: 'name', q: `${key.prefix}…${key.lastFour}` })}`,
    );
    expect(names(found)).toEqual(['Leaked']);
    expect(found.text).not.toContain(text.slice(0, 20));
    const login = await createBrowser().follow(await createBrowser().get(address), server.origin);
    expect([login.status, `${login.url} ${login.text}`.includes(text.slice(0, 20))]).toEqual([200, false]);
    await server.domain.apiKeys.delete(key.id, {}, OPERATOR);
  });

  test('page by page, of all teams from the root team, narrowed to one', async () => {
    await server.db.query(
      `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id)
       SELECT 'team', sha256(('page' || i)::bytea), 'lkt_page', 'four', 'Paged ' || i, $1 FROM generate_series(1, 60) AS i`,
      [team.teamId],
    );
    const seen: string[] = [];
    let page = await open(`${TEAM}?q=paged&sort=name`, browser);
    for (;;) {
      seen.push(...names(page));
      const next = /href="([^"]*)" rel="next"/.exec(page.text)?.[1];
      if (next === undefined) break;
      page = await open(next.replaceAll('&amp;', '&'), browser);
    }
    expect([seen.length, new Set(seen).size]).toEqual([60, 60]);
    const narrowed = await open(`${TEAM}?team=${team.teamId}&q=delta`, root);
    expect(names(narrowed)).toEqual(['Delta']);
    expect(names(await open(`${TEAM}?team=${person.teamId}&q=delta`, root))).toEqual([]);
  });

  test('row 110: the address of a list narrows it to no other team', async () => {
    expect(names(await open(`${TEAM}?team=${team.teamId}&q=paged`))).toEqual([]);
  });
});

test('row 38: names, whatever is in them, are text on every page', async () => {
  const hostile = [
    '<img src=x onerror=alert(1)>',
    '"><script>alert(1)</script>',
    'مفتاح السر \u200f شركة',
    '🔑👩‍👩‍👧‍👦 emoji',
    '&lt;b&gt; &amp;',
    'x'.repeat(255),
    '<%= it %> {{7*7}}',
  ];
  for (const name of hostile) {
    const shown = name
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;');
    const page = await create(PERSONAL, { name });
    const { path, key } = await madeOn(page);
    expect(key.name).toBe(name);
    const pages = [page];
    for (const more of ['', '/rename', '/rotate', '/revoke', '/delete']) pages.push(await open(`${path}${more}`));
    pages.push(await open(`${PERSONAL}?q=${encodeURIComponent(name.slice(0, 200))}`), await open('/account/keys'));
    for (const { text, status, url } of pages) {
      expect([url, status, text.includes(shown)]).toEqual([url, 200, true]);
      expect(text).not.toMatch(/<img src=x|<script>/);
    }
  }
  const turned = await create(PERSONAL, { name: 'a\u202eb' });
  expect([turned.status, wordsOf(turned)]).toEqual([
    422,
    expect.stringContaining('Name must not have control characters'),
  ]);
});

test('clients and apps have tabs of their own, next to these', async () => {
  await createTestClient(server, person.teamId, { name: 'Beside' });
  const page = await open('/console/api-keys/clients');
  expect(page.text).toContain(`<a href="${PERSONAL}">`);
});
