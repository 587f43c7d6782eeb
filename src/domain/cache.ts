/** Keeps what the database said until it says otherwise. One per kind of record, bounded, per process. */
import { LRUCache } from 'lru-cache';
import type { Notifications } from '../storage/notifications.ts';
import { isWithinTransaction } from '../storage/pool.ts';

export interface Cache<Value> {
  /** The kept value, or what `load` gives; an undefined result is never kept. Parallel calls share one load. */
  get(key: string, load: () => Promise<Value | undefined>): Promise<Value | undefined>;
}

export interface CacheOptions {
  notifications: Notifications;
  /** Tables whose changed row key is this cache's key: that entry goes. */
  keyedBy?: string[];
  /** Tables any change of which empties the whole cache. */
  clearedBy?: string[];
  /** Most entries (default 10,000). */
  max?: number;
}

interface Entry<Value> {
  value: Value;
  loadedAt: number;
}

export function createCache<Value extends object>(options: CacheOptions): Cache<Value> {
  const { notifications, keyedBy = [], clearedBy = [], max = 10_000 } = options;
  const entries = new LRUCache<string, Entry<Value>>({ max });
  const loading = new Map<string, Promise<Value | undefined>>();
  // Counts forgettings: what was being loaded while one happened may be old already and is not kept.
  let generation = 0;

  function forget(key: string | undefined): void {
    generation += 1;
    if (key === undefined) {
      entries.clear();
      loading.clear();
    } else {
      entries.delete(key);
      loading.delete(key);
    }
  }
  for (const table of keyedBy) notifications.on(table, forget);
  for (const table of clearedBy) notifications.on(table, () => forget(undefined));

  async function loadEntry(key: string, load: () => Promise<Value | undefined>): Promise<Value | undefined> {
    const before = generation;
    const value = await load();
    if (value !== undefined && generation === before) entries.set(key, { value, loadedAt: performance.now() });
    return value;
  }

  return {
    get(key, load) {
      const entry = entries.get(key);
      if (entry !== undefined && performance.now() - entry.loadedAt < notifications.freshFor)
        return Promise.resolve(entry.value);
      // Read in a transaction that is still open, it is nobody else's to know.
      if (isWithinTransaction()) return load();
      const running = loading.get(key);
      if (running !== undefined) return running;
      const started = loadEntry(key, load).finally(() => {
        if (loading.get(key) === started) loading.delete(key);
      });
      loading.set(key, started);
      return started;
    },
  };
}
