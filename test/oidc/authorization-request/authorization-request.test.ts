import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { type Browser, createBrowser, formOn } from '../../support/browser.ts';
import { later } from '../../support/clock.ts';
import {
  authorizationUrl,
  authorize,
  createPerson,
  createPkce,
  createTestApp,
  logIn,
  REDIRECT_URI,
  redeemCode,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const pkce = createPkce();
let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let app: Awaited<ReturnType<typeof createTestApp>>;
/** Logged in, and the app has consent: a good request comes straight back with a code. */
let browser: Browser;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  ({ browser } = await authorize(server, { ...person, clientId: app.clientId }));
});
afterAll(() => server.close());

type Changes = Record<string, string | undefined>;

/** What the logged-in browser gets for the request with these parameters changed. */
async function ask(changes: Changes = {}, clientId = app.clientId, using = browser) {
  return using.get(authorizationUrl(server, clientId, pkce, changes));
}

/** The parameters the app gets back. */
async function answerTo(changes: Changes = {}, clientId = app.clientId, using = browser) {
  const visit = await ask(changes, clientId, using);
  if (!visit.location?.startsWith(`${changes.redirect_uri ?? REDIRECT_URI}?`)) {
    throw new Error(`not sent back to the app: ${visit.status} ${visit.location} ${visit.text.slice(0, 500)}`);
  }
  expect(visit.status).toBe(303);
  return Object.fromEntries(new URL(visit.location).searchParams);
}

describe('response_type and response_mode', () => {
  test('row 15: nothing but code, and never a token in an address', async () => {
    for (const type of [
      'token',
      'id_token',
      'code id_token',
      'code token',
      'id_token token',
      'none',
      'Code',
      undefined,
      '',
    ]) {
      const visit = await ask({ response_type: type });
      const to = visit.location === undefined ? undefined : new URL(visit.location);
      expect(`${visit.location}`).not.toMatch(/access_token|id_token=|[?#&]code=/);
      if (to === undefined) expect(visit.status).toBe(400);
      else expect(`${to.search}${to.hash}`).toMatch(/error=(unsupported_response_type|invalid_request)/);
    }
  });

  test('row 3: each advertised response_mode carries the code its way, and no other is taken', async () => {
    const fragment = await ask({ response_mode: 'fragment' });
    const parts = new URLSearchParams(new URL(fragment.location!).hash.slice(1));
    expect(Object.fromEntries(parts)).toEqual({ code: expect.any(String), state: 'a state', iss: server.issuer });
    const posted = formOn(await ask({ response_mode: 'form_post' }), '/callback');
    expect(posted.url).toBe(REDIRECT_URI);
    expect(posted.fields).toMatchObject({ code: expect.any(String), state: 'a state', iss: server.issuer });
    expect(await answerTo({ response_mode: 'query' })).toHaveProperty('code');
    for (const mode of ['web_message', 'jwt', 'query.jwt', '__proto__']) {
      expect(await answerTo({ response_mode: mode })).toMatchObject({ error: expect.any(String) });
    }
  });
});

describe('PKCE', () => {
  test('rows 16, 17, 18, 20: every app needs an S256 challenge of the right length and characters', async () => {
    const single = await createTestApp(server, { type: 'public' });
    for (const [why, changes] of Object.entries({
      none: { code_challenge: undefined, code_challenge_method: undefined },
      'method only': { code_challenge: undefined },
      empty: { code_challenge: '' },
      plain: { code_challenge_method: 'plain' },
      'no method': { code_challenge_method: undefined },
      'another method': { code_challenge_method: 's256' },
      'too short': { code_challenge: 'a'.repeat(42) },
      'too long': { code_challenge: 'a'.repeat(129) },
      plus: { code_challenge: `${'a'.repeat(42)}+` },
      slash: { code_challenge: `${'a'.repeat(42)}/` },
      padding: { code_challenge: `${'a'.repeat(42)}=` },
    })) {
      for (const clientId of [app.clientId, single.clientId]) {
        expect({ why, ...(await answerTo(changes, clientId)) }).toEqual({
          why,
          error: 'invalid_request',
          error_description: expect.stringMatching(/code_challenge|PKCE/),
          state: 'a state',
          iss: server.issuer,
        });
      }
    }
  });
});

describe('parameters', () => {
  test('rows 19, 20: state comes back as it was sent, with the issuer, on success and on error', async () => {
    for (const state of [
      '\u0000',
      'a\u0000b',
      '🗝️ שלום',
      '&=?#%25+ /\\"\'><script>',
      'x'.repeat(2_048),
      '\r\nX: y',
      '[]',
      '__proto__',
    ]) {
      expect(await answerTo({ state })).toEqual({ state, iss: server.issuer, code: expect.any(String) });
      expect(await answerTo({ state, prompt: 'none' }, app.clientId, createBrowser())).toMatchObject({
        state,
        iss: server.issuer,
        error: 'login_required',
      });
    }
    expect(await answerTo({ state: undefined })).toEqual({ iss: server.issuer, code: expect.any(String) });
  });

  test('row 19: state survives the pages in between', async () => {
    const state = '\u0000 🗝️ &= "><script>';
    const { callback } = await authorize(server, { ...person, clientId: app.clientId, params: { state } });
    expect(callback.searchParams.get('state')).toBe(state);
  });

  test('row 22: a repeated parameter is refused, and neither value is chosen', async () => {
    const good = authorizationUrl(server, app.clientId, pkce);
    for (const [name, value] of [
      ['redirect_uri', 'https://evil.example/'],
      ['redirect_uri', REDIRECT_URI],
      ['client_id', 'app_other'],
      ['state', 'evil'],
      ['scope', 'openid'],
      ['response_type', 'code'],
      ['code_challenge', pkce.challenge],
      ['prompt', 'none'],
    ] as const) {
      const extra = new URLSearchParams([[name, value]]);
      if (name === 'prompt') extra.append(name, 'login');
      const visit = await browser.get(`${good}&${extra}`);
      expect(visit.location ?? '').not.toMatch(/evil|[?&]code=/);
      if (visit.location === undefined) expect(visit.status).toBe(400);
      else expect(new URL(visit.location).searchParams.get('error')).toBe('invalid_request');
    }
  });

  test('row 23: unknown parameters change nothing', async () => {
    expect(await answerTo({ foo: 'bar', __proto__x: 'y', constructor: 'z', hd: 'example.com' })).toEqual({
      code: expect.any(String),
      state: 'a state',
      iss: server.issuer,
    });
  });

  test('row 25: request and request_uri are refused, and nothing is fetched', async () => {
    let connections = 0;
    const listener = createServer((_req, res) => res.end('{}')).on('connection', () => {
      connections += 1;
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/request`;
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(
      JSON.stringify({ client_id: app.clientId, redirect_uri: 'https://evil.example' }),
    ).toString('base64url')}.`;
    expect(await answerTo({ request_uri: address })).toMatchObject({ error: 'request_uri_not_supported' });
    expect(await answerTo({ request: unsigned })).toMatchObject({ error: 'request_not_supported' });
    expect(await answerTo({ registration: '{}' })).toMatchObject({ error: 'registration_not_supported' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(connections).toBe(0);
    listener.close();
  });
});

describe('prompt and max_age', () => {
  test('row 26: prompt=none answers without a page', async () => {
    const other = await createTestApp(server);
    expect(await answerTo({ prompt: 'none' })).toHaveProperty('code');
    expect(await answerTo({ prompt: 'none' }, app.clientId, createBrowser())).toMatchObject({
      error: 'login_required',
    });
    expect(await answerTo({ prompt: 'none' }, other.clientId)).toMatchObject({ error: 'consent_required' });
    expect(await answerTo({ prompt: 'none login' })).toMatchObject({ error: 'invalid_request' });
  });

  test('row 30: an app on the device is asked about each time', async () => {
    const native = await createTestApp(server, { type: 'public', redirectUris: ['http://127.0.0.1/cb'] });
    const params = { redirect_uri: 'http://127.0.0.1:5555/cb' };
    const flow = await authorize(server, { ...person, clientId: native.clientId, browser, params });
    expect(flow.code).not.toBe('');
    const again = await answerTo({ ...params, prompt: 'none' }, native.clientId);
    expect(again).toMatchObject({ error: expect.stringMatching(/^(interaction|consent)_required$/) });
  });

  test('row 27: prompt=login and max_age ask for the password again, and auth_time says when', async () => {
    const authTime = async (params: Changes) => {
      const flow = await authorize(server, { ...person, clientId: app.clientId, browser, params });
      const { body } = await redeemCode(server, app, flow.code, flow.pkce);
      return decodeJwt(body.id_token).auth_time as number | undefined;
    };
    const before = (await authTime({ max_age: '3600' }))!;
    const afterLogin = await later(10, () => authTime({ prompt: 'login', max_age: '3600' }));
    expect(afterLogin! - before).toBeGreaterThanOrEqual(10);
    const afterMaxAge = await later(20, async () => {
      const page = await browser.follow(await ask({ max_age: '5' }), server.origin);
      expect(page.text).toMatch(/type="password"/);
      return authTime({ max_age: '5' });
    });
    expect(afterMaxAge! - afterLogin!).toBeGreaterThanOrEqual(10);
    expect(await later(21, () => authTime({ max_age: '60' }))).toBe(afterMaxAge);
    await later(21, async () => expect((await ask({ max_age: '0' })).location).toMatch(/\/interaction\//));
    expect(await answerTo({ max_age: '-1' })).toMatchObject({ error: 'invalid_request' });
  });
});

describe('the answer', () => {
  test('row 21: every redirect is a 303, from the first request to the end of the session', async () => {
    const fresh = createBrowser();
    const statuses: number[] = [];
    for (const method of ['get', 'post'] as const) {
      const send = fresh[method].bind(fresh) as (...args: unknown[]) => ReturnType<Browser['get']>;
      fresh[method] = async (...args: unknown[]) => {
        const visit = await send(...args);
        if (visit.location !== undefined) statuses.push(visit.status);
        return visit;
      };
    }
    await authorize(server, { ...person, clientId: app.clientId, browser: fresh });
    const page = await fresh.get(`${server.origin}/oauth2/logout`);
    const form = formOn(page, '/logout/confirm');
    await fresh.post(form.url, { ...form.fields, logout: 'yes' });
    // Out to log in, back and out to consent, back and out to the app; each form, and the logout.
    expect(statuses.length).toBeGreaterThanOrEqual(6);
    expect(new Set(statuses)).toEqual(new Set([303]));
  });

  test('row 28: a code has 256 bits, is not cached, and ends after a minute', async () => {
    const codes = new Set<string>();
    for (let round = 0; round < 20; round += 1) {
      const visit = await ask();
      expect(visit.headers.get('cache-control')).toBe('no-store');
      const code = new URL(visit.location!).searchParams.get('code')!;
      expect(code).toMatch(/^[\w-]{43}$/);
      codes.add(code);
    }
    expect(codes.size).toBe(20);
    const [code, other] = [...codes] as [string, string];
    const late = await later(61, () => redeemCode(server, app, code, pkce));
    expect([late.status, late.body.error]).toEqual([400, 'invalid_grant']);
    expect((await later(55, () => redeemCode(server, app, other, pkce))).status).toBe(200);
  });
});

test('row 33: a login page opened in another browser shows nothing', async () => {
  const mine = createBrowser();
  const page = await mine.follow(await ask({}, app.clientId, mine), server.origin);
  const theirs = await createBrowser().get(page.url);
  expect(theirs.status).toBe(400);
  expect(theirs.text).not.toMatch(/type="password"/);
  expect((await logIn(mine, page, person.email)).text).toMatch(/\/consent"/);
});
