/** A person's own profile, by its pages. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type Browser, createBrowser, formOn } from '../../support/browser.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { createPerson } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

type Person = Awaited<ReturnType<typeof createPerson>>;

let server: TestServer;
let person: Person;
let browser: Browser;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server, { role: 'Viewer' });
  browser = await logInAt(server, person);
}, 30_000);
afterAll(() => server?.close());

const at = (path: string) => `${server.origin}${path}`;
const profile = () => server.domain.account.profile(person.userId);

test('shows the person, their roles, and nobody who is not logged in', async () => {
  const words = wordsOf(await browser.get(at('/account')));
  expect(words).toContain(person.email);
  expect(words).toContain('Viewer');
  const { location } = await createBrowser().get(at('/account'));
  expect(location).toBe(at('/login?return_to=%2Faccount'));
});

test('names are changed, trimmed, and shown as text everywhere', async () => {
  const names = { display_name: ' <b>Ada</b> ', name: 'Ada Lovelace', given_name: 'Ada', family_name: 'Lovelace' };
  const saved = await fillIn(server, browser, '/account/edit', names);
  expect(saved.url).toBe(at('/account?done=changed'));
  expect(saved.text).toContain('Your changes are saved.');
  expect(saved.text).toContain('&lt;b&gt;Ada&lt;/b&gt;');
  expect(saved.text).not.toContain('<b>Ada</b>');
  expect(await profile()).toMatchObject({ displayName: '<b>Ada</b>', familyName: 'Lovelace', email: person.email });
  const event = (await server.auditEvents()).findLast(({ action }) => action === 'user.updated');
  expect(event).toMatchObject({
    ...{ actor_kind: 'user', actor_id: person.userId, target_id: person.userId },
    details: { fields: expect.arrayContaining(['display_name', 'given_name', 'family_name']) },
  });
});

test('the time zone is the one times are shown in, from the next page on', async () => {
  await server.db.query(`UPDATE users SET created_at = '2026-01-31T12:00:00Z' WHERE id = $1`, [person.userId]);
  expect(wordsOf(await browser.get(at('/account')))).toContain('31 Jan 2026, 12:00');
  const saved = await fillIn(server, browser, '/account/edit', { time_zone: 'Asia/Tokyo' });
  expect(wordsOf(saved)).toContain('31 Jan 2026, 21:00');
  expect(saved.text).toContain('data-zone="Asia/Tokyo"');
  expect(saved.text).toContain('title="31 Jan 2026, 21:00:00 GMT+09:00"');
  expect(saved.text).toContain('datetime="2026-01-31T12:00:00.000Z"');
  const { text } = await browser.get(at('/account/edit'));
  expect(text).toContain('<option value="Asia/Tokyo" selected>');
  expect(Buffer.byteLength(text)).toBeLessThan(100 * 1_024);
  const without = await fillIn(server, browser, '/account/edit', { time_zone: '' });
  expect(without.text).toContain('data-zone=""');
  expect((await profile()).timeZone).toBeNull();
  // Whoever changed it.
  await server.db.query(`UPDATE users SET time_zone = 'Europe/Paris' WHERE id = $1`, [person.userId]);
  await server.domain.notifications.settle();
  expect((await browser.get(at('/account'))).text).toContain('data-zone="Europe/Paris"');
});

test.each([
  [{ time_zone: 'Mars/Olympus' }, 'Time zone must be a time zone such as Europe/Berlin.'],
  [{ time_zone: '+02:00' }, 'Time zone must be a time zone such as Europe/Berlin.'],
  [{ name: 'x'.repeat(256) }, 'Name must have at most 255 characters.'],
  [{ display_name: 'left\u202eright' }, 'Display name must not have control characters.'],
  [{ display_name: '\u200b\u3164' }, 'Display name must have something that can be seen.'],
])('what cannot be is told at its field, and nothing is changed: %j', async (changes, problem) => {
  const before = await profile();
  const refused = await fillIn(server, browser, '/account/edit', { given_name: 'Augusta', ...(changes as object) });
  expect(refused.status).toBe(422);
  expect(wordsOf(refused)).toContain(problem);
  expect(formOn(refused, '/account/edit').fields.given_name).toBe('Augusta');
  expect(await profile()).toEqual(before);
});

test('row 112: email, state and roles cannot be set', async () => {
  const before = await profile();
  await fillIn(server, browser, '/account/edit', {
    name: 'Ada L.',
    email: 'root@example.com',
    enabled: 'false',
    id: 'x',
  });
  expect(await profile()).toMatchObject({
    email: before.email,
    enabled: true,
    teamRoles: before.teamRoles,
    name: 'Ada L.',
  });
});

test('row 113: a form without its token, with another person\u2019s, or from another site changes nothing', async () => {
  const before = await profile();
  const other = await logInAt(server, await createPerson(server));
  const theirs = formOn(await other.get(at('/account/edit')), '/account/edit').fields.csrf!;
  const { url, fields } = formOn(await browser.get(at('/account/edit')), '/account/edit');
  const answers = [
    await browser.post(url, { ...fields, name: 'Eve', csrf: '' }),
    await browser.post(url, { ...fields, name: 'Eve', csrf: theirs }),
    await browser.post(url, { ...fields, name: 'Eve' }, { origin: 'https://evil.example' }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
  expect(await profile()).toEqual(before);
});

test('somebody in no team has all of the account pages', async () => {
  const lonely = await createPerson(server);
  await server.domain.users.update(lonely.userId, { teamRoles: [] }, {}, OPERATOR);
  const theirs = await logInAt(server, lonely);
  for (const path of ['/account', '/account/edit', '/account/password', '/account/sessions', '/account/apps']) {
    expect([path, (await theirs.get(at(path))).status]).toEqual([path, 200]);
  }
  expect(wordsOf(await theirs.get(at('/account')))).toContain('You are in no team yet.');
  expect((await fillIn(server, theirs, '/account/edit', { name: 'Lonely' })).url).toBe(at('/account?done=changed'));
  const ended = await fillIn(server, theirs, '/account/sessions/end-others');
  expect(ended.url).toBe(at('/account/sessions?done=sessions-ended'));
});
