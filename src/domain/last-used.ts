/**
 * When each credential was last used: kept in memory and written in batches, so that a use never costs a write. What a
 * killed process had not written is lost; that is at most one interval of times, and nothing depends on them.
 */
import { type UsedTable, updateLastUsed } from '../storage/last-used.ts';
import type { Queryable } from '../storage/pool.ts';
import { createDeferredWrites } from './deferred-writes.ts';

export interface LastUsed {
  /** Remembers that a row was used. Costs a map entry; never fails. */
  touch(table: UsedTable, id: string, at?: Date): void;
  /** Writes what is remembered: one statement per table. */
  flush(): Promise<void>;
  /** Writes what is remembered and stops. */
  close(): Promise<void>;
}

export interface LastUsedOptions {
  db: Queryable;
  onError?: (error: unknown) => void;
  /** Milliseconds between writes (default 5,000). */
  interval?: number;
  /** Most rows remembered in one table (default 100,000); while that many wait, more are not taken. */
  max?: number;
}

export function createLastUsed({ db, onError, interval = 5_000, max = 100_000 }: LastUsedOptions): LastUsed {
  const waiting = new Map<UsedTable, Map<string, Date>>();
  const { schedule, flush, stop } = createDeferredWrites(write, interval);

  function touch(table: UsedTable, id: string, at: Date = new Date()): void {
    const times = waiting.get(table) ?? new Map<string, Date>();
    waiting.set(table, times);
    const known = times.get(id);
    if (known === undefined ? times.size < max : known < at) times.set(id, at);
    schedule();
  }

  async function write(): Promise<void> {
    const taken = [...waiting];
    waiting.clear();
    for (const [table, times] of taken) {
      try {
        await updateLastUsed(db, table, times);
      } catch (error) {
        onError?.(error);
        // Tried again with the next write, unless a later use is known by then.
        for (const [id, at] of times) touch(table, id, at);
      }
    }
  }

  return {
    touch,
    flush,
    async close() {
      stop();
      await flush();
    },
  };
}
