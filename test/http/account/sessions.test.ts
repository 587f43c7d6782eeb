/** A person's own sessions, by their page: wherever they are logged in, and ending that. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type Browser, createBrowser, formOn } from '../../support/browser.ts';
import { later } from '../../support/clock.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import {
  authorizationUrl,
  createPerson,
  createPkce,
  createTestApp,
  introspect,
  PASSWORD,
  redeemCode,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0';
const PATH = '/account/sessions';

let server: TestServer;
let app: Awaited<ReturnType<typeof createTestApp>>;
let person: Awaited<ReturnType<typeof createPerson>>;
let browser: Browser;

beforeAll(async () => {
  server = await startTestServer();
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
}, 30_000);
beforeEach(async () => {
  person = await createPerson(server);
  browser = await logInAt(server, person);
});
afterAll(() => server?.close());

const at = (path: string) => `${server.origin}${path}`;
const isLoggedIn = async (one: Browser) => (await one.get(at('/account'))).status === 200;

/** Logged in on the way to an app, with a browser that says what it is. */
async function logInForApp(scope = 'openid', who = person) {
  const [other, pkce] = [createBrowser(), createPkce()];
  const says = { 'user-agent': FIREFOX };
  let visit = await other.get(authorizationUrl(server, app.clientId, pkce, { scope }), says);
  visit = await other.get(visit.location!, says);
  const form = formOn(visit, '/login');
  visit = await other.post(form.url, { ...form.fields, email: who.email, password: PASSWORD }, says);
  visit = await other.get(visit.location!, says);
  visit = await other.get(visit.location!, says);
  const asked = formOn(visit, '/consent');
  visit = await other.post(asked.url, { ...asked.fields, team_id: who.teamId }, says);
  visit = await other.get(visit.location!, says);
  const code = new URL(visit.location!).searchParams.get('code')!;
  return { other, tokens: (await redeemCode(server, app, code, pkce)).body };
}

/** What the page lists, a row each. */
async function rows(of = browser, query = ''): Promise<string[]> {
  const page = await of.get(at(`${PATH}${query}`));
  return [...page.text.matchAll(/<tr role="row">([\s\S]*?)<\/tr>/g)].slice(1).map(([text]) => wordsOf({ text }));
}

/** The page that ends each of the sessions that can be ended from here. */
async function ends(of = browser): Promise<string[]> {
  const page = await of.get(at(PATH));
  return [...page.text.matchAll(/href="(\/account\/sessions\/[0-9a-f-]{36}\/end)"/g)].map(([, href]) => href!);
}

async function idOf({ userId }: { userId: string }): Promise<string> {
  const { rows } = await server.db.query<{ id: string }>('SELECT id FROM sessions WHERE user_id = $1', [userId]);
  return rows[0]!.id;
}

test('lists the sessions of the login page and of apps, with browser, address and times; this one is marked', async () => {
  await logInForApp();
  const listed = await rows();
  expect(listed).toHaveLength(2);
  expect(listed.filter((row) => row.includes('Firefox on Windows'))).toEqual([
    expect.stringMatching(/^Firefox on Windows (::1|(::ffff:)?127\.0\.0\.1) \d+ \w+ 20\d\d, \d\d:\d\d .* End$/),
  ]);
  expect(listed.filter((row) => row.endsWith(' This browser'))).toHaveLength(1);
  expect(await ends()).toHaveLength(1);
});

test('a use elsewhere is seen as the last one, and moves it to the front', async () => {
  const { other } = await logInForApp();
  await later(600, async () => {
    await other.get(at('/account'), { 'user-agent': FIREFOX });
    // Seen from there: looking from here would be a use here.
    expect((await rows(other))[0]).toContain('Firefox on Windows');
  });
  await later(1_200, async () => {
    await browser.get(at('/account'), { 'user-agent': 'curl/8.9.1' });
    const [first, second] = await rows();
    expect([first, second]).toEqual([
      expect.stringMatching(/^curl .* This browser$/),
      expect.stringContaining('Firefox'),
    ]);
    expect((await rows(browser, '?sort=last_used_at'))[0]).toContain('Firefox');
  });
});

test('what has ended by time is not listed', async () => {
  await logInForApp();
  const { sessionIdle: idle } = server.config.lifetimes;
  await later(idle - 60, async () => {
    expect(await rows()).toHaveLength(2);
  });
  // By then only this one was used since.
  await later(idle + 60, async () => {
    expect(await rows()).toHaveLength(1);
  });
});

test('what is too old by the lifetimes as they are now is not listed, though it was made under others', async () => {
  await logInForApp();
  const shorter = { session_lifetime_seconds: 600, session_idle_seconds: 600 };
  await server.domain.settings.update(shorter, {}, { kind: 'operator', id: 'test' });
  try {
    await server.domain.notifications.settle();
    await later(500, async () => expect(await rows()).toHaveLength(2));
    const again = await later(650, () => logInAt(server, person));
    await later(660, async () => expect(await rows(again)).toHaveLength(1));
  } finally {
    await server.db.query('DELETE FROM settings');
    await server.domain.notifications.settle();
  }
});

test('row 102: ending one logs out there at once, with what apps have of it; the others go on', async () => {
  const { other, tokens } = await logInForApp();
  const third = await logInAt(server, person);
  const [page] = await Promise.all(
    (await ends()).map(async (path) => ({ path, words: wordsOf(await browser.get(at(path))) })),
  ).then((all) => all.filter(({ words }) => words.includes('Firefox on Windows')));
  expect(page!.words).toContain('You are logged out there, at once.');
  const done = await fillIn(server, browser, page!.path);
  expect(done.url).toBe(at(`${PATH}?done=ended`));
  expect(done.text).toContain('It has ended.');
  expect([await isLoggedIn(browser), await isLoggedIn(other), await isLoggedIn(third)]).toEqual([true, false, true]);
  expect((await introspect(server, app, tokens.access_token)).body).toEqual({ active: false });
  const event = (await server.auditEvents()).findLast(({ action }) => action === 'session.ended');
  expect(event).toMatchObject({ actor_kind: 'user', actor_id: person.userId, details: { ended_grants: 1 } });
  expect(await rows()).toHaveLength(2);
});

test('ending all others leaves this one, and what may stay connected', async () => {
  const { other, tokens } = await logInForApp('openid offline_access');
  const third = await logInAt(server, person);
  const bystander = await logInAt(server, await createPerson(server));
  const done = await fillIn(server, browser, `${PATH}/end-others`);
  expect(done.url).toBe(at(`${PATH}?done=sessions-ended`));
  expect([await isLoggedIn(browser), await isLoggedIn(other), await isLoggedIn(third)]).toEqual([true, false, false]);
  expect([await rows(), await isLoggedIn(bystander)]).toEqual([[expect.stringContaining('This browser')], true]);
  expect((await introspect(server, app, tokens.access_token)).body.active).toBe(true);
  const events = (await server.auditEvents()).filter(
    ({ action, actor_id }) => action === 'session.ended' && actor_id === person.userId,
  );
  expect(events).toHaveLength(2);
});

test('ending this one is logging out', async () => {
  const done = await fillIn(server, browser, `${PATH}/${await idOf(person)}/end`);
  expect(done.url).toBe(at('/login?done=logged-out'));
  expect(await isLoggedIn(browser)).toBe(false);
});

test("row 110: another person's session is not found, and goes on", async () => {
  const victim = await createPerson(server);
  const theirs = await logInAt(server, victim);
  const path = `${PATH}/${await idOf(victim)}/end`;
  expect((await browser.get(at(path))).status).toBe(404);
  const { url, fields } = formOn(await browser.get(at(`${PATH}/end-others`)), '/end-others');
  for (const one of [path, `${PATH}/nonsense/end`, `${PATH}/${person.userId}/end`]) {
    expect([one, (await browser.post(at(one), fields)).status]).toEqual([one, 404]);
  }
  await browser.post(url, { ...fields, user_id: victim.userId });
  expect(await isLoggedIn(theirs)).toBe(true);
});

test('row 113: without the proof nothing ends', async () => {
  const other = await logInAt(server, person);
  const [path] = await ends();
  for (const one of [path!, `${PATH}/end-others`]) {
    const { url, fields } = formOn(await browser.get(at(one)), one);
    expect((await browser.post(url, { ...fields, csrf: '' })).status).toBe(403);
    expect((await browser.post(url, fields, { origin: 'https://evil.example' })).status).toBe(403);
  }
  expect(await isLoggedIn(other)).toBe(true);
});

test('row 38: what a browser calls itself is text', async () => {
  const other = createBrowser();
  const says = { 'user-agent': '<script>alert(1)</script> Chrome/1 Linux' };
  const form = formOn(await other.get(at('/login')), '/login');
  await other.post(form.url, { ...form.fields, email: person.email, password: PASSWORD }, says);
  expect((await rows()).some((row) => row.startsWith('Chrome on Linux'))).toBe(true);
  const [path] = await ends();
  const page = await browser.get(at(path!));
  expect(page.text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(page.text).not.toContain('<script>alert');
});
