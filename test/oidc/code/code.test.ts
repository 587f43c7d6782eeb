import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Browser, createBrowser } from '../../support/browser.ts';
import {
  authorize,
  createPerson,
  createPkce,
  createTestApp,
  introspect,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import { countStatuses, inParallel } from '../../support/parallel.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let app: Awaited<ReturnType<typeof createTestApp>>;
const browser: Browser = createBrowser();

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
});
afterAll(() => server.close());

function newCode() {
  return authorize(server, { ...person, clientId: app.clientId, browser });
}

function userinfo(token: string) {
  return fetch(`${server.origin}/oauth2/userinfo`, { headers: { authorization: `Bearer ${token}` } });
}

const INVALID_GRANT = { status: 400, body: { error: 'invalid_grant' } };

test('row 40: a code sent again within the grace fails, and what it gave lives on', async () => {
  const { code, pkce } = await newCode();
  const first = await redeemCode(server, app, code, pkce);
  expect(first.status).toBe(200);
  expect(await redeemCode(server, app, code, pkce)).toMatchObject(INVALID_GRANT);
  expect((await introspect(server, app, first.body.access_token)).body.active).toBe(true);
  expect((await refresh(server, app, first.body.refresh_token)).status).toBe(200);
});

test('row 40: a code sent again later ends everything it gave', async () => {
  const { code, pkce } = await newCode();
  const { body: tokens } = await redeemCode(server, app, code, pkce);
  await server.db.query(`UPDATE oidc_payloads SET consumed_at = consumed_at - interval '11 seconds'
    WHERE model = 'AuthorizationCode'`);
  // Whoever cannot prove to be the app ends nothing.
  expect((await redeemCode(server, { ...app, clientSecret: 'wrong' }, code, pkce)).status).toBe(401);
  expect(await redeemCode(server, app, code, createPkce())).toMatchObject(INVALID_GRANT);
  expect((await introspect(server, app, tokens.access_token)).body.active).toBe(true);
  expect((await userinfo(tokens.access_token)).status).toBe(200);

  expect(await redeemCode(server, app, code, pkce)).toMatchObject(INVALID_GRANT);
  expect((await introspect(server, app, tokens.access_token)).body).toEqual({ active: false });
  expect((await introspect(server, app, tokens.refresh_token)).body).toEqual({ active: false });
  expect((await userinfo(tokens.access_token)).status).toBe(401);
  expect(await refresh(server, app, tokens.refresh_token)).toMatchObject(INVALID_GRANT);
});

test('row 41: of 20 parallel redemptions exactly one succeeds, four times over', async () => {
  for (let round = 0; round < 4; round += 1) {
    const { code, pkce } = await newCode();
    const answers = await inParallel(20, () => redeemCode(server, app, code, pkce));
    expect(countStatuses(answers)).toEqual({ 200: 1, 400: 19 });
    for (const { status, body } of answers) if (status !== 200) expect(body.error).toBe('invalid_grant');
    const { body } = answers.find(({ status }) => status === 200)!;
    expect((await introspect(server, app, body.refresh_token)).body.active).toBe(true);
  }
});

test('row 42: a code is bound to its app, its redirect URI and its verifier; a failed try does not use it up', async () => {
  const other = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  const { code, pkce } = await newCode();
  const url = 'https://app.example.com/callback';
  for (const attempt of [
    () => redeemCode(server, other, code, pkce),
    () => redeemCode(server, app, code, pkce, { redirect_uri: `${url}/` }),
    () => redeemCode(server, app, code, pkce, { redirect_uri: 'https://app.example.com/other' }),
    () => redeemCode(server, app, code, createPkce()),
    () => redeemCode(server, app, code, { ...pkce, verifier: pkce.challenge }),
    () => redeemCode(server, app, `${code}a`, pkce),
    () => redeemCode(server, app, code.slice(0, -1), pkce),
  ]) {
    expect(await attempt()).toMatchObject(INVALID_GRANT);
  }
  for (const missing of ['code_verifier', 'redirect_uri']) {
    const { status, body } = await redeemCode(server, app, code, pkce, { [missing]: '' });
    expect([missing, status]).toEqual([missing, 400]);
    expect(body.error).toMatch(/^invalid_(grant|request)$/);
  }
  expect((await redeemCode(server, app, code, pkce)).status).toBe(200);
});

test('row 43: there is no code without a challenge, so a verifier always has one to match', async () => {
  const params = { code_challenge: undefined, code_challenge_method: undefined };
  const { code, callback } = await authorize(server, { ...person, clientId: app.clientId, browser, params });
  expect([code, callback.searchParams.get('error')]).toEqual(['', 'invalid_request']);
});

test('row 28: neither a code nor a refresh token can be read in the database', async () => {
  const { code, pkce } = await newCode();
  const { body } = await redeemCode(server, app, code, pkce);
  const { rows } = await server.db.query<{ row: string }>('SELECT to_jsonb(t)::text AS row FROM oidc_payloads AS t');
  const text = rows.map(({ row }) => row).join('\n');
  for (const secret of [code, body.refresh_token, body.access_token]) {
    expect(text).not.toContain(secret);
    expect(text).not.toContain(Buffer.from(secret).toString('hex'));
  }
});
