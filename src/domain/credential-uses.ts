/**
 * How requests are shared among kinds of credentials, and who still calls with keys. Uses are counted in memory and written
 * in batches, so that a request never costs a write; what a killed process had not written is lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as storage from '../storage/credential-uses.ts';
import { isConflict, isUnavailable } from '../storage/errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { kindOfClientId } from './client-id.ts';
import { createDeferredWrites } from './deferred-writes.ts';
import { keyIdIn } from './derivation.ts';
import { isUuid } from './names.ts';
import type { Retirements } from './retirements.ts';

export const { USE_KINDS } = storage;
export type UseKind = storage.UseKind;
export type CredentialUse = storage.CredentialUse;
export type Usage = storage.UsageRecord;

/** A key somebody calls with. */
export interface CallingKey extends storage.CallingKeyRecord {
  /** When it is to be given up; null: it is not. */
  retiresAt: Date | null;
}

/**
 * What was presented, as resource servers know it: `id` is the key's; of an access token its `client_id`, or `key:<id>`
 * when it was got for a key.
 */
export interface PresentedCredential {
  teamId: string;
  credential: 'personal_key' | 'team_key' | 'access_token';
  id: string;
}

/** Days in UTC as `2030-01-31`, both included. */
export interface Days {
  from: string;
  to: string;
}

export interface CredentialUses {
  /** Remembers that a credential was used for `n` requests. Costs a map entry; never fails. */
  count(use: CredentialUse, n?: number): void;
  /** Counts what a resource server tells of; what is of no team or credential there is, or of another team, is passed over. */
  report(uses: readonly (PresentedCredential & { count: number })[], scope: { teamId?: string }): Promise<void>;
  /** Requests by day, team and kind; filters of the page: `day`, `team_id`, `kind`; order: `day`. */
  list(scope: { teamId?: string | undefined }, page: Page): Promise<Usage[]>;
  /**
   * Keys that were used in these days; order: `team_id`, for which a page costs the same however many keys there are, or
   * `requests`, for which all of them are added up. Filter of the page: `team_id`.
   */
  listKeys(query: Days & { teamId?: string | undefined }, page: Page): Promise<CallingKey[]>;
  /** Writes what is remembered. */
  flush(): Promise<void>;
  /** Writes what is remembered and stops. */
  close(): Promise<void>;
}

export interface CredentialUsesOptions {
  db: Database;
  retirements: Pick<Retirements, 'effectiveFor'>;
  onError?: (error: unknown) => void;
  /** Milliseconds between writes (default 5,000). */
  interval?: number;
  /** Most credentials remembered (default 100,000); while that many wait, more are not taken. */
  max?: number;
}

const DAY_MS = 24 * 3600 * 1000;
/** Rows that are locked together. */
const BATCH = 2_000;
/** Batches that fail in one go before the rest is given up: a row that cannot be written is found in a dozen. */
const MOST_FAILURES = 100;
/** Teams are being changed while the process ends: how often to come back to them. */
const LAST_TRIES = 3;
const LAST_PAUSE_MS = 100;

export function createCredentialUses(options: CredentialUsesOptions): CredentialUses {
  const { db, retirements, onError, interval = 5_000, max = 100_000 } = options;
  let waiting = new Map<string, Waiting>();
  const { schedule, flush, stop } = createDeferredWrites(write, interval);

  function add(use: CredentialUse, day: number, requests: number): void {
    // Without the kind, which the credential says: no statement may meet one row twice.
    const key = `${day} ${use.teamId} ${use.credential}`;
    const known = waiting.get(key);
    if (known !== undefined) known.requests += requests;
    else if (waiting.size < max) waiting.set(key, { use, day, requests });
    schedule();
  }

  async function write(): Promise<void> {
    const taken = [...waiting.values()];
    waiting = new Map();
    const batches: Waiting[][] = [];
    for (let start = 0; start < taken.length; start += BATCH) batches.push(taken.slice(start, start + BATCH));
    let failures = 0;
    for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) {
      try {
        for (const { use, day, requests } of await writeBatch(batch)) add(use, day, requests);
      } catch (error) {
        failures += 1;
        // What cannot be written for another reason never can; the rest of its batch can.
        const isPassing = isUnavailable(error) || isConflict(error);
        if (isPassing) for (const { use, day, requests } of batch) add(use, day, requests);
        else if (batch.length > 1 && failures < MOST_FAILURES) batches.push(...halves(batch));
        if (isPassing || batch.length === 1 || failures >= MOST_FAILURES) onError?.(error);
      }
    }
  }

  /** @returns what is to be written later, because its team was being changed */
  async function writeBatch(batch: readonly Waiting[]): Promise<Waiting[]> {
    const teamIds = [...new Set(batch.map(({ use }) => use.teamId))];
    return db.transaction(async (tx) => {
      const held = await storage.holdTeams(tx, teamIds);
      const others = teamIds.filter((id) => !held.has(id));
      // Within the transaction: once it is committed, nothing may fail that would have it written again.
      const there = others.length > 0 ? await storage.findTeams(tx, others) : new Set();
      const rows = batch.filter(({ use }) => held.has(use.teamId)).map(toRow);
      if (rows.length > 0) await storage.addUses(tx, rows);
      return batch.filter(({ use }) => there.has(use.teamId));
    });
  }

  function count(use: CredentialUse, n = 1): void {
    if (isUuid(use.teamId) && Number.isSafeInteger(n) && n > 0) add(use, Math.floor(Date.now() / DAY_MS), n);
  }

  return {
    count,
    async report(uses, { teamId }) {
      const known = await knownOf(
        db,
        uses.filter((one) => teamId === undefined || one.teamId === teamId),
      );
      for (const { use, requests } of known) count(use, requests);
    },
    list({ teamId }, page) {
      const scope = teamId === undefined ? [] : [{ field: 'team_id', operator: 'eq' as const, value: teamId }];
      return storage.listUsage(db, { ...page, conditions: [...scope, ...(page.conditions ?? [])] });
    },
    async listKeys(query, page) {
      const keys = await storage.listCallingKeys(db, query, page);
      return Promise.all(
        keys.map(async (one) => {
          const { keyId, teamId, key } = one;
          const retirement = key && (await retirements.effectiveFor({ keyId, teamId, prefix: key.prefix }));
          return { ...one, retiresAt: retirement?.retiresAt ?? null };
        }),
      );
    },
    flush,
    async close() {
      stop();
      await flush();
      for (let time = 1; time < LAST_TRIES && waiting.size > 0; time += 1) {
        await sleep(LAST_PAUSE_MS);
        await flush();
      }
    },
  };
}

/** What a credential counts as: undefined for what is none of ours by its looks. */
export function useOf({ teamId, credential, id }: PresentedCredential): CredentialUse | undefined {
  if (credential !== 'access_token') return isUuid(id) ? { teamId, kind: credential, credential: id } : undefined;
  const keyId = keyIdIn(id);
  if (keyId !== undefined) return isUuid(keyId) ? { teamId, kind: 'exchanged_token', credential: id } : undefined;
  const kind = kindOfClientId(id);
  return kind && { teamId, kind: kind === 'app' ? 'oauth2_app' : 'oauth2_client', credential: id };
}

/** `count` days up to `to` (default today). */
export function lastDays(count: number, to: string = dayOf(Date.now())): Days {
  return { from: dayOf(Date.parse(to) - (count - 1) * DAY_MS), to };
}

interface Waiting {
  use: CredentialUse;
  /** Days since 1970. */
  day: number;
  requests: number;
}

function halves<T>(list: readonly T[]): [T[], T[]] {
  const middle = Math.ceil(list.length / 2);
  return [list.slice(0, middle), list.slice(middle)];
}

function toRow({ use, day, requests }: Waiting): storage.CountedUse {
  return { ...use, day: dayOf(day * DAY_MS), requests };
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

async function knownOf(db: Queryable, uses: readonly (PresentedCredential & { count: number })[]) {
  const counted = uses.flatMap(({ count, ...one }) => {
    const use = isUuid(one.teamId) ? useOf(one) : undefined;
    return use === undefined ? [] : [{ use, requests: count }];
  });
  if (counted.length === 0) return [];
  const known = await storage.findKnownUses(
    db,
    counted.map(({ use }) => use),
  );
  return counted.filter((_, position) => known.has(position));
}
