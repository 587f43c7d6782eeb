import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { MIGRATIONS } from '../../src/storage/migrations/index.ts';
import { migrate, requireCurrentSchema } from '../../src/storage/migrator.ts';
import { type Database, openDatabase } from '../../src/storage/pool.ts';
import { createEmptyDatabase } from '../support/empty-database.ts';
import type { TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let db: Database;

beforeEach(async () => {
  database = await createEmptyDatabase();
  db = openDatabase({ connectionString: database.connectionString });
});

afterEach(async () => {
  await db.close();
  await database.drop();
});

/** Everything there is: tables, columns, constraints, indexes, triggers. */
async function schema(): Promise<string[]> {
  const { rows } = await db.query<{ line: string }>(
    `SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) AS line
       FROM information_schema.columns WHERE table_schema = 'public'
     UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
     UNION ALL SELECT pg_get_constraintdef(oid) || ' on ' || conrelid::regclass FROM pg_constraint WHERE conrelid <> 0
       AND connamespace = 'public'::regnamespace
     UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1`,
  );
  return rows.map(({ line }) => line);
}

const names = MIGRATIONS.map(({ name }) => name);

describe('migrate', () => {
  test('brings an empty database up, says what it did, and has nothing to do the second time', async () => {
    expect(await migrate(db)).toEqual(names);
    const before = await schema();
    expect(before.length).toBeGreaterThan(100);
    expect(await migrate(db)).toEqual([]);
    expect(await schema()).toEqual(before);
    await expect(requireCurrentSchema(db)).resolves.toBeUndefined();
  });

  test('row F11: of many at once one works, and the others wait for it', async () => {
    const others = Array.from({ length: 5 }, () =>
      openDatabase({ connectionString: database.connectionString, max: 1 }),
    );
    const applied = await Promise.all(others.map((one) => migrate(one)));
    await Promise.all(others.map((one) => one.close()));
    expect(applied.sort((a, b) => b.length - a.length)).toEqual([names, [], [], [], []]);
  });

  test('row F11: as long as another one is at it nothing is done, and no statement waits', async () => {
    const other = openDatabase({ connectionString: database.connectionString, max: 1 });
    let done = false;
    const { migrating, waited } = await other.transaction(async (tx) => {
      await tx.query('SELECT pg_advisory_xact_lock(7264001)');
      const migrating = migrate(db).finally(() => {
        done = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 250));
      const { rows } = await tx.query(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      return { migrating, waited: [done, rows.length] };
    });
    expect(waited).toEqual([false, 0]);
    expect(await migrating).toEqual(names);
    await other.close();
  });

  test('continues where an older build stopped, and comes to the same schema', async () => {
    expect(await migrate(db, MIGRATIONS.slice(0, 3))).toEqual(names.slice(0, 3));
    await expect(requireCurrentSchema(db)).rejects.toMatchObject({
      kind: 'failed_precondition',
      message: expect.stringContaining('latchkey migrate'),
    });
    expect(await migrate(db)).toEqual(names.slice(3));
    const continued = await schema();
    await db.query('DROP SCHEMA public CASCADE');
    await db.query('CREATE SCHEMA public');
    await migrate(db);
    expect(await schema()).toEqual(continued);
  });

  test('a migration that fails leaves nothing behind', async () => {
    await migrate(db);
    const broken = {
      number: names.length + 1,
      name: 'broken',
      sql: 'CREATE TABLE half (id int); SELECT no_such_function()',
    };
    await expect(migrate(db, [...MIGRATIONS, broken])).rejects.toMatchObject({ kind: 'internal' });
    expect((await db.query("SELECT to_regclass('half') AS half")).rows).toEqual([{ half: null }]);
    expect(await migrate(db)).toEqual([]);
  });

  test('a migration may take longer than any other statement', async () => {
    const hasty = openDatabase({ connectionString: database.connectionString, longest: 400 });
    const slow = { number: 1, name: '0001-slow', sql: 'CREATE TABLE half (id int); SELECT pg_sleep(0.9)' };
    await expect(hasty.query(slow.sql)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await migrate(hasty, [slow]).finally(() => hasty.close())).toEqual([slow.name]);
  });

  test('refuses a database that a newer build migrated, and does not touch it', async () => {
    const newer = { number: names.length + 1, name: 'newer', sql: 'CREATE TABLE from_the_future (id int)' };
    await migrate(db, [...MIGRATIONS, newer]);
    const before = await schema();
    const refusal = {
      kind: 'failed_precondition',
      message: expect.stringContaining(`migrated by a newer Latchkey (migration ${newer.number})`),
    };
    await expect(migrate(db)).rejects.toMatchObject(refusal);
    await expect(requireCurrentSchema(db)).rejects.toMatchObject(refusal);
    expect(await schema()).toEqual(before);
  });

  test('says that an empty database is behind', async () => {
    await expect(requireCurrentSchema(db)).rejects.toMatchObject({ kind: 'failed_precondition' });
  });
});

test('migrations are numbered in order, and their names start with their number', () => {
  expect(MIGRATIONS.map(({ number }) => number)).toEqual(MIGRATIONS.map((_, index) => index + 1));
  for (const { number, name } of MIGRATIONS)
    expect(name).toMatch(new RegExp(`^${String(number).padStart(4, '0')}-[a-z-]+$`));
});

test('0011: sessions of before go on, and can be seen', async () => {
  const until = names.indexOf('0011-sessions');
  await migrate(db, MIGRATIONS.slice(0, until));
  await db.query(`INSERT INTO users (id, email) VALUES ('11111111-1111-4111-8111-111111111111', 'ada@example.com')`);
  await db.query(
    `INSERT INTO oidc_payloads (model, id, uid, user_id, payload, created_at, expires_at) VALUES
     ('Session', '\\x01', '\\xaa', '11111111-1111-4111-8111-111111111111', '', now() - interval '1 hour', now() + interval '1 hour'),
     ('Session', '\\x02', '\\xaa', '11111111-1111-4111-8111-111111111111', '', now(), now() + interval '2 hours'),
     ('Session', '\\x03', '\\xbb', null, '', now(), now() + interval '1 hour'),
     ('Interaction', '\\x04', null, null, '', now(), now() + interval '1 hour')`,
  );
  await migrate(db);
  const { rows } = await db.query(
    `SELECT encode(uid, 'hex') AS uid, user_id IS NOT NULL AS known, expires_at > now() + interval '90 minutes' AS latest,
       (SELECT count(*)::int FROM oidc_payloads AS p WHERE p.uid = sessions.uid) AS ids FROM sessions ORDER BY uid`,
  );
  expect(rows).toEqual([
    { uid: 'aa', known: true, latest: true, ids: 2 },
    { uid: 'bb', known: false, latest: false, ids: 1 },
  ]);
  await db.query(`DELETE FROM sessions WHERE uid = '\\xaa'`);
  expect((await db.query('SELECT FROM oidc_payloads')).count).toBe(2);
});
