import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createCache } from '../../src/domain/cache.ts';
import { createNotifications, type Notifications } from '../../src/storage/notifications.ts';
import { type Database, openDatabase } from '../../src/storage/pool.ts';
import { deleteSetting, findSetting, upsertSetting } from '../../src/storage/settings.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { soon } from '../support/soon.ts';

let database: TestDatabase;
let db: Database;
let notifications: Notifications;
let loads: number;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase({ connectionString: database.connectionString });
  notifications = createNotifications({ db });
  await notifications.start();
});

afterAll(async () => {
  await notifications.close();
  await db.close();
  await database.drop();
});

beforeEach(() => {
  loads = 0;
});

/** What the table says about a name, counted. */
async function read(name: string): Promise<{ value: unknown } | undefined> {
  loads += 1;
  return findSetting(db, name);
}

const settingIn = async (cache: ReturnType<typeof keyed>, name: string) =>
  (await cache.get(name, () => read(name)))?.value;

/** Until everything changed so far was told. */
async function heard(): Promise<void> {
  const mark = randomUUID();
  const told = new Promise<void>((resolve) => {
    notifications.on('settings', (name) => (name === mark ? resolve() : undefined));
  });
  await upsertSetting(db, mark, true);
  await told;
}

function keyed(options: { max?: number } = {}) {
  return createCache<{ value: unknown }>({ notifications, keyedBy: ['settings'], ...options });
}

describe('a cache', () => {
  test('asks once, and again after the row changed, whoever changed it', async () => {
    const cache = keyed();
    await upsertSetting(db, 'one', 1);
    await heard();
    expect([await settingIn(cache, 'one'), await settingIn(cache, 'one'), loads]).toEqual([1, 1, 1]);
    await upsertSetting(db, 'one', 2);
    expect(await soon(async () => (await settingIn(cache, 'one')) === 2)).toBe(true);
    await deleteSetting(db, 'one');
    expect(await soon(async () => (await settingIn(cache, 'one')) === undefined)).toBe(true);
  });

  test('keeps its other entries when one row changes, and none when any change empties it', async () => {
    const [byKey, whole] = [keyed(), createCache<{ value: unknown }>({ notifications, clearedBy: ['settings'] })];
    await upsertSetting(db, 'kept', 1);
    await upsertSetting(db, 'changed', 1);
    await heard();
    for (const cache of [byKey, whole]) for (const name of ['kept', 'changed']) await settingIn(cache, name);
    await upsertSetting(db, 'changed', 2);
    expect(await soon(async () => (await settingIn(byKey, 'changed')) === 2)).toBe(true);
    expect(await soon(async () => (await settingIn(whole, 'changed')) === 2)).toBe(true);
    loads = 0;
    await settingIn(byKey, 'kept');
    expect(loads).toBe(0);
    await settingIn(whole, 'kept');
    expect(loads).toBe(1);
  });

  test('shares one load between parallel callers, and keeps neither nothing nor a failure', async () => {
    const cache = keyed();
    await Promise.all(Array.from({ length: 20 }, () => settingIn(cache, 'absent')));
    expect(loads).toBe(1);
    await settingIn(cache, 'absent');
    expect(loads).toBe(2);
    await expect(cache.get('x', () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    await upsertSetting(db, 'x', 'back');
    expect(await settingIn(cache, 'x')).toBe('back');
  });

  test('does not keep what was read while it changed', async () => {
    const cache = keyed();
    await upsertSetting(db, 'moving', 'old');
    await heard();
    let goOn = () => {};
    const gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const slow = cache.get('moving', async () => {
      const found = await read('moving');
      await gate;
      return found;
    });
    await upsertSetting(db, 'moving', 'new');
    await heard();
    // Whoever asks now does not get the answer that was on its way before.
    expect(await soon(async () => (await settingIn(cache, 'moving')) === 'new')).toBe(true);
    goOn();
    expect((await slow)?.value).toBe('old');
    expect(await settingIn(cache, 'moving')).toBe('new');
  });

  test('is bounded: past its size the least recently used entry goes', async () => {
    const cache = keyed({ max: 2 });
    for (const name of ['a', 'b', 'c']) await cache.get(name, async () => ({ value: name }));
    expect(await settingIn(cache, 'c')).toBe('c');
    expect(loads).toBe(0);
    expect(await settingIn(cache, 'a')).toBeUndefined();
    expect(loads).toBe(1);
  });
});
