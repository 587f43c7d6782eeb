/**
 * API keys: made, listed, revoked, reinstated, deleted, and checked on every use. A key may do what its owner may do at
 * that moment and no more: the user it belongs to, or for a team key the team's service account.
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
  type NewApiKey,
  updateApiKeyName,
  updateApiKeyStatus,
} from '../storage/api-keys.ts';
import { isMissingReference } from '../storage/errors.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import type { Actor, Audit } from './audit.ts';
import type { Authority } from './authority.ts';
import { createCache } from './cache.ts';
import { creatorOf } from './creator.ts';
import { checkExpiry } from './expiry.ts';
import type { LastUsed } from './last-used.ts';
import { checkName, isUuid } from './names.ts';
import { isPermission, TEAM_KEY_PERMISSIONS } from './permissions.ts';
import { classify, createSecretText, digestOf } from './secret-text.ts';

export const ACTIVE = 1;
export const INACTIVE = 2;

export type ApiKey = ApiKeyRecord;

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
  expiresAt: Date | undefined;
}

export interface ApiKeys {
  /**
   * Makes a key for a user in a team the user is a member of. `text` is the key itself and is never available again.
   * @param key `scopes` narrows it to these permissions (default: all its owner has); `expiresAt` default never
   * @throws AppError `invalid_argument`; `failed_precondition` when the user is no member of the team
   */
  createPersonal(
    key: { userId: string; teamId: string; name: string; scopes?: string[]; expiresAt?: Date },
    actor: Actor,
  ): Promise<{ key: ApiKey; text: string }>;
  /**
   * Makes a key for a team's service account. `text` is the key itself and is never available again.
   * @throws AppError `invalid_argument`; `failed_precondition` when there is no such team
   */
  createTeam(
    key: { teamId: string; name: string; expiresAt?: Date },
    actor: Actor,
  ): Promise<{ key: ApiKey; text: string }>;
  /** Keys in the order they were made (default the first 1,000). */
  list(scope: ApiKeyScope, page?: { limit?: number; after?: { createdAt: Date; id: string } }): Promise<ApiKey[]>;
  find(id: string, scope?: ApiKeyScope): Promise<ApiKey | undefined>;
  /** This and the following throw AppError `not_found` for a key that is not within the scope. */
  rename(id: string, name: string, scope: ApiKeyScope, actor: Actor): Promise<ApiKey>;
  /** Switches the key off until it is reinstated. Repeating it is harmless, here as for `reinstate`. */
  revoke(id: string, scope: ApiKeyScope, actor: Actor): Promise<ApiKey>;
  reinstate(id: string, scope: ApiKeyScope, actor: Actor): Promise<ApiKey>;
  /** Ends the key for good. Answers what it was, with status INACTIVE. */
  delete(id: string, scope: ApiKeyScope, actor: Actor): Promise<ApiKey>;
  /**
   * The key a text is, with what it may do now. Undefined, for one reason as for another, when it was damaged, is
   * unknown, revoked or expired, or its owner is gone, disabled or no longer in the team.
   */
  verify(text: string): Promise<VerifiedKey | undefined>;
}

export interface ApiKeysOptions {
  db: Database;
  audit: Audit;
  authority: Pick<Authority, 'permissionsIn' | 'teamExists'>;
  notifications: Notifications;
  lastUsed: LastUsed;
}

export function createApiKeys({ db, audit, authority, notifications, lastUsed }: ApiKeysOptions): ApiKeys {
  // Announced by id and looked up by digest: any change empties it, which costs each key in use one lookup.
  const byDigest = createCache<ApiKey>({ notifications, clearedBy: ['api_keys'] });

  async function create(key: Omit<NewApiKey, 'digest' | 'prefix' | 'lastFour' | 'createdBy'>, actor: Actor) {
    const { text, ...secret } = createSecretText(key.kind === 'personal' ? 'lkp_' : 'lkt_');
    const record = await db.transaction(async (tx) => {
      const made = await insertApiKey(tx, { ...key, ...secret, createdBy: creatorOf(actor) });
      await log(tx, 'created', made, actor);
      return made;
    });
    return { key: record, text };
  }

  function log(tx: Queryable, verb: string, key: ApiKey, actor: Actor): Promise<void> {
    return audit.record(tx, {
      action: `api_key.${verb}`,
      actor,
      teamId: key.teamId,
      target: { kind: 'api_key', id: key.id },
      details: { kind: key.kind, name: key.name, prefix: key.prefix, user_id: key.userId },
    });
  }

  async function setStatus(id: string, status: 1 | 2, scope: ApiKeyScope, actor: Actor): Promise<ApiKey> {
    checkId(id, scope);
    return db.transaction(async (tx) => {
      const result = await updateApiKeyStatus(tx, id, scope, status);
      if (result === undefined) throw noSuchKey();
      if (result.changed) await log(tx, status === ACTIVE ? 'reinstated' : 'revoked', result.key, actor);
      return result.key;
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
        scopes: checkScopes(scopes),
        expiresAt: checkExpiry('expires_at', expiresAt),
      };
      if (!isUuid(userId) || !isUuid(teamId)) throw notMember();
      return create(key, actor).catch((error: unknown) => {
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
    async list(scope, { limit = 1_000, after } = {}) {
      return scopeIsSound(scope) ? listApiKeys(db, scope, { limit, after }) : [];
    },
    async find(id, scope = {}) {
      return isUuid(id) && scopeIsSound(scope) ? findApiKey(db, id, scope) : undefined;
    },
    async rename(id, name, scope, actor) {
      const checked = checkName('name', name);
      checkId(id, scope);
      return db.transaction(async (tx) => {
        const key = await updateApiKeyName(tx, id, scope, checked);
        if (key === undefined) throw noSuchKey();
        await log(tx, 'renamed', key, actor);
        return key;
      });
    },
    revoke: (id, scope, actor) => setStatus(id, INACTIVE, scope, actor),
    reinstate: (id, scope, actor) => setStatus(id, ACTIVE, scope, actor),
    async delete(id, scope, actor) {
      checkId(id, scope);
      return db.transaction(async (tx) => {
        const key = await deleteApiKey(tx, id, scope);
        if (key === undefined) throw noSuchKey();
        await log(tx, 'deleted', key, actor);
        return { ...key, status: INACTIVE };
      });
    },
    async verify(text) {
      const kind = classify(text);
      if (kind !== 'personal' && kind !== 'team') return undefined;
      // Found by digest: no comparison of secrets whose duration could tell anything.
      const digest = digestOf(text);
      const key = await byDigest.get(digest.toString('base64url'), () => findApiKeyByDigest(db, digest));
      if (key?.status !== ACTIVE || (key.expiresAt !== null && key.expiresAt.getTime() <= Date.now())) return undefined;
      const rights = await rightsOf(key);
      if (rights === undefined) return undefined;
      lastUsed.touch('api_keys', key.id);
      return {
        id: key.id,
        kind: key.kind,
        teamId: key.teamId,
        userId: key.userId ?? undefined,
        name: key.name,
        scopes: key.scopes === null ? rights : new Set(key.scopes.filter((scope) => rights.has(scope))),
        createdAt: key.createdAt,
        expiresAt: key.expiresAt ?? undefined,
      };
    },
  };
}

function checkScopes(scopes: string[] | undefined): string[] | null {
  if (scopes === undefined) return null;
  if (scopes.length === 0) throw invalidField('scopes', 'name at least one, or leave it out for all your rights');
  const unknown = scopes.find((scope) => !isPermission(scope));
  if (unknown !== undefined) throw invalidField('scopes', `${JSON.stringify(unknown)} is not a permission`);
  return [...new Set(scopes)];
}

function scopeIsSound({ teamId, userId }: ApiKeyScope): boolean {
  return (teamId === undefined || isUuid(teamId)) && (userId === undefined || isUuid(userId));
}

function checkId(id: string, scope: ApiKeyScope): void {
  if (!isUuid(id) || !scopeIsSound(scope)) throw noSuchKey();
}

function noSuchKey(): AppError {
  return new AppError('not_found', 'There is no such API key.');
}

function noSuchTeam(cause?: unknown): AppError {
  return new AppError('failed_precondition', 'There is no such team.', { cause });
}

function notMember(cause?: unknown): AppError {
  return new AppError('failed_precondition', 'The user is not a member of this team, so a key cannot act there.', {
    cause,
  });
}
