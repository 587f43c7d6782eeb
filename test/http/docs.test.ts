/** `/docs` and `/openapi.json`: the description of the API, for people and for programs. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATIONS, type OperationId } from '../../src/domain/authorization.ts';
import { type Api, createApi } from '../support/api.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let api: Api;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
}, 30_000);

afterAll(() => server?.close());

// biome-ignore lint/suspicious/noExplicitAny: the whole of OpenAPI, as far as it is looked at
type Json = any;

async function document(): Promise<Json> {
  const { status, headers, body } = await api.call({ path: '/openapi.json' });
  expect([status, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
  return body;
}

function operationsOf(described: Json): [path: string, method: string, operation: Json][] {
  return Object.entries(described.paths as Json).flatMap(([path, methods]) =>
    Object.entries(methods as Json).map(([method, one]) => [path, method, one] as [string, string, Json]),
  );
}

test('the description is OpenAPI 3.1, and every reference in it leads somewhere', async () => {
  const described = await document();
  expect(described.openapi).toBe('3.1.0');
  expect(described.servers).toEqual([{ url: server.issuer }]);
  const references = [...JSON.stringify(described).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
  expect(references.length).toBeGreaterThan(50);
  for (const [, name] of references) expect(described.components.schemas).toHaveProperty(name!);
});

test('every operation says what it needs, takes, answers and may fail with', async () => {
  for (const [path, method, one] of operationsOf(await document())) {
    const rule = OPERATIONS[one.operationId as OperationId];
    expect([one.operationId, one['x-latchkey-permission'], one['x-latchkey-reach']]).toEqual([
      one.operationId,
      rule.permission,
      rule.reach,
    ]);
    const declared = (one.parameters ?? []).filter((parameter: Json) => parameter.in === 'path');
    expect(declared.map(({ name }: Json) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
    expect(one.responses['200'].content['application/json'].schema).toBeDefined();
    for (const status of ['400', '401', '403', '500', '503']) expect(one.responses).toHaveProperty(status);
    const headers = (one.parameters ?? []).filter((parameter: Json) => parameter.in === 'header');
    expect(headers.some(({ name }: Json) => name === 'Idempotency-Key')).toBe(method === 'post');
  }
});

test('what can be changed by PUT, PATCH or DELETE and has a GET of its own takes If-Match', async () => {
  const operations = operationsOf(await document());
  const readable = new Set(operations.filter(([, method]) => method === 'get').map(([path]) => path));
  const changes = operations.filter(([path, method]) => readable.has(path) && /put|patch|delete/.test(method));
  expect(changes.length).toBeGreaterThan(10);
  for (const [path, method, one] of changes) {
    const takes = (one.parameters ?? []).some(({ name }: Json) => name === 'If-Match');
    expect([path, method, takes]).toEqual([path, method, true]);
  }
});

test('the page shows every operation with its permission, without script and without anything from elsewhere', async () => {
  const { status, headers, text } = await api.call({ path: '/docs', headers: { accept: 'text/html' } });
  expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  expect(headers['content-security-policy']).toContain("default-src 'none'");
  for (const [id, { permission }] of Object.entries(OPERATIONS)) {
    const [, shown = ''] = text.split(`id="${id}"`);
    expect([id, shown.slice(0, 1_500).includes(permission)]).toEqual([id, true]);
  }
  expect(text).not.toMatch(/<script|<style|\son\w+=/);
  const loaded = [...text.matchAll(/<(?:link|img)[^>]*(?:href|src)="([^"]+)"/g)].map(([, url]) => url!);
  expect(loaded.every((url) => url.startsWith('/assets/'))).toBe(true);
});

test('both are readable without a credential and by GET alone', async () => {
  for (const path of ['/docs', '/openapi.json']) {
    expect((await api.call({ path, method: 'HEAD' })).status).toBe(200);
    expect((await api.call({ path, method: 'POST', body: {} })).status).toBe(404);
  }
});
