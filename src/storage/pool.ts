/**
 * The storage room: SQL and nothing else. It turns domain questions into statements and rows into typed records;
 * it decides nothing and knows neither HTTP nor the engine. This file owns the one connection pool.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { databaseError, isUnavailable } from './errors.ts';

/** Anything a statement can be sent to: the pool, or a transaction. */
export interface Queryable {
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: unknown[],
  ): Promise<{ rows: Row[]; count: number }>;
}

export interface Database extends Queryable {
  /**
   * Runs `work` in one transaction: commits what it returns, rolls back what it throws.
   * @param limits `longest`: milliseconds any of its statements may take, instead of the pool's; not within another
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>, limits?: { longest?: number }): Promise<T>;
  /**
   * Runs `work` so that every statement and transaction it sends to this database becomes part of `tx`: all of it counts
   * when `tx` commits, or none of it. One transaction at a time may run within it, and a statement that fails outside of
   * one spoils all of it.
   */
  within<T>(tx: Queryable, work: () => Promise<T>): Promise<T>;
  /** A connection of its own outside the pool, for LISTEN and session locks. The caller ends it. */
  connect(): Promise<pg.Client>;
  close(): Promise<void>;
}

/** How to reach PostgreSQL: a URL, or the parts (the embedded one is a socket directory and a password). */
export type ConnectionOptions = Pick<
  pg.ClientConfig,
  'connectionString' | 'host' | 'port' | 'user' | 'password' | 'database'
>;

export interface DatabaseOptions extends ConnectionOptions {
  /** Most connections at once (default 10). */
  max?: number;
  /** Milliseconds a statement may take (default 10,000). */
  longest?: number;
  /** Called for a failure nobody waits for (an idle connection that broke). */
  onError?: (error: unknown) => void;
}

// A statement that takes this long is stuck; giving up frees its connection, and the caller gets 503.
const LONGEST_MS = 10_000;

const TIMEOUTS = {
  connectionTimeoutMillis: 2_000,
  idle_in_transaction_session_timeout: 30_000,
  keepAlive: true,
};

// What outlives `within` (a timer) finds it closed, and goes to the pool.
const joined = new AsyncLocalStorage<{ pool: pg.Pool; tx: Queryable; open: boolean; busy: boolean }>();

/** Whether statements sent now become part of a transaction by `within`: what they read may never come to be. */
export function isWithinTransaction(): boolean {
  return joined.getStore()?.open ?? false;
}

/** Opens the pool. Connections are made on first use, so this never fails; statements do, with `unavailable`. */
export function openDatabase({ max = 10, longest = LONGEST_MS, onError, ...connection }: DatabaseOptions): Database {
  const limits = { query_timeout: longest, statement_timeout: longest };
  const settings = { ...TIMEOUTS, ...limits, ...connection, application_name: 'latchkey' };
  const pool = new pg.Pool({ ...settings, max, idleTimeoutMillis: 30_000 });
  // Without listeners a lost connection would end the process, an idle one as well as one between two statements of a
  // transaction; of the latter the next statement tells.
  let closing = false;
  pool.on('error', (error) => {
    if (!closing) onError?.(error);
  });
  pool.on('connect', (client) => void client.on('error', () => {}));
  const outer = () => {
    const store = joined.getStore();
    return store?.open && store.pool === pool ? store : undefined;
  };
  return {
    query: (text, values) => outer()?.tx.query(text, values) ?? run(pool, text, values),
    async within(tx, work) {
      const store = { pool, tx: inTurn(tx), open: true, busy: false };
      try {
        return await joined.run(store, work);
      } finally {
        store.open = false;
      }
    },
    async transaction(work, { longest } = {}) {
      const within = outer();
      if (within !== undefined) return savepoint(within, work);
      const client = await pool.connect().catch((error: unknown) => Promise.reject(databaseError(error)));
      const tx: Queryable = { query: (text, values) => run(client, text, values, longest) };
      let broken = false;
      try {
        await run(client, 'BEGIN', undefined, longest);
        if (longest !== undefined) await tx.query(`SET LOCAL statement_timeout = ${longest}`);
        const result = await work(tx);
        await run(client, 'COMMIT', undefined, longest);
        return result;
      } catch (error) {
        // A connection that did not answer once is given up: a ROLLBACK on it would wait just as long.
        broken = isUnavailable(error);
        if (!broken) {
          await run(client, 'ROLLBACK').catch(() => {
            broken = true;
          });
        }
        throw error;
      } finally {
        client.release(broken);
      }
    },
    async connect() {
      // Sooner than in the pool: on this one the process notices that the database is away.
      const client = new pg.Client({ ...settings, query_timeout: 2_000 });
      client.on('error', (error) => onError?.(error));
      await client.connect().catch((error: unknown) => Promise.reject(databaseError(error)));
      return client;
    },
    close() {
      closing = true;
      return pool.end();
    },
  };
}

/** What fails inside is undone alone, so that whoever catches it can go on. */
async function savepoint<T>(within: { tx: Queryable; busy: boolean }, work: (tx: Queryable) => Promise<T>): Promise<T> {
  // Two at once would undo each other's work.
  if (within.busy) throw new TypeError('a transaction is open within this one already');
  within.busy = true;
  const { tx } = within;
  try {
    await tx.query('SAVEPOINT inner_transaction');
    const result = await work(tx);
    await tx.query('RELEASE inner_transaction');
    return result;
  } catch (error) {
    if (!isUnavailable(error)) await tx.query('ROLLBACK TO inner_transaction');
    throw error;
  } finally {
    within.busy = false;
  }
}

/** One statement after the other, also for who does not wait: a connection takes no more. */
function inTurn(tx: Queryable): Queryable {
  let last: Promise<unknown> = Promise.resolve();
  return {
    query<Row extends object>(text: string, values?: unknown[]) {
      const next = last.then(() => tx.query<Row>(text, values));
      last = next.catch(() => {});
      return next;
    },
  };
}

/** @param longest milliseconds, when it is not the pool's */
async function run<Row extends object>(
  on: pg.Pool | pg.PoolClient,
  text: string,
  values?: unknown[],
  longest?: number,
) {
  const limit = longest !== undefined && { query_timeout: longest };
  try {
    const result = await on.query<Row & pg.QueryResultRow>({ text, ...(values && { values }), ...limit });
    return { rows: result.rows as Row[], count: result.rowCount ?? 0 };
  } catch (error) {
    throw databaseError(error);
  }
}
