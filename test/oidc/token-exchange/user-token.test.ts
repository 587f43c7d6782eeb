/** A user's access token for a narrower one, or one for another API (RFC 8693 §1.1: delegation). */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS } from '../../../src/domain/permissions.ts';
import { createBrowser } from '../../support/browser.ts';
import { clientCredentials, introspect } from '../../support/flows.ts';
import { createClientKey, signDpopProof } from '../../support/proofs.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange, TYPES } from './exchange.ts';

const SCOPES = ['openid', 'offline_access', 'providers:read', 'providers:write'];

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof exchange.person>>;
let app: Awaited<ReturnType<typeof exchange.app>>;
let orders: Awaited<ReturnType<typeof exchange.api>>;
let stock: Awaited<ReturnType<typeof exchange.api>>;
/** The API for orders as a client, which may call the API for stock. */
let ordersClient: Awaited<ReturnType<typeof exchange.client>>;
const browser = createBrowser();

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
  person = await exchange.person();
  stock = await exchange.api(['read', 'write'], { accessTokenTtlSeconds: 3600 });
  const { teamId } = await exchange.person();
  ordersClient = await exchange.client(teamId, { allowedScopes: [stock.names[0]!] });
  orders = await exchange.api(['read', 'write'], { clientIds: [ordersClient.clientId] });
  app = await exchange.app({ allowedScopes: [...SCOPES, ...orders.names, ...stock.names] });
}, 30_000);
afterAll(() => server.close());

/** The app's tokens for the API of orders, of a person who consented to both APIs. */
function connect({ to = app, from = person, via = browser } = {}) {
  const scope = ['openid', 'offline_access', ...orders.names, ...stock.names].join(' ');
  return exchange.connect(to, from, scope, [orders.identifier, stock.identifier], via);
}

test('the app itself: a narrower token for the same API, which says where it came from', async () => {
  const parent = (await connect()).access_token;
  const before = decodeJwt(parent);
  const { status, body } = await exchange.token(parent, app, { scope: orders.names[0]! });
  expect([status, body]).toEqual([
    200,
    {
      access_token: expect.any(String),
      issued_token_type: TYPES.accessToken,
      token_type: 'Bearer',
      expires_in: expect.any(Number),
      scope: orders.names[0],
    },
  ]);
  const claims = decodeJwt(body.access_token);
  const { sub, aud, team_id, grant_id, client_id } = before;
  expect(claims).toEqual({
    ...{ iss: server.issuer, sub, aud, team_id, grant_id, client_id },
    scope: orders.names[0],
    derived_from: [`token:${before.jti}`, `client:${app.clientId}`],
    act: { sub: app.clientId },
    jti: expect.any(String),
    iat: expect.any(Number),
    exp: expect.any(Number),
  });
  expect(claims.exp).toBeLessThanOrEqual(before.exp!);
  const more = await exchange.token(body.access_token, app, { scope: orders.names.join(' ') });
  expect([more.status, more.body.error]).toEqual([400, 'invalid_scope']);
});

test('the resource server a token is for: one for the next API, with what it is allowed there and the user consented to', async () => {
  const parent = (await connect()).access_token;
  const { body } = await exchange.token(parent, ordersClient, { audience: stock.identifier });
  const claims = decodeJwt(body.access_token);
  expect([body.scope, claims.aud, claims.sub, claims.client_id, claims.team_id]).toEqual([
    stock.names[0],
    stock.identifier,
    person.userId,
    ordersClient.clientId,
    person.teamId,
  ]);
  expect(claims.act).toEqual({ sub: ordersClient.clientId });
  // Tokens for stock live longer, but none made from another one.
  expect(claims.exp).toBeLessThanOrEqual(decodeJwt(parent).exp!);
  expect((await introspect(server, ordersClient, body.access_token)).body).toMatchObject({ active: true });
  const more = await exchange.token(parent, ordersClient, { audience: stock.identifier, scope: stock.names[1]! });
  expect([more.status, more.body.error]).toEqual([400, 'invalid_scope']);
});

test('an API the user did not consent to is out of reach', async () => {
  const parent = (await connect()).access_token;
  const elsewhere = await exchange.api([]);
  for (const resource of [elsewhere.identifier, server.audience]) {
    const { status, body } = await exchange.token(parent, app, { resource });
    expect([status, body.error]).toEqual([400, 'invalid_target']);
  }
});

test('a token that left an API does not come back to it with more than it had there', async () => {
  const helper = await exchange.client((await exchange.person()).teamId, { allowedScopes: stock.names });
  const home = await exchange.api(['read', 'write'], { clientIds: [helper.clientId] });
  await server.domain.oauthClients.update(helper.id, { allowedScopes: [...home.names, ...stock.names] }, {}, OPERATOR);
  const to = await exchange.app({ allowedScopes: [...home.names, ...stock.names] });
  await server.domain.notifications.settle();
  const scope = [...home.names, ...stock.names].join(' ');
  const parent = (await exchange.connect(to, person, scope, [home.identifier, stock.identifier], browser)).access_token;
  const [read, write] = home.names;
  const narrow = (await exchange.token(parent, to, { scope: read! })).body.access_token;
  expect((await exchange.token(narrow, helper, { scope: write! })).body.error).toBe('invalid_scope');
  const there = (await exchange.token(narrow, helper, { resource: stock.identifier })).body.access_token;
  expect(decodeJwt(there).derived_from).toEqual([
    ...(decodeJwt(narrow).derived_from as string[]),
    `token:${decodeJwt(narrow).jti}`,
    `client:${to.clientId}`,
    `aud:${home.identifier}`,
  ]);
  expect((await introspect(server, helper, there)).body.scope).toBe(stock.names.join(' '));
  // Nor by way of a token that stayed there.
  const stayed = (await exchange.token(there, helper)).body.access_token;
  for (const token of [there, stayed]) {
    const back = await exchange.token(token, helper, { resource: home.identifier });
    expect([back.status, back.body.error]).toEqual([400, 'invalid_target']);
  }
});

test('a resource server that is none any more passes nothing on, not even what it had made already', async () => {
  const helper = await exchange.client((await exchange.person()).teamId, { allowedScopes: stock.names });
  const home = await exchange.api([], { clientIds: [helper.clientId] });
  const to = await exchange.app({ allowedScopes: stock.names });
  const resources = [home.identifier, stock.identifier];
  const parent = (await exchange.connect(to, person, stock.names[0]!, resources, browser)).access_token;
  const mine = [
    (await exchange.token(parent, helper)).body.access_token,
    (await exchange.token(parent, helper, { resource: stock.identifier })).body.access_token,
  ];
  for (const token of mine) expect((await exchange.token(token, helper)).status).toBe(200);
  await server.domain.resourceServers.update(home.id, { clientIds: [] }, {}, OPERATOR);
  await server.domain.notifications.settle();
  for (const token of mine) {
    const { status, body } = await exchange.token(token, helper);
    expect([status, body.error]).toEqual([400, 'invalid_grant']);
  }
});

test('a stranger does not learn whether a token lives', async () => {
  const parent = (await connect()).access_token;
  const stranger = await exchange.app();
  const before = (await exchange.token(parent, stranger)).body;
  const [event] = (await server.auditEvents()).slice(-1);
  expect(event).toMatchObject({
    actor_id: stranger.clientId,
    details: { reason: expect.stringMatching(/another client/) },
  });
  const fields = { token: parent, client_id: app.clientId, client_secret: app.clientSecret };
  await fetch(`${server.origin}/oauth2/revoke`, { method: 'POST', body: new URLSearchParams(fields) });
  expect((await exchange.token(parent, stranger)).body).toEqual(before);
});

test('V40: what is not a live access token of a user, for whoever presents it, is refused', async () => {
  const tokens = await connect();
  const parent = tokens.access_token;
  const [stranger, strangerApp] = [await exchange.client(person.teamId), await exchange.app()];
  const guardElsewhere = await exchange.client((await exchange.person()).teamId, {
    allowedScopes: ['credentials:introspect'],
  });
  const own = (await clientCredentials(server, ordersClient, { resource: stock.identifier })).body.access_token;
  const key = await exchange.personalKey(person);
  const ofKey = (await exchange.key(key.text, {}, app)).body.access_token;
  const other = await startTestServer();
  try {
    const there = createExchange(other);
    const foreign = await there.connect(await there.app(), await there.person(), 'providers:read');
    for (const [what, token, client, error] of [
      ['a token of another issuer', foreign.access_token, app, 'invalid_grant'],
      ['an ID token', tokens.id_token, app, 'invalid_grant'],
      ['a refresh token', tokens.refresh_token, app, 'invalid_grant'],
      ['text', 'x.y.z', app, 'invalid_grant'],
      ['a key', key.text, app, 'invalid_grant'],
      ['a token of another app', parent, strangerApp, 'invalid_grant'],
      ['a token that is for another API', parent, stranger, 'invalid_grant'],
      ['a token of a foreign team', parent, guardElsewhere, 'invalid_grant'],
      ['a token with no user', own, ordersClient, 'invalid_request'],
      ['a token that was got for a key', ofKey, app, 'invalid_request'],
      ['a token with one letter changed', `${parent.slice(0, -3)}AAA`, app, 'invalid_grant'],
    ] as const) {
      const { status, body } = await exchange.token(token, client);
      expect([what, status, body.error]).toEqual([what, 400, error]);
      expect(body.error_description.length).toBeGreaterThan(30);
      if (token === own) expect(body.error_description).toMatch(/client_credentials/);
    }
  } finally {
    await other.close();
  }
  const nobody = await exchange.post({ subject_token: parent, subject_token_type: TYPES.accessToken });
  expect([nobody.status, nobody.body.error]).toEqual([401, 'invalid_client']);
});

test('V40: a token that was revoked opens no other one, and its end is the end of every one made from it', async () => {
  const parent = (await connect()).access_token;
  const child = (await exchange.token(parent, ordersClient, { resource: stock.identifier })).body.access_token;
  const grandchild = (await exchange.token(child, ordersClient)).body.access_token;
  expect((await introspect(server, ordersClient, grandchild)).body.active).toBe(true);
  const fields = { token: parent, client_id: app.clientId, client_secret: app.clientSecret };
  await fetch(`${server.origin}/oauth2/revoke`, { method: 'POST', body: new URLSearchParams(fields) });
  for (const token of [child, grandchild]) {
    expect((await introspect(server, ordersClient, token)).body).toEqual({ active: false });
    const again = await exchange.token(token, ordersClient);
    expect([again.status, again.body.error]).toEqual([400, 'invalid_grant']);
  }
  expect(await exchange.token(parent, app)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
});

test('V40: a token for an API that is no more, or is another one under its name by now, opens no other one', async () => {
  const api = await exchange.api(['read']);
  const to = await exchange.app({ allowedScopes: ['openid', ...api.names] });
  const parent = (await exchange.connect(to, person, api.names[0]!, [api.identifier], browser)).access_token;
  expect((await exchange.token(parent, to)).status).toBe(200);
  await server.db.query(`UPDATE resource_servers SET created_at = now() + interval '1 minute' WHERE id = $1`, [api.id]);
  await server.domain.notifications.settle();
  expect(await exchange.token(parent, to)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  await server.domain.resourceServers.delete(api.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect(await exchange.token(parent, to)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
});

test('a token is passed on four times at most, and each hand it went through is named', async () => {
  let token = (await connect()).access_token;
  for (let hop = 1; hop <= 4; hop += 1) {
    const { status, body } = await exchange.token(token, app);
    expect([hop, status]).toEqual([hop, 200]);
    token = body.access_token;
    expect((decodeJwt(token).derived_from as string[]).length).toBe(2 * hop);
  }
  const name = { sub: app.clientId };
  expect(decodeJwt(token).act).toEqual({ ...name, act: { ...name, act: { ...name, act: name } } });
  const { status, body } = await exchange.token(token, app);
  expect([status, body.error]).toEqual([400, 'invalid_request']);
});

test('what ends anywhere along the way ends the token: consent, app, acting client, role, membership', async () => {
  const isLive = async (token: string, as = ordersClient) => {
    await server.domain.notifications.settle();
    const { body } = await introspect(server, as, token);
    return body.active ? body.scope : false;
  };
  const pass = async (to = app, via = ordersClient) => {
    const parent = (await connect({ to })).access_token;
    return (await exchange.token(parent, via, { resource: stock.identifier })).body.access_token;
  };
  const made = async () => exchange.app({ allowedScopes: [...SCOPES, ...orders.names, ...stock.names] });

  const first = await pass();
  expect(await isLive(first)).toBe(stock.names[0]);
  await server.db.query('DELETE FROM grants WHERE id = $1', [decodeJwt(first).grant_id]);
  expect(await isLive(first)).toBe(false);

  const second = await made();
  const ofSecond = await pass(second);
  await server.domain.oauthApps.update(second.id, { allowedScopes: [...SCOPES, ...orders.names] }, OPERATOR);
  expect(await isLive(ofSecond)).toBe('');
  await server.domain.oauthApps.disable(second.id, OPERATOR);
  expect(await isLive(ofSecond)).toBe(false);

  const { teamId } = await exchange.person();
  const helper = await exchange.client(teamId, { allowedScopes: stock.names });
  const clientIds = [ordersClient.clientId, helper.clientId];
  await server.domain.resourceServers.update(orders.id, { clientIds }, {}, OPERATOR);
  await server.domain.notifications.settle();
  const ofHelper = await pass(app, helper);
  expect(await isLive(ofHelper, helper)).toBe(stock.names.join(' '));
  await server.domain.oauthClients.update(helper.id, { allowedScopes: [stock.names[1]!] }, {}, OPERATOR);
  expect(await isLive(ofHelper, helper)).toBe(stock.names[1]);
});

test('a role the user has lost is lost to the token: at issue, at introspection and at the API', async () => {
  const from = await exchange.person();
  const to = await exchange.app({ allowedScopes: SCOPES });
  const tokens = await exchange.connect(to, from, 'openid providers:read providers:write');
  const child = (await exchange.token(tokens.access_token, to)).body;
  expect(child.scope).toBe('openid providers:read providers:write');
  await server.domain.memberships.setRoles({ ...from, roles: [ROLE_IDS.Viewer] }, OPERATOR);
  await server.domain.notifications.settle();
  expect((await introspect(server, to, child.access_token)).body.scope).toBe('openid providers:read');
  expect((await exchange.token(tokens.access_token, to)).body.scope).toBe('openid providers:read');
  const added = await fetch(`${server.origin}/api/v1/providers/custom`, {
    method: 'POST',
    headers: { authorization: `Bearer ${child.access_token}`, 'content-type': 'application/json' },
    body: '{"name":"x"}',
  });
  expect(added.status).toBe(403);
});

test('userinfo sees what the token says: without openid nothing', async () => {
  const to = await exchange.app({ allowedScopes: SCOPES });
  const tokens = await exchange.connect(to, person, 'openid providers:read', [], browser);
  const [without, having] = await Promise.all(
    ['providers:read', 'openid'].map(async (scope) => (await exchange.token(tokens.access_token, to, { scope })).body),
  );
  expect((await exchange.call(without!.access_token, '/oauth2/userinfo')).status).toBe(403);
  expect((await exchange.call(having!.access_token, '/oauth2/userinfo')).status).toBe(200);
});

test('a token that is bound to a key is passed on only with a proof of that key, and a proof binds', async () => {
  const [mine, other] = [await createClientKey(), await createClientKey()];
  const url = `${server.issuer}/oauth2/token`;
  const proof = async (key = mine) => ({ dpop: await signDpopProof(key, { method: 'POST', url }) });
  const plain = (await connect()).access_token;
  const bound = await exchange.token(plain, app, {}, await proof());
  const { cnf } = decodeJwt(bound.body.access_token);
  expect([bound.body.token_type, cnf]).toEqual(['DPoP', { jkt: expect.any(String) }]);
  for (const headers of [{}, await proof(other)]) {
    const { status, body } = await exchange.token(bound.body.access_token, app, {}, headers);
    expect([status, body.error]).toEqual([400, 'invalid_grant']);
  }
  const again = await proof();
  const child = await exchange.token(bound.body.access_token, app, {}, again);
  expect([child.status, decodeJwt(child.body.access_token).cnf]).toEqual([200, cnf]);
  const replayed = await exchange.token(bound.body.access_token, app, {}, again);
  expect([replayed.status, replayed.body.error]).toEqual([400, expect.stringMatching(/^invalid_(dpop_proof|grant)$/)]);
  const key = await exchange.personalKey(person);
  const ofKey = await exchange.key(key.text, {}, undefined, await proof());
  expect([ofKey.body.token_type, decodeJwt(ofKey.body.access_token).cnf]).toEqual(['DPoP', cnf]);
  expect((await exchange.call(ofKey.body.access_token, '/api/v1/providers')).status).toBe(401);
});

test('the trail names who acts, the user, the team and the token it was made from', async () => {
  const parent = (await connect()).access_token;
  const { body } = await exchange.token(parent, ordersClient, { resource: stock.identifier });
  const [event] = (await server.auditEvents()).slice(-1);
  expect(event).toMatchObject({
    action: 'token.issued',
    actor_kind: 'client',
    actor_id: ordersClient.clientId,
    team_id: person.teamId,
    target_kind: 'user',
    target_id: person.userId,
    details: {
      subject: 'access_token',
      subject_jti: decodeJwt(parent).jti,
      resource: stock.identifier,
      jti: decodeJwt(body.access_token).jti,
      scope: body.scope,
    },
  });
});
