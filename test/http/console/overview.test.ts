import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { lastDays } from '../../../src/domain/credential-uses.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { plot } from '../../../src/http/console/overview/plot.ts';
import type { Browser } from '../../support/browser.ts';
import { logInAt, wordsOf } from '../../support/console.ts';
import { connect, createPerson, createTestClient } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const { to: today } = lastDays(1);
const DAY = 24 * 3600 * 1000;

let server: TestServer;
let root: Browser;
beforeAll(async () => {
  server = await startTestServer();
  root = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
});
afterAll(() => server.close());

const overview = async (browser: Browser) => browser.get(`${server.origin}/console`);

/** The numbers of the cards, by what they are called. */
function cardsOf({ text }: { text: string }): Record<string, string> {
  const cards = text.matchAll(/<li><a href="[^"]*"><span>([^<]*)<\/span> <strong>([^<]*)<\/strong>/g);
  return Object.fromEntries([...cards].map(([, name, value]) => [name!, value!]));
}

/** A team with an administrator at the console. */
async function teamWithAdmin() {
  const person = await createPerson(server);
  return { ...person, browser: await logInAt(server, person) };
}

const teamKey = async (teamId: string, expiresAt?: Date) =>
  (await server.domain.apiKeys.createTeam({ teamId, name: 'k', ...(expiresAt && { expiresAt }) }, OPERATOR)).key.id;
const age = (id: string, days: number) =>
  server.db.query(
    `UPDATE api_keys SET created_at = now() - $2 * interval '1 day', last_access_at = now() - $2 * interval '1 day' WHERE id = $1`,
    [id, days],
  );

test('counts what can act for the team now, by kind, and what deserves a look', async () => {
  const { teamId, userId, browser } = await teamWithAdmin();
  const { apiKeys, oauthClients } = server.domain;
  const personal = await apiKeys.createPersonal({ userId, teamId, name: 'mine' }, OPERATOR);
  await apiKeys.createPersonal({ userId, teamId, name: 'mine too' }, OPERATOR);
  await teamKey(teamId, new Date(Date.now() + 13 * DAY));
  await teamKey(teamId, new Date(Date.now() + 15 * DAY));
  const [forgotten, idle, revoked] = [await teamKey(teamId), await teamKey(teamId), await teamKey(teamId)];
  await age(forgotten, 31);
  await age(idle, 120);
  await server.db.query("UPDATE api_keys SET last_access_at = now() - interval '91 days' WHERE id = $1", [idle]);
  await apiKeys.revoke(revoked, {}, OPERATOR);
  const off = await createTestClient(server, teamId);
  await createTestClient(server, teamId);
  await oauthClients.disable(off.id, {}, OPERATOR);
  expect(cardsOf(await overview(browser))).toEqual({
    'Personal keys': '2',
    'Team keys': '4',
    'OAuth2 Clients': '1',
    'Apps, by consent': '0',
    'Expire within 14 days': '1',
    'Never used': '1',
    'Not used for 90 days': '1',
  });
  await apiKeys.revoke(personal.key.id, {}, OPERATOR);
  expect(cardsOf(await overview(browser))).toMatchObject({ 'Personal keys': '1' });
});

test('a consent counts while its app and user may act, and a key not after it was given up', async () => {
  const { person, app } = await connect(server);
  const browser = await logInAt(server, person);
  expect(cardsOf(await overview(browser))).toMatchObject({ 'Apps, by consent': '1' });
  await server.domain.oauthApps.disable(app.id, OPERATOR);
  expect(cardsOf(await overview(browser))).toMatchObject({ 'Apps, by consent': '0' });
  const { teamId } = person;
  await teamKey(teamId);
  expect(cardsOf(await overview(browser))).toMatchObject({ 'Team keys': '1' });
  await server.domain.retirements.create({ teamId, prefix: 'lkt_', retiresAt: new Date() }, {}, OPERATOR);
  expect(cardsOf(await overview(browser))).toMatchObject({ 'Team keys': '0' });
});

test('each number leads to the list of what it counts', async () => {
  const { teamId, browser } = await teamWithAdmin();
  const [forgotten] = [await teamKey(teamId), await teamKey(teamId, new Date(Date.now() + 3 * DAY))];
  await age(forgotten, 40);
  const revoked = await teamKey(teamId, new Date(Date.now() + 3 * DAY));
  await age(revoked, 40);
  await server.domain.apiKeys.revoke(revoked, {}, OPERATOR);
  const page = await overview(browser);
  const links = [...page.text.matchAll(/<li><a href="([^"]*)"><span>[^<]*<\/span> <strong>([^<]*)</g)];
  expect(links).toHaveLength(7);
  for (const [, href, count] of links) {
    const list = await browser.get(`${server.origin}${href!.replaceAll('&amp;', '&')}`);
    expect([href, [...list.text.matchAll(/<td role="cell" data-label="Name">/g)].length]).toEqual([
      href,
      Number(count),
    ]);
  }
});

test('says 500+ instead of counting on', async () => {
  const { teamId, browser } = await teamWithAdmin();
  await server.db.query(
    `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id)
     SELECT 'team', sha256(('many' || n)::bytea), 'lkt_abcd', 'wxyz', 'many', $1 FROM generate_series(1, 700) AS n`,
    [teamId],
  );
  expect(cardsOf(await overview(browser))).toMatchObject({ 'Team keys': '500+', 'Never used': '0' });
});

test('uses per day are those that were counted, as a picture and as a table', async () => {
  const { teamId, browser } = await teamWithAdmin();
  const empty = await overview(browser);
  expect(empty.text).toContain('No requests in these 30 days.');
  const use = (kind: 'team_key' | 'personal_key', n: number) =>
    server.domain.credentialUses.count({ teamId, kind, credential: randomUUID() }, n);
  use('team_key', 1_200);
  use('personal_key', 34);
  await server.domain.credentialUses.flush();
  const { text } = await overview(browser);
  expect(text).toMatch(/<svg viewBox="[^"]*" role="img" aria-labelledby="plot-title plot-summary">/);
  expect(text).toContain('1,234 requests in 30 days');
  const row = new RegExp(`>${today}</td>((?:<td[^>]*>[\\d,]+</td>)+)`).exec(text)![1]!;
  expect([...row.matchAll(/data-label="([^"]*)">([^<]*)/g)].map(([, name, value]) => [name, value])).toEqual([
    ['Personal keys', '34'],
    ['Team keys', '1,200'],
    ['OAuth2 Clients', '0'],
    ['OAuth2 Apps', '0'],
    ['Tokens got for keys', '0'],
    ['All', '1,234'],
  ]);
  expect(text).not.toMatch(/style=|<script(?! src)/);
});

test('the root team sees the uses of all teams, also of one that has ended', async () => {
  const requestsOf = ({ text }: { text: string }) =>
    Number(/data-label="All">([\d,]+)</.exec(text.slice(text.indexOf(`>${today}</td>`)))![1]!.replaceAll(',', ''));
  const before = requestsOf(await overview(root));
  const { id } = await server.domain.teams.create({ name: `Short ${randomUUID()}` }, OPERATOR);
  const { id: other } = await server.domain.teams.create({ name: `Long ${randomUUID()}` }, OPERATOR);
  for (const teamId of [id, other]) {
    server.domain.credentialUses.count({ teamId, kind: 'team_key', credential: randomUUID() }, 50);
  }
  await server.domain.credentialUses.flush();
  expect(requestsOf(await overview(root))).toBe(before + 100);
  await server.domain.teams.delete(id, OPERATOR);
  expect(requestsOf(await overview(root))).toBe(before + 100);
});

test('what one team reports without bounds does not keep the others from being counted', async () => {
  const [first, second] = [await teamWithAdmin(), await teamWithAdmin()];
  const use = (teamId: string, n: number) =>
    server.domain.credentialUses.count({ teamId, kind: 'oauth2_app', credential: `app_${randomUUID()}` }, n);
  await server.db.query(
    `INSERT INTO credential_use_days VALUES ($1, 'oauth2_app', ${Number.MAX_SAFE_INTEGER}) ON CONFLICT DO NOTHING`,
    [today],
  );
  use(first.teamId, Number.MAX_SAFE_INTEGER);
  use(second.teamId, 7);
  await server.domain.credentialUses.flush();
  expect((await overview(second.browser)).text).toContain('7 requests in 30 days');
  expect((await overview(root)).status).toBe(200);
});

test('failed attempts are counted by what they were', async () => {
  const { browser, userId, teamId } = await teamWithAdmin();
  for (let n = 0; n < 3; n += 1) {
    server.domain.audit.note({
      action: 'api_request.refused',
      outcome: 'refused',
      actor: { kind: 'user', id: userId },
      teamId,
    });
  }
  server.domain.audit.note({ action: 'token.refused', outcome: 'refused', actor: OPERATOR, teamId });
  server.domain.audit.note({ action: 'token.issued', actor: OPERATOR, teamId });
  await server.domain.audit.flush();
  await server.db.query(
    `INSERT INTO audit_events (action, outcome, actor_kind, team_id, occurred_at)
     VALUES ('token.refused', 'refused', 'client', $1, now() - interval '8 days')`,
    [teamId],
  );
  const page = await overview(browser);
  expect(wordsOf(page)).toContain('Requests to this server refused 3 Tokens not issued 1 Keys to be retired');
  const [, href] = /<a href="([^"]*)"><bdi>Requests to this server refused/.exec(page.text)!;
  const list = await browser.get(`${server.origin}${href!.replaceAll('&amp;', '&')}`);
  expect([...list.text.matchAll(/<bdi>api_request\.refused<\/bdi>/g)]).toHaveLength(3);
});

test('a wrong password of somebody logged in is called that; the list behind it has as many as were counted', async () => {
  const { userId, teamId, browser } = await teamWithAdmin();
  const actor = { kind: 'user' as const, id: userId };
  server.domain.audit.note({ action: 'user.password_refused', outcome: 'refused', actor, teamId });
  await server.domain.audit.flush();
  // The audit page can be narrowed by whole days only.
  await server.db.query(
    `INSERT INTO audit_events (action, outcome, actor_kind, team_id, occurred_at)
     VALUES ('user.password_refused', 'refused', 'user', $1, date_trunc('day', now(), 'UTC') - interval '7 days')`,
    [teamId],
  );
  const page = await overview(browser);
  expect(wordsOf(page)).toContain('Wrong passwords at changing one 2');
  const [, href] = /<a href="([^"]*)"><bdi>Wrong passwords/.exec(page.text)!;
  const list = await browser.get(`${server.origin}${href!.replaceAll('&amp;', '&')}`);
  expect([...list.text.matchAll(/<bdi>user\.password_refused<\/bdi>/g)]).toHaveLength(2);
});

test('keys to be retired are there with how many are still used', async () => {
  const { teamId, browser } = await teamWithAdmin();
  const [used] = [await teamKey(teamId), await teamKey(teamId)];
  await server.db.query(
    "UPDATE api_keys SET created_at = now() - interval '9 days', last_access_at = now() WHERE id = $1",
    [used],
  );
  await server.domain.retirements.create(
    { teamId, prefix: 'lkt_', retiresAt: new Date(Date.now() + DAY) },
    {},
    OPERATOR,
  );
  await server.domain.retirements.create(
    { teamId, keyId: used, retiresAt: new Date(Date.now() + 2 * DAY) },
    {},
    OPERATOR,
  );
  const words = wordsOf(await overview(browser));
  expect(words).toMatch(/All team keys of .* 1 key The key “k” .* 1 key/);
});

test('where nothing can act yet it leads to what can', async () => {
  const { teamId, browser } = await teamWithAdmin();
  expect(wordsOf(await overview(browser))).toContain('Create your first credential');
  await teamKey(teamId);
  expect(wordsOf(await overview(browser))).not.toContain('first credential');
});

test('row 110: nothing of another team is in the numbers', async () => {
  const [mine, other] = [await teamWithAdmin(), await teamWithAdmin()];
  const before = wordsOf(await overview(mine.browser));
  await teamKey(other.teamId);
  await createTestClient(server, other.teamId);
  server.domain.credentialUses.count({ teamId: other.teamId, kind: 'team_key', credential: randomUUID() }, 99);
  await server.domain.credentialUses.flush();
  server.domain.audit.note({ action: 'token.refused', outcome: 'refused', actor: OPERATOR, teamId: other.teamId });
  await server.domain.audit.flush();
  await server.domain.retirements.create({ prefix: 'old-', retiresAt: new Date(Date.now() + DAY) }, {}, OPERATOR);
  expect(wordsOf(await overview(mine.browser))).toBe(before);
  expect(wordsOf(await overview(other.browser))).toContain('99 requests');
});

test('who may not see credentials or the audit trail sees neither cards nor refusals', async () => {
  const { teamId } = await teamWithAdmin();
  await teamKey(teamId);
  const viewer = await logInAt(server, await createPerson(server, { role: 'Viewer', teamId }));
  const words = wordsOf(await overview(viewer));
  expect(words).toContain('Your keys');
  expect(words).not.toMatch(/Team keys|Requests per day|Refused|retired/);
  const operator = await logInAt(server, await createPerson(server, { role: 'Operator', teamId }));
  const operatorWords = wordsOf(await overview(operator));
  expect(operatorWords).toContain('Team keys 1');
  expect(operatorWords).not.toContain('Refused in the last');
});

test('a plot has round marks, bars within its frame, and every number in its table', () => {
  for (const [highest, top] of [
    [0, '4'],
    [3, '4'],
    [7, '8'],
    [99, '100'],
    [1_234, '1.5K'],
    [987_654, '1M'],
    [Number.MAX_SAFE_INTEGER, '10,000T'],
  ] as const) {
    const drawn = plot({
      title: 't',
      unit: 'requests',
      days: ['2030-01-30', '2030-01-31'],
      series: [
        { name: 'a', values: [highest, 0] },
        { name: 'b', values: [0, 0] },
      ],
    });
    expect([highest, drawn.ticks.at(-1)!.label]).toEqual([highest, top]);
    expect(drawn.isEmpty).toBe(highest === 0);
    for (const { x, width, parts } of drawn.bars) {
      expect(x >= drawn.left && x + width <= drawn.right).toBe(true);
      for (const { y, height } of parts) expect(y >= 0 && Math.round(y + height) <= drawn.bottom).toBe(true);
    }
    expect(drawn.rows.map(({ day, total }) => [day, total])).toEqual([
      ['2030-01-31', '0'],
      ['2030-01-30', highest.toLocaleString('en-US')],
    ]);
  }
});
