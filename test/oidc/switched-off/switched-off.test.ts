/** The authorization server switched off under Administration > Sign-in Settings, on two instances of one database. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type Api, createApi } from '../../support/api.ts';
import { createBrowser, formOn } from '../../support/browser.ts';
import { later } from '../../support/clock.ts';
import {
  authorizationUrl,
  authorize,
  clientCredentials,
  createPerson,
  createPkce,
  createTestApp,
  createTestClient,
  credentials,
  logIn,
  REDIRECT_URI,
  redeemCode,
} from '../../support/flows.ts';
import { type RawRequest, send } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

const POST = { tokenEndpointAuthMethod: 'client_secret_post' };
const OFF = {
  error: 'temporarily_unavailable',
  error_description: expect.stringContaining('Administration > Sign-in Settings'),
};

let server: TestServer;
let other: TestServer;
let api: Api;
let root: string;
let person: Awaited<ReturnType<typeof createPerson>>;
let app: Awaited<ReturnType<typeof createTestApp>>;
let client: Awaited<ReturnType<typeof createTestClient>>;

beforeAll(async () => {
  server = await startTestServer();
  const { connectionString, secret, issuer } = server;
  other = await startTestServer({ connectionString, secret, issuer });
  api = createApi(server);
  root = await api.key('Admin');
  person = await createPerson(server);
  app = await createTestApp(server, POST);
  client = await createTestClient(server, person.teamId, POST);
}, 30_000);
afterAll(async () => {
  await other?.close();
  await server?.close();
});
afterEach(() => set({ oauth2_authorization_server_enabled: true }));

/** To one of the two, under the name both have. */
function ask(instance: TestServer, request: RawRequest) {
  return send(Number(new URL(instance.origin).port), { host: new URL(server.issuer).host, ...request });
}

async function set(body: object): Promise<void> {
  const answer = await api.call({ as: root, method: 'PATCH', path: '/api/v1/settings/sign-in', body });
  expect(answer.status).toBe(200);
}

const switchOff = () => set({ oauth2_authorization_server_enabled: false });
const tokenAt = (instance: TestServer) =>
  ask(instance, { path: '/oauth2/token', body: { grant_type: 'client_credentials', ...credentials(client) } });

test('off and on again counts on every instance within a second, and at once where it was done', async () => {
  for (const [enabled, status] of [
    [false, 503],
    [true, 200],
    [false, 503],
  ] as const) {
    await set({ oauth2_authorization_server_enabled: enabled });
    const since = performance.now();
    expect((await tokenAt(server)).status).toBe(status);
    expect(await soon(async () => (await tokenAt(other)).status === status)).toBe(true);
    expect(performance.now() - since).toBeLessThan(1_000);
  }
});

test('token and pushed requests refuse every grant with one OAuth error, whoever asks', async () => {
  const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
  await switchOff();
  for (const body of [
    { grant_type: 'client_credentials', ...credentials(client) },
    {
      grant_type: 'authorization_code',
      code,
      code_verifier: pkce.verifier,
      redirect_uri: REDIRECT_URI,
      ...credentials(app),
    },
    { grant_type: 'refresh_token', refresh_token: 'x', ...credentials(app) },
    { grant_type: 'client_credentials', client_id: 'nobody', client_secret: 'nothing' },
    { grant_type: 'client_credentials' },
  ] as Record<string, string>[]) {
    const answers = [
      await ask(server, { path: '/oauth2/token', body }),
      await ask(server, { path: '/oauth2/par', body }),
    ];
    for (const { status, body: answer, headers } of answers) {
      expect([status, answer]).toEqual([503, OFF]);
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'retry-after': expect.any(String) });
    }
  }
  await set({ oauth2_authorization_server_enabled: true });
  expect((await redeemCode(server, app, code, pkce)).status).toBe(200);
});

test('an authorization request gets a page and is not sent on, whatever its redirect URI', async () => {
  const { browser } = await authorize(server, { ...person, clientId: app.clientId });
  await switchOff();
  for (const changes of [
    {},
    { redirect_uri: 'https://evil.example.com/' },
    { prompt: 'none' },
    { client_id: 'nobody' },
  ]) {
    const visit = await browser.get(authorizationUrl(server, app.clientId, createPkce(), changes));
    expect(visit.location).toBeUndefined();
    expect(visit.status).toBeGreaterThanOrEqual(400);
  }
  const visit = await browser.get(authorizationUrl(server, app.clientId, createPkce()));
  expect([visit.status, visit.headers.get('content-type')]).toEqual([503, expect.stringContaining('text/html')]);
  expect(visit.text).toContain('Administration &gt; Sign-in Settings');
});

test('a login or consent under way comes to nothing, and can be finished when it is on again', async () => {
  const browser = createBrowser();
  const url = authorizationUrl(server, app.clientId, createPkce());
  const login = await browser.follow(await browser.get(url), server.origin);
  await switchOff();
  expect((await browser.get(login.url)).status).toBe(503);
  expect((await logIn(browser, login, person.email)).status).toBe(503);
  await set({ oauth2_authorization_server_enabled: true });
  const page = await logIn(browser, login, person.email);
  const form = formOn(page, '/consent');
  await switchOff();
  const refused = await browser.post(form.url, { ...form.fields, team_id: person.teamId });
  expect([refused.status, refused.location]).toEqual([503, undefined]);
  await set({ oauth2_authorization_server_enabled: true });
  const answer = await browser.post(form.url, { ...form.fields, team_id: person.teamId });
  // Answered, but not come back yet.
  await switchOff();
  expect((await browser.follow(answer, server.origin)).status).toBe(503);
  await set({ oauth2_authorization_server_enabled: true });
  expect((await browser.follow(answer, server.origin)).location).toContain(`${REDIRECT_URI}?code=`);
});

test('everything else keeps answering: keys, tokens until they end, key set, discovery, userinfo, introspection, revocation, logout', async () => {
  const machine = (await clientCredentials(server, client)).body.access_token;
  const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
  const tokens = (await redeemCode(server, app, code, pkce)).body;
  const { text: key } = await server.domain.apiKeys.createTeam(
    { teamId: person.teamId, name: 'k' },
    { kind: 'operator', id: 'test' },
  );
  await switchOff();
  const get = async (path: string, bearer?: string) => {
    const headers: Record<string, string> = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
    return (await ask(server, { path, headers })).status;
  };
  for (const bearer of [machine, tokens.access_token, key, root])
    expect(await get('/api/v1/providers', bearer)).toBe(200);
  expect(await get('/oauth2/userinfo', tokens.access_token)).toBe(200);
  for (const path of [
    '/oauth2/jwks',
    '/.well-known/openid-configuration',
    '/.well-known/oauth-authorization-server',
    '/oauth2/logout',
  ]) {
    expect([path, await get(path)]).toEqual([path, 200]);
  }
  const body = { token: tokens.access_token, ...credentials(app) };
  expect((await ask(server, { path: '/oauth2/introspect', body })).body.active).toBe(true);
  expect((await ask(server, { path: '/oauth2/revoke', body })).status).toBe(200);
  expect((await ask(server, { path: '/oauth2/introspect', body })).body.active).toBe(false);
});

test('row 119: each refusal is in the audit trail', async () => {
  await switchOff();
  await server.domain.audit.flush();
  await server.db.query('DELETE FROM audit_events');
  await tokenAt(server);
  await createBrowser().get(authorizationUrl(server, app.clientId, createPkce()));
  const events = (await server.auditEvents()).map(({ action, outcome, details }) => [action, outcome, details]);
  expect(events).toMatchObject([
    ['token.refused', 'refused', { error: 'temporarily_unavailable' }],
    ['authorization.refused', 'refused', { error: 'temporarily_unavailable' }],
  ]);
});

test('row 101: new lifetimes count for sessions that exist already, on every instance', async () => {
  const logInSomebody = async () => (await authorize(server, { ...person, clientId: app.clientId })).browser;
  const [unused, used] = [await logInSomebody(), await logInSomebody()];
  const cookieOf = (browser: typeof used) => browser.jar.getCookieString(server.origin);
  const path = () =>
    authorizationUrl(server, app.clientId, createPkce(), { prompt: 'none' }).slice(server.origin.length);
  const outcome = async (instance: TestServer, browser: typeof used) => {
    const { headers } = await ask(instance, { path: path(), headers: { cookie: await cookieOf(browser) } });
    return new URL(headers.location!).searchParams.get('error') ?? 'code';
  };
  expect(await later(1_000, () => outcome(server, used))).toBe('code');
  await set({ session_idle_seconds: 600, session_lifetime_seconds: 1_500 });
  expect(await later(1_100, () => outcome(other, used))).toBe('code');
  expect(await later(1_100, () => outcome(other, unused))).toBe('login_required');
  expect(await later(1_550, () => outcome(other, used))).toBe('login_required');
  await set({ session_idle_seconds: 86_400, session_lifetime_seconds: 604_800 });
  const fresh = await logInSomebody();
  expect(await later(80_000, () => outcome(server, fresh))).toBe('code');
});
