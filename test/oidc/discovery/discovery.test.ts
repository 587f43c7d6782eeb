import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  introspect,
  redeemCode,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';
import { goldenMetadata } from './metadata.golden.ts';

const DOCUMENTS = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'];
let server: TestServer;
let proxied: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let client: Awaited<ReturnType<typeof createTestClient>>;
beforeAll(async () => {
  server = await startTestServer();
  proxied = await startTestServer({ env: { TRUST_PROXY: '1' }, issuer: 'https://auth.example.com' });
  person = await createPerson(server);
  client = await createTestClient(server, person.teamId);
});
afterAll(() => Promise.all([server.close(), proxied.close()]));

/** The lists in it are sets. */
function sorted(document: unknown): Record<string, unknown> {
  const entries = Object.entries(document as object);
  return Object.fromEntries(entries.map(([name, value]) => [name, Array.isArray(value) ? value.toSorted() : value]));
}

/** A request whose Host may be anything, which fetch does not allow. */
function get(path: string, headers: Record<string, string>, at = server): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(`${at.origin}${path}`, { headers }, async (response) => {
      const chunks = await response.toArray();
      const head = JSON.stringify(response.headers);
      resolve({ status: response.statusCode!, text: `${head}\n${Buffer.concat(chunks).toString()}` });
    });
    sent.on('error', reject).end();
  });
}

test('rows 1, 3, 4, 5: both documents say the same, word for word, and nothing that is not offered', async () => {
  for (const path of DOCUMENTS) {
    const response = await fetch(server.origin + path);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(sorted(await response.json())).toEqual(sorted(goldenMetadata(server.issuer)));
  }
});

test('row 3: every advertised endpoint is there', async () => {
  const endpoints = Object.entries(goldenMetadata(server.issuer)).filter(([name]) => /_(endpoint|uri)$/.test(name));
  expect(endpoints).toHaveLength(10);
  for (const [name, url] of endpoints as [string, string][]) {
    const [got, posted] = await Promise.all([fetch(url), fetch(url, { method: 'POST' })]);
    expect([name, got.status, posted.status]).not.toEqual([name, 404, 404]);
    await Promise.all([got.text(), posted.text()]);
  }
});

test('row 3: ID tokens come in each advertised algorithm, RS256 unless the app chose', async () => {
  let browser: Awaited<ReturnType<typeof authorize>>['browser'] | undefined;
  for (const [chosen, alg] of [
    [undefined, 'RS256'],
    ['ES256', 'ES256'],
    ['EdDSA', 'EdDSA'],
  ]) {
    const app = await createTestApp(server, {
      tokenEndpointAuthMethod: 'client_secret_post',
      ...(chosen && { idTokenSignedResponseAlg: chosen }),
    });
    const flow = await authorize(server, { ...person, clientId: app.clientId, ...(browser && { browser }) });
    browser = flow.browser;
    const { body } = await redeemCode(server, app, flow.code, flow.pkce);
    expect(decodeProtectedHeader(body.id_token).alg).toBe(alg);
  }
});

test('row 2: no Host and no forwarding header gets into the documents', async () => {
  const evil = 'evil.example';
  for (const path of [...DOCUMENTS, '/oauth2/jwks', '/oauth2/authorize', '/oauth2/logout']) {
    for (const host of [evil, `${evil}:80`, `localhost.${evil}`, `${new URL(server.origin).host}.${evil}`]) {
      expect([host, (await get(path, { host })).status]).toEqual([host, 400]);
    }
  }
  for (const at of [server, proxied]) {
    for (const path of DOCUMENTS) {
      const attempts: Record<string, string>[] = [
        { 'x-forwarded-host': evil, 'x-forwarded-proto': 'gopher', 'x-forwarded-port': '666' },
        { forwarded: `host=${evil};proto=gopher` },
        { 'x-original-host': evil, 'x-forwarded-server': evil, 'x-host': evil },
      ];
      for (const headers of attempts) {
        const { status, text } = await get(path, { host: new URL(at.issuer).host, ...headers }, at);
        expect(status).toBe(200);
        expect(sorted(JSON.parse(text.split('\n')[1]!))).toEqual(sorted(goldenMetadata(at.issuer)));
      }
    }
  }
});

test('row 6: the key set has public parts only, each key with a kid of its own, its alg and its use', async () => {
  const { keys } = (await (await fetch(`${server.origin}/oauth2/jwks`)).json()) as { keys: Record<string, string>[] };
  const ALLOWED = new Set(['kty', 'use', 'kid', 'alg', 'n', 'e', 'crv', 'x', 'y']);
  for (const key of keys) {
    expect(Object.keys(key).filter((member) => !ALLOWED.has(member))).toEqual([]);
    expect(key).toMatchObject({ use: 'sig', kid: expect.stringMatching(/^[\w-]{43}$/), alg: expect.any(String) });
  }
  expect(new Set(keys.map((key) => key.kid)).size).toBe(keys.length);
  expect(keys.map((key) => key.alg).sort()).toEqual(['ES256', 'EdDSA', 'RS256']);
});

test('row 8: a cached key set is fetched again before a new key signs', async () => {
  const [made] = await server.domain.signingKeys.rotate({ alg: 'EdDSA' }, OPERATOR);
  const overlap = (made!.signsFrom.getTime() - Date.now()) / 1000;
  for (const path of [...DOCUMENTS, '/oauth2/jwks']) {
    const { headers } = await fetch(server.origin + path);
    const maxAge = Number(/^public, max-age=(\d+)$/.exec(headers.get('cache-control') ?? '')?.[1]);
    expect(maxAge).toBeGreaterThan(0);
    expect(maxAge).toBeLessThanOrEqual(overlap - 60);
  }
});

async function keySet(): Promise<JSONWebKeySet> {
  return (await fetch(`${server.origin}/oauth2/jwks`)).json() as Promise<JSONWebKeySet>;
}

/** A token, proven to be verifiable with the keys published at this moment. */
async function issue(): Promise<{ token: string; kid: string }> {
  const { body } = await clientCredentials(server, client);
  await jwtVerify(body.access_token, createLocalJWKSet(await keySet()), { issuer: server.issuer });
  return { token: body.access_token, kid: decodeProtectedHeader(body.access_token).kid! };
}

test('row 7: a new key is published before it signs, and old tokens go on being accepted', async () => {
  const first = await issue();

  const [ahead] = await server.domain.signingKeys.rotate({ alg: 'ES256' }, OPERATOR);
  expect(await soon(async () => (await keySet()).keys.some(({ kid }) => kid === ahead!.kid))).toBe(true);
  expect((await issue()).kid).toBe(first.kid);

  // Its hour comes; what makes the server look is the next change of keys.
  await server.db.query('UPDATE signing_keys SET signs_from = now() WHERE kid = $1', [ahead!.kid]);
  await server.domain.signingKeys.rotate({ alg: 'EdDSA' }, OPERATOR);
  expect(await soon(async () => (await issue()).kid === ahead!.kid)).toBe(true);
  const second = await issue();

  const [atOnce] = await server.domain.signingKeys.rotate({ alg: 'ES256', now: true }, OPERATOR);
  expect(await soon(async () => (await issue()).kid === atOnce!.kid)).toBe(true);

  for (const { token } of [first, second]) {
    await jwtVerify(token, createLocalJWKSet(await keySet()), { issuer: server.issuer });
    expect((await introspect(server, client, token)).body).toMatchObject({ active: true });
    const api = await fetch(`${server.origin}/api/v1/providers`, { headers: { authorization: `Bearer ${token}` } });
    expect(api.status).toBe(200);
  }
});

test('row 7: no token is ever ahead of the published keys while they change under load', async () => {
  let done = false;
  const rotating = (async () => {
    for (let round = 0; round < 5; round += 1) {
      await server.domain.signingKeys.rotate({ alg: 'ES256', now: true }, OPERATOR);
    }
    await server.domain.notifications.settle();
    done = true;
  })();
  const kids = new Set<string>();
  for (let round = 0; round < 500 && !done; round += 1) kids.add((await issue()).kid);
  await rotating;
  kids.add((await issue()).kid);
  expect(kids.size).toBeGreaterThan(1);
});
