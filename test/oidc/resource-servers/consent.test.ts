/** What a consent covers: the APIs and scopes a person was shown, and nothing that came by their names later. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { createBrowser, formOn } from '../../support/browser.ts';
import {
  authorizationUrl,
  authorize,
  createPerson,
  createPkce,
  createTestApp,
  introspect,
  logIn,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const POST = { tokenEndpointAuthMethod: 'client_secret_post' };

let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
}, 30_000);
afterAll(() => server?.close());

/** An API of its own, and an app that may ask for all of its scopes. */
async function makeApi(words: string[]) {
  count += 1;
  const identifier = `urn:example:api-${count}`;
  const names = words.map((word) => `api${count}:${word}`);
  const scopes = names.map((name) => ({ name, description: name }));
  const api = await server.domain.resourceServers.create({ identifier, name: 'API', scopes }, OPERATOR);
  await server.domain.notifications.settle();
  const app = await createTestApp(server, { ...POST, allowedScopes: ['openid', 'email', 'offline_access', ...names] });
  return { api, identifier, names, app };
}

const ask = (clientId: string, params: Record<string, string>, browser = createBrowser()) =>
  authorize(server, { ...person, clientId, params, browser });

test.each([[[]], [['read']]])(
  'an API is consented to by itself, also when no scope of it is new: %j',
  async (words) => {
    const { app, identifier } = await makeApi(words);
    const { browser } = await ask(app.clientId, { scope: 'openid' });
    const pkce = createPkce();
    const params = { scope: 'openid', resource: identifier };
    const silent = await browser.get(authorizationUrl(server, app.clientId, pkce, { ...params, prompt: 'none' }));
    expect(new URL(silent.location!).searchParams.get('error')).toBe('consent_required');
    const page = await browser.follow(
      await browser.get(authorizationUrl(server, app.clientId, pkce, params)),
      server.origin,
    );
    expect(page.text).toContain('Allow access?');
    expect(page.text).toContain(identifier);
  },
);

test('a resource that was not consented to, or several, costs neither code nor refresh token', async () => {
  const { app, identifier, names } = await makeApi(['read']);
  const other = await makeApi([]);
  const params = { scope: `openid offline_access ${names[0]}`, resource: identifier };
  const { code, pkce } = await ask(app.clientId, params);
  const refused = await redeemCode(server, app, code, pkce, { resource: other.identifier });
  expect([refused.status, refused.body.error]).toEqual([400, 'invalid_target']);
  const tokens = await redeemCode(server, app, code, pkce);
  expect(tokens.status).toBe(200);
  const again = await refresh(server, app, tokens.body.refresh_token, { resource: other.identifier });
  expect([again.status, again.body.error]).toEqual([400, 'invalid_target']);
  expect((await refresh(server, app, tokens.body.refresh_token)).status).toBe(200);
});

test('a scope that ends and comes back is asked for again', async () => {
  const { api, app, identifier, names } = await makeApi(['read', 'write']);
  const scope = `openid offline_access ${names.join(' ')}`;
  const { browser, code, pkce } = await ask(app.clientId, { scope, resource: identifier });
  const { body } = await redeemCode(server, app, code, pkce);
  const [read] = api.scopes;
  await server.domain.resourceServers.update(api.id, { scopes: [read!] }, {}, OPERATOR);
  await server.domain.resourceServers.update(api.id, { scopes: api.scopes }, {}, OPERATOR);
  const allowedScopes = ['openid', 'offline_access', ...names];
  await server.domain.oauthApps.update(app.id, { allowedScopes }, OPERATOR);
  await server.domain.notifications.settle();
  const refreshed = await refresh(server, app, body.refresh_token);
  expect(refreshed.body.scope.split(' ')).not.toContain(names[1]);
  const silent = { scope, resource: identifier, prompt: 'none' };
  const { location } = await browser.get(authorizationUrl(server, app.clientId, createPkce(), silent));
  expect(new URL(location!).searchParams.get('error')).toBe('consent_required');
});

test('what was issued for an API is nothing to another one that is registered under its name', async () => {
  const { api, app, identifier } = await makeApi([]);
  const { code, pkce } = await ask(app.clientId, { scope: 'openid offline_access', resource: identifier });
  const { body } = await redeemCode(server, app, code, pkce);
  expect((await introspect(server, app, body.access_token)).body.active).toBe(true);
  await server.domain.resourceServers.delete(api.id, {}, OPERATOR);
  // Both count whole seconds.
  await server.db.query(`SELECT pg_sleep(1.01)`);
  await server.domain.resourceServers.create({ identifier, name: 'Another', scopes: [] }, OPERATOR);
  await server.domain.notifications.settle();
  expect((await introspect(server, app, body.access_token)).body).toEqual({ active: false });
  expect((await refresh(server, app, body.refresh_token)).body.error).toBe('invalid_target');
});

test('an app that lost a scope, or was switched off, while the page was open gets no consent', async () => {
  const { app, names } = await makeApi(['read']);
  const open = async () => {
    const browser = createBrowser();
    const url = authorizationUrl(server, app.clientId, createPkce(), { scope: 'openid email' });
    const login = await browser.follow(await browser.get(url), server.origin);
    const page = await logIn(browser, login, person.email);
    return { browser, form: formOn(page, '/consent') };
  };
  const [first, second] = [await open(), await open()];
  const grants = async () => (await server.db.query('SELECT id FROM grants')).rows.length;
  const before = await grants();
  await server.domain.oauthApps.update(app.id, { allowedScopes: ['openid', ...names] }, OPERATOR);
  await server.domain.notifications.settle();
  const press = ({ browser, form }: typeof first) => browser.post(form.url, { ...form.fields, team_id: person.teamId });
  expect([(await press(first)).status, await grants()]).toEqual([400, before]);
  await server.domain.oauthApps.update(app.id, { allowedScopes: ['openid', 'email', ...names] }, OPERATOR);
  await server.domain.oauthApps.disable(app.id, OPERATOR);
  await server.domain.notifications.settle();
  expect([(await press(second)).status, await grants()]).toEqual([400, before]);
});

test('logging in as someone else asks for the same APIs', async () => {
  const [one, two] = [await makeApi([]), await makeApi([])];
  const browser = createBrowser();
  const url = new URL(authorizationUrl(server, one.app.clientId, createPkce(), { scope: 'openid' }));
  for (const { identifier } of [one, two]) url.searchParams.append('resource', identifier);
  const login = await browser.follow(await browser.get(url.href), server.origin);
  const page = await logIn(browser, login, person.email);
  const form = formOn(page, '/switch');
  const answer = await browser.post(form.url, form.fields);
  expect(new URL(answer.location!).searchParams.getAll('resource')).toEqual([one.identifier, two.identifier]);
});
