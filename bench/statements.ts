import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEmbeddedPostgres } from '../src/storage/embedded/index.ts';
import { withClient } from './seed.ts';

/** How long the database is watched at rest, to know what goes on without us. */
const REST_MS = 2_000;

/**
 * How many SQL statements `work` causes in an embedded database, by its own log; BEGIN and COMMIT are not counted, and
 * what a server does at rest (polls, heartbeats) is taken off.
 */
export async function countStatements(dataDir: string, work: () => Promise<unknown>): Promise<number> {
  const database = await openEmbeddedPostgres({ dataDir, role: 'command' });
  const log = join(dataDir, 'postgres.log');
  const counted = async () => {
    const lines = (await readFile(log, 'utf8')).split('\n');
    return lines.filter((line) => /LOG: {2}(execute [^:]*|statement):/.test(line) && !/: (BEGIN|COMMIT)/.test(line))
      .length;
  };
  const set = (value: string) =>
    withClient(database.connectionString, async (db) => {
      await db.query(`ALTER SYSTEM SET log_statement = '${value}'`);
      await db.query('SELECT pg_reload_conf()');
      await sleep(200);
    });
  try {
    await set('all');
    const first = await counted();
    await sleep(REST_MS);
    const atRest = ((await counted()) - first) / REST_MS;
    const before = await counted();
    const began = performance.now();
    await work();
    await sleep(500);
    const took = performance.now() - began;
    return (await counted()) - before - atRest * took;
  } finally {
    await set('none');
    await database.close();
  }
}
