import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { createBrowser, formOn, type Visit } from '../../support/browser.ts';
import { authorizationUrl, createPerson, createPkce, createTestApp, PASSWORD } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let app: Awaited<ReturnType<typeof createTestApp>>;
let person: Awaited<ReturnType<typeof createPerson>>;

beforeAll(async () => {
  server = await startTestServer();
  app = await createTestApp(server, { name: 'Trip <b>Planner</b>' });
  person = await createPerson(server);
});
afterAll(() => server.close());

async function open(params: Record<string, string> = {}) {
  const browser = createBrowser();
  const start = await browser.get(authorizationUrl(server, app.clientId, createPkce(), params));
  return { browser, page: await browser.follow(start, server.origin) };
}

/** What the page says, without what differs between two interactions. */
function textOf({ text }: Visit): string {
  return text.replaceAll(/\/interaction\/[\w-]+/g, '').replaceAll(/value="[^"]*"/g, '');
}

describe('the login page', () => {
  test('names the app and its host, and takes the hint', async () => {
    const { page } = await open({ login_hint: 'ada"@example.com' });
    expect(page.status).toBe(200);
    expect(page.text).toContain('Trip &lt;b&gt;Planner&lt;/b&gt;');
    expect(page.text).toContain('app.example.com');
    expect(page.text).toContain('value="ada&quot;@example.com"');
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  });

  test('row 21: sends the browser on with 303', async () => {
    const { browser, page } = await open();
    const form = formOn(page, '/login');
    const answer = await browser.post(form.url, { ...form.fields, email: person.email, password: PASSWORD });
    expect(answer.status).toBe(303);
    expect(answer.location).toMatch(`${server.origin}/oauth2/authorize/`);
  });

  test('row 103: answers the same for an unknown user, a wrong password, a disabled user, and nothing at all', async () => {
    const disabled = await createPerson(server);
    await server.domain.users.setEnabled(disabled.userId, false, { kind: 'operator', id: 'test' });
    const tries: Record<string, string>[] = [
      { email: 'nobody@example.com', password: PASSWORD },
      { email: person.email, password: 'not the password' },
      { email: disabled.email, password: PASSWORD },
      { email: 'not an address', password: PASSWORD },
      { email: person.email },
      {},
    ];
    const answers = new Set<string>();
    for (const fields of tries) {
      const { browser, page } = await open();
      const form = formOn(page, '/login');
      const answer = await browser.post(form.url, { csrf: form.fields.csrf!, ...fields });
      // Focus goes to the first field that is empty.
      answers.add(`${answer.status} ${textOf(answer).replaceAll(/\sautofocus/g, '')}`);
      expect(answer.text).toContain('Email or password is wrong.');
      if (fields.email) expect(answer.text).toContain(`value="${fields.email}"`);
      if (fields.password) expect(answer.text).not.toContain(fields.password);
    }
    expect([...answers]).toEqual([expect.stringMatching(/^422 /)]);
  });

  test('says so after too many attempts, and does not forget who asked', async () => {
    const victim = await createPerson(server);
    const { browser, page } = await open();
    const form = formOn(page, '/login');
    let answer = page;
    for (let tries = 0; tries < 11; tries += 1) {
      answer = await browser.post(form.url, { ...form.fields, email: victim.email, password: 'wrong' });
    }
    expect(answer.status).toBe(429);
    expect(answer.text).toContain('Too many attempts.');
    expect(answer.text).toContain(victim.email);
  }, 15_000);

  test('row 36: cancelled, tells the app access_denied with state and iss', async () => {
    const { browser, page } = await open();
    const form = formOn(page, '/abort');
    const answer = await browser.follow(await browser.post(form.url, form.fields), server.origin);
    const { searchParams } = new URL(answer.location!);
    expect(Object.fromEntries(searchParams)).toMatchObject({
      error: 'access_denied',
      state: 'a state',
      iss: server.issuer,
    });
  });
});

describe('row 102: a login that was answered, but not gone on with,', () => {
  test.each([
    ['a new password', (id: string) => server.domain.users.setPassword(id, 'another long enough password', OPERATOR)],
    ['being disabled for a while', (id: string) => server.domain.users.setEnabled(id, false, OPERATOR)],
  ])('ends with %s, as sessions do', async (_, end) => {
    const someone = await createPerson(server);
    const { browser, page } = await open();
    const form = formOn(page, '/login');
    const answer = await browser.post(form.url, { ...form.fields, email: someone.email, password: PASSWORD });
    expect(answer.status).toBe(303);
    await end(someone.userId);
    await server.domain.users.setEnabled(someone.userId, true, OPERATOR);
    expect((await browser.follow(answer, server.origin)).status).toBe(400);
    const account = await browser.get(`${server.origin}/account`);
    expect([account.status, new URL(account.location!).pathname]).toEqual([303, '/login']);
  });
});

describe('row 32: the login form', () => {
  test.each([
    ['without a token', { csrf: '' }, {}],
    ["with another interaction's token", undefined, {}],
    ['from another site', {}, { origin: 'https://evil.example' }],
    ['from nowhere', {}, { origin: 'null' }],
  ])('%s is refused, and nobody is logged in', async (_, fields, headers) => {
    const [mine, other] = [await open(), await open()];
    const form = formOn(mine.page, '/login');
    const changes = fields ?? { csrf: formOn(other.page, '/login').fields.csrf! };
    const sent = { ...form.fields, email: person.email, password: PASSWORD, ...changes };
    const before = (await server.auditEvents()).length;
    const answer = await mine.browser.post(form.url, sent, headers as Record<string, string>);
    expect([answer.status, answer.location]).toEqual([403, undefined]);
    expect((await server.auditEvents()).slice(before).map(({ action }) => action)).not.toContain('user.logged_in');
  });

  test.each([
    ['application/json', '{"email":"a"}', 415],
    ['application/x-www-form-urlencoded', `email=${'x'.repeat(70_000)}`, 413],
    ['application/x-www-form-urlencoded', 'email=a&email=b', 400],
    ['application/x-www-form-urlencoded', 'email=%00', 400],
    ['application/x-www-form-urlencoded', 'email=%ED%A0%80', 400],
  ])('that is none (%s) gets a page that says so', async (type, body, status) => {
    const { browser, page } = await open();
    const answer = await browser.post(formOn(page, '/login').url, body, { 'content-type': type });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.text).toContain('Request id');
  });
});

describe('row 33: the interaction of one browser', () => {
  test('shows nothing in another, and takes nothing from it', async () => {
    const { page } = await open();
    const form = formOn(page, '/login');
    const thief = createBrowser();
    const seen = await thief.get(page.url);
    expect(seen.status).toBe(400);
    expect(seen.text).not.toContain('Planner');
    for (const [path, fields] of [
      ['login', { email: person.email, password: PASSWORD }],
      ['consent', { team_id: person.teamId }],
      ['abort', {}],
      ['switch', {}],
    ] as const) {
      const answer = await thief.post(`${page.url}/${path}`, { ...form.fields, ...fields });
      expect([path, answer.status, answer.location]).toEqual([path, 400, undefined]);
    }
  });

  test('cannot be reached with the cookie of another interaction', async () => {
    const [{ page }, other] = [await open(), await open()];
    const cookies = (await other.browser.jar.getCookies(other.page.url)).map(({ key, value }) => `${key}=${value}`);
    const seen = await fetch(page.url, { headers: { accept: 'text/html', cookie: cookies.join('; ') } });
    expect(seen.status).toBe(400);
  });
});
