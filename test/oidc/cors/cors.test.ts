import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { authorize, createPerson, createPkce, createTestApp, redeemCode } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const ORIGIN = 'https://app.example.com';
const FOREIGN = ['https://evil.example', 'https://app.example.com.evil.example', 'http://app.example.com', 'null'];
let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let clientId: string;
let flow: Awaited<ReturnType<typeof authorize>>;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  ({ clientId } = await createTestApp(server, { type: 'public' }));
  flow = await authorize(server, { ...person, clientId });
});
afterAll(() => server.close());

/** What a script of that origin may read of the answer. */
async function readable(path: string, origin: string, init: RequestInit = {}) {
  const headers = { ...(init.headers as Record<string, string>), origin };
  const response = await fetch(server.origin + path, { ...init, headers });
  await response.text();
  expect(response.headers.get('access-control-allow-credentials')).toBeNull();
  return response.headers.get('access-control-allow-origin');
}

function form(fields: Record<string, string>): RequestInit {
  return { method: 'POST', body: new URLSearchParams(fields) };
}

function preflight(method: string): RequestInit {
  return {
    method: 'OPTIONS',
    headers: { 'access-control-request-method': method, 'access-control-request-headers': 'authorization,dpop' },
  };
}

test('row 126: a public app may redeem, refresh, revoke and ask userinfo from where it is served', async () => {
  const { code, pkce } = flow;
  const response = await fetch(`${server.origin}/oauth2/token`, {
    ...form({
      grant_type: 'authorization_code',
      code,
      code_verifier: pkce.verifier,
      redirect_uri: `${ORIGIN}/callback`,
      client_id: clientId,
    }),
    headers: { origin: ORIGIN },
  });
  expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([200, ORIGIN]);
  const tokens = (await response.json()) as Record<string, string>;
  const bearer = { headers: { authorization: `Bearer ${tokens.access_token}` } };
  const refresh = form({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token!, client_id: clientId });
  expect(await readable('/oauth2/userinfo', ORIGIN, bearer)).toBe(ORIGIN);
  for (const origin of FOREIGN)
    expect([origin, await readable('/oauth2/userinfo', origin, bearer)]).toEqual([origin, null]);
  expect(await readable('/oauth2/token', ORIGIN, refresh)).toBe(ORIGIN);
  // Refused as well, and a script can see why.
  expect(await readable('/oauth2/token', ORIGIN, refresh)).toBe(ORIGIN);
  const revoke = form({ token: tokens.access_token!, client_id: clientId });
  expect(await readable('/oauth2/revoke', ORIGIN, revoke)).toBe(ORIGIN);
  for (const path of ['/oauth2/token', '/oauth2/revoke', '/oauth2/userinfo']) {
    expect(await readable(path, ORIGIN, preflight('POST'))).toBe(ORIGIN);
  }
});

test('row 126: other origins get nothing to read, whatever they send, and end nothing', async () => {
  const using = await authorize(server, { ...person, clientId, browser: flow.browser });
  const { body } = await redeemCode(server, { clientId }, using.code, using.pkce);
  for (const origin of FOREIGN) {
    for (const [path, fields] of [
      ['token', { grant_type: 'refresh_token', refresh_token: body.refresh_token }],
      ['revoke', { token: body.refresh_token }],
      ['par', { response_type: 'code', code_challenge: createPkce().challenge }],
    ] as const) {
      const answer = await readable(`/oauth2/${path}`, origin, form({ ...fields, client_id: clientId }));
      expect([path, origin, answer]).toEqual([path, origin, null]);
    }
  }
  expect(
    await readable(
      '/oauth2/token',
      ORIGIN,
      form({
        grant_type: 'refresh_token',
        refresh_token: body.refresh_token,
        client_id: clientId,
      }),
    ),
  ).toBe(ORIGIN);
});

test('row 126: an app with a secret is not called from a browser', async () => {
  const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  const fields = { grant_type: 'refresh_token', refresh_token: 'x' };
  const request = form({ ...fields, client_id: app.clientId, client_secret: app.clientSecret });
  expect(await readable('/oauth2/token', ORIGIN, request)).toBeNull();
});

test('row 126: the public documents are for everybody, pages and the API for no other origin', async () => {
  for (const path of ['/.well-known/openid-configuration', '/oauth2/jwks']) {
    expect(await readable(path, FOREIGN[0]!)).toMatch(/^(\*|https:\/\/evil\.example)$/);
  }
  for (const origin of [ORIGIN, ...FOREIGN]) {
    for (const path of ['/', '/api/v1/providers', '/oauth2/authorize', '/oauth2/logout', '/interaction/x', '/livez']) {
      expect([path, await readable(path, origin)]).toEqual([path, null]);
      expect([path, await readable(path, origin, preflight('POST'))]).toEqual([path, null]);
    }
  }
});
