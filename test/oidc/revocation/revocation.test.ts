import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Browser, createBrowser } from '../../support/browser.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  credentials,
  introspect,
  postForm,
  redeemCode,
  refresh,
  type TokenClient,
} from '../../support/flows.ts';
import { inParallel } from '../../support/parallel.ts';
import { send } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let app: Awaited<ReturnType<typeof createTestApp>>;
let client: Awaited<ReturnType<typeof createTestClient>>;
const browser: Browser = createBrowser();

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  client = await createTestClient(server, person.teamId);
});
afterAll(() => server.close());

async function connect(to: TokenClient = app) {
  const params = { prompt: 'consent' };
  const { code, pkce } = await authorize(server, { ...person, clientId: to.clientId, browser, params });
  return (await redeemCode(server, to, code, pkce)).body;
}

function revoke(as: TokenClient, token: string, more: Record<string, string> = {}) {
  return postForm(`${server.origin}/oauth2/revoke`, { token, ...credentials(as), ...more });
}

async function isActive(as: TokenClient, token: string): Promise<boolean> {
  return (await introspect(server, as, token)).body.active;
}

async function statusAt(path: string, token: string): Promise<number> {
  const response = await fetch(server.origin + path, { headers: { authorization: `Bearer ${token}` } });
  await response.text();
  return response.status;
}

const DONE = { status: 200, text: '{}' };

test('row 81: a revoked access token opens nothing any more, and its refresh token lives on', async () => {
  const tokens = await connect();
  const neighbour = await connect();
  expect(await revoke(app, tokens.access_token)).toMatchObject(DONE);
  expect(await introspect(server, app, tokens.access_token)).toMatchObject({ text: '{"active":false}' });
  expect(await statusAt('/oauth2/userinfo', tokens.access_token)).toBe(401);
  expect(await statusAt('/api/v1/providers', tokens.access_token)).toBe(401);
  expect(await isActive(app, neighbour.access_token)).toBe(true);
  expect(await statusAt('/api/v1/providers', neighbour.access_token)).toBe(200);
  const { body } = await refresh(server, app, tokens.refresh_token);
  expect(await isActive(app, body.access_token)).toBe(true);
});

test('row 81: the same for a token of a machine client', async () => {
  const [one, two] = await inParallel(2, async () => (await clientCredentials(server, client)).body.access_token);
  expect(await revoke(client, one)).toMatchObject(DONE);
  expect([await isActive(client, one), await statusAt('/api/v1/providers', one)]).toEqual([false, 401]);
  expect([await isActive(client, two), await statusAt('/api/v1/providers', two)]).toEqual([true, 200]);
});

test('row 80: revoking a refresh token ends its access tokens', async () => {
  const first = await connect();
  const { body: second } = await refresh(server, app, first.refresh_token);
  expect(await revoke(app, second.refresh_token)).toMatchObject(DONE);
  for (const token of [first.access_token, second.access_token, second.refresh_token]) {
    expect(await introspect(server, app, token)).toMatchObject({ text: '{"active":false}' });
  }
  for (const token of [first.access_token, second.access_token]) {
    expect(await statusAt('/oauth2/userinfo', token)).toBe(401);
  }
  expect(await refresh(server, app, second.refresh_token)).toMatchObject({ status: 400 });
});

test('row 79: what is unknown, or was revoked already, is answered 200', async () => {
  const { access_token: token } = await connect();
  for (const one of [token, token, 'garbage', 'a.b.c', '..', `${token}x`, '__proto__', '\u0000', 'lkp_x']) {
    for (const more of [{}, { token_type_hint: 'refresh_token' }, { token_type_hint: 'nonsense' }]) {
      expect(await revoke(app, one, more as Record<string, string>)).toMatchObject(DONE);
    }
  }
  expect(await revoke(app, '')).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
});

test('row 79: what belongs to another client is left alone', async () => {
  const tokens = await connect();
  const other = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  for (const token of [tokens.access_token, tokens.refresh_token]) {
    for (const as of [other, client]) expect(await revoke(as, token)).toMatchObject(DONE);
    expect(await isActive(app, token)).toBe(true);
  }
  expect(await statusAt('/oauth2/userinfo', tokens.access_token)).toBe(200);
  expect((await refresh(server, app, tokens.refresh_token)).status).toBe(200);
});

test('row 79: revocation needs the client, which a public app is by its id', async () => {
  const tokens = await connect();
  for (const as of [{ clientId: app.clientId }, { ...app, clientSecret: 'wrong' }]) {
    expect(await revoke(as, tokens.access_token)).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  }
  expect(await isActive(app, tokens.access_token)).toBe(true);
  const { clientId } = await createTestApp(server, { type: 'public' });
  const own = await connect({ clientId });
  expect(await revoke({ clientId }, own.access_token)).toMatchObject(DONE);
  expect(await statusAt('/oauth2/userinfo', own.access_token)).toBe(401);
  expect(await revoke({ clientId }, own.refresh_token)).toMatchObject(DONE);
  expect(await refresh(server, { clientId }, own.refresh_token)).toMatchObject({ status: 400 });
});

test('the audit trail says which token ended, once, and not what it was', async () => {
  const { access_token: token } = await connect();
  const before = (await server.auditEvents()).filter(({ action }) => action === 'token.revoked').length;
  const answers = await inParallel(5, () => revoke(app, token));
  for (const answer of answers) expect(answer).toMatchObject(DONE);
  const events = (await server.auditEvents()).filter(({ action }) => action === 'token.revoked').slice(before);
  expect(events).toHaveLength(1);
  expect(JSON.stringify(events)).not.toContain(token);
});

test('row 81: ending a consent ends its access tokens at the management API too, also after a restart', async () => {
  const tokens = await connect();
  const neighbour = await connect();
  expect(await statusAt('/api/v1/providers', tokens.access_token)).toBe(200);
  expect(await revoke(app, tokens.refresh_token)).toMatchObject(DONE);
  expect(await soon(async () => (await statusAt('/api/v1/providers', tokens.access_token)) !== 200)).toBe(true);
  expect(await statusAt('/api/v1/providers', tokens.access_token)).toBe(401);
  expect(await statusAt('/api/v1/providers', neighbour.access_token)).toBe(200);

  const { connectionString, secret, issuer } = server;
  const again = await startTestServer({ connectionString, secret, issuer });
  const { host } = new URL(issuer);
  const port = Number(new URL(again.origin).port);
  const ask = async (token: string) => {
    return (await send(port, { path: '/api/v1/providers', host, headers: { authorization: `Bearer ${token}` } }))
      .status;
  };
  expect([await ask(tokens.access_token), await ask(neighbour.access_token)]).toEqual([401, 200]);
  await again.close();
});
