/** Logging in to the pages and out of everything, as a browser does it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { type Browser, createBrowser, formOn, type Visit } from '../support/browser.ts';
import { later } from '../support/clock.ts';
import { logInAt } from '../support/console.ts';
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
} from '../support/flows.ts';
import { send } from '../support/request.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { soon } from '../support/soon.ts';

type Person = Awaited<ReturnType<typeof createPerson>>;

let server: TestServer;
let app: Awaited<ReturnType<typeof createTestApp>>;
let person: Person;

beforeAll(async () => {
  server = await startTestServer();
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  person = await createPerson(server);
}, 30_000);
afterAll(() => server?.close());

const at = (path: string) => `${server.origin}${path}`;

/** Sends the login form of a page. */
function submit(
  browser: Browser,
  page: Visit,
  fields: Record<string, string> = {},
  headers: Record<string, string> = {},
) {
  const form = formOn(page, '/login');
  return browser.post(form.url, { ...form.fields, email: person.email, password: PASSWORD, ...fields }, headers);
}

async function cookieOf(browser: Browser, name = 'latchkey_session') {
  return (await browser.jar.getCookies(server.origin)).find(({ key }) => key === name);
}

/** A second browser with the cookies of the first as they are now. */
async function copyOf(browser: Browser): Promise<Browser> {
  const copy = createBrowser();
  for (const cookie of await browser.jar.getCookies(server.origin)) await copy.jar.setCookie(cookie, server.origin);
  return copy;
}

/** The login page as it was opened before the browser had the session it has: who is logged in sees it no more. */
async function openLogin(browser: Browser): Promise<Visit> {
  const before = createBrowser();
  const page = await before.get(at('/login'));
  for (const cookie of await before.jar.getCookies(server.origin)) await browser.jar.setCookie(cookie, server.origin);
  return page;
}

/** The person a browser is logged in as, by the API; undefined when nobody is. */
async function whoIs(browser: Browser): Promise<string | undefined> {
  const visit = await browser.get(at('/api/v1/users/self'));
  return visit.status === 200 ? JSON.parse(visit.text).email : undefined;
}

/** Presses Log out. The proof is the one of the session's pages. */
async function logOut(browser: Browser, headers: Record<string, string> = {}): Promise<Visit> {
  const csrf = (await browser.get(at('/api/v1/roles'))).headers.get('x-csrf-token') ?? '';
  return browser.post(at('/logout'), { csrf }, headers);
}

/** What an app asking without any page is answered. */
async function ask(browser: Browser): Promise<string | null> {
  const { location } = await browser.get(authorizationUrl(server, app.clientId, createPkce(), { prompt: 'none' }));
  return new URL(location!).searchParams.get('error');
}

async function sessions(): Promise<number> {
  const { rows } = await server.db.query<{ count: number }>('SELECT count(*)::int AS count FROM sessions');
  return rows[0]!.count;
}

describe('the login page', () => {
  test('asks for email and password, and leads to where the person wanted to go', async () => {
    const browser = createBrowser();
    const page = await browser.get(at('/login?return_to=%2Fconsole%2Fusers%3Fq%3Dada'));
    expect([page.status, page.headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(page.headers.get('content-security-policy')).toMatch(/frame-ancestors 'none'.*form-action 'self'/);
    const answer = await submit(browser, page);
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/console/users?q=ada']);
    expect(await whoIs(browser)).toBe(person.email);
  });

  test('sends on at once who is logged in already', async () => {
    const browser = await logInAt(server, person);
    const answer = await browser.get(at('/login?return_to=/account'));
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/account']);
  });

  test('works while the authorization server is switched off: somebody has to switch it on', async () => {
    const off = { oauth2_authorization_server_enabled: false };
    await server.domain.settings.update(off, {}, OPERATOR);
    try {
      await server.domain.notifications.settle();
      expect(await whoIs(await logInAt(server, person))).toBe(person.email);
    } finally {
      await server.db.query('DELETE FROM settings');
      await server.domain.notifications.settle();
    }
  });

  test('makes the session every app uses: there is nothing to log in to again', async () => {
    const browser = await logInAt(server, person);
    expect(await ask(browser)).toBe('consent_required');
  });

  test.each([
    ['https://evil.example', '/console'],
    ['//evil.example', '/console'],
    ['/\\evil.example', '/console'],
    ['/console\\..\\..\\evil', '/console'],
    ['\\/evil.example', '/console'],
    ['/%2f/evil.example', '/console'],
    ['/\t/evil.example', '/console'],
    ['/console/../..//evil.example', '/console'],
    ['/console/%2e%2e/oauth2/logout', '/console'],
    ['/console%0d%0aset-cookie:x=y', '/console'],
    ['/console\r\nset-cookie: x=y', '/console'],
    ['javascript:alert(1)', '/console'],
    ['console', '/console'],
    ['/consoles', '/console'],
    ['/logout', '/console'],
    ['/api/v1/users', '/console'],
    ['/account@evil.example', '/console'],
    ['', '/console'],
    [`/console?${'x'.repeat(3_000)}`, '/console'],
    ['/account/apps?done=ended', '/account/apps?done=ended'],
    ['/console/teams?next=//evil.example', '/console/teams?next=//evil.example'],
  ])('leads nowhere but to our pages: %j', async (asked, expected) => {
    const browser = createBrowser();
    const page = await browser.get(at(`/login?return_to=${encodeURIComponent(asked)}`));
    expect(formOn(page, '/login').fields.return_to).toBe(expected);
    // Nor when the form says so.
    const answer = await submit(browser, page, { return_to: asked });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, expected]);
    expect((await browser.get(at(`/login?return_to=${encodeURIComponent(asked)}`))).headers.get('location')).toBe(
      expected,
    );
  });

  test('row 103: answers the same for an unknown user, a wrong password, a disabled user, and nothing at all', async () => {
    const disabled = await createPerson(server);
    await server.domain.users.setEnabled(disabled.userId, false, OPERATOR);
    const tries: Record<string, string>[] = [
      { email: 'nobody@example.com' },
      { password: 'not the password' },
      { email: disabled.email },
      { email: 'not an address' },
      { email: '', password: '' },
    ];
    const answers = new Set<string>();
    for (const fields of tries) {
      const browser = createBrowser();
      const answer = await submit(browser, await browser.get(at('/login')), fields);
      answers.add(`${answer.status} ${answer.text.replaceAll(/value="[^"]*"|\sautofocus/g, '')}`);
      expect(answer.text).toContain('Email or password is wrong.');
      expect(answer.text).not.toContain(PASSWORD);
      expect([await whoIs(browser), await cookieOf(browser)]).toEqual([undefined, undefined]);
    }
    expect([...answers]).toEqual([expect.stringMatching(/^422 /)]);
  });

  test('row 105: refuses after too many attempts, also the right password, and says so', async () => {
    const victim = await createPerson(server);
    const browser = createBrowser();
    const page = await browser.get(at('/login'));
    for (let tries = 0; tries < 10; tries += 1) {
      expect((await submit(browser, page, { email: victim.email, password: 'wrong' })).status).toBe(422);
    }
    const answer = await submit(browser, page, { email: victim.email });
    expect([answer.status, await whoIs(browser)]).toEqual([429, undefined]);
    expect(answer.text).toContain('Too many attempts.');
    expect(answer.text).toContain(victim.email);
  }, 15_000);
});

describe('rows 32, 113: the forms', () => {
  test.each<[string, Record<string, string>, Record<string, string>]>([
    ['without a token', { csrf: '' }, {}],
    ['with a made-up token', { csrf: 'A'.repeat(43) }, {}],
    ['from another site', {}, { origin: 'https://evil.example' }],
    ['from nowhere', {}, { origin: 'null' }],
    ['without an origin', {}, { origin: '' }],
  ])('to log in %s is refused, and nobody is logged in', async (_, fields, headers) => {
    const browser = createBrowser();
    const page = await browser.get(at('/login'));
    const before = await sessions();
    const answer = await submit(browser, page, fields, headers);
    expect([answer.status, answer.location, await sessions()]).toEqual([403, undefined, before]);
  });

  test('to log in is good in the browser it was made for alone', async () => {
    const [mine, other] = [createBrowser(), createBrowser()];
    const page = await mine.get(at('/login'));
    await other.get(at('/login'));
    expect((await submit(other, page)).status).toBe(403);
    expect((await submit(createBrowser(), page)).status).toBe(403);
    expect((await submit(mine, page)).status).toBe(303);
    // Once: what was bound to before the login is gone with it.
    expect((await submit(mine, page)).status).toBe(403);
  });

  test('two open login pages both work', async () => {
    const browser = createBrowser();
    const first = await browser.get(at('/login'));
    await browser.get(at('/login'));
    expect((await submit(browser, first)).status).toBe(303);
  });

  test.each<[string, Record<string, string> | undefined, Record<string, string>]>([
    ['without a token', {}, {}],
    ["with somebody else's token", undefined, {}],
    ['from another site', undefined, { origin: 'https://evil.example' }],
  ])('to log out %s is refused, and the session stays', async (what, fields, headers) => {
    const browser = await logInAt(server, person);
    const giver = what.includes('else') ? await logInAt(server, await createPerson(server)) : browser;
    const csrf = (await giver.get(at('/api/v1/roles'))).headers.get('x-csrf-token')!;
    const answer = await browser.post(at('/logout'), fields ?? { csrf }, headers);
    expect([answer.status, await whoIs(browser)]).toEqual([403, person.email]);
  });
});

describe('row 98: the session after a login', () => {
  test('has an id nobody knew before, whoever planted the former', async () => {
    // An attacker's own session, put into the victim's browser.
    const attacker = await createPerson(server);
    const planted = await logInAt(server, attacker);
    await authorize(server, { ...attacker, clientId: app.clientId, browser: planted });
    const victim = await copyOf(planted);
    const page = await openLogin(victim);
    expect(await whoIs(victim)).toBe(attacker.email);
    const answer = await submit(victim, page);
    expect(answer.status).toBe(303);
    expect([await whoIs(victim), await whoIs(planted)]).toEqual([person.email, undefined]);
    expect((await cookieOf(victim))!.value).not.toBe((await cookieOf(planted))!.value);
    // It is another session: nothing of the former is in it, and that has ended as by logging out.
    expect(await ask(victim)).toBe('consent_required');
    const events = (await server.auditEvents()).filter(({ action }) => action === 'session.ended');
    expect(events.at(-1)).toMatchObject({ target_id: attacker.userId });
  });

  test('is there whichever of two logins at once, as by a double click, is the last', async () => {
    const browser = await logInAt(server, person);
    for (let round = 0; round < 5; round += 1) {
      const page = await openLogin(browser);
      const answers = await Promise.all([1, 2, 3].map(() => submit(browser, page)));
      expect(answers.map(({ status }) => status)).toEqual([303, 303, 303]);
      for (const answer of answers) {
        const lines = answer.headers.getSetCookie().filter((line) => line.startsWith('latchkey_session'));
        const cookie = lines.map((line) => line.split(';')[0]).join('; ');
        const visit = await fetch(at('/account'), {
          headers: { cookie, accept: 'text/html' },
          redirect: 'manual',
        });
        expect(visit.status).toBe(200);
      }
    }
  });

  test('of the same account goes on under a new id, with the apps it knows', async () => {
    const { browser } = await authorize(server, {
      ...person,
      clientId: app.clientId,
      browser: await logInAt(server, person),
    });
    const before = await copyOf(browser);
    expect((await submit(browser, await openLogin(browser))).status).toBe(303);
    expect([await whoIs(browser), await whoIs(before)]).toEqual([person.email, undefined]);
    expect(await ask(browser)).toBeNull();
  });

  test('of nobody ends: what the engine kept for it is not taken over', async () => {
    const browser = createBrowser();
    await browser.get(at('/oauth2/logout'));
    const planted = await copyOf(browser);
    expect(await cookieOf(planted)).toBeDefined();
    await submit(browser, await browser.get(at('/login')));
    expect([await whoIs(browser), await whoIs(planted)]).toEqual([person.email, undefined]);
    expect((await cookieOf(browser))!.value).not.toBe((await cookieOf(planted))!.value);
  });
});

describe('row 97: the cookies', () => {
  test('last as long as the browser, or with "keep me logged in" as long as the session', async () => {
    const browser = await logInAt(server, person);
    expect((await cookieOf(browser))!.expires).toBe('Infinity');
    const other = createBrowser();
    await submit(other, await other.get(at('/login')), { remember: 'yes' });
    const { expires } = (await cookieOf(other))!;
    const left = (new Date(expires!).getTime() - Date.now()) / 1000;
    expect(Math.abs(left - server.config.lifetimes.sessionIdle)).toBeLessThan(60);
    expect(await cookieOf(other, 'latchkey_login')).toBeUndefined();
  });

  test('behind TLS are Secure, HttpOnly, SameSite=Lax and for this host only; the session is signed', async () => {
    const secure = await startTestServer({ issuer: 'https://auth.example.com' });
    try {
      const [port, host] = [Number(new URL(secure.origin).port), 'auth.example.com'];
      const { email } = await createPerson(secure);
      const page = await send(port, { path: '/login', host, headers: { accept: 'text/html' } });
      const seen = [...page.headers['set-cookie']!];
      const cookie = seen[0]!.split(';')[0]!;
      const csrf = /name="csrf" value="([^"]*)"/.exec(page.text)![1]!;
      const origin = 'https://auth.example.com';
      const body = { csrf, email, password: PASSWORD };
      const answer = await send(port, { path: '/login', host, headers: { origin, cookie }, body });
      expect(answer.status).toBe(303);
      seen.push(...answer.headers['set-cookie']!);
      const names = new Set(seen.map((line) => line.slice(0, line.indexOf('='))));
      expect([...names].sort()).toEqual([
        '__Host-latchkey_login',
        '__Host-latchkey_session',
        '__Host-latchkey_session.sig',
      ]);
      for (const line of seen) {
        expect(line).toMatch(/; path=\/(;|$)/i);
        expect(line).toMatch(/; secure/i);
        expect(line).toMatch(/; httponly/i);
        expect(line).toMatch(/; samesite=lax/i);
        expect(line).not.toMatch(/; domain=/i);
      }
    } finally {
      await secure.close();
    }
  });
});

describe('row 99: logging out', () => {
  test('ends the session on the server, says so, and leaves no cookie', async () => {
    const browser = await logInAt(server, person);
    const stolen = await copyOf(browser);
    const answer = await logOut(browser);
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/login?done=logged-out']);
    expect(answer.headers.getSetCookie().filter((line) => line.startsWith('latchkey_session='))).toEqual([
      expect.stringMatching(/^latchkey_session=; .*expires=Thu, 01 Jan 1970/),
    ]);
    expect((await browser.follow(answer, server.origin)).text).toContain('You are logged out');
    expect([await whoIs(browser), await whoIs(stolen), await ask(stolen)]).toEqual([
      undefined,
      undefined,
      'login_required',
    ]);
    const events = (await server.auditEvents()).filter(({ action }) => action === 'session.ended');
    expect(events.at(-1)).toMatchObject({ actor_kind: 'user', actor_id: person.userId, target_id: person.userId });
  });

  test('ends what apps have of this browser, but not of those that may stay connected', async () => {
    const browser = await logInAt(server, person);
    const tokensOf = async (scope: string) => {
      const client = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
      const flow = { ...person, clientId: client.clientId, browser, params: { scope } };
      const { code, pkce } = await authorize(server, flow);
      const { body } = await redeemCode(server, client, code, pkce);
      return { client, access: body.access_token, refreshToken: body.refresh_token };
    };
    const [brief, lasting] = [await tokensOf('openid providers:read'), await tokensOf('openid offline_access')];
    const elsewhere = await authorize(server, {
      ...person,
      clientId: brief.client.clientId,
      params: { scope: 'openid' },
    });
    const other = (await redeemCode(server, brief.client, elsewhere.code, elsewhere.pkce)).body;
    await logOut(browser);
    expect((await introspect(server, brief.client, brief.access)).body).toEqual({ active: false });
    expect((await introspect(server, brief.client, other.access_token)).body.active).toBe(true);
    expect((await introspect(server, lasting.client, lasting.access)).body.active).toBe(true);
    expect((await refresh(server, lasting.client, lasting.refreshToken)).status).toBe(200);
  });

  test('row 99: ends the session of somebody whose account has expired, too', async () => {
    const someone = await createPerson(server);
    const browser = await logInAt(server, someone);
    const copy = await copyOf(browser);
    const { fields } = formOn(await browser.get(at('/account')), '/logout');
    await server.domain.users.update(someone.userId, { expiresAt: new Date(Date.now() + 60_000) }, {}, OPERATOR);
    await server.domain.notifications.settle();
    await later(120, () => browser.post(at('/logout'), fields));
    expect(await cookieOf(browser)).toBeUndefined();
    await server.domain.users.update(someone.userId, { expiresAt: null }, {}, OPERATOR);
    await server.domain.notifications.settle();
    expect(await whoIs(copy)).toBeUndefined();
  });

  test('of somebody who is not logged in (any more) leads to the login', async () => {
    const answer = await createBrowser().post(at('/logout'), {}, {});
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/login?done=logged-out']);
    // A form of another site comes without the cookie, and must not take it away.
    expect(answer.headers.getSetCookie()).toEqual([]);
  });
});

describe('row 101: a session', () => {
  test('is prolonged by being used, and its cookie with it', async () => {
    const { sessionIdle: idle } = server.config.lifetimes;
    const browser = createBrowser();
    await submit(browser, await browser.get(at('/login')), { remember: 'yes' });
    const used = await copyOf(browser);
    const visit = await later(idle - 60, () => used.get(at('/login')));
    expect(visit.status).toBe(303);
    expect(
      visit.headers
        .getSetCookie()
        .map((line) => line.slice(0, line.indexOf('=')))
        .sort(),
    ).toEqual(['latchkey_session', 'latchkey_session.sig']);
    expect((await later(idle + 600, () => used.get(at('/login')))).status).toBe(303);
    expect((await later(idle * 2 + 700, () => used.get(at('/login')))).status).toBe(200);
  });

  test('that is not used ends', async () => {
    const browser = await logInAt(server, person);
    const { sessionIdle: idle } = server.config.lifetimes;
    expect((await later(idle + 1, () => browser.get(at('/login')))).status).toBe(200);
  });

  test('that is used all the time ends some time after the login all the same', async () => {
    const { sessionIdle: idle, session } = server.config.lifetimes;
    const browser = await logInAt(server, person);
    for (let passed = idle - 60; passed < session; passed += idle - 60) {
      expect([passed, (await later(passed, () => browser.get(at('/login')))).status]).toEqual([passed, 303]);
    }
    expect((await later(session + 1, () => browser.get(at('/login')))).status).toBe(200);
  });
});

test('a session ends for good: a use that is under way does not bring it back', async () => {
  const somebody = await createPerson(server);
  const browser = await logInAt(server, somebody);
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let isLocked = () => {};
  const locked = new Promise<void>((resolve) => {
    isLocked = resolve;
  });
  const ending = server.db.transaction(async (tx) => {
    await tx.query('DELETE FROM sessions WHERE user_id = $1', [somebody.userId]);
    isLocked();
    await held;
  });
  await locked;
  // Both have read it, and wait to write it: the engine all of it, the login page the time of use.
  const uses = [
    browser.get(authorizationUrl(server, app.clientId, createPkce())),
    later(120, () => browser.get(at('/login'))),
  ];
  const waiting = async () =>
    (
      await server.db.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      )
    ).count >= 2;
  expect(await soon(waiting)).toBe(true);
  letGo();
  await Promise.all([ending, ...uses]);
  expect(await whoIs(browser)).toBeUndefined();
  expect((await server.db.query('SELECT FROM sessions WHERE user_id = $1', [somebody.userId])).count).toBe(0);
});
