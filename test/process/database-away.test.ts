/** The database goes away under a running server, loudly and silently, and comes back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { createSecretText } from '../../src/domain/secret-text.ts';
import { openDatabase } from '../../src/storage/pool.ts';
import { createBrowser, formOn } from '../support/browser.ts';
import {
  authorizationUrl,
  connect,
  createPkce,
  createTestClient,
  credentials,
  PASSWORD,
  REDIRECT_URI,
} from '../support/flows.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { type DatabaseProxy, startProxy } from '../support/proxy.ts';
import { type RawAnswer, type RawRequest, send } from '../support/request.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** How long a statement may take here, milliseconds. */
const PATIENCE = 800;

let database: TestDatabase;
let proxy: DatabaseProxy;
let server: TestServer;
let port: number;
/** Every endpoint that needs the database, by name. */
let requests: Record<string, RawRequest>;
/** What each of them says while all is well. */
let well: Record<string, number>;

beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startProxy(database.connectionString);
  server = await startTestServer({ connectionString: `${proxy.connectionString}?query_timeout=${PATIENCE}` });
  port = Number(new URL(server.origin).port);
  ({ requests, well } = await collectRequests());
}, 30_000);

afterAll(async () => {
  await server?.close();
  await proxy?.close();
  await database?.drop();
});

async function collectRequests() {
  const { person, app, tokens, browser } = await connect(server);
  const method = { tokenEndpointAuthMethod: 'client_secret_post' };
  const scopes = { allowedScopes: ['providers:read', 'credentials:introspect'] };
  const client = await createTestClient(server, person.teamId, { ...method, ...scopes });
  const key = await server.domain.apiKeys.createPersonal({ ...person, name: 'Key' }, OPERATOR);
  const setup = await server.domain.setup.issueLink();
  const cookie = await browser.jar.getCookieString(server.origin);
  const visitor = createBrowser();
  const pkce = createPkce();
  const page = await visitor.follow(await visitor.get(authorizationUrl(server, app.clientId, pkce)), server.origin);
  const pageCookie = await visitor.jar.getCookieString(page.url);
  const login = formOn(page, '/login');

  const [asApp, asClient] = [credentials(app), credentials(client)];
  const path = (url: string) => url.slice(server.origin.length);
  const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
  const html = { accept: 'text/html' };
  const authorizePath = path(authorizationUrl(server, app.clientId, pkce));
  const token = (body: Record<string, string>) => ({ path: '/oauth2/token', body });
  const exchange = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:latchkey:token-type:api_key',
  };
  const request = Object.fromEntries(new URL(authorizationUrl(server, app.clientId, pkce)).searchParams);

  const requests: Record<string, RawRequest> = {
    'authorize, logged in': { path: authorizePath, headers: { cookie, ...html } },
    'authorize, a stranger': { path: authorizePath, headers: html },
    'a code': token({ grant_type: 'authorization_code', code: 'none', redirect_uri: REDIRECT_URI, ...asApp }),
    'a refresh token': token({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token, ...asApp }),
    'client credentials': token({ grant_type: 'client_credentials', ...asClient }),
    'an exchange of a key': token({ ...exchange, subject_token: key.text }),
    'an exchange of a key by a client': token({ ...exchange, subject_token: key.text, ...asClient }),
    'an exchange of a key nobody has': token({ ...exchange, subject_token: createSecretText('lkp_').text }),
    'an exchange of a token': token({
      ...exchange,
      subject_token: tokens.access_token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      ...asApp,
    }),
    'a wrong secret': token({ grant_type: 'client_credentials', ...asClient, client_secret: 'wrong' }),
    userinfo: { path: '/oauth2/userinfo', headers: bearer(tokens.access_token) },
    'introspection of a JWT': { path: '/oauth2/introspect', body: { ...asApp, token: tokens.access_token } },
    'introspection of an API key': { path: '/oauth2/introspect', body: { ...asClient, token: key.text } },
    'introspection of nothing': { path: '/oauth2/introspect', body: { ...asClient, token: 'nothing' } },
    revocation: { path: '/oauth2/revoke', body: { ...asApp, token: 'nothing' } },
    par: { path: '/oauth2/par', body: { ...request, ...asApp } },
    logout: { path: '/oauth2/logout', headers: { cookie, ...html } },
    'the login page': { path: path(page.url), headers: { cookie: pageCookie, ...html } },
    'a login': {
      path: path(login.url),
      body: { ...login.fields, email: person.email, password: 'wrong' },
      headers: { cookie: pageCookie, origin: server.origin, ...html, 'content-type': FORM },
    },
    'forward authentication': { path: '/oauth2/verify', headers: bearer(key.text) },
    'the API with a JWT': { path: '/api/v1/providers', headers: bearer(tokens.access_token) },
    'the API with a key': { path: '/api/v1/providers', headers: bearer(key.text) },
    'the API with a key nobody has': { path: '/api/v1/providers', headers: bearer('lkp_x') },
    'a change by the API': {
      path: '/api/v1/providers/custom',
      method: 'POST',
      body: '{"name":"A provider"}',
      headers: { ...bearer(key.text), 'content-type': 'application/json' },
    },
    'the revocation feed': { path: '/oauth2/revocations' },
    setup: { path: `/setup?token=${setup}`, headers: html },
    home: { path: '/', headers: html },
  };
  return { requests, well: {} as Record<string, number> };
}

const FORM = 'application/x-www-form-urlencoded';

async function askAll(): Promise<Record<string, RawAnswer>> {
  const answers = await Promise.all(
    Object.entries(requests).map(async ([name, request]) => [name, await send(port, request)] as const),
  );
  return Object.fromEntries(answers);
}

const statusesOf = (answers: Record<string, RawAnswer>) =>
  Object.fromEntries(Object.entries(answers).map(([name, { status }]) => [name, status]));

async function untilReady(status: number, ms: number): Promise<void> {
  const deadline = Date.now() + ms;
  while ((await send(port, { path: '/readyz' })).status !== status) {
    if (Date.now() > deadline) throw new Error(`/readyz is not ${status} after ${ms} ms`);
    await sleep(10);
  }
}

function expectAway(answers: Record<string, RawAnswer>): void {
  const all503 = Object.fromEntries(Object.keys(requests).map((name) => [name, 503]));
  expect(statusesOf(answers)).toEqual(all503);
  for (const [name, { headers, text }] of Object.entries(answers)) {
    expect([name, headers['retry-after']]).toEqual([name, expect.stringMatching(/^[1-9]\d?$/)]);
    expect([name, headers['x-request-id']]).toEqual([name, expect.any(String)]);
    expect(text).not.toMatch(/"active"|ECONN|terminat|socket|\bSELECT\b|node_modules|127\.0\.0\.1/i);
  }
}

test('rows 127, 128: cut off, everything says 503 and comes back by itself', async () => {
  well = statusesOf(await askAll());
  expect(well).toMatchObject({ 'a refresh token': 200, 'the login page': 200, par: 201, 'a change by the API': 200 });
  expect(Object.values(well)).not.toContain(503);

  const { etag = '' } = (await send(port, requests['the revocation feed']!)).headers;
  const waiting = send(port, { path: '/oauth2/revocations', headers: { 'if-none-match': etag, prefer: 'wait=25' } });
  proxy.cut();
  await untilReady(503, 300);
  expect((await waiting).status).toBe(503);
  const answers = await askAll();
  expectAway(answers);
  expect(answers['the API with a key']!.body).toMatchObject({ code: 14, details: [] });
  expect(answers['client credentials']!.body).toMatchObject({ error: 'temporarily_unavailable' });
  expect(answers['the login page']!.headers['content-type']).toMatch(/^text\/html/);

  const [live, jwks, metadata, resource] = await Promise.all(
    ['/livez', '/oauth2/jwks', '/.well-known/openid-configuration', '/.well-known/oauth-protected-resource/api'].map(
      (path) => send(port, { path }),
    ),
  );
  expect([live!.status, jwks!.status, metadata!.status, resource!.status]).toEqual([200, 200, 200, 200]);
  expect(jwks!.body.keys).toHaveLength(3);

  proxy.restore();
  await untilReady(200, 2_000);
  const after = statusesOf(await askAll());
  // The one use this refresh token had is behind it.
  expect(after).toEqual({ ...well, 'a refresh token': 400 });
}, 20_000);

test('row F4: stalled without a word, nothing hangs: who asks is told within the time a statement may take', async () => {
  const before = statusesOf(await askAll());
  proxy.stall();
  const start = Date.now();
  const timed = Object.entries(requests).map(async ([name, request]) => {
    const { status } = await send(port, request);
    return { name, status, ms: Date.now() - start };
  });
  const answers = await Promise.all(timed);
  // A few statements one after another at most, and not one of them for ten seconds.
  expect(answers.filter(({ ms }) => ms > 3.5 * PATIENCE)).toEqual([]);
  // What needs no database before it refuses may refuse; what would have been granted is not.
  const granted = answers.filter(({ name, status }) => status !== 503 && before[name]! < 400 && !FROM_MEMORY.has(name));
  expect(granted).toEqual([]);
  await untilReady(503, 4_000);
  expectAway(await askAll());

  proxy.restore();
  await untilReady(200, 3_000);
  expect(statusesOf(await askAll())).toEqual(before);
}, 20_000);

// Until the heartbeat has failed a server may go on with what it was told: the same bound as for any revocation.
const FROM_MEMORY = new Set([
  ...['client credentials', 'introspection of an API key', 'the revocation feed', 'forward authentication'],
]);

describe('a transaction', () => {
  async function open() {
    const through = await startProxy(database.connectionString);
    const errors: unknown[] = [];
    const db = openDatabase({
      connectionString: `${through.connectionString}?query_timeout=${PATIENCE}`,
      onError: (error) => errors.push(error),
    });
    return {
      through,
      db,
      async close() {
        through.restore();
        await db.close();
        await through.close();
      },
    };
  }

  test('whose connection is cut between two statements fails, and the process lives', async () => {
    const { db, through, close } = await open();
    const cut = db.transaction(async (tx) => {
      await tx.query('SELECT 1');
      through.cut();
      await sleep(50);
      return tx.query('SELECT 2');
    });
    await expect(cut).rejects.toMatchObject({ kind: 'unavailable' });
    through.restore();
    expect((await db.query('SELECT 3 AS three')).rows).toEqual([{ three: 3 }]);
    await close();
  });

  test('that stalls is given up after one time limit, not one for each thing it would have to say', async () => {
    const { db, through, close } = await open();
    await db.query('SELECT 1');
    through.stall();
    const start = Date.now();
    await expect(db.transaction((tx) => tx.query('SELECT 1'))).rejects.toMatchObject({ kind: 'unavailable' });
    expect(Date.now() - start).toBeLessThan(1.7 * PATIENCE);
    await close();
  });
});

test('row 87: what the log says of all this names no password, key, token or page of a visitor', () => {
  const text = server.log.join('');
  expect(text.includes('database lost')).toBe(true);
  const [, , uid = ''] = requests['the login page']!.path.split('/');
  const headers = Object.values(requests).flatMap((request) => Object.entries(request.headers ?? {}));
  const sent = headers.filter(([name]) => name === 'authorization' || name === 'cookie');
  const secrets = [uid, PASSWORD, ...sent.map(([, value]) => String(value).split(/[ =;]/)[1]!)];
  const long = secrets.filter((secret) => secret.length > 20);
  expect(long.length).toBeGreaterThan(5);
  expect(long.filter((secret) => text.includes(secret))).toEqual([]);
});
