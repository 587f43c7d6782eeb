/**
 * API keys: made, listed, renamed, rotated, revoked, reinstated, deleted, and checked on every use. A key may do what its
 * owner may do at that moment and no more: the user it belongs to, or for a team key the team's service account.
 */
import { AppError, invalidField } from '../errors.ts';
import {
  type ApiKeyRecord,
  type ApiKeyScope,
  deleteApiKey,
  findApiKey,
  findApiKeyByDigest,
  insertApiKey,
  listApiKeys,
  lockApiKey,
  type NewApiKey,
  updateApiKey,
  updateApiKeyText,
} from '../storage/api-keys.ts';
import { isMissingReference } from '../storage/errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import type { Actor, Audit } from './audit.ts';
import type { Authority } from './authority.ts';
import { createCache } from './cache.ts';
import { creatorOf } from './creator.ts';
import { checkExpiry } from './expiry.ts';
import type { Peppers } from './imported-digests.ts';
import { createImportedKeys } from './imported-keys.ts';
import { requireCovers, scopesToGive, withinScopes } from './key-scopes.ts';
import type { LastUsed } from './last-used.ts';
import { checkName, isUuid } from './names.ts';
import { TEAM_KEY_PERMISSIONS } from './permissions.ts';
import { classify, createSecretText, digestOf } from './secret-text.ts';
import { requireVersion } from './versions.ts';

export const ACTIVE = 1;
export const INACTIVE = 2;
/** The longest two texts of a rotated key are good side by side, in seconds: 30 days. */
export const LONGEST_OVERLAP = 30 * 24 * 3600;

const PREFIX = { personal: 'lkp_', team: 'lkt_' } as const;

export type ApiKey = ApiKeyRecord;

/** Which key may be changed, and the `version` it must still have. */
export interface KeyScope extends ApiKeyScope {
  version?: string | undefined;
}

/** A key and its text, which is never available again. */
export interface NewKey {
  key: ApiKey;
  text: string;
}

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
  /** When the key ends, or sooner the text it was opened with. */
  expiresAt: Date | undefined;
}

export interface ApiKeys {
  /**
   * Makes a key for a user in a team the user is a member of.
   * @param key `scopes` narrows it to these permissions (default: all its owner has, but for what only scopes can name;
   *   for an actor whose credential is narrower than its owner, what that credential has); `expiresAt` default never
   * @throws AppError `invalid_argument`; `permission_denied` for scopes the actor could not use itself;
   *   `failed_precondition` when the user is no member of the team
   */
  createPersonal(
    key: { userId: string; teamId: string; name: string; scopes?: string[]; expiresAt?: Date },
    actor: Actor,
  ): Promise<NewKey>;
  /** Makes a key for a team's service account. @throws AppError `invalid_argument`; `not_found` without such a team */
  createTeam(key: { teamId: string; name: string; expiresAt?: Date }, actor: Actor): Promise<NewKey>;
  /** Keys by `created_at` or as `page` says (default the first 1,000); also by `name`, `status`, `team_id`, `user_id`, `kind`. */
  list(scope: ApiKeyScope, page?: Partial<Page>): Promise<(ApiKey & { sortKey: string })[]>;
  find(id: string, scope?: ApiKeyScope): Promise<ApiKey | undefined>;
  /**
   * This and the following throw AppError `not_found` for a key that is not within the scope, `precondition_failed` for one
   * that is another version. An undefined name keeps the name.
   */
  rename(id: string, name: string | undefined, scope: KeyScope, actor: Actor): Promise<ApiKey>;
  /**
   * Gives the key another text. The one it had is good for `overlapSeconds` more (default 0: it ends now; at most
   * `LONGEST_OVERLAP`); one that was replaced earlier ends now.
   * @throws AppError `invalid_argument`; `failed_precondition` for a key that has expired; `permission_denied` when the
   *   key may do more than the actor's own credential
   */
  rotate(id: string, options: { overlapSeconds?: number }, scope: KeyScope, actor: Actor): Promise<NewKey>;
  /** Switches the key off until it is reinstated, which does not move its expiry. Repeating either is harmless. */
  revoke(id: string, scope: KeyScope, actor: Actor): Promise<ApiKey>;
  reinstate(id: string, scope: KeyScope, actor: Actor): Promise<ApiKey>;
  /** Ends the key for good. Answers what it was, with status INACTIVE. */
  delete(id: string, scope: KeyScope, actor: Actor): Promise<ApiKey>;
  /**
   * The key a text is, with what it may do now. Undefined, for one reason as for another, when it was damaged, is
   * unknown, replaced, revoked or expired, or its owner is gone, disabled or no longer in the team.
   * @throws AppError `unavailable` when too many imported keys with a bcrypt hash are being checked
   */
  verify(text: string): Promise<VerifiedKey | undefined>;
  /** Whether a text that is none of ours by its looks begins like a key that was imported. */
  mayBeImported(text: string): Promise<boolean>;
}

export interface ApiKeysOptions {
  db: Database;
  audit: Audit;
  authority: Pick<Authority, 'permissionsIn' | 'teamExists'>;
  notifications: Notifications;
  lastUsed: LastUsed;
  /** Of imported keys. */
  peppers?: Peppers | undefined;
}

export function createApiKeys(options: ApiKeysOptions): ApiKeys {
  const { db, audit, authority, notifications, lastUsed, peppers = new Map() } = options;
  const importedKeys = createImportedKeys({ db, notifications, peppers });
  // Announced by id and looked up by digest: any change empties it, which costs each key in use one lookup.
  const byDigest = createCache<ApiKey & { textExpiresAt: Date | null }>({ notifications, clearedBy: ['api_keys'] });

  async function find(id: string, scope: ApiKeyScope = {}): Promise<ApiKey | undefined> {
    return isUuid(id) && scopeIsSound(scope) ? findApiKey(db, id, scope) : undefined;
  }

  async function create(key: Omit<NewApiKey, 'digest' | 'prefix' | 'lastFour' | 'createdBy'>, actor: Actor) {
    const { text, ...kept } = createSecretText(PREFIX[key.kind]);
    const record = await db.transaction(async (tx) => {
      const made = await insertApiKey(tx, { ...key, ...kept, createdBy: creatorOf(actor) });
      await log(tx, 'created', made, actor);
      return made;
    });
    return { key: record, text };
  }

  function log(tx: Queryable, verb: string, key: ApiKey, actor: Actor, more: object = {}): Promise<void> {
    return audit.record(tx, {
      action: `api_key.${verb}`,
      actor,
      teamId: key.teamId,
      target: { kind: 'api_key', id: key.id },
      details: { kind: key.kind, name: key.name, prefix: key.prefix, user_id: key.userId, ...more },
    });
  }

  /** Runs `work` on a key that is within the scope, is the version expected, and stays so until it is done. */
  async function change<T>(
    id: string,
    scope: KeyScope,
    work: (tx: Queryable, before: ApiKey) => Promise<T>,
  ): Promise<T> {
    if (!isUuid(id) || !scopeIsSound(scope)) throw noSuchKey();
    return db.transaction(async (tx) => {
      const before = await lockApiKey(tx, id, scope);
      if (before === undefined) throw noSuchKey();
      requireVersion(before, scope.version);
      return work(tx, before);
    });
  }

  function setStatus(id: string, status: 1 | 2, scope: KeyScope, actor: Actor): Promise<ApiKey> {
    return change(id, scope, async (tx, before) => {
      if (before.status === status) return before;
      const key = await updateApiKey(tx, id, { status });
      await log(tx, status === ACTIVE ? 'reinstated' : 'revoked', key, actor);
      return key;
    });
  }

  async function rightsOf(key: ApiKey): Promise<ReadonlySet<string> | undefined> {
    if (key.userId === null) {
      return (await authority.teamExists(key.teamId)) ? new Set<string>(TEAM_KEY_PERMISSIONS) : undefined;
    }
    // Whether the user is still a member is not asked: the key would be gone (see the foreign key in the schema).
    return authority.permissionsIn(key.userId, key.teamId);
  }

  return {
    async createPersonal({ userId, teamId, name, scopes, expiresAt }, actor) {
      const key = {
        kind: 'personal' as const,
        userId,
        teamId,
        name: checkName('name', name),
        expiresAt: checkExpiry('expires_at', expiresAt),
      };
      if (!isUuid(userId) || !isUuid(teamId)) throw notMember();
      const given = await scopesToGive(scopes, { authority, actor, teamId });
      return create({ ...key, scopes: given }, actor).catch((error: unknown) => {
        throw isMissingReference(error) ? notMember(error) : error;
      });
    },
    async createTeam({ teamId, name, expiresAt }, actor) {
      const key = {
        kind: 'team' as const,
        userId: null,
        teamId,
        name: checkName('name', name),
        scopes: null,
        expiresAt: checkExpiry('expires_at', expiresAt),
      };
      if (!isUuid(teamId)) throw noSuchTeam();
      return create(key, actor).catch((error: unknown) => {
        throw isMissingReference(error) ? noSuchTeam(error) : error;
      });
    },
    async list(scope, { limit = 1_000, ...page } = {}) {
      return scopeIsSound(scope) ? listApiKeys(db, scope, { limit, ...page }) : [];
    },
    find,
    async rename(id, name, scope, actor) {
      const checked = name === undefined ? undefined : checkName('name', name);
      return change(id, scope, async (tx, before) => {
        if (checked === undefined || checked === before.name) return before;
        const key = await updateApiKey(tx, id, { name: checked });
        await log(tx, 'renamed', key, actor);
        return key;
      });
    },
    async rotate(id, { overlapSeconds = 0 }, scope, actor) {
      checkOverlap(overlapSeconds);
      // Before the transaction, which would hold two connections: whose a key is and its scopes never change.
      const known = await find(id, scope);
      if (known?.kind === 'personal') requireCovers(actor, known.scopes, (await rightsOf(known)) ?? new Set());
      return change(id, scope, async (tx, before) => {
        if (isOver(before.expiresAt))
          throw new AppError('failed_precondition', 'This key has expired. Make a new one.');
        const { text, ...kept } = createSecretText(PREFIX[before.kind]);
        const until = overlapSeconds === 0 ? null : new Date(Date.now() + overlapSeconds * 1000);
        const key = await updateApiKeyText(tx, id, kept, until);
        await log(tx, 'rotated', key, actor, { overlap_seconds: overlapSeconds });
        return { key, text };
      });
    },
    revoke: (id, scope, actor) => setStatus(id, INACTIVE, scope, actor),
    reinstate: (id, scope, actor) => setStatus(id, ACTIVE, scope, actor),
    delete: (id, scope, actor) =>
      change(id, scope, async (tx, before) => {
        await deleteApiKey(tx, id);
        await log(tx, 'deleted', before, actor);
        return { ...before, status: INACTIVE };
      }),
    async verify(text) {
      const kind = classify(text);
      const isOurs = kind === 'personal' || kind === 'team';
      if (!isOurs && !(await importedKeys.mayBe(text))) return undefined;
      // Found by digest: no comparison of secrets whose duration could tell anything.
      const digest = digestOf(text);
      const key = await byDigest.get(digest.toString('base64url'), () =>
        isOurs ? findApiKeyByDigest(db, digest) : importedKeys.find(text),
      );
      // Times are looked at on every use: nobody announces that they have come.
      if (key?.status !== ACTIVE || isOver(key.expiresAt) || isOver(key.textExpiresAt)) return undefined;
      const rights = await rightsOf(key);
      if (rights === undefined) return undefined;
      lastUsed.touch('api_keys', key.id);
      return {
        id: key.id,
        kind: key.kind,
        teamId: key.teamId,
        userId: key.userId ?? undefined,
        name: key.name,
        scopes: key.kind === 'team' ? rights : withinScopes(key.scopes, rights),
        createdAt: key.createdAt,
        expiresAt: earlier(key.expiresAt, key.textExpiresAt),
      };
    },
    mayBeImported: importedKeys.mayBe,
  };
}

function checkOverlap(seconds: number): void {
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > LONGEST_OVERLAP) {
    throw invalidField('overlap_seconds', `must be a whole number from 0 to ${LONGEST_OVERLAP} (30 days)`);
  }
}

function isOver(time: Date | null): boolean {
  return time !== null && time.getTime() <= Date.now();
}

function earlier(a: Date | null, b: Date | null): Date | undefined {
  if (a === null || b === null) return a ?? b ?? undefined;
  return a < b ? a : b;
}

function scopeIsSound({ teamId, userId }: ApiKeyScope): boolean {
  return (teamId === undefined || isUuid(teamId)) && (userId === undefined || isUuid(userId));
}

function noSuchKey(): AppError {
  return new AppError('not_found', 'There is no such API key.');
}

function noSuchTeam(cause?: unknown): AppError {
  return new AppError('not_found', 'There is no such team.', { cause });
}

function notMember(cause?: unknown): AppError {
  return new AppError('failed_precondition', 'The user is not a member of this team, so a key cannot act there.', {
    cause,
  });
}
