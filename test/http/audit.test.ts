/** Every issuing, changing and refusing event is in the audit trail once, with its request, and without a secret. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Actor, OPERATOR } from '../../src/domain/audit.ts';
import { ROLE_IDS } from '../../src/domain/permissions.ts';
import { type Browser, createBrowser, formOn, type Visit } from '../support/browser.ts';
import {
  authorizationUrl,
  createPerson,
  createPkce,
  createTestApp,
  createTestClient,
  credentials,
  PASSWORD,
  REDIRECT_URI,
  type TokenClient,
} from '../support/flows.ts';
import { type RawRequest, send } from '../support/request.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { soon } from '../support/soon.ts';

interface Row {
  action: string;
  outcome: string;
  actor_kind: string;
  actor_id: string;
  team_id: string | null;
  target_kind: string;
  target_id: string;
  request_id: string;
  ip: string;
  details: Record<string, unknown>;
}

let server: TestServer;
let port: number;
let person: { userId: string; email: string; teamId: string };
let app: TokenClient & { id: string };
let client: TokenClient & { id: string };
/** Everything that must never be in the trail. */
const secrets: string[] = [PASSWORD, 'a wrong Passw0rd', 'wrong-secret-that-was-tried'];

beforeAll(async () => {
  server = await startTestServer();
  port = Number(new URL(server.origin).port);
  person = await createPerson(server);
  const method = { tokenEndpointAuthMethod: 'client_secret_post' };
  app = await createTestApp(server, method);
  client = await createTestClient(server, person.teamId, method);
  secrets.push(app.clientSecret!, client.clientSecret!, server.secret);
}, 30_000);

afterAll(() => server?.close());

/** Sends one request and gives what the trail says about it, by its id. */
async function trailOf(request: RawRequest): Promise<{ events: Row[]; answer: Awaited<ReturnType<typeof send>> }> {
  const id = randomUUID();
  const answer = await send(port, { ...request, headers: { ...request.headers, 'x-request-id': id } });
  return { events: await eventsOf(id), answer };
}

async function eventsOf(requestId: string): Promise<Row[]> {
  const all = (await server.auditEvents()) as unknown as Row[];
  return all.filter((event) => event.request_id === requestId);
}

const token = (body: Record<string, string>) => ({ path: '/oauth2/token', body });

function expectOne(events: Row[], expected: Partial<Row>): void {
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({ ip: '127.0.0.1', ...expected });
}

describe('row 119: what a person and an app do', () => {
  let browser: Browser;
  let tokens: Record<string, string>;
  const pkce = createPkce();

  /** One step of the browser, with the events of that very request. */
  async function step(work: (headers: Record<string, string>) => Promise<Visit>): Promise<[Visit, Row[]]> {
    const id = randomUUID();
    const visit = await work({ 'x-request-id': id });
    return [visit, await eventsOf(id)];
  }

  test('logging in, consenting, getting a code and tokens', async () => {
    browser = createBrowser();
    const [start, nothing] = await step((headers) =>
      browser.get(authorizationUrl(server, app.clientId, pkce), headers),
    );
    expect(nothing).toEqual([]);
    const login = await browser.follow(start, server.origin);
    const { url, fields } = formOn(login, '/login');
    secrets.push(fields.csrf!, login.url.split('/').at(-1)!);
    const wrong = { ...fields, email: person.email, password: 'a wrong Passw0rd' };
    const [, refused] = await step((headers) => browser.post(url, wrong, headers));
    const user = { target_kind: 'user', target_id: person.userId };
    expectOne(refused, { action: 'user.login_refused', outcome: 'refused', actor_kind: 'anonymous', ...user });

    const right = { ...fields, email: person.email, password: PASSWORD };
    const [loggedIn, success] = await step((headers) => browser.post(url, right, headers));
    expectOne(success, { action: 'user.logged_in', actor_kind: 'user', actor_id: person.userId, ...user });

    const page = await browser.follow(loggedIn, server.origin);
    const consent = formOn(page, '/consent');
    const allowed = { ...consent.fields, team_id: person.teamId };
    const [given, consented] = await step((headers) => browser.post(consent.url, allowed, headers));
    expectOne(consented, {
      action: 'consent.given',
      actor_kind: 'user',
      actor_id: person.userId,
      team_id: person.teamId,
      target_kind: 'app',
      target_id: app.clientId,
      details: { scopes: ['openid', 'offline_access', 'providers:read'] },
    });
    const [back, issued] = await step((headers) => browser.get(given.location!, headers));
    const issuedTo = { actor_kind: 'app', actor_id: app.clientId, team_id: person.teamId, ...user };
    expectOne(issued, { action: 'code.issued', ...issuedTo });

    const code = new URL(back.location!).searchParams.get('code')!;
    const grant = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, ...credentials(app) };
    const unproven = await trailOf(token({ ...grant, code_verifier: createPkce().verifier }));
    expectOne(unproven.events, {
      action: 'token.refused',
      outcome: 'refused',
      actor_kind: 'app',
      actor_id: app.clientId,
    });
    const redeemed = await trailOf(token({ ...grant, code_verifier: pkce.verifier }));
    tokens = redeemed.answer.body;
    expectOne(redeemed.events, { action: 'token.issued', ...issuedTo });
    expect(redeemed.events[0]!.details).toMatchObject({ grant_type: 'authorization_code', scope: expect.any(String) });
    const refreshed = await trailOf(
      token({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token!, ...credentials(app) }),
    );
    expectOne(refreshed.events, { action: 'token.issued', ...issuedTo });
    secrets.push(code, pkce.verifier, tokens.refresh_token!, tokens.access_token!, tokens.id_token!);
    tokens = refreshed.answer.body;
    secrets.push(tokens.refresh_token!, tokens.access_token!);
    for (const { value } of await browser.jar.getCookies(server.origin)) if (value.length > 10) secrets.push(value);
  });

  test('being refused, at the authorization endpoint and by the person', async () => {
    const url = (params: Record<string, string>) => authorizationUrl(server, app.clientId, pkce, params);
    const refused = { action: 'authorization.refused', outcome: 'refused', actor_kind: 'app', actor_id: app.clientId };
    const path = (address: string) => address.slice(server.origin.length);
    const scope = await trailOf({ path: path(url({ scope: 'openid teams:write' })) });
    expectOne(scope.events, { ...refused, details: expect.objectContaining({ error: 'invalid_scope' }) });
    const uri = await trailOf({ path: path(url({ redirect_uri: 'https://evil.example/' })) });
    expectOne(uri.events, { ...refused, details: expect.objectContaining({ error: 'invalid_redirect_uri' }) });
    const unknown = await trailOf({ path: '/oauth2/authorize?client_id=app_nobody' });
    expectOne(unknown.events, { action: refused.action, outcome: 'refused', actor_kind: 'anonymous' });

    const visitor = createBrowser();
    const page = await visitor.follow(await visitor.get(url({})), server.origin);
    const form = formOn(page, '/abort');
    const denied = await visitor.post(form.url, form.fields);
    const [, events] = await step((headers) => visitor.get(denied.location!, headers));
    expectOne(events, { ...refused, details: expect.objectContaining({ error: 'access_denied' }) });
  });

  test('pushing a request, asking about tokens, ending them', async () => {
    const request = Object.fromEntries(new URL(authorizationUrl(server, app.clientId, pkce)).searchParams);
    const ours = { actor_kind: 'app', actor_id: app.clientId };
    const pushed = await trailOf({ path: '/oauth2/par', body: { ...request, ...credentials(app) } });
    secrets.push(pushed.answer.body.request_uri.split(':').at(-1));
    expectOne(pushed.events, { action: 'authorization_request.pushed', ...ours });
    const bad = await trailOf({ path: '/oauth2/par', body: { ...request, ...credentials(app), scope: 'x' } });
    expectOne(bad.events, { action: 'authorization_request.refused', outcome: 'refused', ...ours });

    const wrong = {
      client_id: app.clientId,
      client_secret: 'wrong-secret-that-was-tried',
      token: tokens.access_token!,
    };
    for (const name of ['introspection', 'revocation']) {
      const path = name === 'revocation' ? '/oauth2/revoke' : '/oauth2/introspect';
      const { events } = await trailOf({ path, body: wrong });
      expectOne(events, { action: `${name}.refused`, outcome: 'refused' });
    }
    const userinfo = await trailOf({ path: '/oauth2/userinfo', headers: { authorization: 'Bearer x' } });
    expectOne(userinfo.events, { action: 'userinfo.refused', outcome: 'refused', actor_kind: 'anonymous' });

    const end = (text: string) => trailOf({ path: '/oauth2/revoke', body: { token: text, ...credentials(app) } });
    const access = await end(tokens.access_token!);
    expectOne(access.events, { action: 'token.revoked', target_kind: 'access_token', team_id: person.teamId, ...ours });
    // Ended once: a second time nothing happens, and nothing is said.
    expect((await end(tokens.access_token!)).events).toEqual([]);
    expectOne((await end(tokens.refresh_token!)).events, { action: 'grant.revoked', ...ours });
    expect((await end(tokens.refresh_token!)).events).toEqual([]);
  });

  test('logging out', async () => {
    const page = await browser.get(`${server.origin}/oauth2/logout`);
    const { url, fields } = formOn(page, '/logout/confirm');
    const [, events] = await step((headers) => browser.post(url, { ...fields, logout: 'yes' }, headers));
    expectOne(events, { action: 'session.ended', target_kind: 'user', target_id: person.userId });
  });
});

describe('row 119: what machines do', () => {
  test('a client gets a token, or does not', async () => {
    const grant = { grant_type: 'client_credentials', ...credentials(client) };
    const ours = { actor_kind: 'client', actor_id: client.clientId };
    const issued = await trailOf(token(grant));
    secrets.push(issued.answer.body.access_token);
    expectOne(issued.events, { action: 'token.issued', outcome: 'success', team_id: person.teamId, ...ours });
    const wrong = await trailOf(token({ ...grant, client_secret: 'wrong-secret-that-was-tried' }));
    const nobody = { actor_kind: 'anonymous', actor_id: '' };
    expectOne(wrong.events, { action: 'token.refused', outcome: 'refused', ...nobody });
    expect(wrong.events[0]!.details).toMatchObject({ error: 'invalid_client', client_id: client.clientId });
    const scope = await trailOf(token({ ...grant, scope: 'teams:write' }));
    expectOne(scope.events, { action: 'token.refused', outcome: 'refused', ...ours });
  });

  test('a key changes something by the API, or may not', async () => {
    const create = { userId: person.userId, teamId: person.teamId, name: 'Reads' };
    const { key, text } = await server.domain.apiKeys.createPersonal(create, OPERATOR);
    const reads = await server.domain.apiKeys.createPersonal({ ...create, scopes: ['providers:read'] }, OPERATOR);
    secrets.push(text, reads.text);
    const post = (bearer: string) => ({
      path: '/api/v1/providers/custom',
      method: 'POST',
      body: '{"name":"Mine"}',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    });
    const made = await trailOf(post(text));
    expectOne(made.events, {
      action: 'provider.created',
      actor_kind: 'personal_key',
      actor_id: key.id,
      team_id: person.teamId,
    });
    const lacking = await trailOf(post(reads.text));
    expect(lacking.answer.status).toBe(403);
    const refused = { action: 'api_request.refused', outcome: 'refused' };
    expectOne(lacking.events, {
      ...refused,
      actor_kind: 'personal_key',
      actor_id: reads.key.id,
      team_id: person.teamId,
    });
    await server.domain.apiKeys.revoke(key.id, {}, OPERATOR);
    expect(await soon(async () => (await server.domain.apiKeys.verify(text)) === undefined)).toBe(true);
    const revoked = await trailOf(post(text));
    expect(revoked.answer.status).toBe(401);
    const details = { method: 'POST', status: 401, reason: expect.any(String) };
    // Whoever switched it off can see that it is still used.
    expectOne(revoked.events, {
      ...refused,
      actor_kind: 'personal_key',
      actor_id: key.id,
      team_id: person.teamId,
      details,
    });
    const lastUse = async () => {
      await server.domain.lastUsed.flush();
      return (await server.domain.apiKeys.find(key.id))?.lastAccessAt;
    };
    const before = await lastUse();
    await trailOf(post(text));
    expect(await lastUse()).toEqual(before);
    const unknown = await trailOf(post(`${text.slice(0, -4)}AAAA`));
    expectOne(unknown.events, { ...refused, actor_kind: 'anonymous', actor_id: '', details });
    // Coming without a credential is how everybody finds out what is asked for.
    expect((await trailOf({ path: '/api/v1/providers' })).events).toEqual([]);
  });
});

describe('row 119: what changes who may do what', () => {
  const actor: Actor = { kind: 'operator', id: 'somebody' };

  /** The actions recorded under a request of its own, in order. */
  async function recorded(work: (actor: Actor) => Promise<unknown>): Promise<string[]> {
    const requestId = randomUUID();
    await work({ ...actor, requestId });
    return (await eventsOf(requestId)).map(({ action }) => action);
  }

  test('each change once, none for what changed nothing', async () => {
    const { users, teams, memberships, apiKeys, oauthApps, oauthClients, clientSecrets, signingKeys, settings } =
      server.domain;
    const found: string[] = [];
    const record = async <T>(work: (by: Actor) => Promise<T>): Promise<T> => {
      let result: T | undefined;
      found.push(...(await recorded(async (by) => (result = await work(by)))));
      return result!;
    };
    const team = await record((by) => teams.create({ name: 'Audited' }, by));
    await record((by) => teams.update(team.id, { name: 'Audited again' }, by));
    const password = 'another battery staple';
    secrets.push(password);
    const user = await record((by) => users.create({ email: 'audited@example.com', name: 'Audited', password }, by));
    const membership = { userId: user.id, teamId: team.id };
    await record((by) => memberships.setRoles({ ...membership, roles: [ROLE_IDS.Viewer] }, by));
    await record((by) => users.setPassword(user.id, `${password} 2`, by));
    const key = await record((by) => apiKeys.createPersonal({ ...membership, name: 'Key' }, by));
    await record((by) => apiKeys.rename(key.key.id, 'Renamed', {}, by));
    for (let times = 0; times < 2; times += 1) await record((by) => apiKeys.revoke(key.key.id, {}, by));
    await record((by) => apiKeys.reinstate(key.key.id, {}, by));
    await record((by) => apiKeys.delete(key.key.id, {}, by));
    const input = { name: 'App', baseUrl: 'https://a.example', redirectUris: ['https://a.example/cb'] };
    const made = await record((by) => oauthApps.create(input, by));
    const added = await record((by) => clientSecrets.add({ kind: 'app', id: made.app.id }, {}, by));
    await record((by) => clientSecrets.end({ kind: 'app', id: made.app.id }, added.secret.id, {}, by));
    secrets.push(key.text, made.secret!, added.text);
    for (let times = 0; times < 2; times += 1) await record((by) => oauthApps.disable(made.app.id, by));
    await record((by) => oauthApps.enable(made.app.id, by));
    await record((by) => oauthApps.update(made.app.id, { name: 'Other' }, by));
    await record((by) => oauthApps.delete(made.app.id, by));
    const machine = { name: 'Client', teamId: team.id, allowedScopes: ['providers:read'] };
    const service = await record((by) => oauthClients.create(machine, by));
    secrets.push(service.secret!);
    await record((by) => oauthClients.disable(service.client.id, {}, by));
    await record((by) => oauthClients.enable(service.client.id, {}, by));
    await record((by) => oauthClients.delete(service.client.id, {}, by));
    await record((by) => signingKeys.rotate({ alg: 'EdDSA' }, by));
    await record((by) => settings.update({ session_idle_seconds: 3_600 }, {}, by));
    await record((by) => users.setEnabled(user.id, false, by));
    await record((by) => users.setEnabled(user.id, true, by));
    await record((by) => memberships.remove(membership, by));
    await record((by) => users.delete(user.id, by));
    await record((by) => teams.delete(team.id, by));
    expect(found).toEqual([
      'team.created',
      'team.updated',
      'user.created',
      'membership.changed',
      'user.password_changed',
      'api_key.created',
      'api_key.renamed',
      'api_key.revoked',
      'api_key.reinstated',
      'api_key.deleted',
      'oauth_app.created',
      'client_secret.created',
      'client_secret.ended',
      'oauth_app.disabled',
      'oauth_app.enabled',
      'oauth_app.updated',
      'oauth_app.deleted',
      'oauth_client.created',
      'oauth_client.disabled',
      'oauth_client.enabled',
      'oauth_client.deleted',
      'signing_key.rotated',
      'setting.changed',
      'user.disabled',
      'user.enabled',
      'membership.ended',
      'user.deleted',
      'team.deleted',
    ]);
  });
});

test('row 119: no secret is in the trail, in any form it is sent in', async () => {
  const text = JSON.stringify(await server.auditEvents());
  const { rows } = await server.db.query<{ hash: string }>('SELECT password_hash AS hash FROM users');
  const known = [...secrets, ...rows.map(({ hash }) => hash)].filter(
    (secret) => typeof secret === 'string' && secret !== '',
  );
  expect(known.length).toBeGreaterThan(20);
  const forms = known.flatMap((secret) => [
    secret,
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    encodeURIComponent(secret),
  ]);
  expect(forms.filter((form) => text.includes(form))).toEqual([]);
});
