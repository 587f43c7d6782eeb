/** Databases for tests: fresh, migrated, on the one PostgreSQL that `global-setup.ts` starts for a test run. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { migrate } from '../../src/storage/migrator.ts';
import { openDatabase } from '../../src/storage/pool.ts';

export interface TestDatabase {
  /** For `openDatabase`, or DATABASE_URL of a child process. */
  connectionString: string;
  /** Deletes it, disconnecting whoever still uses it. */
  drop(): Promise<void>;
}

const TEMPLATE = 'latchkey_template';
const TEMPLATE_LOCK = 7_264_100;

/** A database of its own for the calling test file, with all migrations applied: a copy of one made once per run. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asAdmin(async (admin) => {
    await makeTemplate(admin);
    // On a disk FILE_COPY takes three times as long: it copies and syncs files where this one writes pages to memory.
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE} STRATEGY WAL_LOG`);
  });
  return {
    connectionString: connectionTo(name),
    drop: () => asAdmin(async (admin) => void (await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))),
  };
}

// Whoever comes first builds it. Being marked as a template says that it is complete.
async function makeTemplate(admin: pg.Client): Promise<void> {
  if (await hasTemplate(admin)) return;
  await admin.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
  if (!(await hasTemplate(admin))) {
    await admin.query(`DROP DATABASE IF EXISTS ${TEMPLATE}`);
    await admin.query(`CREATE DATABASE ${TEMPLATE} STRATEGY FILE_COPY`);
    const db = openDatabase({ connectionString: connectionTo(TEMPLATE), max: 1 });
    await migrate(db).finally(() => db.close());
    await admin.query(`ALTER DATABASE ${TEMPLATE} IS_TEMPLATE true`);
  }
  await admin.query('SELECT pg_advisory_unlock($1)', [TEMPLATE_LOCK]);
}

async function hasTemplate(admin: pg.Client): Promise<boolean> {
  const { rowCount } = await admin.query('SELECT FROM pg_database WHERE datname = $1 AND datistemplate', [TEMPLATE]);
  return rowCount === 1;
}

async function asAdmin(work: (admin: pg.Client) => Promise<void>): Promise<void> {
  const admin = new pg.Client({ connectionString: connectionTo('postgres') });
  await admin.connect();
  await work(admin).finally(() => admin.end());
}

function connectionTo(database: string): string {
  const given = process.env.LATCHKEY_TEST_DATABASE;
  if (!given) throw new Error('LATCHKEY_TEST_DATABASE is not set: run the tests with npm test');
  const url = new URL(given);
  url.pathname = `/${database}`;
  return url.href;
}
