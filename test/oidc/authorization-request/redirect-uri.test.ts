import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { createBrowser } from '../../support/browser.ts';
import { authorizationUrl, createPkce, createTestApp } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let app: Awaited<ReturnType<typeof createTestApp>>;

beforeAll(async () => {
  server = await startTestServer();
  app = await createTestApp(server);
});
afterAll(() => server.close());

/** What a browser gets for the request with these parameters changed: a page of ours, or the way to the login page. */
function ask(changes: Record<string, string | undefined> = {}, clientId = app.clientId) {
  return createBrowser().get(authorizationUrl(server, clientId, createPkce(), changes));
}

async function expectErrorPage(visit: { status: number; location: string | undefined; text: string }) {
  expect([visit.status, visit.location]).toEqual([400, undefined]);
  expect(visit.text).toMatch(/^<!doctype html>/i);
}

describe('the app', () => {
  test('row 11: an unknown, malformed, missing or disabled one gets an error page and no redirect', async () => {
    const disabled = await createTestApp(server);
    await server.domain.oauthApps.disable(disabled.id, OPERATOR);
    for (const clientId of [
      disabled.clientId,
      'app_unknown',
      `${app.clientId} `,
      app.clientId.toUpperCase(),
      app.id,
      'svc_unknown',
      '',
      '\u0000',
      '__proto__',
      'constructor',
      "' OR 1=1 --",
      'x'.repeat(4_000),
    ]) {
      await expectErrorPage(await ask({}, clientId));
    }
    await expectErrorPage(await ask({ client_id: undefined }));
  });
});

describe('the redirect URI', () => {
  test('row 12: only the registered one, character by character', async () => {
    for (const uri of [
      'https://app.example.com/callback/',
      'https://app.example.com/Callback',
      'https://APP.example.com/callback',
      'HTTPS://app.example.com/callback',
      'http://app.example.com/callback',
      'https://app.example.com:443/callback',
      'https://app.example.com:444/callback',
      'https://app.example.com/x/../callback',
      'https://app.example.com/%63allback',
      'https://app.example.com/callback%2e',
      'https://app.example.com//callback',
      'https://app.example.com/callback?',
      'https://app.example.com/callback?a=b',
      'https://app.example.com/callback#',
      'https://app.example.com/callback#fragment',
      'https://user@app.example.com/callback',
      'https://app.example.com@evil.example/callback',
      'https://sub.app.example.com/callback',
      'https://app.example.com.evil.example/callback',
      'https://appaexample.com/callback',
      'https://app.example.com./callback',
      'https:\\\\app.example.com\\callback',
      'https://аpp.example.com/callback', // a Cyrillic letter
      '//app.example.com/callback',
      '/callback',
      ' https://app.example.com/callback',
      'https://app.example.com/callback\t',
      'https://app.example.com/callback\u0000',
      'https://app.example.com/callback\r\nX: y',
      'javascript:alert(1)//https://app.example.com/callback',
    ]) {
      const visit = await ask({ redirect_uri: uri });
      expect([uri, visit.status, visit.location]).toEqual([uri, 400, undefined]);
    }
    expect((await ask()).location).toMatch(/\/interaction\//);
  });

  test('row 13: native apps may use any loopback port, on the registered loopback host only', async () => {
    const native = await createTestApp(server, {
      type: 'public',
      redirectUris: ['http://127.0.0.1/cb', 'http://[::1]:1234/cb', 'com.example.app:/cb'],
      postLogoutRedirectUris: [],
    });
    const web = await createTestApp(server, {
      baseUrl: 'http://127.0.0.1:3999',
      redirectUris: ['http://127.0.0.1:3999/cb'],
      postLogoutRedirectUris: [],
    });
    const outcome = async (uri: string, clientId = native.clientId) => {
      const visit = await ask({ redirect_uri: uri }, clientId);
      return visit.location === undefined ? visit.status : new URL(visit.location).pathname.split('/')[1];
    };
    for (const uri of ['http://127.0.0.1:5555/cb', 'http://127.0.0.1/cb', 'http://[::1]:9/cb', 'com.example.app:/cb']) {
      expect([uri, await outcome(uri)]).toEqual([uri, 'interaction']);
    }
    for (const uri of [
      'http://localhost:5555/cb',
      'http://127.0.0.2:5555/cb',
      'http://127.1:5555/cb',
      'http://2130706433:5555/cb',
      'http://127.0.0.1.evil.example:5555/cb',
      'http://127.0.0.1:5555@evil.example/cb',
      'http://127.0.0.1:5555/cb/',
      'http://127.0.0.1:5555/other',
      'http://127.0.0.1:5555/cb?x=y',
      'https://127.0.0.1:5555/cb',
      'com.example.app:/other',
      'com.example.evil:/cb',
    ]) {
      expect([uri, await outcome(uri)]).toEqual([uri, 400]);
    }
    expect(await outcome('http://127.0.0.1:3999/cb', web.clientId)).toBe('interaction');
    expect(await outcome('http://127.0.0.1:5555/cb', web.clientId)).toBe(400);
  });

  test('row 14: is required, even when there is only one', async () => {
    await expectErrorPage(await ask({ redirect_uri: undefined }));
    await expectErrorPage(await ask({ redirect_uri: '' }));
  });
});
