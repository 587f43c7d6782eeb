import { randomBytes } from 'node:crypto';
import { access, constants, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openEmbeddedPostgres } from '../../src/storage/embedded/index.ts';
import { generateTestKeys } from './signing-keys.ts';

/** Stops the test run's PostgreSQL and deletes it. */
export type StopTestCluster = () => Promise<void>;

declare global {
  var stopTestCluster: StopTestCluster | undefined;
}

// It is thrown away, so nothing needs to survive a crash.
const SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '300',
  max_wal_size: '512MB',
  autovacuum: 'off',
};

/** Starts one PostgreSQL for the whole test run; `createTestDatabase` finds it through LATCHKEY_TEST_DATABASE. */
export default async function globalSetup(): Promise<void> {
  const home = await quickestPlace();
  await removeLeftOvers(home);
  const dataDir = path.join(home, `latchkey-test-${process.pid}-${randomBytes(4).toString('hex')}`);
  const database = await openEmbeddedPostgres({ dataDir, role: 'command', settings: SETTINGS, sync: false });
  const stop = async () => {
    await database.close();
    await rm(dataDir, { recursive: true, force: true });
  };
  process.env.LATCHKEY_TEST_DATABASE = database.connectionString;
  // Where tests that bring their own database put it.
  process.env.LATCHKEY_TEST_HOME = home;
  process.env.LATCHKEY_TEST_KEYS = generateTestKeys();
  globalThis.stopTestCluster = stop;
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
    process.once(signal, () => void stop().finally(() => process.exit(code)));
  }
}

// Memory, where there is enough of it: making a database for each test file is mostly writing files.
async function quickestPlace(): Promise<string> {
  const memory = '/dev/shm';
  try {
    await access(memory, constants.W_OK);
    const { bavail, bsize } = await statfs(memory);
    if (bavail * bsize > 4 * 2 ** 30) return memory;
  } catch {
    // Not every system has it.
  }
  return tmpdir();
}

// Of test runs that were killed. A PostgreSQL whose directory is gone ends by itself within a minute.
async function removeLeftOvers(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const [, pid] = /^latchkey-test-(\d+)-[0-9a-f]{8}$/.exec(name) ?? [];
    if (!pid || isRunning(Number(pid))) continue;
    await rm(path.join(home, name), { recursive: true, force: true }).catch(() => {});
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
