import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS } from '../../../src/domain/permissions.ts';
import { type Browser, createBrowser } from '../../support/browser.ts';
import {
  authorizationUrl,
  authorize,
  clientCredentials,
  createPerson,
  createPkce,
  createTestApp,
  createTestClient,
  credentials,
  introspect,
  postForm,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let app: Awaited<ReturnType<typeof createTestApp>>;
let client: Awaited<ReturnType<typeof createTestClient>>;
let browser: Browser;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  client = await createTestClient(server, person.teamId);
  browser = (await authorize(server, { ...person, clientId: app.clientId })).browser;
});
afterAll(() => server.close());

/** The token response for an authorization request with this scope. */
async function tokensFor(scope: string, { who = person, using = browser, to = app, prompt = 'consent' } = {}) {
  const params = { scope, prompt };
  const flow = await authorize(server, { ...who, clientId: to.clientId, browser: using, params });
  return (await redeemCode(server, to, flow.code, flow.pkce)).body;
}

describe('what an app or client may not have', () => {
  test('row 54: the token endpoint refuses a scope outside the set of the client, and issues nothing', async () => {
    for (const scope of [
      'evil',
      'providers:read evil',
      'teams:write',
      'providers:read teams:write',
      'openid',
      'offline_access',
      'PROVIDERS:READ',
      '__proto__',
      'providers:read  providers:write',
      ' providers:read',
      'providers:read\tproviders:write',
      'providers:read\u0000',
      '"providers:read"',
    ]) {
      const { status, body } = await clientCredentials(server, client, { scope });
      expect([scope, status, body.error, body.access_token]).toEqual([scope, 400, 'invalid_scope', undefined]);
    }
  });

  test('row 54: the authorization endpoint says so to the app', async () => {
    for (const scope of ['openid evil', 'teams:write', 'openid teams:write', '__proto__', 'openid "', undefined, '']) {
      const visit = await browser.get(authorizationUrl(server, app.clientId, createPkce(), { scope }));
      expect(visit.status).toBe(303);
      expect({ asked: scope, ...Object.fromEntries(new URL(visit.location!).searchParams) }).toMatchObject({
        asked: scope,
        error: 'invalid_scope',
        state: 'a state',
        iss: server.issuer,
      });
    }
  });

  test('rows 54, 120: 50 KB of scopes are refused at once', async () => {
    const long = Array.from({ length: 5_000 }, (_, index) => `scope:${index}`).join(' ');
    const repeated = 'providers:read '.repeat(3_500).trim();
    for (const scope of [long, repeated]) {
      const started = performance.now();
      const [token, pushed] = await Promise.all([
        clientCredentials(server, client, { scope }),
        postForm(`${server.origin}/oauth2/par`, { response_type: 'code', scope, ...credentials(app) }),
      ]);
      expect(performance.now() - started).toBeLessThan(5_000);
      expect([200, 400, 413]).toContain(token.status);
      expect([400, 413]).toContain(pushed.status);
      expect(token.body.scope ?? '').toMatch(/^(providers:read)?$/);
    }
  });

  test('row 54: a machine client gets neither a refresh token nor an ID token', async () => {
    const { body } = await clientCredentials(server, client);
    expect(Object.keys(body).sort()).toEqual(['access_token', 'expires_in', 'scope', 'token_type']);
  });
});

describe('what is granted', () => {
  test('row 53: the answer names the scope that was granted', async () => {
    expect((await clientCredentials(server, client)).body.scope).toBe('providers:read providers:write');
    expect((await clientCredentials(server, client, { scope: 'providers:write' })).body.scope).toBe('providers:write');
    const twice = await clientCredentials(server, client, { scope: 'providers:read providers:read' });
    expect(twice.body.scope).toBe('providers:read');
    expect((await tokensFor('openid providers:read')).scope).toBe('openid providers:read');
  });

  test('row 53: a user token never says more than its user may do now', async () => {
    const viewer = await createPerson(server, { role: 'Viewer' });
    const using = createBrowser();
    const scope = 'openid offline_access providers:read providers:write';
    const tokens = await tokensFor(scope, { who: viewer, using });
    expect(tokens.scope).toBe('openid offline_access providers:read');
    expect(decodeJwt(tokens.access_token).scope).toBe(tokens.scope);

    const { userId, teamId } = viewer;
    const mayWrite = async () => (await server.domain.authority.permissionsIn(userId, teamId))?.has('providers:write');
    const roles = async (role: 'Operator' | 'Viewer') => {
      await server.domain.memberships.setRoles({ ...viewer, roles: [ROLE_IDS[role]] }, OPERATOR);
      expect(await soon(async () => (await mayWrite()) === (role === 'Operator'))).toBe(true);
    };
    await roles('Operator');
    const promoted = await refresh(server, app, tokens.refresh_token);
    expect(new Set(promoted.body.scope.split(' '))).toEqual(new Set(scope.split(' ')));

    await roles('Viewer');
    expect((await introspect(server, app, promoted.body.access_token)).body.scope.split(' ')).not.toContain(
      'providers:write',
    );
    const demoted = await refresh(server, app, promoted.body.refresh_token);
    expect(demoted.body.scope.split(' ')).not.toContain('providers:write');
  });

  test('offline_access is granted to whoever asks and may have it, with or without openid or prompt=consent', async () => {
    for (const prompt of ['consent', '']) {
      const withOpenid = await tokensFor('openid offline_access', { prompt });
      expect(withOpenid).toMatchObject({ scope: 'openid offline_access', refresh_token: expect.any(String) });
      expect(withOpenid).toHaveProperty('id_token');
      const plain = await tokensFor('offline_access providers:read', { prompt });
      expect(plain).toMatchObject({ scope: 'offline_access providers:read', refresh_token: expect.any(String) });
      expect(plain).not.toHaveProperty('id_token');
    }
    expect(await tokensFor('openid providers:read')).not.toHaveProperty('refresh_token');
    expect(await tokensFor('openid providers:read', { prompt: '' })).not.toHaveProperty('refresh_token');
  });

  test('offline_access is refused to an app that may not have it', async () => {
    const online = await createTestApp(server, { allowedScopes: ['openid', 'providers:read'] });
    const url = authorizationUrl(server, online.clientId, createPkce(), { scope: 'openid offline_access' });
    const { location } = await browser.get(url);
    expect(new URL(location!).searchParams.get('error')).toBe('invalid_scope');
  });
});

describe('whom and what a token names', () => {
  test('row 55: the subject of a client is never that of a user', async () => {
    const chosen = { clientId: person.userId, client_id: person.userId, id: person.userId };
    const made = await createTestClient(server, person.teamId, chosen);
    for (const one of [client, made]) {
      const { sub } = decodeJwt((await clientCredentials(server, one)).body.access_token);
      expect(sub).toMatch(/^svc_/);
      expect(sub).toBe(one.clientId);
    }
    const { sub } = decodeJwt((await tokensFor('openid')).access_token);
    expect(sub).toBe(person.userId);
    expect(sub).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  });

  test('row 55: a token of a client is nobody at userinfo', async () => {
    const { body } = await clientCredentials(server, client);
    const answer = await fetch(`${server.origin}/oauth2/userinfo`, {
      headers: { authorization: `Bearer ${body.access_token}` },
    });
    expect(answer.status).toBe(401);
  });

  test('row 56: a resource that is not registered is invalid_target, and aud is the resource', async () => {
    for (const resource of [
      'https://evil.example/api',
      `${server.audience}/`,
      server.issuer,
      'not a uri',
      `${server.audience}#x`,
    ]) {
      const token = await clientCredentials(server, client, { resource });
      expect([resource, token.status, token.body.error]).toEqual([resource, 400, 'invalid_target']);
      const visit = await browser.get(authorizationUrl(server, app.clientId, createPkce(), { resource }));
      expect(new URL(visit.location!).searchParams.get('error')).toBe('invalid_target');
    }
    const named = await clientCredentials(server, client, { resource: server.audience });
    const unnamed = await clientCredentials(server, client);
    for (const { body } of [named, unnamed]) expect(decodeJwt(body.access_token).aud).toBe(server.audience);
  });
});
