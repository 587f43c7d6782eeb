import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createPurge } from '../../src/domain/purge.ts';
import { type Database, openDatabase, type Queryable } from '../../src/storage/pool.ts';
import { deleteExpired, lockPurge, PURGED_TABLES } from '../../src/storage/purge.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase({ connectionString: database.connectionString });
});

afterAll(async () => {
  await db.close();
  await database.drop();
});

beforeEach(async () => {
  for (const table of PURGED_TABLES) await db.query(`DELETE FROM ${table}`);
});

async function insertTokens(count: number, expiredFor: string): Promise<void> {
  await db.query(
    `INSERT INTO revocations (kind, id, expires_at)
     SELECT 'token', $1 || n, now() - $2::interval FROM generate_series(1, $3::int) AS n`,
    [randomBytes(6).toString('hex'), expiredFor, count],
  );
}

const countOf = async (table: string) =>
  (await db.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)).rows[0]!.count;

/** The same database, keeping the size of each deletion. */
function watched(sizes: number[]): Database {
  const watch = (on: Queryable): Queryable => ({
    async query<Row extends object>(text: string, values?: unknown[]) {
      const result = await on.query<Row>(text, values);
      if (text.startsWith('DELETE')) sizes.push(result.count);
      return result;
    },
  });
  return { ...db, ...watch(db), transaction: (work) => db.transaction((tx) => work(watch(tx))) };
}

test('row F26: removes what ended an hour ago, in bounded batches, and leaves the rest', async () => {
  await insertTokens(1_200, '2 hours');
  await insertTokens(3, '30 minutes');
  await insertTokens(4, '-10 minutes');
  await db.query(
    `INSERT INTO oidc_payloads (model, id, payload, expires_at) VALUES
     ('Session', '\\x01', '', now() - interval '2 hours'), ('Session', '\\x02', '', now() + interval '1 minute')`,
  );
  const sizes: number[] = [];
  const purge = createPurge({ db: watched(sizes) });
  expect(await purge.run()).toBe(1_201);
  purge.close();
  expect(Math.max(...sizes)).toBe(500);
  expect([await countOf('revocations'), await countOf('oidc_payloads')]).toEqual([7, 1]);
});

test('a session goes with what the engine keeps of it, once it has been over for an hour', async () => {
  await db.query(
    `WITH ended AS (
       INSERT INTO sessions (uid, logged_in_at, last_used_at, expires_at) VALUES
       ('\\xaa', now(), now(), now() - interval '2 hours'), ('\\xbb', now(), now(), now() - interval '30 minutes'))
     INSERT INTO oidc_payloads (model, id, uid, payload, expires_at) VALUES
     ('Session', '\\x0a', '\\xaa', '', now()), ('Session', '\\x0b', '\\xbb', '', now())`,
  );
  expect(await deleteExpired(db, 'sessions', 500)).toBe(1);
  expect([await countOf('sessions'), await countOf('oidc_payloads')]).toEqual([1, 1]);
});

test('one instance at a time: whoever finds it going on leaves it', async () => {
  await insertTokens(10, '2 hours');
  const purge = createPurge({ db });
  await db.transaction(async (tx) => {
    expect(await lockPurge(tx)).toBe(true);
    expect(await purge.run()).toBe(0);
  });
  expect(await purge.run()).toBe(10);
  purge.close();
});

test('does not wait for a row that somebody is using', async () => {
  await insertTokens(2, '2 hours');
  await db.transaction(async (tx) => {
    await tx.query('SELECT 1 FROM revocations LIMIT 1 FOR UPDATE');
    expect(await deleteExpired(db, 'revocations', 500)).toBe(1);
  });
});

test('a signing key goes once everything it signed has expired, and one without an end stays', async () => {
  await db.query(
    `INSERT INTO signing_keys (kid, alg, public_jwk, private_jwk, signs_from, expires_at) VALUES
     ('old', 'ES256', '{}', '', now(), now() - interval '2 hours'), ('live', 'ES256', '{}', '', now(), null)`,
  );
  const purge = createPurge({ db });
  await purge.run();
  purge.close();
  expect((await db.query('SELECT kid FROM signing_keys')).rows).toEqual([{ kid: 'live' }]);
});

test('runs by itself, and tells of failures instead of ending the process', async () => {
  const failures: unknown[] = [];
  const broken: Database = { ...db, transaction: () => Promise.reject(new Error('away')) };
  const purge = createPurge({ db: broken, interval: 5, onError: (error) => failures.push(error) });
  while (failures.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  purge.close();
});
