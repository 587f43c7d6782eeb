/** Input nobody means well with: it is refused, stored as what it is, or ignored; it never breaks anything. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { createBrowser, formOn } from '../support/browser.ts';
import {
  authorizationUrl,
  connect,
  createPkce,
  createTestClient,
  credentials,
  PASSWORD,
  type TokenClient,
} from '../support/flows.ts';
import { type RawAnswer, type RawRequest, send } from '../support/request.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let port: number;
let client: TokenClient;
let key: string;
let app: TokenClient;
let tokens: Record<string, string>;

beforeAll(async () => {
  server = await startTestServer();
  port = Number(new URL(server.origin).port);
  const connected = await connect(server);
  ({ app } = connected);
  tokens = connected.tokens;
  const method = { tokenEndpointAuthMethod: 'client_secret_post' };
  client = await createTestClient(server, connected.person.teamId, method);
  key = (await server.domain.apiKeys.createPersonal({ ...connected.person, name: 'Key' }, OPERATOR)).text;
}, 30_000);

afterAll(() => server?.close());

/** Whatever was sent before: the next honest request is answered as if nothing had been. */
afterEach(async () => {
  const canary = await send(port, {
    path: '/oauth2/token',
    body: { grant_type: 'client_credentials', ...credentials(client) },
  });
  expect(canary.status).toBe(200);
  const listed = await api({ path: '/providers' });
  expect(listed.status).toBe(200);
  expect(listed.body).toEqual({ values: expect.any(Array), next_page_token: '', has_more: false });
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

const FORM = 'application/x-www-form-urlencoded';

function form(path: string, body: string, headers: Record<string, string> = {}): Promise<RawAnswer> {
  return send(port, { path, method: 'POST', body, headers: { 'content-type': FORM, ...headers } });
}

function api({ path, ...request }: RawRequest): Promise<RawAnswer> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...request.headers };
  return send(port, { ...request, path: `/api/v1${path}`, headers });
}

/** Percent-encoded, as they come over the wire. */
const BAD_TEXT: [string, string][] = [
  ['NUL', '%00'],
  ['a broken escape', '%zz'],
  ['bad UTF-8', '%ff%fe'],
  ['an overlong slash', '%c0%af'],
  ['a lone surrogate', '%ED%A0%80'],
  ['CR LF', 'a%0d%0aX-Injected:%20yes'],
  ['an escape sequence', '%1b[31m'],
  ['right-to-left', '%e2%80%ae'],
  ['SQL', encodeURIComponent(`'";--\\ OR 1=1 /*`)],
  ['a prototype', '__proto__'],
  ['a constructor', 'constructor.prototype'],
  ['a template', '%3C%25=%20it%20%25%3E%24%7B7*7%7D'],
  ['50 KB', 'x'.repeat(50_000)],
];

/** No 5xx, an id to ask about, and none of the caller's bytes among the headers. */
function expectCalm(what: string, answer: RawAnswer): void {
  expect([what, answer.status < 500]).toEqual([what, true]);
  expect([what, answer.headers['x-request-id']]).toEqual([what, expect.stringMatching(/^[\w-]{8,64}$/)]);
  expect([what, answer.headers['x-injected']]).toEqual([what, undefined]);
  expect([what, answer.rawHeaders.some((part) => /[\r\n\0]/.test(part))]).toEqual([what, false]);
}

describe.each(BAD_TEXT)('rows 121, 122, 123: %s', (_name, bad) => {
  test('in every parameter of every endpoint', async () => {
    const request = new URL(authorizationUrl(server, app.clientId!, createPkce())).searchParams;
    const known = new URLSearchParams(credentials(client)).toString();
    // Longer than a header may be, it goes into bodies only.
    if (bad.length < 10_000) {
      for (const name of [
        ...request.keys(),
        'prompt',
        'max_age',
        'login_hint',
        'ui_locales',
        'resource',
        'claims',
        'nonce',
      ]) {
        const others = [...request].filter(([other]) => other !== name);
        const path = `/oauth2/authorize?${new URLSearchParams(others)}&${name}=${bad}`;
        expectCalm(`authorize ${name}`, await send(port, { path }));
      }
      for (const name of ['post_logout_redirect_uri', 'id_token_hint', 'client_id', 'state', 'logout_hint']) {
        expectCalm(`logout ${name}`, await send(port, { path: `/oauth2/logout?${name}=${bad}` }));
      }
      for (const path of [
        `/setup?token=${bad}`,
        `/interaction/${bad}`,
        `/${bad}`,
        `/assets/${bad}`,
        `/oauth2/${bad}`,
      ]) {
        expectCalm(path, await send(port, { path }));
      }
      for (const path of [
        `/providers/custom/${bad}`,
        `/providers?page_token=${bad}`,
        `/providers?page_size=${bad}`,
        `/${bad}`,
      ]) {
        expectCalm(path, await api({ path }));
      }
    }
    const names = ['grant_type', 'scope', 'resource', 'code', 'refresh_token', 'client_assertion', 'redirect_uri'];
    for (const name of [...names, 'code_verifier', 'client_id', 'client_secret']) {
      const answer = await form('/oauth2/token', `${known.replace(`${name}=`, 'x=')}&${name}=${bad}`);
      expectCalm(`token ${name}`, answer);
      expect([name, answer.status >= 400]).toEqual([name, true]);
    }
    for (const grant of ['authorization_code&code', 'refresh_token&refresh_token', 'client_credentials&scope']) {
      expectCalm(grant, await form('/oauth2/token', `${known}&grant_type=${grant}=${bad}`));
    }
    for (const path of ['/oauth2/introspect', '/oauth2/revoke']) {
      const answer = await form(path, `${known}&token=${bad}`);
      expectCalm(path, answer);
      if (answer.status === 200) expect(answer.body).toEqual(path.endsWith('revoke') ? {} : { active: false });
    }
    expectCalm('par', await form('/oauth2/par', `${new URLSearchParams(credentials(app))}&${request}&scope=${bad}`));
    expectCalm('setup', await form('/setup', `token=${bad}&csrf=${bad}&email=${bad}`, { origin: server.origin }));
  });
});

describe('row 121: JSON', () => {
  const post = (body: string | Buffer) => api({ path: '/providers/custom', method: 'POST', body });

  test.each([
    ['a NUL', '{"name":"a\\u0000b"}'],
    ['a lone surrogate', '{"name":"a\\ud800b"}'],
    ['a NUL in a name', '{"na\\u0000me":"x"}'],
    ['a lone surrogate in a name', '{"\\ud800":"x"}'],
    ['a raw control character', '{"name":"a\nb"}'],
    ['an escaped control character', '{"name":"a\\nb"}'],
    ['a prototype', '{"name":"x","__proto__":{"polluted":true}}'],
    ['a constructor', '{"name":"x","constructor":{"prototype":{"polluted":true}}}'],
    ['depth', `{"name":${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
    ['a huge number', '{"name":1e999}'],
  ])('%s is refused', async (what, body) => {
    const answer = await post(body);
    expectCalm(what, answer);
    expect([answer.status, answer.body]).toEqual([
      400,
      { code: 3, message: expect.any(String), details: expect.any(Array) },
    ]);
  });

  test('bad UTF-8 is refused, not repaired', async () => {
    const bytes = Buffer.concat([Buffer.from('{"name":"a'), Buffer.from([0xff, 0xfe]), Buffer.from('b"}')]);
    expect((await post(bytes)).status).toBe(400);
  });

  test('SQL and markup are text', async () => {
    for (const name of [
      `Robert'); DROP TABLE providers;--`,
      '<img src=x onerror=alert(1)>',
      '__proto__',
      '%s%n{{7*7}}<%= 7*7 %>',
    ]) {
      const made = await post(JSON.stringify({ name, custom_template: name }));
      expect(made.body.value).toMatchObject({ name, custom_template: name });
      expect((await api({ path: `/providers/custom/${made.body.value.id}`, method: 'DELETE' })).status).toBe(200);
    }
  });
});

describe('row 120: too much', () => {
  test('a form of 70 KB is refused at every endpoint that takes one', async () => {
    const body = `${new URLSearchParams(credentials(client))}&padding=${'x'.repeat(70_000)}`;
    for (const path of ['token', 'introspect', 'revoke', 'par'].map((name) => `/oauth2/${name}`)) {
      const answer = await form(path, body);
      expect([path, [400, 413].includes(answer.status)]).toEqual([path, true]);
    }
    for (const path of ['/setup', '/interaction/x/login'])
      expect([path, (await form(path, body)).status]).toEqual([path, 413]);
  });

  test('a header of 20 KB is 431', async () => {
    const answer = await send(port, { path: '/', headers: { 'x-long': 'x'.repeat(20_000) } });
    expect(answer.status).toBe(431);
  });

  test('50 KB of scopes are invalid_scope, and cost nothing that grows faster than they do', async () => {
    const scope = Array.from({ length: 7_000 }, (_, index) => `s${index}`).join(' ');
    const request = { grant_type: 'client_credentials', ...credentials(client), scope };
    const answer = await send(port, { path: '/oauth2/token', body: request });
    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_scope']);
    expect(answer.text.length).toBeLessThan(1_000);
  });

  test('a thousand parameters are read like one', async () => {
    const many = Array.from({ length: 1_000 }, (_, index) => `p${index}=${index}`).join('&');
    const answer = await form(
      '/oauth2/token',
      `${new URLSearchParams(credentials(client))}&grant_type=client_credentials&${many}`,
    );
    expectCalm('many', answer);
  });
});

describe('rows 22, 49: what is there twice', () => {
  test('is refused at the protocol endpoints', async () => {
    const known = new URLSearchParams(credentials(client)).toString();
    for (const name of ['scope', 'grant_type', 'client_id', 'client_secret']) {
      const answer = await form('/oauth2/token', `${known}&grant_type=client_credentials&${name}=a&${name}=b`);
      expect([name, answer.status >= 400 && answer.status < 500]).toEqual([name, true]);
    }
    const url = authorizationUrl(server, app.clientId, createPkce());
    for (const name of ['redirect_uri', 'client_id', 'state', 'scope', 'code_challenge']) {
      const answer = await send(port, { path: `${url.slice(server.origin.length)}&${name}=https://evil.example/` });
      expect([name, String(answer.headers.location ?? '').startsWith('https://evil.example')]).toEqual([name, false]);
      expect([name, String(answer.headers.location ?? '')]).not.toEqual([
        name,
        expect.stringContaining('/interaction/'),
      ]);
    }
  });
});

describe('row 2: a foreign Host', () => {
  const hosts = [
    'evil.example',
    'localhost',
    'localhost:1',
    `localhost.evil.example`,
    `user@localhost`,
    '',
    'localhost\\evil',
  ];

  test.each(hosts)('%j is refused before anything reads it', async (host) => {
    for (const path of [
      '/',
      '/.well-known/openid-configuration',
      '/oauth2/authorize',
      '/oauth2/jwks',
      '/setup',
      '/api/v1/providers',
    ]) {
      const answer = await send(port, { path, host });
      expect([path, answer.status]).toEqual([path, 400]);
      expect([path, answer.text.includes('evil')]).toEqual([path, false]);
    }
  });

  test('forwarded ones are not looked at', async () => {
    const headers = {
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example;proto=https',
      'x-forwarded-proto': 'ftp',
      'x-original-url': '/evil',
      'x-rewrite-url': '/evil',
      'x-http-method-override': 'DELETE',
    };
    for (const path of ['/.well-known/openid-configuration', '/', '/oauth2/authorize', '/setup?token=x']) {
      const answer = await send(port, { path, headers });
      expect([path, `${answer.text}${answer.rawHeaders}`.match(/evil|ftp:/)]).toEqual([path, null]);
    }
    const { body } = await send(port, { path: '/.well-known/openid-configuration', headers });
    expect(body).toMatchObject({ issuer: server.issuer, token_endpoint: `${server.issuer}/oauth2/token` });
  });
});

test('row 105: only the proxies that are configured may say where a request comes from', async () => {
  await form('/oauth2/token', 'grant_type=x', { 'x-forwarded-for': '203.0.113.7' });
  expect(server.log.filter((line) => line.includes('203.0.113.7'))).toEqual([]);
});

test('rows 87, 123, F21: each log line is one JSON object, and no secret is in any', async () => {
  const browser = createBrowser();
  const page = await browser.follow(
    await browser.get(authorizationUrl(server, app.clientId, createPkce())),
    server.origin,
  );
  const { url, fields } = formOn(page, '/login');
  await browser.post(url, { ...fields, email: 'nobody@example.com', password: 'a wrong Passw0rd' });
  await send(port, {
    path: `/x?token=${tokens.refresh_token}`,
    headers: { referer: `https://x/?code=${tokens.refresh_token}` },
  });
  await form(
    '/oauth2/token',
    new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: tokens.refresh_token!,
      ...credentials(app),
    }).toString(),
  );
  await form('/oauth2/introspect', new URLSearchParams({ token: key, ...credentials(client) }).toString());
  await api({ path: '/providers', headers: { 'user-agent': `x ${key}` } });

  expect(server.log.length).toBeGreaterThan(100);
  const broken = server.log.filter((line) => {
    const parsed: unknown = JSON.parse(line);
    const single = line.indexOf('\n') === line.length - 1 && !['\r', '\0', '\u001b'].some((one) => line.includes(one));
    return typeof parsed !== 'object' || parsed === null || !single;
  });
  expect(broken).toEqual([]);

  const cookies = (await browser.jar.getCookies(server.origin)).map(({ value }) => value);
  const uid = page.url.split('/').at(-1)!;
  const secrets = [PASSWORD, 'a wrong Passw0rd', key, app.clientSecret!, client.clientSecret!, server.secret, uid];
  const issued = [tokens.access_token!, tokens.refresh_token!, tokens.id_token!, fields.csrf!, ...cookies];
  const text = server.log.join('');
  expect([...secrets, ...issued].filter((secret) => text.includes(secret))).toEqual([]);
});
