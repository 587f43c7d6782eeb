/**
 * What the text of an API key opens at this moment, on every use: from memory, which follows each change. And the last look
 * before a token is issued for one, at the database.
 */
import {
  type ApiKeyRecord,
  findApiKey,
  findApiKeyByDigest,
  type HeldKey,
  holdApiKeyForToken,
} from '../storage/api-keys.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database } from '../storage/pool.ts';
import type { Authority } from './authority.ts';
import { createCache } from './cache.ts';
import type { Peppers } from './imported-digests.ts';
import { createImportedKeys } from './imported-keys.ts';
import { withinScopes } from './key-scopes.ts';
import type { LastUsed } from './last-used.ts';
import { isUuid } from './names.ts';
import { TEAM_KEY_PERMISSIONS } from './permissions.ts';
import type { Retirement, Retirements } from './retirements.ts';
import { classify, digestOf } from './secret-text.ts';

export const ACTIVE = 1;
export const INACTIVE = 2;

/** A key that opens something right now. */
export interface VerifiedKey {
  id: string;
  kind: 'personal' | 'team';
  teamId: string;
  /** The owner of a personal key. */
  userId: string | undefined;
  name: string;
  /** What it may do at this moment. */
  scopes: ReadonlySet<string>;
  createdAt: Date;
  /** When the key ends, or sooner the text it was opened with, or what it may be used for (`retirement`). */
  expiresAt: Date | undefined;
  /** It is to be given up: `noticeOf` is what its bearer must be told. */
  retirement?: Retirement;
}

/** A key of a team that was good until the day of its retirement. */
export interface RetiredKey {
  retired: Retirement;
  id: string;
  kind: 'personal' | 'team';
  teamId: string;
}

/** What a key may do, and for whom. */
export interface KeyRights {
  /** `sub` of its tokens: the user, or `team:<id>`. */
  subject: string;
  teamId: string;
  scopes: ReadonlySet<string>;
}

/** A key as it was found by its text. */
export type FoundKey = ApiKeyRecord & { textExpiresAt: Date | null };

export interface ApiKeyChecks {
  /**
   * The key a text is, with what it may do now. Undefined, for one reason as for another, when it was damaged, is
   * unknown, replaced, revoked or expired, or its owner is gone, disabled or no longer in the team.
   * @throws AppError `unavailable` when too many imported keys with a bcrypt hash are being checked
   */
  verify(text: string): Promise<VerifiedKey | undefined>;
  /**
   * As `verify`; a key that is good but for its retirement, the day of which has come, is told apart.
   * @param options `touch` false: it is no use of the key yet (default true)
   */
  check(text: string, options?: { touch?: boolean }): Promise<VerifiedKey | RetiredKey | undefined>;
  /** Whether a text that is none of ours by its looks begins like a key that was imported. */
  mayBeImported(text: string): Promise<boolean>;
  /** What a key may do now that a token was issued for; undefined when it opens nothing any more. */
  rightsOfKey(id: string): Promise<KeyRights | undefined>;
  /**
   * Notes that a token is about to be issued for a key, from one of its texts: whatever ends the key, or takes something
   * away from it, from now on ends the token too, and what did so before is in memory. Asks the database whether key and
   * text are good at this moment.
   * @param until when the token will have expired at the latest
   * @returns undefined when the text opens nothing (any more)
   */
  holdForToken(id: string, text: string, until: Date): Promise<HeldKey | undefined>;
  /** The key a text is or was, whatever has become of it: for the record. It says nothing about what it opens. */
  holderOf(text: string): Promise<Pick<ApiKeyRecord, 'id' | 'kind' | 'teamId'> | undefined>;
  /** The key a text is, if neither it nor that text of it has ended; whatever its owner may do. */
  findByText(text: string): Promise<FoundKey | undefined>;
  /** What the owner of a key may do now; undefined for one who is gone, disabled or expired. */
  rightsOfOwner(key: ApiKeyRecord): Promise<ReadonlySet<string> | undefined>;
}

export interface ApiKeyChecksOptions {
  db: Database;
  authority: Pick<Authority, 'permissionsIn' | 'teamExists'>;
  notifications: Notifications;
  lastUsed: LastUsed;
  retirements: Pick<Retirements, 'effectiveFor'>;
  /** Of imported keys. */
  peppers?: Peppers | undefined;
}

export function createApiKeyChecks(options: ApiKeyChecksOptions): ApiKeyChecks {
  const { db, authority, notifications, lastUsed, retirements, peppers = new Map() } = options;
  const importedKeys = createImportedKeys({ db, notifications, peppers });
  // Announced by id and looked up by digest: any change empties it, which costs each key in use one lookup.
  const byDigest = createCache<FoundKey>({ notifications, clearedBy: ['api_keys'] });
  const byId = createCache<ApiKeyRecord>({ notifications, keyedBy: ['api_keys'] });

  async function scopesOf(key: ApiKeyRecord): Promise<ReadonlySet<string> | undefined> {
    const rights = await rightsOfOwner(key);
    return key.kind === 'team' ? rights : rights && withinScopes(key.scopes, rights);
  }

  async function rightsOfOwner(key: ApiKeyRecord): Promise<ReadonlySet<string> | undefined> {
    if (key.userId === null) {
      return (await authority.teamExists(key.teamId)) ? new Set<string>(TEAM_KEY_PERMISSIONS) : undefined;
    }
    // Whether the user is still a member is not asked: the key would be gone (see the foreign key in the schema).
    return authority.permissionsIn(key.userId, key.teamId);
  }

  async function findByText(text: string): Promise<FoundKey | undefined> {
    const key = await findAny(text);
    // Times are looked at on every use: nobody announces that they have come.
    return key?.status !== ACTIVE || isOver(key.expiresAt) || isOver(key.textExpiresAt) ? undefined : key;
  }

  async function findAny(text: string): Promise<FoundKey | undefined> {
    const kind = classify(text);
    const isOurs = kind === 'personal' || kind === 'team';
    if (!isOurs && !(await importedKeys.mayBe(text))) return undefined;
    // Found by digest: no comparison of secrets whose duration could tell anything.
    const digest = digestOf(text);
    return byDigest.get(digest.toString('base64url'), () =>
      isOurs ? findApiKeyByDigest(db, digest) : importedKeys.find(text),
    );
  }

  async function check(text: string, { touch = true } = {}): Promise<VerifiedKey | RetiredKey | undefined> {
    const key = await findByText(text);
    if (key === undefined) return undefined;
    const scopes = await scopesOf(key);
    if (scopes === undefined) return undefined;
    const retirement = await retirements.effectiveFor({ keyId: key.id, teamId: key.teamId, text });
    if (retirement !== undefined && isOver(retirement.retiresAt)) {
      return { retired: retirement, id: key.id, kind: key.kind, teamId: key.teamId };
    }
    if (touch) lastUsed.touch('api_keys', key.id);
    return {
      id: key.id,
      kind: key.kind,
      teamId: key.teamId,
      userId: key.userId ?? undefined,
      name: key.name,
      scopes,
      createdAt: key.createdAt,
      expiresAt: earliest(key.expiresAt, key.textExpiresAt, retirement?.retiresAt),
      ...(retirement && { retirement }),
    };
  }

  return {
    async verify(text) {
      const key = await check(text);
      return key && 'retired' in key ? undefined : key;
    },
    check,
    mayBeImported: importedKeys.mayBe,
    async rightsOfKey(id) {
      const key = isUuid(id) ? await byId.get(id, () => findApiKey(db, id, {})) : undefined;
      if (key?.status !== ACTIVE || isOver(key.expiresAt)) return undefined;
      // By as much of its text as is kept: what names more of it than that may mean another key.
      const retirement = await retirements.effectiveFor({ keyId: id, teamId: key.teamId, text: key.prefix });
      if (isOver(retirement?.retiresAt)) return undefined;
      const scopes = await scopesOf(key);
      return scopes && { subject: subjectOf(key), teamId: key.teamId, scopes };
    },
    async holdForToken(id, text, until) {
      const held = await holdApiKeyForToken(db, id, { digest: ownDigestOf(text), until });
      if (held !== undefined) await notifications.settle();
      return held;
    },
    holderOf: findAny,
    findByText,
    rightsOfOwner,
  };
}

/** How tokens call whoever a key acts as. */
export function subjectOf({ userId, teamId }: { userId: string | null | undefined; teamId: string }): string {
  return userId ?? `team:${teamId}`;
}

/** The digest of a text made here; undefined for what was imported. */
export function ownDigestOf(text: string): Buffer | undefined {
  const kind = classify(text);
  return kind === 'personal' || kind === 'team' ? digestOf(text) : undefined;
}

/** Whether that time has come; never without one. */
export function isOver(time: Date | null | undefined): boolean {
  return (time?.getTime() ?? Number.POSITIVE_INFINITY) <= Date.now();
}

function earliest(...times: (Date | null | undefined)[]): Date | undefined {
  return times.reduce<Date | undefined>((first, one) => (one && (!first || one < first) ? one : first), undefined);
}
