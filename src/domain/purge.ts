/** Housekeeping: what has expired is removed by the server itself, by one instance at a time, in small batches. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../storage/pool.ts';
import { deleteExpired, lockPurge, PURGED_TABLES } from '../storage/purge.ts';

const BATCH = 500;
const PAUSE_MS = 20;

export interface Purge {
  /** One round over all tables; returns the number of rows removed (0 when another instance is at it). */
  run(): Promise<number>;
  close(): void;
}

/** @param interval milliseconds between rounds (default one minute) */
export function createPurge({
  db,
  onError,
  interval = 60_000,
}: {
  db: Database;
  onError?: (error: unknown) => void;
  interval?: number;
}): Purge {
  let closed = false;

  async function run(): Promise<number> {
    let total = 0;
    for (const table of PURGED_TABLES) {
      for (let removed = BATCH; removed === BATCH && !closed; ) {
        // The lock is taken anew for each batch: a transaction over all of them would hold row locks for the whole round.
        removed = await db.transaction(async (tx) => ((await lockPurge(tx)) ? deleteExpired(tx, table, BATCH) : 0));
        total += removed;
        if (removed === BATCH) await sleep(PAUSE_MS);
      }
    }
    return total;
  }

  const timer = setInterval(() => run().catch((error: unknown) => onError?.(error)), interval);
  timer.unref();
  return {
    run,
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}
