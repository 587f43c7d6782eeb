import { once } from 'node:events';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { checkOutboundUrl, isPublicAddress } from '../../../src/domain/outbound-urls.ts';
import { createEngine, type Engine } from '../../../src/oidc/index.ts';
import { createOutboundFetch } from '../../../src/oidc/outbound.ts';
import { createCertificate } from '../../support/certificate.ts';
import { createPerson, createTestClient, postForm } from '../../support/flows.ts';
import { type ClientKey, createClientKey, signAssertion } from '../../support/proofs.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

const HOST = 'keys.example.com';

let server: TestServer;
let teamId: string;
let key: ClientKey;
/** Where keys are published, on loopback; the answers by path, and what was asked for. */
let keys: Server;
let keysPort: number;
const answers: Record<string, (response: ServerResponse) => void> = {};
const asked: string[] = [];
let connections = 0;
/** The engine of the server once more, that may fetch from there. */
let engine: Engine;
let engineServer: Server;
let origin: string;
const certificate = createCertificate(HOST);
const resolved: string[] = [];
const failures: unknown[] = [];

beforeAll(async () => {
  // The engine looks for a part of Node that is not within reach of tests, and says so; it guards a fetch that is not ours.
  jest.spyOn(console, 'warn').mockImplementation(() => {});
  server = await startTestServer();
  ({ teamId } = await createPerson(server));
  key = await createClientKey();
  keys = createServer(certificate, ({ url = '' }, response) => {
    asked.push(url);
    answers[url]!(response);
  });
  keys.on('connection', () => {
    connections += 1;
  });
  keysPort = await listen(keys);
  engine = createEngine({
    ...server.domain,
    config: server.config,
    db: server.db,
    defaultResource: server.audience,
    pages: { renderEngineError() {}, renderLogout() {}, renderLoggedOut() {} },
    requestInfo: () => ({ requestId: '', ip: '' }),
    onError: (error) => failures.push(error),
    outboundFetch: createOutboundFetch({
      resolve: async (host) => {
        resolved.push(host);
        return ['127.0.0.1'];
      },
      isAllowed: () => true,
      ca: certificate.cert,
    }),
  });
  // As when the keys it signs with change: that is when it builds itself.
  await server.db.query("SELECT pg_notify('latchkey', 'signing_keys:any')");
  await soon(async () => engine.publishedKeys().keys.length > 0);
  engineServer = createHttpServer((request, response) => void engine.handle(request, response));
  origin = `http://localhost:${await listen(engineServer)}`;
}, 30_000);

afterAll(async () => {
  engine?.close();
  for (const one of [keys, engineServer]) one?.close();
  await server?.close();
});

async function listen(one: Server): Promise<number> {
  one.listen(0, '127.0.0.1');
  await once(one, 'listening');
  return (one.address() as AddressInfo).port;
}

/** A client whose keys are at `path`, which answers so. */
async function publish(path: string, answer: (response: ServerResponse) => void): Promise<string> {
  answers[path] = answer;
  const jwksUri = `https://${HOST}:${keysPort}${path}`;
  return (await createTestClient(server, teamId, { jwksUri })).clientId;
}

async function present(clientId: string, at = origin, signedBy = key) {
  const assertion = await signAssertion(server.issuer, clientId, signedBy);
  const { status, body } = await postForm(`${at}/oauth2/token`, { grant_type: 'client_credentials', ...assertion });
  return [status, body.error];
}

const json = (value: unknown) => (response: ServerResponse) => response.end(JSON.stringify(value));
const countOf = (path: string) => asked.filter((one) => one === path).length;

test('a client is known by the keys at its jwks_uri, which are fetched when they are needed', async () => {
  const clientId = await publish('/good', json(key.jwks));
  expect(countOf('/good')).toBe(0);
  for (let times = 0; times < 3; times += 1) expect(await present(clientId)).toEqual([200, undefined]);
  expect(await present(clientId, origin, { ...(await createClientKey()), kid: key.kid })).toEqual([
    401,
    'invalid_client',
  ]);
  expect(countOf('/good')).toBe(1);
  // Looked up once for one connection, which therefore went to the address that was looked at.
  expect(resolved).toEqual([HOST]);
});

test.each<[string, (response: ServerResponse) => void]>([
  ['/moved', (response) => response.writeHead(302, { location: '/elsewhere' }).end(JSON.stringify(key.jwks))],
  ['/broken', (response) => response.writeHead(500).end(JSON.stringify(key.jwks))],
  ['/large', (response) => response.end(JSON.stringify({ ...key.jwks, padding: 'x'.repeat(70_000) }))],
  ['/text', (response) => response.end('not JSON')],
  ['/nothing', json({})],
  ['/empty', json({ keys: [] })],
  ['/symmetric', json({ keys: [{ kty: 'oct', k: 'AAAA' }] })],
  ['/private', (response) => response.end(JSON.stringify({ keys: [{ ...key.publicJwk, d: 'AAAA' }] }))],
  ['/cut', (response) => response.writeHead(200, { 'content-length': 1_000 }).end('{', () => response.destroy())],
])('row 116: keys that answer like %s let nobody in', async (path, answer) => {
  answers['/elsewhere'] = json(key.jwks);
  const clientId = await publish(path, answer);
  expect(await present(clientId)).toEqual([401, 'invalid_client']);
  expect([countOf(path), countOf('/elsewhere')]).toEqual([1, 0]);
  expect(failures).toEqual([]);
});

test('an address that hangs is left after 2.5 s, holds up nobody else, and is not asked again at once', async () => {
  const hanging = await publish('/hangs', () => {});
  const good = await publish('/other', json(key.jwks));
  const start = performance.now();
  const since = () => performance.now() - start;
  const waiting = Promise.all([present(hanging), present(hanging)]);
  expect(await present(good)).toEqual([200, undefined]);
  expect(since()).toBeLessThan(1_000);
  expect(await waiting).toEqual([
    [401, 'invalid_client'],
    [401, 'invalid_client'],
  ]);
  expect(since()).toBeLessThan(4_000);
  expect(await present(hanging)).toEqual([401, 'invalid_client']);
  expect(since()).toBeLessThan(4_500);
  expect(countOf('/hangs')).toBe(1);
});

describe('row 116: only the public internet', () => {
  test.each([
    '127.0.0.1',
    '127.8.9.10',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '192.0.0.8',
    '192.0.2.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    'fe80::1',
    'fec0::1',
    'fc00::1',
    'fd12:3456::1',
    'ff02::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    'localhost',
    '',
  ])('%s is not of it', (address) => expect(isPublicAddress(address)).toBe(false));

  test.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001::1'])('%s is', (address) =>
    expect(isPublicAddress(address)).toBe(true),
  );

  test('one address of a private network is enough to refuse a name, without a connection', async () => {
    const before = connections;
    for (const addresses of [['127.0.0.1'], ['8.8.8.8', '127.0.0.1'], ['::1'], []]) {
      const get = createOutboundFetch({ resolve: async () => addresses, ca: certificate.cert });
      await expect(get(`https://${HOST}:${keysPort}/good`)).rejects.toThrow(/no public address/);
    }
    for (const host of ['127.0.0.1', '[::1]', '0x7f000001', '[::ffff:7f00:1]']) {
      const get = createOutboundFetch({ ca: certificate.cert });
      await expect(get(`https://${host}:${keysPort}/good`)).rejects.toThrow(/no public address/);
    }
    await expect(createOutboundFetch()(`http://${HOST}:${keysPort}/good`)).rejects.toThrow(/only https/);
    expect(connections).toBe(before);
  });

  test('the server as it is set up asks nobody on its own machine', async () => {
    const before = connections;
    const { clientId } = await createTestClient(server, teamId, {
      jwksUri: `https://keys.localdomain:${keysPort}/good`,
    });
    expect(await present(clientId, server.origin)).toEqual([401, 'invalid_client']);
    // Written before there was a check.
    await server.db.query('UPDATE oauth_clients SET jwks_uri = $2 WHERE client_id = $1', [
      clientId,
      `https://127.0.0.1:${keysPort}/good`,
    ]);
    await server.domain.notifications.settle();
    expect(await present(clientId, server.origin)).toEqual([401, 'invalid_client']);
    expect(connections).toBe(before);
    expect(server.log.filter((line) => line.includes('"level":50'))).toEqual([]);
  });

  test('a certificate for another name, or of nobody we trust, is refused', async () => {
    const options = { resolve: async () => ['127.0.0.1'], isAllowed: () => true };
    const trusting = createOutboundFetch({ ...options, ca: certificate.cert });
    await expect(trusting(`https://other.example.com:${keysPort}/good`)).rejects.toThrow(/altnames|certificate/i);
    await expect(createOutboundFetch(options)(`https://${HOST}:${keysPort}/good`)).rejects.toThrow(/self-signed/);
  });
});

test.each([
  'https://user:pw@keys.example.com/',
  'https:///user:pw@keys.example.com/',
  'https:////user@keys.example.com/',
  'https://:pw@keys.example.com/',
  'https://@keys.example.com/',
  'https:///:@keys.example.com/',
  'https://localhost../',
  'https://127.0.0.1../',
  'https://keys.example.com../',
  'https://keys.example.com%2e%2e/',
])('row 116: %s is no address of keys, nor of a logo', (url) => {
  for (const field of ['jwks_uri', 'logo_url']) {
    expect(() => checkOutboundUrl(field, url)).toThrow(expect.objectContaining({ kind: 'invalid_argument' }));
  }
});

test.each(['https://keys.example.com./', 'https://keys.example.com/@me?a=b@c'])('row 116: %s may be one', (url) => {
  expect(checkOutboundUrl('jwks_uri', url)).toBe(url);
});
