/** What a caller is told when something fails, and what not. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { createSecretText } from '../../src/domain/secret-text.ts';
import { type RawAnswer, type RawRequest, send } from '../support/request.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let port: number;

beforeAll(async () => {
  server = await startTestServer({ breaks: true });
  port = Number(new URL(server.origin).port);
});

afterAll(() => server?.close());

const html = { accept: 'text/html,application/xhtml+xml' };
const api = { authorization: 'Bearer x', 'content-type': 'application/json' };

// Stack, SQL, path, version, driver, engine.
const INSIDES =
  /\bat .*:\d+:\d+|node_modules|\/src\/|\.ts\b|SELECT |INSERT |pg_|postgres|oidc-provider|koa|node\/|v?\d+\.\d+\.\d+(?!\.\d)/i;

function expectClean(what: string, answer: RawAnswer): void {
  expect([what, INSIDES.exec(answer.text.replace(/127\.0\.0\.1/g, ''))?.[0]]).toEqual([what, undefined]);
  expect([what, answer.headers.server, answer.headers['x-powered-by']]).toEqual([what, undefined, undefined]);
  expect([what, answer.headers['x-content-type-options']]).toEqual([what, 'nosniff']);
}

describe('row 124: an error shows nothing of the inside', () => {
  const cases: [number, RawRequest][] = [
    [400, { path: '/', host: 'evil.example', headers: html }],
    [400, { path: '/oauth2/authorize?client_id=nobody', headers: html }],
    [401, { path: '/oauth2/token', body: { grant_type: 'password' } }],
    [404, { path: '/%ff', headers: html }],
    [404, { path: '/nothing', headers: html }],
    [404, { path: '/nothing' }],
    [404, { path: '/oauth2/nothing' }],
    [404, { path: '/api/v1/nothing', headers: api }],
    [401, { path: '/api/v1/providers', headers: api }],
    [415, { path: '/setup', method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }],
  ];

  test.each(cases)('%i %j', async (status, request) => {
    const answer = await send(port, request);
    expect([answer.status, answer.text === '']).toEqual([status, false]);
    expectClean(request.path, answer);
    expect(answer.headers['cache-control']).toMatch(/no-(store|cache)/);
    expect(answer.headers['x-request-id']).toMatch(/^[\w-]{8,64}$/);
  });

  test('nor does one of ours, anywhere: a page, an OAuth error, a google.rpc.Status, each with the id to ask about', async () => {
    // What is broken below the surface fails every statement, as nothing that is planned for does.
    await server.db.query('ALTER TABLE users RENAME TO people');
    await server.db.query('ALTER TABLE oauth_clients RENAME TO machines');
    await server.db.query('ALTER TABLE api_keys RENAME TO keys');
    const client = { client_id: 'svc_0123456789abcdefghijkl', client_secret: 'x' };
    try {
      const [page, token, call] = await Promise.all([
        send(port, { path: '/', headers: html }),
        send(port, { path: '/oauth2/token', body: { grant_type: 'client_credentials', ...client } }),
        send(port, {
          path: '/api/v1/providers',
          headers: { authorization: `Bearer ${createSecretText('lkp_').text}`, 'x-request-id': 'request-of-mine' },
        }),
      ]);
      for (const [what, answer] of Object.entries({ page, token, call })) {
        expect([what, answer.status >= 500]).toEqual([what, true]);
        expectClean(what, answer);
        expect(answer.text).not.toMatch(/people|machines|relation|does not exist/);
      }
      expect(page.text).toContain(String(page.headers['x-request-id']));
      expect(token.body).toEqual({ error: 'server_error', error_description: expect.any(String) });
      expect(call.headers['x-request-id']).toBe('request-of-mine');
      expect(call.body).toEqual({ code: 14, message: expect.any(String), details: [] });
    } finally {
      await server.db.query('ALTER TABLE people RENAME TO users');
      await server.db.query('ALTER TABLE machines RENAME TO oauth_clients');
      await server.db.query('ALTER TABLE keys RENAME TO api_keys');
    }
    // The operator is told what the caller is not.
    const told = server.log.filter((line) => line.includes('does not exist'));
    expect(told.length).toBeGreaterThanOrEqual(2);
  });
});

test('row 124: what nobody foresaw is told to the operator alone, with the id the caller was given', async () => {
  const team = await server.domain.teams.create({ name: 'Broken' }, OPERATOR);
  const { text } = await server.domain.apiKeys.createTeam({ teamId: team.id, name: 'Key' }, OPERATOR);
  const { list } = server.domain.providers;
  server.domain.providers.list = () => Promise.reject(new TypeError('inside-out'));
  const answer = await send(port, { path: '/api/v1/providers', headers: { authorization: `Bearer ${text}` } });
  server.domain.providers.list = list;
  expect([answer.status, answer.body]).toEqual([500, { code: 13, message: expect.any(String), details: [] }]);
  expectClean('unforeseen', answer);
  expect(answer.text).not.toMatch(/inside-out|TypeError/);
  const told = server.log.filter((line) => line.includes(String(answer.headers['x-request-id'])));
  expect(told.some((line) => line.includes('inside-out'))).toBe(true);
});

test("every answer has an id: the proxy's when it looks like one, otherwise a new one", async () => {
  const given = await send(port, { path: '/livez', headers: { 'x-request-id': 'abc-12345_X' } });
  expect(given.headers['x-request-id']).toBe('abc-12345_X');
  for (const odd of ['short', 'x'.repeat(65), 'with space in it', '<script>alert(1)</script>']) {
    const answer = await send(port, { path: '/livez', headers: { 'x-request-id': odd } });
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  }
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    for (const path of [
      '/',
      '/oauth2/token',
      '/oauth2/jwks',
      '/oauth2/authorize',
      '/api/v1/providers',
      '/livez',
      '/x',
    ]) {
      const answer = await send(port, { path, method });
      expect([method, path, answer.status < 500]).toEqual([method, path, true]);
      expect([method, path, answer.headers['x-request-id']]).toEqual([method, path, expect.any(String)]);
    }
  }
});
