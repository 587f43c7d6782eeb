import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { authorize, createPerson, createTestApp, redeemCode } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { goldenMetadata } from './metadata.golden.ts';

const DOCUMENTS = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'];
let server: TestServer;
let proxied: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  proxied = await startTestServer({ env: { TRUST_PROXY: '1' }, issuer: 'https://auth.example.com' });
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
  expect(endpoints).toHaveLength(8);
  for (const [name, url] of endpoints as [string, string][]) {
    const [got, posted] = await Promise.all([fetch(url), fetch(url, { method: 'POST' })]);
    expect([name, got.status, posted.status]).not.toEqual([name, 404, 404]);
    await Promise.all([got.text(), posted.text()]);
  }
});

test('row 3: ID tokens come in each advertised algorithm, RS256 unless the app chose', async () => {
  const person = await createPerson(server);
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
