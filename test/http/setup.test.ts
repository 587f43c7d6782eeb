import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createBrowser, formOn } from '../support/browser.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let link: string;
const browser = createBrowser();
const ADA = { email: 'ada@example.com', name: 'Ada', password: 'correct horse battery', team_name: "Ada's <Engines>" };

beforeAll(async () => {
  server = await startTestServer();
  link = `${server.origin}/setup?token=${await server.domain.setup.issueLink()}`;
});
afterAll(() => server.close());

test('the first page says where the setup link is, and where the discovery document', async () => {
  const { text } = await browser.get(server.origin);
  expect(text).toContain('The link to set up this server is in its log');
  expect(text).toContain(`${server.issuer}/.well-known/openid-configuration`);
});

test('a link that is not one gets a page that says what to do', async () => {
  for (const query of ['', '?token=', '?token=x', `?token=${'A'.repeat(43)}`, '?token=a&token=b']) {
    const page = await browser.get(`${server.origin}/setup${query}`);
    expect([page.status, page.text]).toEqual([404, expect.stringContaining('restart the server to get a new one')]);
  }
});

test('the link does not leak: not stored, not sent on, not logged', async () => {
  const page = await browser.get(link);
  expect(page.status).toBe(200);
  expect(page.headers.get('referrer-policy')).toBe('same-origin');
  expect(page.headers.get('cache-control')).toBe('no-store');
  expect(page.headers.get('content-security-policy')).toContain("form-action 'self'");
  expect(server.log.join('\n')).not.toContain(new URL(link).searchParams.get('token'));
});

test('row 32: the form is refused without the token of its page, or from elsewhere', async () => {
  const form = formOn(await browser.get(link), '/setup');
  expect((await browser.post(form.url, { ...form.fields, ...ADA, csrf: '' })).status).toBe(403);
  expect((await browser.post(form.url, { ...form.fields, ...ADA }, { origin: 'https://evil.example' })).status).toBe(
    403,
  );
});

test.each([
  ['password', 'x', 'Password must have at least 8 characters.'],
  ['email', 'nowhere', 'Email must be an email address'],
  ['name', '  ', 'Your name must not be empty.'],
  ['team_name', '', 'First team must not be empty.'],
])('a bad %s is named, and what was typed stays', async (field, value, problem) => {
  const form = formOn(await browser.get(link), '/setup');
  const page = await browser.post(form.url, { ...form.fields, ...ADA, [field]: value });
  expect(page.status).toBe(422);
  expect(page.text).toContain(problem);
  expect(page.text).not.toContain(ADA.password);
  if (field !== 'email') expect(page.text).toContain('value="ada@example.com"');
  if (field !== 'team_name') expect(page.text).toContain('value="Ada&#39;s &lt;Engines&gt;"');
});

test('setup makes the administrator and shows the three integrations, once', async () => {
  const form = formOn(await browser.get(link), '/setup');
  const page = await browser.post(form.url, { ...form.fields, ...ADA });
  expect(page.status).toBe(200);
  expect(page.text).toContain(`${server.issuer}/oauth2/token`);
  expect(page.text).toContain(`${server.issuer}/api/v1/providers`);
  // The name of the team is quoted for the shell, then escaped for the page.
  expect(page.text).toContain('--team &#39;Ada&#39;\\&#39;&#39;s &lt;Engines&gt;&#39;');
  expect(await server.domain.login.authenticate(ADA, {})).toBeDefined();
  for (const kind of ['apps', 'clients', 'team', 'personal']) {
    expect(page.text).toContain(`href="/console/api-keys/${kind}/new"`);
  }
  expect(page.text.match(/data-copy/g)).toHaveLength(6);
  expect((await browser.get(link)).status).toBe(404);
  expect((await browser.post(form.url, { ...form.fields, ...ADA })).status).toBe(404);
  expect((await browser.get(server.origin)).text).not.toContain('set up this server');
});

test('row 98: whoever set it up is logged in, in this browser alone, with a session of their own', async () => {
  const { values } = (await (
    await fetch(`${server.origin}/api/v1/users`, {
      headers: { cookie: await browser.jar.getCookieString(server.origin) },
    })
  ).json()) as { values: { email: string }[] };
  expect(values.map(({ email }) => email)).toEqual([ADA.email]);
  const home = await browser.get(server.origin);
  expect(home.text).toContain('<a href="/console">Open the console</a>');
  const stranger = await createBrowser().get(server.origin);
  expect(stranger.text).toContain('<a href="/console">Log in to the console</a>');
});

test('that login counts as one: the user was seen, and the audit trail has it', async () => {
  const other = await startTestServer();
  const visitor = createBrowser();
  const form = formOn(
    await visitor.get(`${other.origin}/setup?token=${await other.domain.setup.issueLink()}`),
    '/setup',
  );
  await visitor.post(form.url, { ...form.fields, ...ADA });
  await other.domain.audit.flush();
  const [user] = await other.domain.users.list({}, { limit: 1 });
  expect(user?.lastLoginAt).not.toBeNull();
  const events = await other.domain.auditEvents.list({}, { limit: 50 });
  const logins = events.filter(({ action }) => action === 'user.logged_in');
  expect(logins.map(({ actorId }) => actorId)).toEqual([user?.id]);
  await other.close();
});

test('row 125: only the last page of the setup has a script, our own', async () => {
  const other = await startTestServer();
  const visitor = createBrowser();
  const page = await visitor.get(`${other.origin}/setup?token=${await other.domain.setup.issueLink()}`);
  expect(page.text).not.toContain('<script');
  expect(page.headers.get('content-security-policy')).not.toContain("script-src 'self'");
  const form = formOn(page, '/setup');
  const done = await visitor.post(form.url, { ...form.fields, ...ADA });
  expect(done.headers.get('content-security-policy')).toMatch(
    /default-src 'none'; script-src 'self'; connect-src 'self'/,
  );
  expect(done.text.match(/<script[^>]*>/g)).toEqual([
    expect.stringMatching(/^<script src="\/assets\/console\.[\w-]+\.js" defer>$/),
  ]);
  await other.close();
});
