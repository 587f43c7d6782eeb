/**
 * Retirements: keys that are to be given up keep working until a day that is told with every answer, and then no more. A
 * retirement is for one key, all keys of a team, all that begin alike, or those of a team that begin alike.
 */
import { AppError } from '../errors.ts';
import { isMissingReference } from '../storage/errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import * as storage from '../storage/retirements.ts';
import type { Actor, Audit } from './audit.ts';
import { createCache } from './cache.ts';
import { changedFields } from './changed-fields.ts';
import { creatorOf } from './creator.ts';
import { isUuid } from './names.ts';
import { checkReplacementUrl, checkRetiresAt, type RetirementInput, toSubject } from './retirement-input.ts';
import { requireVersion } from './versions.ts';

/** Most retirements of one team, and of no team: every one is looked at when a key is used. */
export const MOST_RETIREMENTS = 1_000;
/** Most in all: every instance holds them in memory, and reads them anew when one changes. */
export const MOST_IN_ALL = 20_000;

/** Days back within which a key counts as used. */
export const USED_DAYS = 30;

/** A key somebody still calls with; `requests` are those of `USED_DAYS`. */
export type UsedKey = storage.UsedKeyRecord;

/** What a retirement says about a key. */
export type Retirement = storage.RetirementRule;
export type RetirementDetails = storage.RetirementRecord;
export type { RetirementInput } from './retirement-input.ts';

/** Which retirements a caller may touch, and the `version` one must still have. */
export interface RetirementScope extends storage.RetirementScope {
  version?: string | undefined;
}

/**
 * A key as retirements see it: the whole `text` that was presented, or as much of its beginning as is kept. Of imported
 * keys that can be less than a retirement names; then it counts as one that concerns the key, as it may.
 */
export type RetiringKey = { keyId: string; teamId: string } & ({ text: string } | { prefix: string });

export interface Retirements {
  /**
   * @throws AppError `invalid_argument` naming the field; `not_found` when there is no such key or team within `scope`;
   *   `already_exists` for the same subject; `failed_precondition` for more than `MOST_RETIREMENTS` or `MOST_IN_ALL`
   */
  create(input: RetirementInput, scope: storage.RetirementScope, actor: Actor): Promise<RetirementDetails>;
  find(id: string, scope?: storage.RetirementScope): Promise<RetirementDetails | undefined>;
  /** One page; default order: as they were made, also by `retires_at`. Filters: `key_id`, `team_id`, `prefix`. */
  list(scope: storage.RetirementScope, page: Page): Promise<(RetirementDetails & { sortKey: string })[]>;
  /**
   * Changes what is given; a later `retiresAt` makes keys good again whose day has come, a null URL takes it away. This and
   * `delete` throw AppError `not_found` for one that is not within the scope, `precondition_failed`, and
   * `permission_denied` for a team's scope when the root team made or changed it.
   * @throws AppError `invalid_argument`
   */
  update(
    id: string,
    changes: { retiresAt?: Date | undefined; replacementUrl?: string | null | undefined },
    scope: RetirementScope,
    actor: Actor,
  ): Promise<RetirementDetails>;
  /** The keys are as before, also when their day had come. */
  delete(id: string, scope: RetirementScope, actor: Actor): Promise<RetirementDetails>;
  /** How many keys it concerns, as far as their first characters tell; switched off ones are not counted. */
  countKeys(one: RetirementDetails): Promise<number>;
  /**
   * The keys it concerns, as far as their first characters tell, that were used within `USED_DAYS` and are not switched off;
   * the last used first.
   */
  listUsedKeys(one: RetirementDetails, page: Pick<Page, 'limit' | 'after'>): Promise<UsedKey[]>;
  /** The earliest retirement that concerns a key, from memory. */
  effectiveFor(key: RetiringKey): Promise<Retirement | undefined>;
}

export interface RetirementsOptions {
  db: Database;
  audit: Audit;
  notifications: Notifications;
}

export function createRetirements({ db, audit, notifications }: RetirementsOptions): Retirements {
  const rules = createCache<Rules>({ notifications, clearedBy: ['retirements'] });

  function log(tx: Queryable, verb: string, one: RetirementDetails, actor: Actor, more: object = {}): Promise<void> {
    const { keyId, teamId, prefix, retiresAt, replacementUrl } = one;
    return audit.record(tx, {
      action: `key_retirement.${verb}`,
      actor,
      teamId: teamId ?? undefined,
      target: { kind: 'key_retirement', id: one.id },
      details: { key_id: keyId, prefix, retires_at: retiresAt, replacement_url: replacementUrl, ...more },
    });
  }

  /** Locks one within the scope, changes it and records that, all or nothing. */
  function change<T>(
    id: string,
    scope: RetirementScope,
    work: (tx: Queryable, before: RetirementDetails) => Promise<T>,
  ): Promise<T> {
    return db.transaction(async (tx) => {
      const before = isSound(id, scope) ? await storage.lockRetirement(tx, id, scope) : undefined;
      if (before === undefined) throw new AppError('not_found', 'There is no such retirement.');
      if (before.setByRoot && scope.teamId !== undefined) {
        throw new AppError('permission_denied', 'The root team set this retirement, and it alone can change it.');
      }
      requireVersion(before, scope.version);
      return work(tx, before);
    });
  }

  return {
    async create(input, scope, actor) {
      const retiresAt = checkRetiresAt(input.retiresAt);
      const replacementUrl = checkReplacementUrl(input.replacementUrl);
      return db.transaction(async (tx) => {
        const subject = await toSubject(tx, input, scope);
        requireRoom(await storage.countRetirements(tx, subject.teamId));
        const setByRoot = scope.teamId === undefined;
        const made = { ...subject, retiresAt, replacementUrl, setByRoot, createdBy: creatorOf(actor) };
        const one = await storage.insertRetirement(tx, made).catch((error: unknown) => {
          throw isMissingReference(error) ? new AppError('not_found', 'They are gone.', { cause: error }) : error;
        });
        await log(tx, 'created', one, actor);
        return one;
      });
    },
    find: async (id, scope = {}) => (isSound(id, scope) ? storage.findRetirement(db, id, scope) : undefined),
    list: async (scope, page) => storage.listRetirements(db, scope, page),
    update: (id, { retiresAt, replacementUrl }, scope, actor) =>
      change(id, scope, async (tx, before) => {
        const after = {
          retiresAt: isSame(retiresAt, before.retiresAt) ? before.retiresAt : checkRetiresAt(retiresAt),
          replacementUrl: replacementUrl === undefined ? before.replacementUrl : checkReplacementUrl(replacementUrl),
        };
        const changed = changedFields<Partial<RetirementDetails>>(before, after);
        if (changed.length === 0) return before;
        const setByRoot = before.setByRoot || scope.teamId === undefined;
        const one = await storage.updateRetirement(tx, id, { ...after, setByRoot });
        await log(tx, 'updated', one, actor, { changed });
        return one;
      }),
    delete: (id, scope, actor) =>
      change(id, scope, async (tx, before) => {
        await storage.deleteRetirement(tx, id);
        await log(tx, 'deleted', before, actor);
        return before;
      }),
    countKeys: (one) => storage.countKeysOf(db, one),
    listUsedKeys: (one, page) =>
      storage.listUsedKeysOf(db, one, new Date(Date.now() - USED_DAYS * 24 * 3600 * 1000), page),
    async effectiveFor(key) {
      const known = await rules.get('all', async () => index(await storage.listRetirementRules(db)));
      return known && earliest(known, key);
    },
  };
}

/**
 * What answers to a key that is to be given up tell: since when (RFC 9745 §2.1), until when (RFC 8594 §3), and where to
 * read about what replaces it (RFC 9745 §3, RFC 8594 §6). The end is never before the beginning (RFC 9745 §4), although
 * "now" may have passed when it was written.
 */
export function noticeOf(retirement: Retirement): Readonly<Record<string, string>> {
  const { createdAt, retiresAt, replacementUrl } = retirement;
  return {
    Deprecation: `@${Math.floor(Math.min(createdAt.getTime(), retiresAt.getTime()) / 1000)}`,
    Sunset: retiresAt.toUTCString(),
    ...(replacementUrl !== null && { Link: `<${replacementUrl}>; rel="deprecation sunset"` }),
  };
}

/** Retirements by what they are looked for by; each list has the earliest first. */
interface Rules {
  ofKey: ReadonlyMap<string, Retirement>;
  ofTeam: ReadonlyMap<string, readonly Retirement[]>;
  /** Of no team: by their prefix alone. */
  ofAll: readonly Retirement[];
}

function index(all: readonly Retirement[]): Rules {
  const ofTeam = new Map<string, Retirement[]>();
  for (const one of all) {
    if (one.keyId !== null || one.teamId === null) continue;
    const known = ofTeam.get(one.teamId);
    if (known === undefined) ofTeam.set(one.teamId, [one]);
    else known.push(one);
  }
  return {
    ofKey: new Map(all.flatMap((one) => (one.keyId === null ? [] : [[one.keyId, one]]))),
    ofTeam,
    ofAll: all.filter(({ keyId, teamId }) => keyId === null && teamId === null),
  };
}

function earliest({ ofKey, ofTeam, ofAll }: Rules, { keyId, teamId, ...key }: RetiringKey): Retirement | undefined {
  const begins =
    'text' in key
      ? (prefix: string) => key.text.startsWith(prefix)
      : (prefix: string) => key.prefix.startsWith(prefix) || prefix.startsWith(key.prefix);
  const matches = ({ prefix }: Retirement) => prefix === null || begins(prefix);
  return [ofKey.get(keyId), ofTeam.get(teamId)?.find(matches), ofAll.find(matches)].reduce((first, one) =>
    first === undefined || (one !== undefined && one.retiresAt < first.retiresAt) ? one : first,
  );
}

function requireRoom({ ofTeam, inAll }: { ofTeam: number; inAll: number }): void {
  const advice = 'Retire all keys of a team, or all that begin alike, at once.';
  for (const [count, most] of [
    [ofTeam, MOST_RETIREMENTS],
    [inAll, MOST_IN_ALL],
  ] as const) {
    if (count >= most) throw new AppError('failed_precondition', `There are ${most} retirements already. ${advice}`);
  }
}

function isSame(given: Date | undefined, now: Date): boolean {
  return given === undefined || given.getTime() === now.getTime();
}

function isSound(id: string, { teamId }: storage.RetirementScope): boolean {
  return isUuid(id) && (teamId === undefined || isUuid(teamId));
}
