import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type Browser, createBrowser, formOn } from '../../support/browser.ts';
import { later } from '../../support/clock.ts';
import {
  authorizationUrl,
  authorize,
  createPerson,
  createPkce,
  createTestApp,
  introspect,
  PASSWORD,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import { send } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

const IDLE = 1_000;
const ABSOLUTE = 2_500;

let server: TestServer;
let app: { clientId: string; clientSecret: string };
beforeAll(async () => {
  server = await startTestServer({ env: { SESSION_IDLE_TTL: String(IDLE), SESSION_TTL: String(ABSOLUTE) } });
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
});
afterAll(() => server.close());

/** A person with a live session and a consent. */
async function logInSomebody() {
  const person = await createPerson(server);
  const flow = await authorize(server, { ...person, clientId: app.clientId });
  return { person, ...flow };
}

/** What an authorization request without any page answers: `code`, or the error. */
async function ask(browser: Browser): Promise<string> {
  const url = authorizationUrl(server, app.clientId, createPkce(), { prompt: 'none' });
  const { location } = await browser.get(url);
  const answer = new URL(location!).searchParams;
  return answer.get('error') ?? (answer.has('code') ? 'code' : 'nothing');
}

async function sessionCookie(browser: Browser): Promise<string> {
  const cookies = await browser.jar.getCookies(server.origin);
  return cookies.find(({ key }) => key === 'latchkey_session')!.value;
}

/** A second browser with the cookies of the first as they are now. */
async function copyOf(browser: Browser): Promise<Browser> {
  const copy = createBrowser();
  for (const cookie of await browser.jar.getCookies(server.origin)) await copy.jar.setCookie(cookie, server.origin);
  return copy;
}

test('row 97: behind TLS every cookie is Secure, HttpOnly, SameSite=Lax, for this host only, and signed', async () => {
  const secure = await startTestServer({ issuer: 'https://auth.example.com' });
  try {
    const port = Number(new URL(secure.origin).port);
    const host = 'auth.example.com';
    const person = await createPerson(secure);
    const client = await createTestApp(secure);
    const seen: string[] = [];
    const jar = new Map<string, string>();
    const visit = async (path: string, body?: Record<string, string>) => {
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const origin = 'https://auth.example.com';
      const answer = await send(port, {
        path,
        host,
        headers: { cookie, origin, accept: 'text/html' },
        ...(body && { body }),
      });
      for (const line of answer.headers['set-cookie'] ?? []) {
        seen.push(line);
        const [pair = ''] = line.split(';');
        jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
      }
      return answer;
    };
    const start = new URL(authorizationUrl(secure, client.clientId, createPkce()));
    const first = await visit(start.pathname + start.search);
    const page = await visit(first.headers.location!);
    const { url, fields } = formOn(
      { ...page, url: `https://${host}${first.headers.location}`, headers: new Headers(), location: undefined },
      '/login',
    );
    const answer = await visit(new URL(url).pathname, { ...fields, email: person.email, password: PASSWORD });
    await visit(new URL(answer.headers.location!).pathname);

    const names = new Set(seen.map((line) => line.slice(0, line.indexOf('='))));
    expect([...names].filter((name) => !name.endsWith('.sig')).sort()).toEqual([
      '__Host-latchkey_session',
      '__Secure-latchkey_interaction',
      '__Secure-latchkey_resume',
    ]);
    for (const name of names) if (!name.endsWith('.sig')) expect(names).toContain(`${name}.sig`);
    for (const line of seen) {
      expect(line).toMatch(/; secure/i);
      expect(line).toMatch(/; httponly/i);
      expect(line).toMatch(/; samesite=lax/i);
      expect(line).not.toMatch(/; domain=/i);
      if (line.startsWith('__Host-')) expect(line).toMatch(/; path=\/(;|$)/i);
    }
  } finally {
    await secure.close();
  }
});

test('row 97: a cookie with a broken signature is no session', async () => {
  const { browser } = await logInSomebody();
  const forged = await copyOf(browser);
  await forged.jar.setCookie('latchkey_session.sig=AAAAAAAAAAAAAAAAAAAAAAAAAAA; path=/', server.origin);
  expect(await ask(forged)).toBe('login_required');
  expect(await ask(browser)).toBe('code');
});

test('row 98: a login gives the session a new id, and the old one is dead', async () => {
  const { browser, person } = await logInSomebody();
  const before = await copyOf(browser);
  await authorize(server, { ...person, clientId: app.clientId, browser, params: { prompt: 'login' } });
  expect(await sessionCookie(browser)).not.toBe(await sessionCookie(before));
  expect(await ask(before)).toBe('login_required');
  expect(await ask(browser)).toBe('code');
});

test('row 99: logging out ends the session on the server, not only the cookie', async () => {
  const { browser } = await logInSomebody();
  const stolen = await copyOf(browser);
  const page = await browser.get(`${server.origin}/oauth2/logout`);
  const form = formOn(page, '/oauth2/logout/confirm');
  const answer = await browser.post(form.url, { ...form.fields, logout: 'yes' });
  expect(answer.status).toBe(303);
  expect(await ask(stolen)).toBe('login_required');
});

test('row 101: a session ends after idleness', async () => {
  const { browser } = await logInSomebody();
  const idle = await copyOf(browser);
  expect(await later(IDLE - 60, () => ask(browser))).toBe('code');
  expect(await later(IDLE + 60, () => ask(idle))).toBe('code');
  const forgotten = await logInSomebody();
  expect(await later(IDLE + 60, () => ask(forgotten.browser))).toBe('login_required');
});

test('row 101: a session in constant use ends some time after the login all the same', async () => {
  const { browser } = await logInSomebody();
  for (const at of [600, 1_200, 1_800, 2_400]) expect(await later(at, () => ask(browser))).toBe('code');
  expect(await later(ABSOLUTE + 60, () => ask(browser))).toBe('login_required');
});

test('row 102: disabling a user ends sessions, refresh tokens, access tokens and keys at once', async () => {
  const { browser, person, code, pkce } = await logInSomebody();
  const tokens = (await redeemCode(server, app, code, pkce)).body;
  const { text: key } = await server.domain.apiKeys.createPersonal({ ...person, name: 'key' }, OPERATOR);
  const callWith = async (credential: string) => {
    const headers = { authorization: `Bearer ${credential}` };
    return (await fetch(`${server.origin}/api/v1/providers`, { headers })).status;
  };
  expect([await callWith(key), await callWith(tokens.access_token), await ask(browser)]).toEqual([200, 200, 'code']);

  await server.domain.users.setEnabled(person.userId, false, OPERATOR);
  expect(await soon(async () => (await callWith(key)) === 401)).toBe(true);
  expect([await callWith(key), await callWith(tokens.access_token)]).toEqual([401, 401]);
  expect(await ask(browser)).toBe('login_required');
  expect((await refresh(server, app, tokens.refresh_token)).body.error).toBe('invalid_grant');
  expect((await introspect(server, app, tokens.access_token)).body).toEqual({ active: false });
});
