/** Keys that end, and what is remembered of them. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import type { Queryable } from '../../../src/storage/pool.ts';
import { later } from '../../support/clock.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';
import { createExchange } from '../token-exchange/exchange.ts';

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof exchange.person>>;

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
  person = await exchange.person();
});
afterAll(() => server?.close());

const setTokensUntil = (id: string, time: string) =>
  server.db.query('UPDATE api_keys SET tokens_until = now() + $2::interval WHERE id = $1', [id, time]);

test('a key that comes back long after is not held to what has expired', async () => {
  const { id } = await exchange.teamKey(person.teamId);
  await setTokensUntil(id, '5 minutes');
  const claims = { iat: Math.floor(Date.now() / 1000), derived_from: [`key:${id}`] };
  await server.domain.apiKeys.revoke(id, {}, OPERATOR);
  await server.domain.notifications.settle();
  const judge = async () => server.domain.revocations.isRevoked(claims);
  expect(await judge()).toBe(true);
  // Nothing else has ended since, and nobody looked.
  expect(await later(600, judge)).toBe(false);
});

test('many keys that end together wait for others in one order', async () => {
  const keys = [await exchange.teamKey(person.teamId), await exchange.teamKey(person.teamId)];
  const ids = keys.map(({ id }) => id).sort();
  // They are found the other way round.
  for (const id of ids.toReversed()) await setTokensUntil(id, '4 minutes');
  const end = `SELECT latchkey_revoke('key', $1, 'infinity', now() + interval '5 minutes')`;
  let deleted: Promise<unknown> = Promise.resolve();
  await server.db.transaction(async (tx) => {
    await tx.query(end, [ids[0]]);
    deleted = server.db.query('DELETE FROM api_keys WHERE id::text = ANY ($1)', [ids]);
    expect(await soon(() => isWaitedFor(tx))).toBe(true);
    await tx.query(end, [ids[1]]);
  });
  await deleted;
});

/** Whether somebody waits for this transaction. */
async function isWaitedFor(tx: Queryable): Promise<boolean> {
  const { rows } = await tx.query<{ waits: boolean }>(
    'SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))) AS waits',
  );
  return rows[0]!.waits;
}
