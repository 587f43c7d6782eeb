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
  expect((await browser.get(link)).status).toBe(404);
  expect((await browser.post(form.url, { ...form.fields, ...ADA })).status).toBe(404);
  expect((await browser.get(server.origin)).text).not.toContain('set up this server');
});
