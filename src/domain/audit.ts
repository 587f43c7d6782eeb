/**
 * The audit trail: every issuing, changing and refusing event once, without secrets.
 * Changes are recorded in the transaction that makes them; what happens at request rate (tokens issued, logins refused)
 * is noted and written in batches a moment later.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type AuditEventRecord, insertAuditEvents } from '../storage/audit-events.ts';
import type { Queryable } from '../storage/pool.ts';

/** Who did it, as far as known. `operator` is a person at the command line, `system` the server itself. */
export interface Actor {
  kind: 'user' | 'personal_key' | 'team_key' | 'client' | 'app' | 'operator' | 'system' | 'anonymous';
  id: string;
  /** The user it acts for, when that is not the actor itself: the owner of a personal key. */
  userId?: string | undefined;
  /** What it may do with the credential it came with, in the team it acts in. Left out: all that its kind may. */
  permissions?: ReadonlySet<string>;
  requestId?: string;
  ip?: string;
}

export const OPERATOR: Actor = { kind: 'operator', id: 'cli' };
export const SYSTEM: Actor = { kind: 'system', id: 'server' };

export interface AuditEvent {
  /** `noun.verb` in the past, e.g. `api_key.created`. */
  action: string;
  outcome?: 'success' | 'refused';
  actor: Actor;
  teamId?: string | undefined;
  target?: { kind: string; id: string };
  /** Ids and names only: never a secret, a token or a password. */
  details?: Record<string, unknown>;
}

export interface Audit {
  /** Writes the event with the change it belongs to. */
  record(tx: Queryable, event: AuditEvent): Promise<void>;
  /** Queues the event; it is written within a fraction of a second. */
  note(event: AuditEvent): void;
  /** Writes what is queued. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface AuditOptions {
  db: Queryable;
  onError?: (error: unknown) => void;
  /** Milliseconds between writes of what is queued (default 100). */
  interval?: number;
}

const BATCH = 1_000;
// While the database is away events wait here; past this the oldest are given up and said to be lost.
const MOST_QUEUED = 100_000;
const LONGEST_TEXT = 300;

export function createAudit({ db, onError, interval = 100 }: AuditOptions): Audit {
  let queue: AuditEventRecord[] = [];
  // Not in the transaction of whoever happens to be first: what is noted stays, whatever becomes of that.
  const outside = AsyncLocalStorage.snapshot();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  function schedule(delay: number): void {
    timer ??= outside(
      setTimeout,
      () => {
        timer = undefined;
        void flush();
      },
      delay,
    );
    timer.unref();
  }

  async function writeQueue(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH);
      try {
        await insertAuditEvents(db, batch);
        queue = queue.slice(batch.length);
      } catch (error) {
        onError?.(error);
        if (queue.length > MOST_QUEUED) {
          onError?.(
            new Error(`${queue.length - MOST_QUEUED} audit events were lost: the database was away for too long`),
          );
          queue = queue.slice(-MOST_QUEUED);
        }
        schedule(1_000);
        return;
      }
    }
  }

  function flush(): Promise<void> {
    writing = writing.then(writeQueue);
    return writing;
  }

  return {
    record: (tx, event) => insertAuditEvents(tx, [toRecord(event)]),
    note(event) {
      queue.push(toRecord(event));
      schedule(interval);
    },
    flush,
    async close() {
      clearTimeout(timer);
      await flush();
      clearTimeout(timer);
    },
  };
}

function toRecord({ action, outcome = 'success', actor, teamId, target, details = {} }: AuditEvent): AuditEventRecord {
  return {
    occurredAt: new Date(),
    action,
    outcome,
    actorKind: actor.kind,
    actorId: clean(actor.id),
    teamId: teamId ?? null,
    targetKind: target?.kind ?? '',
    targetId: clean(target?.id ?? ''),
    requestId: clean(actor.requestId ?? ''),
    ip: clean(actor.ip ?? ''),
    details: cleanDeep(details) as Record<string, unknown>,
  };
}

/** One text that cannot be stored would hold up every event behind it. */
function cleanDeep(value: unknown): unknown {
  if (typeof value === 'string') return clean(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map(cleanDeep);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [clean(name), cleanDeep(one)]));
}

/** What callers send may hold NUL and lone surrogates, which PostgreSQL refuses, and be any length. */
function clean(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\u{FFFD}').slice(0, LONGEST_TEXT);
}
