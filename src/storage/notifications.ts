/**
 * What changed in the database, told to this process: LISTEN on one connection of its own, kept alive and watched.
 * It is also how the process knows whether the database answers at all.
 */
import type pg from 'pg';
import { sqlState } from './errors.ts';
import type { Database } from './pool.ts';

const HEARTBEAT_MS = 1_000;
const RETRY_MS = 500;

type Forget = (key: string | undefined) => void | Promise<void>;

export interface Notifications {
  /**
   * Calls `forget` with the key of each changed row of `table`, and with undefined when anything may have changed. After a
   * (re)connection the database counts as available only when all of these have finished.
   */
  on(table: string, forget: Forget): void;
  /** Milliseconds for which something read from the database may be used again without asking; 0 while it does not answer. */
  readonly freshFor: number;
  /** Whether the database answered the last heartbeat. */
  readonly available: boolean;
  /**
   * Resolves when every change committed before the call has been heard here and what listens to it has finished, so that
   * nothing older is read from memory. While the database is away it resolves too: memory counts for nothing then.
   */
  settle(): Promise<void>;
  /** Connects; rejects with `unavailable` when the first attempt fails. Afterwards it reconnects by itself. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface NotificationsOptions {
  db: Database;
  onError?: (error: unknown) => void;
  /** Called when the database goes away (false) and comes back (true). */
  onAvailability?: (available: boolean) => void;
}

export function createNotifications({ db, onError, onAvailability }: NotificationsOptions): Notifications {
  const handlers = new Map<string, Forget[]>();
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let available = false;
  // A PostgreSQL-compatible engine without LISTEN: nothing tells us, so nothing is kept for longer than a second.
  let polling = false;
  const handling = new Set<Promise<void>>();
  // The next round trip, which everybody may join who asks before it is sent, and the one that is under way.
  let nextTrip: Promise<void> | undefined;
  let currentTrip: Promise<void> | undefined;

  async function forgetEverything(): Promise<void> {
    await Promise.all([...handlers.values()].flat().map((forget) => forget(undefined)));
  }

  function receive({ payload = '' }: pg.Notification): void {
    const colon = payload.indexOf(':');
    for (const forget of handlers.get(payload.slice(0, colon)) ?? []) {
      const done = forget(payload.slice(colon + 1));
      if (done instanceof Promise) keepUntilHandled(done);
    }
  }

  function keepUntilHandled(done: Promise<void>): void {
    const handled = done.catch((error: unknown) => onError?.(error)).finally(() => handling.delete(handled));
    handling.add(handled);
  }

  // PostgreSQL sends what was committed before a statement came, before it says that the statement is done.
  async function roundTrip(): Promise<void> {
    const current = client;
    if (current === undefined) return;
    if (polling) return forgetEverything().catch((error: unknown) => onError?.(error));
    try {
      await current.query('SELECT 1');
    } catch (error) {
      lose(current, error);
    }
  }

  async function takeNextTrip(): Promise<void> {
    await currentTrip;
    nextTrip = undefined;
    currentTrip = roundTrip();
    await currentTrip;
  }

  async function connect(): Promise<void> {
    const next = await db.connect();
    next.on('notification', receive);
    next.on('end', () => lose(next));
    try {
      await next.query('LISTEN latchkey');
      polling = false;
    } catch (error) {
      if (!['0A000', '42601'].includes(sqlState(error) ?? '')) {
        await next.end().catch(() => {});
        throw error;
      }
      polling = true;
    }
    if (closed) return next.end();
    client = next;
    try {
      // What was sent while nobody listened is lost.
      await forgetEverything();
    } catch (error) {
      client = undefined;
      await next.end().catch(() => {});
      throw error;
    }
    // Lost again meanwhile: then the next attempt is on its way.
    if (client !== next) return;
    setAvailable(true);
    schedule(HEARTBEAT_MS);
  }

  function setAvailable(value: boolean): void {
    if (available === value) return;
    available = value;
    onAvailability?.(value);
  }

  function lose(lost: pg.Client, error?: unknown): void {
    if (client !== lost || closed) return;
    client = undefined;
    setAvailable(false);
    forgetEverything().catch(() => {});
    if (error !== undefined) onError?.(error);
    lost.end().catch(() => {});
    schedule(RETRY_MS);
  }

  function schedule(delay: number): void {
    if (closed) return;
    clearTimeout(timer);
    timer = setTimeout(beat, delay);
    timer.unref();
  }

  async function beat(): Promise<void> {
    const current = client;
    if (current === undefined) {
      await connect().catch((error: unknown) => {
        onError?.(error);
        schedule(RETRY_MS);
      });
      return;
    }
    try {
      await current.query('SELECT 1');
      schedule(HEARTBEAT_MS);
    } catch (error) {
      lose(current, error);
    }
  }

  return {
    on(table, forget) {
      handlers.set(table, [...(handlers.get(table) ?? []), forget]);
    },
    get freshFor() {
      if (!available) return 0;
      return polling ? 1_000 : 60_000;
    },
    get available() {
      return available;
    },
    async settle() {
      nextTrip ??= takeNextTrip();
      await nextTrip;
      await Promise.all(handling);
    },
    start: connect,
    async close() {
      closed = true;
      clearTimeout(timer);
      await client?.end().catch(() => {});
    },
  };
}
