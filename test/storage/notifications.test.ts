import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createCache } from '../../src/domain/cache.ts';
import { createNotifications, type Notifications } from '../../src/storage/notifications.ts';
import { type Database, openDatabase } from '../../src/storage/pool.ts';
import { findSetting, upsertSetting } from '../../src/storage/settings.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { startProxy } from '../support/proxy.ts';
import { soon } from '../support/soon.ts';

let database: TestDatabase;
/** Somebody else's connection: another instance, the command line, psql. */
let elsewhere: Database;
const cleanups: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  elsewhere = openDatabase({ connectionString: database.connectionString });
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

afterAll(async () => {
  await elsewhere.close();
  await database.drop();
});

async function listen(connectionString = database.connectionString) {
  const db = openDatabase({ connectionString });
  const seen: (string | undefined)[] = [];
  const availability: boolean[] = [];
  const notifications = createNotifications({ db, onAvailability: (available) => availability.push(available) });
  notifications.on('settings', (name) => void seen.push(name));
  cleanups.push(
    () => db.close(),
    () => notifications.close(),
  );
  return { notifications, seen, availability, db };
}

/** A listener whose statements are seen, and may be other ones than it meant to send. */
async function watched(replace: (statement: string) => string = (statement) => statement) {
  const inner = openDatabase({ connectionString: database.connectionString });
  const sent: string[] = [];
  const db: Database = {
    ...inner,
    async connect() {
      const client = await inner.connect();
      const query = client.query.bind(client) as (statement: string) => Promise<never>;
      client.query = ((statement: string) => {
        sent.push(statement);
        return query(replace(statement));
      }) as typeof client.query;
      return client;
    },
  };
  const notifications = createNotifications({ db });
  const cache = createCache<{ value: unknown }>({ notifications, keyedBy: ['settings'] });
  await notifications.start();
  cleanups.push(
    () => inner.close(),
    () => notifications.close(),
  );
  sent.splice(0);
  return { notifications, sent, read: (name: string) => cache.get(name, () => findSetting(db, name)) };
}

async function throughProxy() {
  const proxy = await startProxy(database.connectionString);
  cleanups.push(() => proxy.close());
  const listener = await listen(proxy.connectionString);
  await listener.notifications.start();
  return { proxy, ...listener };
}

async function until(notifications: Notifications, available: boolean, ms: number): Promise<number> {
  const start = Date.now();
  while (notifications.available !== available) {
    if (Date.now() - start > ms) throw new Error(`available is not ${available} after ${ms} ms`);
    await sleep(10);
  }
  return Date.now() - start;
}

describe('notifications', () => {
  test('tell of each row another process changed, once it is committed and not before', async () => {
    const { notifications, seen } = await listen();
    await notifications.start();
    expect(seen.splice(0)).toStrictEqual([undefined]);
    await elsewhere.transaction(async (tx) => {
      await upsertSetting(tx, 'a', 1);
      await sleep(30);
      expect(seen).toStrictEqual([]);
    });
    const undone = elsewhere.transaction(async (tx) => {
      await upsertSetting(tx, 'undone', 1);
      throw new Error('no');
    });
    await expect(undone).rejects.toThrow('no');
    await upsertSetting(elsewhere, 'name: with "all" sorts', 1);
    expect(await soon(async () => seen.length === 2)).toBe(true);
    expect(seen).toStrictEqual(['a', 'name: with "all" sorts']);
  });

  test('count as available only when everything kept was forgotten', async () => {
    const { notifications, availability } = await listen();
    let finish = () => {};
    const forgetting = new Promise<void>((begun) => {
      notifications.on('teams', () => {
        begun();
        return new Promise((resolve) => {
          finish = resolve;
        });
      });
    });
    expect([notifications.available, notifications.freshFor]).toEqual([false, 0]);
    const starting = notifications.start();
    await forgetting;
    await sleep(20);
    expect([notifications.available, notifications.freshFor]).toEqual([false, 0]);
    finish();
    await starting;
    expect([notifications.available, notifications.freshFor, availability]).toEqual([true, 60_000, [true]]);
  });

  test('after a connection that was cut nothing is kept until there is a new one, and what was missed is forgotten', async () => {
    const { proxy, notifications, seen, availability } = await throughProxy();
    seen.splice(0);
    proxy.cut();
    await until(notifications, false, 200);
    expect([notifications.freshFor, seen]).toStrictEqual([0, [undefined]]);
    await upsertSetting(elsewhere, 'missed', 1);
    await sleep(50);
    expect(seen).toStrictEqual([undefined]);
    proxy.restore();
    await until(notifications, true, 2_000);
    expect(seen).toStrictEqual([undefined, undefined]);
    expect(availability).toEqual([true, false, true]);
    await upsertSetting(elsewhere, 'heard', 1);
    expect(await soon(async () => seen.at(-1) === 'heard')).toBe(true);
  });

  test('row F4: a connection that stalls without a word is noticed by its heartbeat, and given up', async () => {
    const { proxy, notifications } = await throughProxy();
    proxy.stall();
    expect(await until(notifications, false, 4_000)).toBeGreaterThan(1_000);
    expect(notifications.freshFor).toBe(0);
    proxy.restore();
    await until(notifications, true, 3_000);
  }, 10_000);

  test('a first connection that fails is told to whoever starts', async () => {
    const { notifications } = await listen('postgres://nobody@127.0.0.1:1/nowhere');
    await expect(notifications.start()).rejects.toMatchObject({ kind: 'unavailable' });
    expect(notifications.available).toBe(false);
  });

  test('closed while connecting, they leave no connection behind', async () => {
    const { notifications } = await listen();
    const starting = notifications.start();
    await notifications.close();
    await starting.catch(() => {});
    const listeners = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    expect(await soon(async () => (await elsewhere.query(listeners)).count === 0)).toBe(true);
    expect(notifications.available).toBe(false);
  });
});

describe('settling', () => {
  test('leaves nothing old in memory: what was changed before is read as it is, every time', async () => {
    const { notifications, read } = await watched();
    const stale: unknown[] = [];
    const changeAndRead = async (name: string, rounds: number) => {
      for (let value = 0; value < rounds; value += 1) {
        await upsertSetting(elsewhere, name, value);
        await notifications.settle();
        const kept = await read(name);
        if (kept?.value !== value) stale.push([name, value, kept]);
      }
    };
    await changeAndRead('alone', 300);
    // Several at once share round trips, but nobody one that was sent before the change.
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => changeAndRead(name, 50)));
    expect(stale).toEqual([]);
  });

  test('costs those who ask together one round trip, and whoever asks later another', async () => {
    const { notifications, sent } = await watched();
    await Promise.all(Array.from({ length: 50 }, () => notifications.settle()));
    expect(sent.splice(0)).toEqual(['SELECT 1']);
    const first = notifications.settle();
    while (sent.length === 0) await Promise.resolve();
    await Promise.all([first, ...Array.from({ length: 50 }, () => notifications.settle())]);
    expect(sent).toEqual(['SELECT 1', 'SELECT 1']);
  });

  test('waits for what has to be read anew, and outlives its failure', async () => {
    const { notifications } = await watched();
    const done: string[] = [];
    notifications.on('settings', async (name) => {
      await sleep(30);
      done.push(String(name));
      throw new Error('could not be read');
    });
    await upsertSetting(elsewhere, 'slow', 1);
    await notifications.settle();
    expect(done).toEqual(['slow']);
  });

  test('forgets everything where the database cannot tell of changes', async () => {
    const noListen = "DO $$ BEGIN RAISE EXCEPTION 'no LISTEN here' USING ERRCODE = '0A000'; END $$";
    const { notifications, read, sent } = await watched((statement) =>
      statement.startsWith('LISTEN') ? noListen : statement,
    );
    expect(notifications.freshFor).toBe(1_000);
    for (let value = 0; value < 5; value += 1) {
      await upsertSetting(elsewhere, 'polled', value);
      await notifications.settle();
      expect(await read('polled')).toEqual({ value });
    }
    expect(sent).toEqual([]);
  });

  test('is done at once without a connection, and does not fail with it', async () => {
    const { notifications: unstarted } = await listen();
    await unstarted.settle();
    const { proxy, notifications } = await throughProxy();
    proxy.cut();
    await notifications.settle();
    await until(notifications, false, 500);
    await notifications.settle();
    await notifications.close();
    await notifications.settle();
  });
});
