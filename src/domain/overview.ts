/** The overview: what can act for a team, what is used, and what deserves a look. Every number is bounded, and so is its cost. */
import * as storage from '../storage/overview.ts';
import type { Queryable } from '../storage/pool.ts';
import { lastDays, USE_KINDS, type UseKind } from './credential-uses.ts';

export type Count = storage.Count;
export type ComingRetirement = storage.ComingRetirement;

/** Of the caller's reach: `teamId` leaves what belongs to that team. */
export type OverviewScope = storage.OverviewScope;

/** Uses by day, `2030-01-31` in UTC, the earliest first; every day and kind is there, with 0 when there were none. */
export interface DailyUses {
  day: string;
  requests: Record<UseKind, number>;
}

export const EXPIRING_DAYS = 14;
export const NEVER_USED_DAYS = 30;
export const UNUSED_DAYS = 90;
export const USES_DAYS = 30;
export const REFUSALS_DAYS = 7;
/** Days back within which a use of a key that is to be given up counts. */
export const RETIRING_USED_DAYS = 7;
const MOST_RETIREMENTS = 5;

export interface Overview {
  /**
   * What can act now, by kind, counted to 500 each; of these, to 100 each, what expires within `EXPIRING_DAYS`, what was never
   * used and made more than `NEVER_USED_DAYS` ago, and what was last used more than `UNUSED_DAYS` ago.
   */
  credentials(scope: OverviewScope): Promise<storage.CredentialCounts>;
  /** The last `USES_DAYS` days, with today. Of all teams, those that have ended since are in it too. */
  uses(scope: OverviewScope): Promise<DailyUses[]>;
  /** What was refused since the day (UTC) that is `REFUSALS_DAYS` back, by action, the most frequent first; to 1,000 in all. */
  refusals(scope: OverviewScope): Promise<{ actions: { action: string; count: number }[]; isMore: boolean }>;
  /** The next five retirements, each with how many of its active keys were used within `RETIRING_USED_DAYS`, to 100. */
  comingRetirements(scope: OverviewScope): Promise<ComingRetirement[]>;
}

export function createOverview({ db }: { db: Queryable }): Overview {
  return {
    credentials: (scope) =>
      storage.countCredentials(db, scope, {
        expiresBefore: daysFromNow(EXPIRING_DAYS),
        neverUsedBefore: daysFromNow(-NEVER_USED_DAYS),
        unusedSince: daysFromNow(-UNUSED_DAYS),
      }),
    async uses(scope) {
      const days = lastDays(USES_DAYS);
      const rows = await storage.listDailyUses(db, scope, days);
      const known = new Map(rows.map(({ day, kind, requests }) => [`${day} ${kind}`, requests]));
      return Array.from({ length: USES_DAYS }, (_, place) => {
        const day = addDays(days.from, place);
        const requests = USE_KINDS.map((kind) => [kind, known.get(`${day} ${kind}`) ?? 0]);
        return { day, requests: Object.fromEntries(requests) as DailyUses['requests'] };
      });
    },
    refusals: (scope) => storage.countRefusals(db, scope, startOfDay(daysFromNow(-REFUSALS_DAYS))),
    comingRetirements: (scope) =>
      storage.listComingRetirements(db, scope, {
        limit: MOST_RETIREMENTS,
        usedSince: daysFromNow(-RETIRING_USED_DAYS),
      }),
  };
}

const DAY_MS = 24 * 3600 * 1000;

function daysFromNow(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}

function startOfDay(time: Date): Date {
  return new Date(time.toISOString().slice(0, 10));
}

function addDays(day: string, count: number): string {
  return new Date(Date.parse(day) + count * DAY_MS).toISOString().slice(0, 10);
}
