import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { calculateJwkThumbprint, decodeJwt } from 'jose';
import { type Browser, createBrowser } from '../../support/browser.ts';
import {
  authorize,
  createPerson,
  createTestApp,
  createTestClient,
  credentials,
  introspect,
  postForm,
  redeemCode,
} from '../../support/flows.ts';
import { countStatuses, inParallel } from '../../support/parallel.ts';
import { type ClientKey, createClientKey, signDpopProof } from '../../support/proofs.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let client: Awaited<ReturnType<typeof createTestClient>>;
let key: ClientKey;
let tokenUrl: string;
const browser: Browser = createBrowser();

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  client = await createTestClient(server, person.teamId);
  key = await createClientKey();
  tokenUrl = `${server.issuer}/oauth2/token`;
});
afterAll(() => server.close());

const tokenProof = (changes: Record<string, unknown> = {}, by = key) =>
  signDpopProof(by, { method: 'POST', url: tokenUrl }, changes);

function ask(dpop: string, fields: Record<string, string> = {}) {
  return postForm(tokenUrl, { grant_type: 'client_credentials', ...credentials(client), ...fields }, { dpop });
}

/** A call of a protected resource; with `by` it carries a proof of that key. */
async function call(path: string, token: string, { scheme = 'DPoP', by = key as ClientKey | null, changes = {} } = {}) {
  const url = `${server.issuer}${path}`;
  const dpop = by && (await signDpopProof(by, { method: 'GET', url, accessToken: token }, changes));
  const response = await fetch(url, { headers: { authorization: `${scheme} ${token}`, ...(dpop && { dpop }) } });
  await response.text();
  return response;
}

/** A user's tokens, bound to the key. */
async function connect(type: 'public' | 'confidential' = 'confidential') {
  const { clientId, clientSecret } = await createTestApp(server, { type });
  const app = type === 'public' ? { clientId } : { clientId, clientSecret };
  const { code, pkce } = await authorize(server, { ...person, clientId, browser });
  const grant = { grant_type: 'authorization_code', code, code_verifier: pkce.verifier };
  const fields = { ...grant, redirect_uri: 'https://app.example.com/callback', ...credentials(app) };
  const { body } = await postForm(tokenUrl, fields, { dpop: await tokenProof() });
  return { app, tokens: body };
}

test('a token asked for with a proof is bound to its key, for every advertised algorithm', async () => {
  for (const alg of ['ES256', 'Ed25519', 'EdDSA', 'RS256', 'PS256']) {
    const own = await createClientKey(alg);
    const { status, body } = await ask(await tokenProof({}, own));
    expect([alg, status, body.token_type]).toEqual([alg, 200, 'DPoP']);
    const jkt = await calculateJwkThumbprint(own.publicJwk);
    expect(decodeJwt(body.access_token).cnf).toEqual({ jkt });
    expect((await introspect(server, client, body.access_token)).body).toMatchObject({
      active: true,
      token_type: 'DPoP',
      cnf: { jkt },
    });
  }
});

test('row 82: a proof for another endpoint or method, an old one or a damaged one gives no token', async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const changes of [
    { htm: 'GET' },
    { htu: `${server.issuer}/oauth2/userinfo` },
    { htu: 'https://evil.example/oauth2/token' },
    { htu: undefined },
    { htm: undefined },
    { iat: now - 360 },
    { iat: now + 360 },
    { iat: undefined },
    { jti: undefined },
    { jti: 1 },
  ]) {
    const { status, body } = await ask(await tokenProof(changes));
    expect([changes, status, body.error]).toEqual([changes, 400, 'invalid_dpop_proof']);
  }
  const good = await tokenProof();
  for (const damaged of [good.slice(0, -6), `${good}, ${good}`, 'x', `${good.split('.').slice(0, 2).join('.')}.`]) {
    const { status, body } = await ask(damaged);
    expect([status, body.error]).toEqual([400, 'invalid_dpop_proof']);
  }
});

test('row 82: of 20 parallel requests with one proof exactly one succeeds', async () => {
  for (let round = 0; round < 3; round += 1) {
    const dpop = await tokenProof();
    const answers = await inParallel(20, () => ask(dpop));
    expect(countStatuses(answers)).toEqual({ 200: 1, 400: 19 });
    for (const { status, body } of answers) {
      if (status !== 200) expect(body.error).toMatch(/^invalid_(dpop_proof|grant)$/);
    }
  }
});

test('row 82: userinfo and the API want the DPoP scheme and a fresh proof of the key for this very call', async () => {
  const { tokens } = await connect();
  expect(tokens.token_type).toBe('DPoP');
  const token = tokens.access_token;
  const other = await createClientKey();
  const now = Math.floor(Date.now() / 1000);
  for (const path of ['/oauth2/userinfo', '/api/v1/providers']) {
    expect([path, (await call(path, token)).status]).toEqual([path, 200]);
    for (const [why, options] of Object.entries({
      'as Bearer': { scheme: 'Bearer', by: null },
      'as Bearer with a proof': { scheme: 'Bearer' },
      'no proof': { by: null },
      'another key': { by: other },
      'another method': { changes: { htm: 'POST' } },
      'another URL': { changes: { htu: `${server.issuer}/api/v1/other` } },
      'another token': { changes: { ath: 'x' } },
      'no token named': { changes: { ath: undefined } },
      old: { changes: { iat: now - 360 } },
    } as Record<string, Parameters<typeof call>[2]>)) {
      const answer = await call(path, token, options);
      // A scheme that does not go with the headers is a malformed request to the engine (RFC 6750 §3.1).
      const malformed = path === '/oauth2/userinfo' && ['as Bearer with a proof', 'no proof'].includes(why);
      expect([path, why, answer.status]).toEqual([path, why, malformed ? 400 : 401]);
      expect(answer.headers.get('www-authenticate')).toMatch(/DPoP/);
    }
    const fixed = { changes: { jti: `once ${path}` } };
    expect((await call(path, token, fixed)).status).toBe(200);
    expect([path, (await call(path, token, fixed)).status]).toEqual([path, 401]);
  }
});

test('a token that is not bound is not made better by a proof', async () => {
  const { body } = await postForm(tokenUrl, { grant_type: 'client_credentials', ...credentials(client) });
  expect(body.token_type).toBe('Bearer');
  expect((await call('/api/v1/providers', body.access_token, { scheme: 'Bearer', by: null })).status).toBe(200);
  expect((await call('/api/v1/providers', body.access_token)).status).toBe(401);
});

test('the refresh token of a public app is bound too', async () => {
  const { app, tokens } = await connect('public');
  const refresh = async (by: ClientKey | undefined) =>
    postForm(
      tokenUrl,
      { grant_type: 'refresh_token', refresh_token: tokens.refresh_token, ...credentials(app) },
      by && { dpop: await tokenProof({}, by) },
    );
  for (const by of [undefined, await createClientKey()]) {
    const { status, body } = await refresh(by);
    expect([status, body.error]).toEqual([400, 'invalid_grant']);
  }
  expect((await refresh(key)).body).toMatchObject({ token_type: 'DPoP', refresh_token: expect.any(String) });
});

test('a code asked for with dpop_jkt is redeemed with that key only', async () => {
  const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  const params = { dpop_jkt: await calculateJwkThumbprint(key.publicJwk) };
  const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId, browser, params });
  const { status, body } = await redeemCode(server, app, code, pkce);
  expect([status, body.error]).toEqual([400, 'invalid_grant']);
});
