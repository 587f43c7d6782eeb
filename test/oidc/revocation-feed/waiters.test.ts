/** How many wait, and for how long: what no test of the feed itself could count. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createWaiters, type Waiters } from '../../../src/oidc/revocation-waiters.ts';
import { inParallel } from '../../support/parallel.ts';
import { soon } from '../../support/soon.ts';

const server = createServer((_req, res) => void answer(res));
let waiters: Waiters;
let ms: number;
let origin: string;

async function answer(res: ServerResponse): Promise<void> {
  const hasWaited = await waiters.wait(res, ms);
  res.end(String(hasWaited));
}

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  waiters = createWaiters(3);
  ms = 10_000;
});

const ask = async (signal?: AbortSignal) => (await fetch(origin, { ...(signal && { signal }) })).text();
const areWaiting = (count: number) => soon(async () => waiters.size === count);

test('no more than there is room for wait; whoever comes then is answered at once', async () => {
  const first = inParallel(3, () => ask());
  expect(await areWaiting(3)).toBe(true);
  expect(await ask()).toBe('false');
  waiters.wake();
  expect(await first).toEqual(['true', 'true', 'true']);
  expect(waiters.size).toBe(0);
});

test('who goes away leaves a place', async () => {
  const gone = new AbortController();
  const polls = inParallel(3, () => ask(gone.signal).catch(() => 'gone'));
  expect(await areWaiting(3)).toBe(true);
  gone.abort();
  expect(await polls).toEqual(['gone', 'gone', 'gone']);
  expect(await areWaiting(0)).toBe(true);
});

test('who has waited long enough goes on', async () => {
  ms = 30;
  const answers = await inParallel(3, () => ask());
  expect([answers, waiters.size]).toEqual([['true', 'true', 'true'], 0]);
});

test('when it closes all go on, and nobody waits any more', async () => {
  const first = inParallel(2, () => ask());
  expect(await areWaiting(2)).toBe(true);
  waiters.close();
  expect(await first).toEqual(['true', 'true']);
  await sleep(1);
  expect(await ask()).toBe('false');
});
