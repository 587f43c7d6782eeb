/** Brings the schema up: numbered, up-only, each in its own transaction, one process at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { MIGRATIONS, type Migration } from './migrations/index.ts';
import type { Database, Queryable } from './pool.ts';

// Any constant will do as long as nobody else uses it in the same database.
const LOCK = 7_264_001;
const RETRY_MS = 100;
const LONGEST_WAIT_MS = 5 * 60_000;
// Rewriting a large table takes longer than any other statement may; given up, it would never be done.
const LONGEST_STATEMENT_MS = 60 * 60_000;

/**
 * Applies what is missing and returns the names applied. Many instances may call it at once: one works, the others
 * wait for it and find nothing left to do.
 * @throws AppError `failed_precondition` when the database was migrated by a newer Latchkey; `unavailable` when another
 *   instance has not finished after five minutes
 */
export async function migrate(db: Database, migrations: readonly Migration[] = MIGRATIONS): Promise<string[]> {
  const deadline = Date.now() + LONGEST_WAIT_MS;
  for (;;) {
    const applied = await db.transaction((tx) => applyIfFree(tx, migrations), { longest: LONGEST_STATEMENT_MS });
    if (applied !== undefined) return applied;
    if (Date.now() > deadline)
      throw new AppError('unavailable', 'Another instance is still migrating the database. Try again later.');
    await sleep(RETRY_MS);
  }
}

/** Undefined when another instance is at it. Asked for and not waited for: a wait would end at the statement timeout. */
async function applyIfFree(tx: Queryable, migrations: readonly Migration[]): Promise<string[] | undefined> {
  const lock = await tx.query<{ locked: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS locked', [LOCK]);
  if (!lock.rows[0]?.locked) return undefined;
  await tx.query(
    'CREATE TABLE IF NOT EXISTS migrations (number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const applied = await appliedNumbers(tx);
  refuseNewer(applied, migrations);
  const names: string[] = [];
  for (const migration of migrations) {
    if (applied.includes(migration.number)) continue;
    await tx.query(migration.sql);
    await tx.query('INSERT INTO migrations (number, name) VALUES ($1, $2)', [migration.number, migration.name]);
    names.push(migration.name);
  }
  return names;
}

/**
 * Makes sure the schema is the one this build was written for.
 * @throws AppError `failed_precondition` when it is behind (run `latchkey migrate`) or ahead (run the newer build).
 */
export async function requireCurrentSchema(db: Database, migrations: readonly Migration[] = MIGRATIONS): Promise<void> {
  const exists = await db.query<{ found: boolean }>("SELECT to_regclass('migrations') IS NOT NULL AS found");
  const applied = exists.rows[0]?.found ? await appliedNumbers(db) : [];
  refuseNewer(applied, migrations);
  const missing = migrations.filter((migration) => !applied.includes(migration.number));
  if (missing.length > 0) {
    throw new AppError(
      'failed_precondition',
      `The database schema is behind this build (${missing.length} to apply). Run: latchkey migrate`,
    );
  }
}

async function appliedNumbers(db: Queryable): Promise<number[]> {
  const { rows } = await db.query<{ number: number }>('SELECT number FROM migrations ORDER BY number');
  return rows.map((row) => row.number);
}

function refuseNewer(applied: number[], migrations: readonly Migration[]): void {
  const known = new Set(migrations.map((migration) => migration.number));
  const unknown = applied.filter((number) => !known.has(number));
  if (unknown.length > 0) {
    throw new AppError(
      'failed_precondition',
      `The database was migrated by a newer Latchkey (migration ${unknown.join(', ')}). Run that version, or restore a backup from before it.`,
    );
  }
}
