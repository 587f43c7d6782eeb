/** Registered resource servers at the protocol endpoints (RFC 8707, RFC 9068). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { createBrowser, formOn } from '../../support/browser.ts';
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
  logIn,
  postForm,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const REPORTS = 'https://reports.example.com';
const BARE = 'urn:example:bare';
const POST = { tokenEndpointAuthMethod: 'client_secret_post' };

let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let app: Awaited<ReturnType<typeof createTestApp>>;
let client: Awaited<ReturnType<typeof createTestClient>>;
let count = 0;

beforeAll(async () => {
  server = await startTestServer();
  await register(REPORTS, ['reports:read', 'reports:write', 'reports:purge'], { accessTokenTtlSeconds: 120 });
  await register(BARE, []);
  person = await createPerson(server);
  const appScopes = ['openid', 'email', 'offline_access', 'providers:read', 'reports:read', 'reports:write'];
  app = await createTestApp(server, { ...POST, allowedScopes: appScopes });
  const allowedScopes = ['providers:read', 'reports:read', 'reports:write'];
  client = await createTestClient(server, person.teamId, { ...POST, allowedScopes });
}, 30_000);
afterAll(() => server?.close());

async function register(identifier: string, words: string[], more: object = {}) {
  const scopes = words.map((name) => ({ name, description: `Sentence of <${name}>` }));
  const made = await server.domain.resourceServers.create({ identifier, name: 'Re<ports', scopes, ...more }, OPERATOR);
  await server.domain.notifications.settle();
  return made;
}

const aClientOf = (scope: string) =>
  createTestClient(server, person.teamId, { ...POST, allowedScopes: ['providers:read', scope] });

/** Everything from the authorization request to the tokens. */
async function tokensFor(params: Record<string, string>, changes: Record<string, string> = {}) {
  const flow = await authorize(server, { ...person, clientId: app.clientId, params });
  return (await redeemCode(server, app, flow.code, flow.pkce, changes)).body;
}

const callApi = async (token: string, path: string) =>
  (await fetch(`${server.origin}${path}`, { headers: { authorization: `Bearer ${token}` } })).status;

describe('client credentials', () => {
  test('row 56: a token for a resource has its aud, its life and its scopes, and nothing of other APIs', async () => {
    const { status, body } = await clientCredentials(server, client, { resource: REPORTS });
    expect([status, body]).toMatchObject([200, { expires_in: 120, scope: 'reports:read reports:write' }]);
    const claims = decodeJwt(body.access_token);
    expect(claims).toMatchObject({
      iss: server.issuer,
      aud: REPORTS,
      sub: client.clientId,
      team_id: person.teamId,
      scope: 'reports:read reports:write',
    });
    expect(claims.exp! - claims.iat!).toBe(120);
    const narrow = await clientCredentials(server, client, { resource: REPORTS, scope: 'reports:read' });
    expect(narrow.body.scope).toBe('reports:read');
  });

  test('row 56: a token that names no resource is for the own API, as ever', async () => {
    const { body } = await clientCredentials(server, client);
    expect(decodeJwt(body.access_token)).toMatchObject({ aud: server.audience, scope: 'providers:read' });
    expect(body.expires_in).toBe(600);
    const named = await clientCredentials(server, client, { resource: server.audience });
    expect(decodeJwt(named.body.access_token)).toMatchObject({ aud: server.audience, scope: 'providers:read' });
  });

  test('row 56: an unknown resource, or one spelled otherwise, is invalid_target', async () => {
    for (const resource of [
      'https://unknown.example.com',
      `${REPORTS}/`,
      `${REPORTS}#a`,
      'reports',
      `${server.audience}/`,
      server.issuer,
    ]) {
      const { status, body } = await clientCredentials(server, client, { resource });
      expect([resource, status, body.error, body.access_token]).toEqual([resource, 400, 'invalid_target', undefined]);
    }
  });

  test('row 54: a scope is refused that belongs to another resource, or is not allowed to the client', async () => {
    for (const changes of [
      { scope: 'reports:read' },
      { scope: 'providers:read reports:read' },
      { scope: 'providers:read', resource: REPORTS },
      { scope: 'reports:purge', resource: REPORTS },
      { scope: 'reports:read', resource: BARE },
    ]) {
      const { status, body } = await clientCredentials(server, client, changes as Record<string, string>);
      expect([changes, status, body.error]).toEqual([changes, 400, 'invalid_scope']);
    }
  });

  test('who is allowed no scope of a resource gets no token for it; one without scopes is open to all', async () => {
    const stranger = await createTestClient(server, person.teamId, POST);
    const refused = await clientCredentials(server, stranger, { resource: REPORTS });
    expect([refused.status, refused.body.error]).toEqual([400, 'invalid_target']);
    const { body } = await clientCredentials(server, stranger, { resource: BARE });
    expect(decodeJwt(body.access_token)).toMatchObject({ aud: BARE, sub: stranger.clientId });
    expect(decodeJwt(body.access_token).scope).toBeUndefined();
  });

  test.each(['ES256', 'RS256', 'EdDSA'] as const)('a resource server gets its tokens signed with %s', async (alg) => {
    const resource = `urn:example:${alg}`;
    await register(resource, [`signed:${alg}`], { signingAlg: alg });
    const { body } = await clientCredentials(server, await aClientOf(`signed:${alg}`), { resource });
    expect(decodeProtectedHeader(body.access_token)).toMatchObject({ alg, typ: 'at+jwt' });
    const keys = createRemoteJWKSet(new URL(`${server.origin}/oauth2/jwks`));
    await jwtVerify(body.access_token, keys, { issuer: server.issuer, audience: resource, algorithms: [alg] });
  });
});

describe('with the consent of a person', () => {
  const scope = 'openid offline_access reports:read';

  test('the consent page names the resource and its sentences, and what is not asked is not said', async () => {
    const browser = createBrowser();
    const url = authorizationUrl(server, app.clientId, createPkce(), { scope, resource: REPORTS });
    const page = await logIn(browser, await browser.follow(await browser.get(url), server.origin), person.email);
    for (const said of ['Re&lt;ports', REPORTS, 'Sentence of &lt;reports:read&gt;', 'Know who you are']) {
      expect(page.text).toContain(said);
    }
    expect(page.text).not.toContain('reports:write');
  });

  test('row 56: the token is for that resource, carries the team, and goes on through refreshes', async () => {
    const tokens = await tokensFor({ scope, resource: REPORTS });
    expect(tokens).toMatchObject({ expires_in: 120, scope: 'reports:read', id_token: expect.any(String) });
    const expected = {
      aud: REPORTS,
      sub: person.userId,
      client_id: app.clientId,
      scope: 'reports:read',
      team_id: person.teamId,
      grant_id: expect.any(String),
    };
    expect(decodeJwt(tokens.access_token)).toMatchObject(expected);
    const again = (await refresh(server, app, tokens.refresh_token)).body;
    expect(decodeJwt(again.access_token)).toMatchObject(expected);
    const third = (await refresh(server, app, again.refresh_token, { resource: REPORTS })).body;
    expect(decodeJwt(third.access_token)).toMatchObject(expected);
  });

  test('a token for another API opens neither ours nor userinfo, and is active at introspection', async () => {
    const { access_token: token } = await tokensFor({ scope, resource: REPORTS });
    const machine = (await clientCredentials(server, client, { resource: REPORTS })).body.access_token;
    const own = (await tokensFor({ scope: 'openid providers:read' })).access_token;
    expect(await callApi(token, '/api/v1/providers')).toBe(401);
    expect(await callApi(machine, '/api/v1/providers')).toBe(401);
    expect(await callApi(token, '/oauth2/userinfo')).toBe(401);
    expect([await callApi(own, '/api/v1/providers'), await callApi(own, '/oauth2/userinfo')]).toEqual([200, 200]);
    expect((await introspect(server, app, token)).body).toMatchObject({
      active: true,
      aud: REPORTS,
      scope: 'reports:read',
    });
  });

  test('a mistaken resource at the token endpoint costs neither the code nor the refresh token', async () => {
    const flow = await authorize(server, { ...person, clientId: app.clientId, params: { scope, resource: REPORTS } });
    const resource = 'https://unknown.example.com';
    const refused = await redeemCode(server, app, flow.code, flow.pkce, { resource });
    expect([refused.status, refused.body.error]).toEqual([400, 'invalid_target']);
    const { refresh_token: token } = (await redeemCode(server, app, flow.code, flow.pkce)).body;
    expect((await refresh(server, app, token, { resource })).body.error).toBe('invalid_target');
    expect((await refresh(server, app, token)).status).toBe(200);
  });

  test('row 56: a resource that was not consented to is invalid_target', async () => {
    for (const [asked, later] of [
      [{ scope, resource: REPORTS }, server.audience],
      [{ scope: 'openid providers:read' }, REPORTS],
    ] as const) {
      const body = await tokensFor(asked, { resource: later });
      expect([later, body.error, body.access_token]).toEqual([later, 'invalid_target', undefined]);
    }
  });

  test('rows 54, 56: an authorization or pushed request for what does not fit is refused', async () => {
    const browser = createBrowser();
    for (const [params, error] of [
      [{ scope: 'reports:read', resource: 'https://unknown.example.com' }, 'invalid_target'],
      [{ scope: 'reports:read' }, 'invalid_scope'],
      [{ scope: 'providers:read', resource: REPORTS }, 'invalid_scope'],
      [{ scope: 'reports:purge', resource: REPORTS }, 'invalid_scope'],
    ] as [Record<string, string>, string][]) {
      const url = new URL(authorizationUrl(server, app.clientId, createPkce(), params));
      const { location } = await browser.get(url.href);
      const pushed = await postForm(`${server.origin}/oauth2/par`, {
        ...Object.fromEntries(url.searchParams),
        ...credentials(app),
      });
      expect([params, new URL(location!).searchParams.get('error'), pushed.body.error]).toEqual([params, error, error]);
    }
  });

  test('of several resources one is chosen for each token, the own API when none is', async () => {
    const several = async (resources: string[], choice: Record<string, string>) => {
      const browser = createBrowser();
      const pkce = createPkce();
      const url = new URL(authorizationUrl(server, app.clientId, pkce, { scope: 'providers:read reports:read' }));
      for (const resource of resources) url.searchParams.append('resource', resource);
      const first = await logIn(
        browser,
        await browser.follow(await browser.get(url.href), server.origin),
        person.email,
      );
      const { fields, url: action } = formOn(first, '/consent');
      const answer = await browser.post(action, { ...fields, team_id: person.teamId });
      const { location } = await browser.follow(answer, server.origin);
      return (await redeemCode(server, app, new URL(location!).searchParams.get('code')!, pkce, choice)).body;
    };
    const both = [server.audience, REPORTS];
    const claims = async (choice: Record<string, string>): Promise<JWTPayload> =>
      decodeJwt((await several(both, choice)).access_token);
    expect(await claims({ resource: REPORTS })).toMatchObject({ aud: REPORTS, scope: 'reports:read' });
    expect(await claims({})).toMatchObject({ aud: server.audience, scope: 'providers:read' });
  });
});

describe('when a resource server ends', () => {
  test('nothing is issued for it any more, on any way, and what was issued is not active', async () => {
    const resource = `urn:example:ending-${++count}`;
    const made = await register(resource, ['ending:read']);
    const holder = await createTestApp(server, { ...POST, allowedScopes: ['offline_access', 'ending:read'] });
    const machine = await aClientOf('ending:read');
    const flow = () => {
      const params = { scope: 'offline_access ending:read', resource };
      return authorize(server, { ...person, clientId: holder.clientId, params });
    };
    const [first, unredeemed] = [await flow(), await flow()];
    const tokens = (await redeemCode(server, holder, first.code, first.pkce)).body;
    const { access_token: issued } = (await clientCredentials(server, machine, { resource })).body;

    await server.domain.resourceServers.delete(made.id, {}, OPERATOR);
    await server.domain.notifications.settle();
    const answers = [
      await clientCredentials(server, machine, { resource }),
      await redeemCode(server, holder, unredeemed.code, unredeemed.pkce),
      await refresh(server, holder, tokens.refresh_token),
    ];
    expect(answers.map(({ body }) => body.error)).toEqual(Array(3).fill('invalid_target'));
    const ended = [await introspect(server, holder, tokens.access_token), await introspect(server, machine, issued)];
    expect(ended.map(({ body }) => body)).toEqual(Array(2).fill({ active: false }));
  });

  test('registered again, it is asked for anew', async () => {
    const resource = `urn:example:ending-${++count}`;
    const made = await register(resource, ['again:read']);
    const holder = await createTestApp(server, { ...POST, allowedScopes: ['openid', 'again:read'] });
    const params = { scope: 'openid again:read', resource };
    const { browser } = await authorize(server, { ...person, clientId: holder.clientId, params });
    const ask = async () => {
      const url = authorizationUrl(server, holder.clientId, createPkce(), { ...params, prompt: 'none' });
      const answer = new URL((await browser.get(url)).location!).searchParams;
      return answer.get('error') ?? 'code';
    };
    expect(await ask()).toBe('code');
    await server.domain.resourceServers.delete(made.id, {}, OPERATOR);
    await register(resource, ['again:read']);
    await server.domain.oauthApps.update(holder.id, { allowedScopes: ['openid', 'again:read'] }, OPERATOR);
    await server.domain.notifications.settle();
    expect(await ask()).toBe('consent_required');
  });
});
