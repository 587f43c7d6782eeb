/**
 * API keys: made, listed, renamed, rotated, revoked, reinstated, deleted, and checked on every use (`api-key-checks.ts`). A
 * key may do what its owner may do at that moment and no more: the user it belongs to, or for a team key the team's
 * service account.
 */
import { AppError, invalidField } from '../errors.ts';
import { listApiKeys } from '../storage/api-key-lists.ts';
import {
  type ApiKeyRecord,
  type ApiKeyScope,
  deleteApiKey,
  findApiKey,
  insertApiKey,
  lockApiKey,
  lockApiKeyByText,
  type NewApiKey,
  updateApiKey,
  updateApiKeyText,
} from '../storage/api-keys.ts';
import { isMissingReference } from '../storage/errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Queryable } from '../storage/pool.ts';
import {
  ACTIVE,
  type ApiKeyChecks,
  type ApiKeyChecksOptions,
  createApiKeyChecks,
  INACTIVE,
  isOver,
  ownDigestOf,
} from './api-key-checks.ts';
import type { Actor, Audit } from './audit.ts';
import { creatorOf } from './creator.ts';
import { checkExpiry } from './expiry.ts';
import { createScopesToGive, nameOthers, requireCovers } from './key-scopes.ts';
import { checkName, isUuid } from './names.ts';
import { holdRegisteredScopes } from './resource-servers.ts';
import { createSecretText } from './secret-text.ts';
import { requireVersion } from './versions.ts';

export { ACTIVE, INACTIVE, type KeyRights, type RetiredKey, subjectOf, type VerifiedKey } from './api-key-checks.ts';

/** The longest two texts of a rotated key are good side by side, in seconds: 30 days. */
export const LONGEST_OVERLAP = 30 * 24 * 3600;

const PREFIX = { personal: 'lkp_', team: 'lkt_' } as const;

/** What a key is at this moment: nothing but `active` is let in. A revoked key may have expired as well. */
export type KeyState = 'active' | 'revoked' | 'expired' | 'given_up';

export interface ApiKey extends ApiKeyRecord {
  /** When it is to be given up, or may be, as far as its first characters tell; null: it is not. */
  retiresAt: Date | null;
  state: KeyState;
}

/** Which key may be changed, and the `version` it must still have. */
export interface KeyScope extends ApiKeyScope {
  version?: string | undefined;
}

/** A key and its text, which is never available again. */
export interface NewKey {
  key: ApiKey;
  text: string;
}

export interface ApiKeys extends Omit<ApiKeyChecks, 'findByText' | 'rightsOfOwner'> {
  /**
   * Makes a key for a user in a team the user is a member of.
   * @param key `scopes` narrows it to these permissions, and alone gives scopes of registered resource servers (default: all its owner has, but for what only scopes can name;
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
  /**
   * Keys by `created_at` or as `page` says (default the first 1,000); narrowed by `name`, `status`, `state` (a `KeyState`),
   * `team_id`, `user_id`, `kind`; ordered also by `name`, `last_access_at` (to the hour, never first), `expires_at` (never
   * last). A search looks at names, how keys begin and end, and for personal keys at their owner's email address.
   */
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
   * Switches off the key a text is, as `revoke` does, for whoever holds that text.
   * @param actorFor who does it to this key
   * @param details for the audit trail
   * @returns undefined when there is nothing to switch off: the text is unknown, replaced, revoked or expired
   * @throws AppError `unavailable` as `verify`
   */
  revokeByText(text: string, actorFor: (key: ApiKeyRecord) => Actor, details?: object): Promise<ApiKey | undefined>;
}

export interface ApiKeysOptions extends ApiKeyChecksOptions {
  audit: Audit;
}

export function createApiKeys(options: ApiKeysOptions): ApiKeys {
  const { db, audit, authority, retirements } = options;
  const { findByText, rightsOfOwner, ...checks } = createApiKeyChecks(options);

  async function find(id: string, scope: ApiKeyScope = {}): Promise<ApiKey | undefined> {
    const key = isUuid(id) && scopeIsSound(scope) ? await findApiKey(db, id, scope) : undefined;
    return key && shown(key);
  }

  async function shown<Key extends ApiKeyRecord>(key: Key): Promise<Key & ApiKey> {
    const { id: keyId, teamId, prefix, status } = key;
    const retirement = await retirements.effectiveFor({ keyId, teamId, prefix });
    // As far as it is certain, and as lists are filtered: a prefix that may be its own proves nothing.
    const isGivenUp = isOver((await retirements.effectiveFor({ keyId, teamId, text: prefix }))?.retiresAt ?? null);
    return {
      ...key,
      status: isGivenUp ? INACTIVE : status,
      retiresAt: retirement?.retiresAt ?? null,
      state: stateOf(key, isGivenUp),
    };
  }

  async function create(
    keyIn: (tx: Queryable) => Promise<Omit<NewApiKey, 'digest' | 'prefix' | 'lastFour' | 'createdBy'>>,
    actor: Actor,
  ) {
    const { record, text } = await db.transaction(async (tx) => {
      const key = await keyIn(tx);
      const { text, ...kept } = createSecretText(PREFIX[key.kind]);
      const record = await insertApiKey(tx, { ...key, ...kept, createdBy: creatorOf(actor) });
      await log(tx, 'created', record, actor);
      return { record, text };
    });
    return { key: await shown(record), text };
  }

  function log(tx: Queryable, verb: string, key: ApiKeyRecord, actor: Actor, more: object = {}): Promise<void> {
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
    work: (tx: Queryable, before: ApiKeyRecord) => Promise<T>,
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
    return change(id, scope, (tx, before) => switchTo(tx, before, status, actor)).then(shown);
  }

  async function switchTo(tx: Queryable, before: ApiKeyRecord, status: 1 | 2, actor: Actor, details?: object) {
    if (before.status === status) return before;
    const key = await updateApiKey(tx, before.id, { status });
    await log(tx, status === ACTIVE ? 'reinstated' : 'revoked', key, actor, details);
    return key;
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
      const toGive = await createScopesToGive(authority, actor, teamId);
      // Before the key, as whoever changes resource servers does it: a scope does not end while it is given.
      const scopesIn = async (tx: Queryable) =>
        toGive(scopes, nameOthers(scopes) ? await holdRegisteredScopes(tx) : undefined);
      return create(async (tx) => ({ ...key, scopes: await scopesIn(tx) }), actor).catch((error: unknown) => {
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
      return create(async () => key, actor).catch((error: unknown) => {
        throw isMissingReference(error) ? noSuchTeam(error) : error;
      });
    },
    async list(scope, { limit = 1_000, ...page } = {}) {
      const keys = scopeIsSound(scope) ? await listApiKeys(db, scope, { limit, ...page }) : [];
      return Promise.all(keys.map(shown));
    },
    find,
    async rename(id, name, scope, actor) {
      const checked = name === undefined ? undefined : checkName('name', name);
      return change(id, scope, async (tx, before) => {
        if (checked === undefined || checked === before.name) return before;
        const key = await updateApiKey(tx, id, { name: checked });
        await log(tx, 'renamed', key, actor);
        return key;
      }).then(shown);
    },
    async rotate(id, { overlapSeconds = 0 }, scope, actor) {
      checkOverlap(overlapSeconds);
      // Before the transaction, which would hold two connections: whose a key is and its scopes never change.
      const known = await find(id, scope);
      if (known?.kind === 'personal') requireCovers(actor, known.scopes, (await rightsOfOwner(known)) ?? new Set());
      return change(id, scope, async (tx, before) => {
        if (isOver(before.expiresAt))
          throw new AppError('failed_precondition', 'This key has expired. Make a new one.');
        const { text, ...kept } = createSecretText(PREFIX[before.kind]);
        const until = overlapSeconds === 0 ? null : new Date(Date.now() + overlapSeconds * 1000);
        const key = await updateApiKeyText(tx, id, kept, until);
        await log(tx, 'rotated', key, actor, { overlap_seconds: overlapSeconds });
        return { key, text };
      }).then(async ({ key, text }) => ({ key: await shown(key), text }));
    },
    revoke: (id, scope, actor) => setStatus(id, INACTIVE, scope, actor),
    reinstate: (id, scope, actor) => setStatus(id, ACTIVE, scope, actor),
    delete: (id, scope, actor) =>
      change(id, scope, async (tx, before) => {
        await deleteApiKey(tx, id);
        await log(tx, 'deleted', before, actor);
        return { ...before, status: INACTIVE } as const;
      }).then(shown),
    async revokeByText(text, actorFor, details) {
      const known = await findByText(text);
      if (known === undefined) return undefined;
      const key = await db.transaction(async (tx) => {
        // It was found in memory: by now it may have another text, or be gone.
        const before = await lockApiKeyByText(tx, known.id, ownDigestOf(text));
        return before && switchTo(tx, before, INACTIVE, actorFor(before), details);
      });
      return key && shown(key);
    },
    ...checks,
  };
}

function stateOf({ status, expiresAt }: ApiKeyRecord, isGivenUp: boolean): KeyState {
  if (status === INACTIVE) return 'revoked';
  if (isOver(expiresAt)) return 'expired';
  return isGivenUp ? 'given_up' : 'active';
}

function checkOverlap(seconds: number): void {
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > LONGEST_OVERLAP) {
    throw invalidField('overlap_seconds', `must be a whole number from 0 to ${LONGEST_OVERLAP} (30 days)`);
  }
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
