import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createBrowser, formOn } from '../../support/browser.ts';
import { connect } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const BYE = 'https://app.example.com/bye';

/** A logged-in browser on the logout page. */
async function open(params: Record<string, string>) {
  const { browser, tokens, app } = await connect(server);
  const query = new URLSearchParams({
    ...params,
    ...(params.id_token_hint === '' && { id_token_hint: tokens.id_token }),
  });
  return { browser, app, page: await browser.get(`${server.origin}/oauth2/logout?${query}`) };
}

test('row 100: logging out is asked about, names the app, and then leads where the app registered', async () => {
  const { browser, page } = await open({ id_token_hint: '', post_logout_redirect_uri: BYE, state: 's' });
  expect(page.status).toBe(200);
  expect(page.text).toContain('Test app');
  expect(page.headers.get('content-security-policy')).not.toContain('form-action');
  expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  const form = formOn(page, '/confirm');
  const answer = await browser.post(form.url, { ...form.fields, logout: 'yes' });
  expect([answer.status, answer.location]).toEqual([303, `${BYE}?state=s`]);
});

test('row 100: an address nobody registered is not followed, and a form without its token is refused', async () => {
  const { browser, page } = await open({ post_logout_redirect_uri: 'https://evil.example/' });
  expect([page.status, page.location]).toEqual([200, undefined]);
  const form = formOn(page, '/confirm');
  expect((await browser.post(form.url, { xsrf: 'x', logout: 'yes' })).status).toBe(400);
  const answer = await browser.post(form.url, { ...form.fields, logout: 'yes' });
  const done = await browser.follow(answer, server.origin);
  expect(done.text).toContain('You are logged out');
});

test('staying logged in is an answer too', async () => {
  const { browser, page } = await open({ id_token_hint: '' });
  const form = formOn(page, '/confirm');
  const done = await browser.follow(await browser.post(form.url, form.fields), server.origin);
  expect(done.text).toContain('You are still logged in here');
  expect(done.text).toContain('Test app');
});

test('row 125: the one script of the engine, for a browser that is not logged in, is allowed by its hash only', async () => {
  const page = await createBrowser().get(`${server.origin}/oauth2/logout`);
  expect(page.text).toContain('document.forms[0].submit()');
  expect(page.headers.get('content-security-policy')).toMatch(/script-src 'sha256-[\w+/]{43}='/);
  expect(page.headers.get('content-security-policy')).not.toContain('unsafe');
});

test('row 37: what the engine refuses is a page of ours, which cannot be framed', async () => {
  const page = await createBrowser().get(`${server.origin}/oauth2/authorize?client_id=app_nobody&response_type=code`);
  expect(page.status).toBe(400);
  expect(page.text).toContain('This app is not known here');
  expect(page.text).toContain(page.headers.get('x-request-id'));
  expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
});
