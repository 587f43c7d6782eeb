/** Reading the audit trail: by pages, and as it grows. What writes it is in `audit.ts`. */
import { setTimeout as wait } from 'node:timers/promises';
import * as storage from '../storage/audit-events.ts';
import type { Condition, Page } from '../storage/listing.ts';
import type { Queryable } from '../storage/pool.ts';

export type RecordedAuditEvent = storage.RecordedAuditEventRecord;

export interface AuditEvents {
  /**
   * Events, newest first unless the page says otherwise. Filters: `actor_id`, `actor_kind`, `action`, `outcome`,
   * `target_id`, `target_kind`, `team_id`, and `occurred_at` also by `lt`, `le`, `gt`, `ge`; order: `occurred_at`.
   * @param scope `teamId` leaves only what happened in that team
   */
  list(scope: { teamId?: string | undefined }, page: Page): Promise<RecordedAuditEvent[]>;
  /** The actions there are events of, in whichever team, by name. */
  actions(): Promise<string[]>;
  /** One event of this scope. */
  find(id: string, scope: { teamId?: string | undefined }): Promise<RecordedAuditEvent | undefined>;
  /** Events as they are written, each once, until `signal` is aborted. @throws AppError `unavailable` */
  follow(options: FollowOptions): AsyncGenerator<RecordedAuditEvent, void, undefined>;
}

export interface FollowOptions {
  signal: AbortSignal;
  /** All must hold; the fields of `list`, without those of time. */
  conditions?: readonly Condition[];
  /** Begin with what was written since then (default: with what comes from now on). */
  since?: Date | undefined;
  /** Milliseconds between looks (default 500). */
  interval?: number;
}

const BATCH = 1_000;
// Ids count up, transactions end in any order: what is missing below the highest id may still come, for as long as a
// transaction can stay open (storage/pool.ts). Most of what is missing never was: a transaction that was undone.
const LONGEST_TRANSACTION_MS = 60_000;
const MOST_MISSING = 10_000;

export function createAuditEvents({ db }: { db: Queryable }): AuditEvents {
  async function* since(time: Date, upTo: Progress, conditions: readonly Condition[]) {
    const from: Condition = { field: 'occurred_at', operator: 'ge', value: time };
    const order = { field: 'occurred_at', descending: false };
    let after: { sortKey: string; id: string } | undefined;
    for (;;) {
      const page = { limit: BATCH, order, after, conditions: [...conditions, from] };
      const events = await storage.listAuditEvents(db, {}, page);
      // The rest comes by its id.
      yield* events.filter(({ id }) => upTo.has(id));
      if (events.length < BATCH) return;
      after = events.at(-1);
    }
  }

  async function* follow({ signal, conditions = [], since: time, interval = 500 }: FollowOptions) {
    const progress = createProgress(await storage.findLastAuditEventId(db));
    progress.add(await storage.listAuditEventIds(db, { ...progress.wanted(), limit: BATCH }));
    if (time !== undefined) yield* since(time, progress, conditions);
    while (!signal.aborted) {
      const ids = await storage.listAuditEventIds(db, { ...progress.wanted(), limit: BATCH });
      progress.add(ids);
      if (ids.length > 0) yield* await storage.listAuditEventsById(db, ids, conditions);
      if (ids.length < BATCH) await wait(interval, undefined, { signal }).catch(() => {});
    }
  }

  return {
    list: (scope, page) => storage.listAuditEvents(db, scope, page),
    actions: () => storage.listAuditActions(db),
    async find(id, { teamId }) {
      // As many digits as fit a bigint whatever they are.
      if (!/^\d{1,18}$/.test(id)) return undefined;
      const ofTeam: Condition[] = teamId === undefined ? [] : [{ field: 'team_id', operator: 'eq', value: teamId }];
      return (await storage.listAuditEventsById(db, [id], ofTeam))[0];
    },
    follow,
  };
}

type Progress = ReturnType<typeof createProgress>;

/** Which ids were seen: all up to the highest, without those that are missing. */
function createProgress(last: string) {
  // What is open at this moment may have taken ids below the last.
  let highest = BigInt(last) > 100n ? BigInt(last) - 100n : 0n;
  const missing = new Map<string, number>();

  return {
    /** What to ask for next. */
    wanted: () => ({ after: String(highest), others: [...missing.keys()] }),
    has: (id: string) => BigInt(id) <= highest && !missing.has(id),
    /** @param ids in ascending order */
    add(ids: readonly string[]): void {
      const now = Date.now();
      for (const text of ids) {
        const id = BigInt(text);
        const start = id - highest > MOST_MISSING ? id - BigInt(MOST_MISSING) : highest + 1n;
        for (let gap = start; gap < id; gap += 1n) missing.set(String(gap), now);
        missing.delete(text);
        if (id > highest) highest = id;
      }
      for (const [id, at] of missing) if (now - at > LONGEST_TRANSACTION_MS) missing.delete(id);
      for (const id of missing.keys()) {
        if (missing.size <= MOST_MISSING) break;
        missing.delete(id);
      }
    },
  };
}
