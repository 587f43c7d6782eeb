import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { send } from '../support/request.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let port: number;

beforeAll(async () => {
  server = await startTestServer();
  port = Number(new URL(server.origin).port);
});

afterAll(() => server?.close());

test('row 128: both answers are short, never cached, and given to any Host', async () => {
  for (const path of ['/livez', '/readyz']) {
    for (const host of ['10.0.0.1:3000', 'evil.example', `localhost:${port}`]) {
      const answer = await send(port, { path, host });
      expect([answer.status, answer.body, answer.headers['cache-control']]).toEqual([
        200,
        { status: 'ok' },
        'no-store',
      ]);
    }
    expect((await send(port, { path, method: 'HEAD' })).status).toBe(200);
  }
});

test('row F12: told to stop, it is alive, not ready, and ends each connection after its answer', async () => {
  expect((await send(port, { path: '/livez' })).headers.connection).toBe('keep-alive');
  server.app.drain();
  const ready = await send(port, { path: '/readyz' });
  expect([ready.status, ready.headers['retry-after'], ready.headers.connection]).toEqual([503, '1', 'close']);
  expect((await send(port, { path: '/livez' })).status).toBe(200);
  // What comes all the same is served: the balancer may not have noticed yet.
  const jwks = await send(port, { path: '/oauth2/jwks' });
  expect([jwks.status, jwks.headers.connection]).toEqual([200, 'close']);
});
