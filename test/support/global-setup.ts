import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openEmbeddedPostgres } from '../../src/storage/embedded/index.ts';

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
  max_wal_size: '4GB',
  autovacuum: 'off',
};

/** Starts one PostgreSQL for the whole test run; `createTestDatabase` finds it through LATCHKEY_TEST_DATABASE. */
export default async function globalSetup(): Promise<void> {
  await removeLeftOvers();
  const dataDir = path.join(tmpdir(), `latchkey-test-${process.pid}-${randomBytes(4).toString('hex')}`);
  const database = await openEmbeddedPostgres({ dataDir, role: 'command', settings: SETTINGS, sync: false });
  const stop = async () => {
    await database.close();
    await rm(dataDir, { recursive: true, force: true });
  };
  process.env.LATCHKEY_TEST_DATABASE = database.connectionString;
  globalThis.stopTestCluster = stop;
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
    process.once(signal, () => void stop().finally(() => process.exit(code)));
  }
}

// Of test runs that were killed. A PostgreSQL whose directory is gone ends by itself within a minute.
async function removeLeftOvers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = /^latchkey-test-(\d+)-[0-9a-f]{8}$/.exec(name) ?? [];
    if (!pid || isRunning(Number(pid))) continue;
    await rm(path.join(tmpdir(), name), { recursive: true, force: true }).catch(() => {});
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
