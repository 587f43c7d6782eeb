import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createBrowser } from '../../support/browser.ts';
import { authorizationUrl, createPkce, createTestApp } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

test('row 130: features that are not offered have no address', async () => {
  for (const path of [
    '/oauth2/device',
    '/oauth2/device/auth',
    '/oauth2/device_authorization',
    '/device',
    '/device/auth',
    '/oauth2/register',
    '/oauth2/reg',
    '/reg',
    '/oauth2/registration',
    '/oauth2/backchannel',
    '/oauth2/bc-authorize',
    '/backchannel',
    '/oauth2/ciba',
    '/oauth2/challenge',
    '/challenge',
    '/oauth2/exchange',
    '/oauth2/credential',
    '/credential',
    '/auth',
    '/token',
    '/me',
    '/jwks',
    '/request',
    '/session/end',
    '/token/introspection',
    '/token/revocation',
    '/.well-known/webfinger',
    '/oauth2',
    '/oauth2/',
  ]) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      const response = await fetch(server.origin + path, { method });
      expect([method, path, response.status]).toEqual([method, path, 404]);
      expect(await response.text()).not.toMatch(/koa|oidc-provider|at .+:\d+:\d+/i);
    }
  }
});

test('row 130: the login pages of the engine for developers are not there', async () => {
  const { clientId } = await createTestApp(server);
  const browser = createBrowser();
  const page = await browser.follow(await browser.get(authorizationUrl(server, clientId, createPkce())), server.origin);
  expect(page.url).toMatch(/\/interaction\/[\w-]+$/);
  expect(page.text).toMatch(/type="password"/);
  expect(page.text).not.toMatch(/name="login"/);
});

test('row 130: what is not offered is not carried by a parameter either', async () => {
  const { clientId } = await createTestApp(server);
  for (const [params, error] of [
    [{ response_mode: 'jwt' }, 'invalid_request'],
    [{ response_mode: 'web_message' }, 'invalid_request'],
    [{ registration: '{}' }, 'registration_not_supported'],
  ] as [Record<string, string>, string][]) {
    const { location } = await createBrowser().get(authorizationUrl(server, clientId, createPkce(), params));
    expect([params, new URL(location!).searchParams.get('error')]).toEqual([
      params,
      expect.stringMatching(new RegExp(`^(${error}|unsupported_response_mode)$`)),
    ]);
  }
});
