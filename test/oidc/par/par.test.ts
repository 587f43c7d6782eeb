import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Browser, createBrowser } from '../../support/browser.ts';
import { later } from '../../support/clock.ts';
import {
  authorize,
  consent,
  createPerson,
  createPkce,
  createTestApp,
  credentials,
  logIn,
  postForm,
  REDIRECT_URI,
  redeemCode,
} from '../../support/flows.ts';
import { inParallel } from '../../support/parallel.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const pkce = createPkce();
let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let app: Awaited<ReturnType<typeof createTestApp>>;
/** Logged in, with consent. */
let browser: Browser;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  ({ browser } = await authorize(server, { ...person, clientId: app.clientId }));
});
afterAll(() => server.close());

const REQUEST = {
  response_type: 'code',
  redirect_uri: REDIRECT_URI,
  scope: 'openid offline_access providers:read',
  state: 'pushed',
  code_challenge: pkce.challenge,
  code_challenge_method: 'S256',
};

function push(changes: Record<string, string> = {}, as: Record<string, string> = credentials(app)) {
  return postForm(`${server.origin}/oauth2/par`, { ...REQUEST, ...as, ...changes });
}

function open(request_uri: string, { clientId = app.clientId, using = browser, more = {} } = {}) {
  const query = new URLSearchParams({ client_id: clientId, request_uri, ...more });
  return using.get(`${server.origin}/oauth2/authorize?${query}`);
}

const hasCode = (location: string | undefined) => /[?&]code=/.test(location ?? '');

test('row 129: a pushed request is answered 201 with a short-lived request_uri that leads to a code', async () => {
  const { status, body, headers } = await push();
  expect(status).toBe(201);
  expect(body).toEqual({
    request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:[\w-]{20,}$/),
    expires_in: expect.any(Number),
  });
  expect(body.expires_in).toBeGreaterThan(0);
  expect(body.expires_in).toBeLessThanOrEqual(60);
  expect(headers.get('cache-control')).toBe('no-store');

  const { location } = await open(body.request_uri);
  const callback = new URL(location!).searchParams;
  expect([callback.get('state'), callback.get('iss')]).toEqual(['pushed', server.issuer]);
  expect((await redeemCode(server, app, callback.get('code')!, pkce)).status).toBe(200);
});

test('row 129: what was pushed counts, whatever the browser adds, and it survives the pages in between', async () => {
  const fresh = createBrowser();
  const { body } = await push();
  const more = { scope: 'openid email', redirect_uri: 'https://evil.example/', state: 'evil' };
  let page = await fresh.follow(await open(body.request_uri, { using: fresh, more }), server.origin);
  for (const { name } of [{ name: 'evil' }, { name: pkce.challenge }]) expect(page.url).not.toContain(name);
  page = await consent(fresh, await logIn(fresh, page, person.email), person.teamId);
  const callback = new URL(page.location!);
  expect(callback.origin + callback.pathname).toBe(REDIRECT_URI);
  expect(callback.searchParams.get('state')).toBe('pushed');
  const { body: tokens } = await redeemCode(server, app, callback.searchParams.get('code')!, pkce);
  expect(tokens.scope).toBe(REQUEST.scope);
});

test('row 129: only an authenticated app can push', async () => {
  for (const as of [{}, { client_id: app.clientId }, { client_id: app.clientId, client_secret: 'wrong' }]) {
    const { status, body } = await push({}, as as Record<string, string>);
    expect([status, body.error]).toEqual([401, 'invalid_client']);
  }
  const open = await createTestApp(server, { type: 'public' });
  expect((await push({}, { client_id: open.clientId })).status).toBe(201);
});

test('row 129: it is refused when it is pushed, not when it is used', async () => {
  for (const [changes, error] of [
    [{ request_uri: 'urn:ietf:params:oauth:request_uri:x' }, /^invalid_request|request_uri_not_supported$/],
    [{ request: 'a.b.c' }, /^invalid_request|request_not_supported$/],
    [{ redirect_uri: 'https://evil.example/' }, /^invalid_(request|redirect_uri)$/],
    [{ scope: 'teams:write' }, /^invalid_scope$/],
    [{ scope: '' }, /^invalid_scope$/],
    [{ response_type: 'token' }, /^(unsupported_response_type|invalid_request)$/],
    [{ code_challenge: '' }, /^invalid_request$/],
    [{ code_challenge_method: 'plain' }, /^invalid_request$/],
    [{ resource: 'https://evil.example/' }, /^invalid_target$/],
  ] as [Record<string, string>, RegExp][]) {
    const { status, body } = await push(changes);
    expect([changes, status]).toEqual([changes, 400]);
    expect(body.error).toMatch(error);
    expect(body.request_uri).toBeUndefined();
  }
  const nested = (await push()).body.request_uri;
  expect((await push({ request_uri: nested })).status).toBe(400);
});

test('row 129: it works for one app, once, for a minute', async () => {
  const other = await createTestApp(server);
  const { body: first } = await push();
  expect(hasCode((await open(first.request_uri, { clientId: other.clientId })).location)).toBe(false);
  expect(hasCode((await open(first.request_uri)).location)).toBe(true);
  const again = await open(first.request_uri);
  expect([again.status, again.location]).toEqual([400, undefined]);

  const { body: second } = await push();
  const late = await later(61 + 15, () => open(second.request_uri));
  expect(hasCode(late.location)).toBe(false);
  expect(hasCode((await open(`${second.request_uri}x`)).location)).toBe(false);
});

test('row 129: of 20 parallel uses exactly one gets a code', async () => {
  for (let round = 0; round < 3; round += 1) {
    const { body } = await push();
    const visits = await inParallel(20, () => open(body.request_uri));
    expect(visits.filter(({ location }) => hasCode(location))).toHaveLength(1);
    for (const { status } of visits) expect([303, 400]).toContain(status);
  }
});
