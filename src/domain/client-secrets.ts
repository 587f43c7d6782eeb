/**
 * Secrets of OAuth2 Apps and Clients. Two can live at once, so that a new one is in use before the old one ends.
 */
import { AppError, invalidField } from '../errors.ts';
import {
  type ClientSecretRecord,
  deleteClientSecret,
  deleteEndedClientSecrets,
  deleteLiveClientSecrets,
  expireClientSecrets,
  insertClientSecret,
  listLiveClientSecrets,
  listLiveClientSecretsOf,
  type SecretOwner,
  updateClientSecretExpiry,
} from '../storage/client-secrets.ts';
import { findOauthApp, lockOauthApp, type OauthAppRecord, touchOauthApp } from '../storage/oauth-apps.ts';
import {
  findOauthClient,
  lockOauthClient,
  type OauthClientRecord,
  touchOauthClient,
} from '../storage/oauth-clients.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { requireGrantable } from './allowed-scopes.ts';
import type { Actor, Audit } from './audit.ts';
import type { Authority } from './authority.ts';
import { grantable } from './authorization.ts';
import { usesSecret } from './client-authentication.ts';
import { checkExpiry } from './expiry.ts';
import { isUuid } from './names.ts';
import { createSecretText } from './secret-text.ts';

export type ClientSecret = ClientSecretRecord;

const MOST_LIVE = 2;
const LONGEST_OVERLAP = 365 * 86_400;

/** Whose secrets, by row id; `teamId` narrows a client to one team. */
export interface SecretOwnerInput extends SecretOwner {
  teamId?: string | undefined;
}

export interface ClientSecrets {
  /** Those that still open something, oldest first; never their text. */
  list(owner: SecretOwnerInput): Promise<ClientSecret[]>;
  /** The owners, all of one kind, each with those of its secrets that still open something: one statement for them all. */
  attach<Owner extends { id: string }>(
    kind: SecretOwner['kind'],
    owners: readonly Owner[],
  ): Promise<(Owner & { secrets: ClientSecret[] })[]>;
  /**
   * Adds a secret. `text` is the secret itself and is never available again.
   * @param options `overlapSeconds`: the secrets before it end that many seconds from now (0: at once); left out, they
   *   live on until they are ended. `expiresAt`: when the new one ends (default never)
   * @throws AppError `not_found`; `failed_precondition` when two live already or the owner uses no secret;
   *   `permission_denied` when the owner is a client and the actor lacks one of its scopes: who has a secret can act as it
   */
  add(
    owner: SecretOwnerInput,
    options: { overlapSeconds?: number; expiresAt?: Date },
    actor: Actor,
  ): Promise<{ secret: ClientSecret; text: string }>;
  /**
   * Ends a secret, now or at a given time.
   * @param options `force`: even when no other would be left then, for an owner that needs one
   * @throws AppError `not_found`; `failed_precondition` for the last one without `force`
   */
  end(owner: SecretOwnerInput, id: string, options: { at?: Date; force?: boolean }, actor: Actor): Promise<void>;
}

/** The first secret of an app or client, in the transaction that makes its owner. */
export async function insertFirstSecret(tx: Queryable, owner: SecretOwner) {
  const { text, ...digest } = createSecretText('lks_');
  return { secret: await insertClientSecret(tx, owner, { ...digest, expiresAt: null }), text };
}

/** All secrets of an app or client that uses none any more end, in the transaction that changes it. */
export async function endSecrets(
  tx: Queryable,
  audit: Pick<Audit, 'record'>,
  owner: OauthAppRecord | OauthClientRecord,
  actor: Actor,
): Promise<void> {
  const kind = 'teamId' in owner ? 'client' : 'app';
  for (const secret of await deleteLiveClientSecrets(tx, { kind, id: owner.id })) {
    await record(tx, audit, 'ended', owner, secret, actor);
  }
}

function record(
  tx: Queryable,
  audit: Pick<Audit, 'record'>,
  verb: string,
  owner: OauthAppRecord | OauthClientRecord,
  secret: ClientSecretRecord,
  actor: Actor,
): Promise<void> {
  return audit.record(tx, {
    action: `client_secret.${verb}`,
    actor,
    teamId: 'teamId' in owner ? owner.teamId : undefined,
    target: { kind: 'client_secret', id: secret.id },
    details: { client_id: owner.clientId, prefix: secret.prefix, expires_at: secret.expiresAt },
  });
}

export interface ClientSecretsOptions {
  db: Database;
  audit: Audit;
  authority: Pick<Authority, 'permissionsIn'>;
}

export function createClientSecrets({ db, audit, authority }: ClientSecretsOptions): ClientSecrets {
  async function find(owner: SecretOwnerInput) {
    if (!isSound(owner)) return undefined;
    const { kind, id, teamId } = owner;
    return kind === 'app' ? findOauthApp(db, 'id', id) : findOauthClient(db, 'id', id, { teamId });
  }

  /** What the actor may give the owner. Asked before the transaction, which should not wait for another connection. */
  async function grantableTo(owner: SecretOwnerInput, actor: Actor) {
    const found = await find(owner);
    return found !== undefined && 'teamId' in found ? grantable(authority, actor, found.teamId) : () => false;
  }

  /** Locks the owner, because the secrets are counted before one is added or ended. */
  async function lockOwner(tx: Queryable, owner: SecretOwnerInput) {
    const { kind, id, teamId } = owner;
    const lock = () => (kind === 'app' ? lockOauthApp(tx, id) : lockOauthClient(tx, id, { teamId }));
    const found = isSound(owner) ? await lock() : undefined;
    if (found === undefined) throw new AppError('not_found', `There is no such OAuth2 ${kind}.`);
    return found;
  }

  /** Records the change, and makes it one of the owner. */
  async function log(
    tx: Queryable,
    verb: string,
    owner: OauthAppRecord | OauthClientRecord,
    secret: ClientSecretRecord,
    actor: Actor,
  ): Promise<void> {
    await ('teamId' in owner ? touchOauthClient : touchOauthApp)(tx, owner.id);
    await record(tx, audit, verb, owner, secret, actor);
  }

  return {
    async list(owner) {
      return (await find(owner)) === undefined ? [] : listLiveClientSecrets(db, owner);
    },
    async attach(kind, owners) {
      const secrets = await listLiveClientSecretsOf(db, kind, [...new Set(owners.map(({ id }) => id))]);
      const byOwner = Map.groupBy(secrets, ({ ownerId }) => ownerId);
      return owners.map((owner) => ({ ...owner, secrets: byOwner.get(owner.id) ?? [] }));
    },
    async add(owner, { overlapSeconds, expiresAt }, actor) {
      const ends = checkExpiry('expires_at', expiresAt);
      checkOverlap(overlapSeconds);
      const { text, ...digest } = createSecretText('lks_');
      const mayGive = await grantableTo(owner, actor);
      return db.transaction(async (tx) => {
        const locked = await lockOwner(tx, owner);
        // An app acts for users by their consent; a client acts on rights of its own.
        if ('teamId' in locked) requireGrantable(locked.allowedScopes, mayGive);
        if (!usesSecret(locked.tokenEndpointAuthMethod)) {
          throw new AppError(
            'failed_precondition',
            `It authenticates with ${locked.tokenEndpointAuthMethod}, not a secret.`,
          );
        }
        if (overlapSeconds !== undefined) await expireClientSecrets(tx, owner, overlapSeconds);
        await deleteEndedClientSecrets(tx, owner);
        if ((await listLiveClientSecrets(tx, owner)).length >= MOST_LIVE) {
          throw new AppError('failed_precondition', `It has ${MOST_LIVE} live secrets already. End one of them first.`);
        }
        const secret = await insertClientSecret(tx, owner, { ...digest, expiresAt: ends });
        await log(tx, 'created', locked, secret, actor);
        return { secret, text };
      });
    },
    async end(owner, id, { at, force = false }, actor) {
      const ends = checkExpiry('expires_at', at);
      if (!isUuid(id)) throw noSuchSecret();
      await db.transaction(async (tx) => {
        const locked = await lockOwner(tx, owner);
        const live = await listLiveClientSecrets(tx, owner);
        if (!live.some((secret) => secret.id === id)) throw noSuchSecret();
        const isNeeded = !live.some((secret) => secret.id !== id && outlives(secret, ends));
        if (isNeeded && !force && usesSecret(locked.tokenEndpointAuthMethod)) {
          throw new AppError('failed_precondition', 'It is the last live secret. Add another first, or force it.');
        }
        const ended =
          ends === null ? await deleteClientSecret(tx, owner, id) : await updateClientSecretExpiry(tx, owner, id, ends);
        if (ended === undefined) throw noSuchSecret();
        await log(tx, 'ended', locked, ended, actor);
      });
    },
  };
}

function isSound({ id, teamId }: SecretOwnerInput): boolean {
  return isUuid(id) && (teamId === undefined || isUuid(teamId));
}

function outlives({ expiresAt }: ClientSecretRecord, ends: Date | null): boolean {
  return expiresAt === null || (ends === null ? true : expiresAt > ends);
}

function checkOverlap(seconds: number | undefined): void {
  if (seconds === undefined) return;
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > LONGEST_OVERLAP) {
    throw invalidField('overlap_seconds', `must be a whole number of seconds, 0 to ${LONGEST_OVERLAP}`);
  }
}

function noSuchSecret(): AppError {
  return new AppError('not_found', 'There is no such client secret.');
}
