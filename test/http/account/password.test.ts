/** Changing one's own password, by its page: what ends with it and what goes on. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type Browser, createBrowser, formOn } from '../../support/browser.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import {
  authorize,
  createPerson,
  createTestApp,
  introspect,
  PASSWORD,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const NEXT = 'a new horse, better staple';

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

function change(changes: Record<string, string | undefined> = {}, from = browser) {
  const fields = { current_password: PASSWORD, password: NEXT, password_again: NEXT };
  return fillIn(server, from, '/account/password', { ...fields, ...changes });
}

/** A second browser with the cookies of the first as they are now. */
async function copyOf(one: Browser): Promise<Browser> {
  const copy = createBrowser();
  for (const cookie of await one.jar.getCookies(server.origin)) await copy.jar.setCookie(cookie, server.origin);
  return copy;
}

/** What the person has all over the place. */
async function possessions() {
  const elsewhere = await authorize(server, { ...person, clientId: app.clientId });
  const { body } = await redeemCode(server, app, elsewhere.code, elsewhere.pkce);
  const { text: key } = await server.domain.apiKeys.createPersonal({ ...person, name: 'key' }, OPERATOR);
  return { elsewhere: elsewhere.browser, stolen: await copyOf(browser), tokens: body, key };
}

async function whatIsLeft({ elsewhere, stolen, tokens, key }: Awaited<ReturnType<typeof possessions>>) {
  const { status } = await fetch(at('/api/v1/providers'), { headers: { authorization: `Bearer ${key}` } });
  return {
    here: await isLoggedIn(browser),
    elsewhere: await isLoggedIn(elsewhere),
    stolen: await isLoggedIn(stolen),
    accessToken: (await introspect(server, app, tokens.access_token)).body.active,
    refreshToken: (await refresh(server, app, tokens.refresh_token)).status === 200,
    key: status === 200,
  };
}

const events = async (action: string) =>
  (await server.auditEvents()).filter((one) => one.action === action && one.target_id === person.userId);

describe('row 102: a changed password', () => {
  test('ends every other session, consent and token unless told otherwise; this browser goes on under a new id', async () => {
    const all = await possessions();
    const page = await browser.get(at('/account/password'));
    expect(formOn(page, '/account/password').fields.end_others).toBe('on');
    const changed = await change();
    expect(changed.url).toBe(at('/account?done=password-changed-others-ended'));
    expect(await whatIsLeft(all)).toEqual({
      ...{ here: true, elsewhere: false, stolen: false },
      ...{ accessToken: false, refreshToken: false, key: true },
    });
    await expect(logInAt(server, person)).rejects.toThrow('not logged in: 422');
    expect(await isLoggedIn(await logInAt(server, person, NEXT))).toBe(true);
    const made = await events('user.password_changed');
    expect(made).toMatchObject([
      { actor_kind: 'user', actor_id: person.userId, details: { ended_others: true, ended_sessions: 1 } },
    ]);
    expect(JSON.stringify(made)).not.toMatch(/staple/);
  });

  test('ends nothing when the box is not checked, but whoever has a copy of this very session is out', async () => {
    const all = await possessions();
    const changed = await change({ end_others: undefined });
    expect(changed.url).toBe(at('/account?done=password-changed'));
    expect(await whatIsLeft(all)).toEqual({
      ...{ here: true, elsewhere: true, stolen: false },
      ...{ accessToken: true, refreshToken: true, key: true },
    });
    await expect(logInAt(server, person)).rejects.toThrow('not logged in: 422');
  });
});

test.each<[Record<string, string>, string]>([
  [{ current_password: 'wrong' }, 'Current password is not right.'],
  [{ current_password: '' }, 'Current password is not right.'],
  [{ password: 'short', password_again: 'short' }, 'New password must have at least 8 characters.'],
  [{ password: 'password1', password_again: 'password1' }, 'New password is one of the most common passwords'],
  [{ password_again: `${NEXT}r` }, 'New password once more is not the same.'],
  [{ password: PASSWORD, password_again: PASSWORD }, 'New password is the one you have already.'],
])('what is not right is told at its field, and nothing ends: %j', async (changes, problem) => {
  const all = await possessions();
  const refused = await change(changes);
  expect(refused.status).toBe(422);
  expect(wordsOf(refused)).toContain(problem);
  for (const typed of [PASSWORD, NEXT]) expect(refused.text).not.toContain(typed);
  expect(formOn(refused, '/account/password').fields.end_others).toBe('on');
  expect(await whatIsLeft(all)).toMatchObject({ here: true, elsewhere: true, refreshToken: true });
  expect(await isLoggedIn(await logInAt(server, person))).toBe(true);
  expect(await events('user.password_changed')).toEqual([]);
});

test('the choice stays as it was made when something else is not right', async () => {
  const refused = await change({ current_password: 'wrong', end_others: undefined });
  expect(formOn(refused, '/account/password').fields.end_others).toBeUndefined();
});

test('row 105: the current password cannot be guessed here, any more than at the login', async () => {
  for (let tries = 0; tries < 10; tries += 1) expect((await change({ current_password: 'wrong' })).status).toBe(422);
  const refused = await change();
  expect(refused.status).toBe(429);
  expect(wordsOf(refused)).toContain('Too many attempts.');
  await expect(logInAt(server, person)).rejects.toThrow('not logged in: 429');
  const noted = await events('user.password_refused');
  expect(noted.map(({ outcome, actor_id }) => [outcome, actor_id])).toEqual(
    Array.from({ length: 11 }, () => ['refused', person.userId]),
  );
}, 15_000);

test('two at once: one counts, and the other is told', async () => {
  const page = formOn(await browser.get(at('/account/password')), '/account/password');
  const send = (password: string) =>
    browser.post(page.url, { ...page.fields, current_password: PASSWORD, password, password_again: password });
  const answers = await Promise.all([send('the first of two'), send('the second of two')]);
  expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
  expect(await events('user.password_changed')).toHaveLength(1);
});

test('row 113: a form without its token changes nothing', async () => {
  const { url, fields } = formOn(await browser.get(at('/account/password')), '/account/password');
  const typed = { current_password: PASSWORD, password: NEXT, password_again: NEXT };
  expect((await browser.post(url, { ...fields, ...typed, csrf: 'x' })).status).toBe(403);
  expect((await browser.post(url, { ...fields, ...typed }, { origin: 'https://evil.example' })).status).toBe(403);
  expect(await isLoggedIn(await logInAt(server, person))).toBe(true);
});
