/** OAuth2 Clients: services that act for themselves in one team. Nobody can give one more than they may do there. */
import { AppError } from '../errors.ts';
import { isMissingReference } from '../storage/errors.ts';
import type { Page } from '../storage/listing.ts';
import {
  deleteOauthClient,
  findOauthClient,
  insertOauthClient,
  listOauthClients,
  lockOauthClient,
  type OauthClientRecord,
  type OauthClientSettings,
  type OauthClientScope as TeamScope,
  updateOauthClient,
  updateOauthClientEnabled,
} from '../storage/oauth-clients.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { checkClientScopes, requireGrantable } from './allowed-scopes.ts';
import type { Actor, Audit } from './audit.ts';
import type { Authority } from './authority.ts';
import { grantable } from './authorization.ts';
import { changedFields } from './changed-fields.ts';
import {
  type ClientAuthenticationInput,
  changedAuthentication,
  checkClientAuthentication,
  isSameAuthentication,
  usesSecret,
} from './client-authentication.ts';
import { createClientId, kindOfClientId } from './client-id.ts';
import { endSecrets, insertFirstSecret } from './client-secrets.ts';
import { creatorOf } from './creator.ts';
import { given } from './given.ts';
import { checkName, checkText, isUuid } from './names.ts';
import { forgetClients, holdRegisteredScopes } from './resource-servers.ts';
import { requireVersion } from './versions.ts';

const LONGEST_DESCRIPTION = 1_000;

export type OauthClient = OauthClientRecord;

/** Without a method: client_secret_basic, or private_key_jwt with keys. */
export interface OauthClientInput extends ClientAuthenticationInput {
  name: string;
  description?: string | undefined;
  teamId: string;
  /** Permissions, and scopes of registered resource servers; at least one. */
  allowedScopes: string[];
}

/** What may be changed of a client: its team stays. */
export type OauthClientChanges = {
  [Field in keyof Omit<OauthClientInput, 'teamId'>]?: OauthClientInput[Field] | undefined;
};

/** Which clients a caller may touch, and the version of the one it read; another one by now is `precondition_failed`. */
export interface OauthClientScope extends TeamScope {
  version?: string | undefined;
}

export interface OauthClients {
  /**
   * Makes a client. `secret` is its first client secret, for the methods that use one, and is never available again.
   * @throws AppError `invalid_argument` naming the field; `not_found` when there is no such team;
   *   `permission_denied` when the actor lacks one of the scopes in that team
   */
  create(input: OauthClientInput, actor: Actor): Promise<{ client: OauthClient; secret: string | undefined }>;
  /** By id or client_id. */
  find(reference: string, scope?: TeamScope): Promise<OauthClient | undefined>;
  /** One page; default order: as they were made. Filters: team_id, name, client_id, enabled. */
  list(scope: TeamScope, page: Page): Promise<(OauthClient & { sortKey: string })[]>;
  /**
   * Changes what is given. With a method that uses no secret its secrets end. This and the following throw AppError
   * `not_found` for a client that is not within the scope, and `precondition_failed`.
   * @throws AppError `permission_denied` when the actor lacks a scope it adds; or any scope of the client, when it changes
   *   how the client proves itself: whoever does that can act as it
   */
  update(id: string, changes: OauthClientChanges, scope: OauthClientScope, actor: Actor): Promise<OauthClient>;
  /**
   * Repeating it is harmless, here as for `disable`.
   * @throws AppError `permission_denied` when the actor lacks one of its scopes
   */
  enable(id: string, scope: OauthClientScope, actor: Actor): Promise<OauthClient>;
  disable(id: string, scope: OauthClientScope, actor: Actor): Promise<OauthClient>;
  delete(id: string, scope: OauthClientScope, actor: Actor): Promise<OauthClient>;
}

export interface OauthClientsOptions {
  db: Database;
  audit: Audit;
  authority: Pick<Authority, 'permissionsIn'>;
}

export function createOauthClients({ db, audit, authority }: OauthClientsOptions): OauthClients {
  /** The client as it is, kept from others until the transaction ends. */
  async function hold(tx: Queryable, id: string, { teamId, version }: OauthClientScope): Promise<OauthClient> {
    const sound = isUuid(id) && (teamId === undefined || isUuid(teamId));
    const client = sound ? await lockOauthClient(tx, id, { teamId }) : undefined;
    if (client === undefined) throw new AppError('not_found', 'There is no such OAuth2 client.');
    requireVersion(client, version);
    return client;
  }

  /** Locks the client within the scope, changes it, and records that, all or nothing. */
  function change<T>(
    id: string,
    scope: OauthClientScope,
    work: (tx: Queryable, client: OauthClient) => Promise<T>,
  ): Promise<T> {
    return db.transaction(async (tx) => work(tx, await hold(tx, id, scope)));
  }

  function log(tx: Queryable, verb: string, client: OauthClient, actor: Actor, details: object = {}) {
    return audit.record(tx, {
      action: `oauth_client.${verb}`,
      actor,
      teamId: client.teamId,
      target: { kind: 'oauth_client', id: client.id },
      details: { client_id: client.clientId, name: client.name, ...details },
    });
  }

  async function find(reference: string, { teamId }: TeamScope = {}): Promise<OauthClient | undefined> {
    if (teamId !== undefined && !isUuid(teamId)) return undefined;
    if (isUuid(reference)) return findOauthClient(db, 'id', reference, { teamId });
    return kindOfClientId(reference) === 'client' ? findOauthClient(db, 'client_id', reference, { teamId }) : undefined;
  }

  /** What the actor may give a client. Asked before the transaction, which should not wait for another connection. */
  async function grantableTo(id: string, scope: TeamScope, actor: Actor) {
    // The team of a client never changes.
    const client = await find(id, scope);
    return client === undefined ? () => false : grantable(authority, actor, client.teamId);
  }

  function setEnabled(
    id: string,
    enabled: boolean,
    scope: OauthClientScope,
    actor: Actor,
    check?: (client: OauthClient) => void,
  ): Promise<OauthClient> {
    return change(id, scope, async (tx, before) => {
      if (before.enabled === enabled) return before;
      check?.(before);
      const client = await updateOauthClientEnabled(tx, id, enabled, scope);
      await log(tx, enabled ? 'enabled' : 'disabled', client!, actor);
      return client!;
    });
  }

  return {
    async create(input, actor) {
      if (!isUuid(input.teamId)) throw noSuchTeam();
      const mayGive = await grantable(authority, actor, input.teamId);
      return db.transaction(async (tx) => {
        const settings = checkSettings(input, await holdRegisteredScopes(tx));
        requireGrantable(settings.allowedScopes, mayGive);
        const made = {
          ...settings,
          clientId: createClientId('svc_'),
          teamId: input.teamId,
          createdBy: creatorOf(actor),
        };
        const client = await insertOauthClient(tx, made).catch((error: unknown) => {
          throw isMissingReference(error) ? noSuchTeam(error) : error;
        });
        await log(tx, 'created', client, actor, { allowed_scopes: client.allowedScopes });
        if (!usesSecret(client.tokenEndpointAuthMethod)) return { client, secret: undefined };
        const { text } = await insertFirstSecret(tx, { kind: 'client', id: client.id });
        return { client, secret: text };
      });
    },
    find,
    async list(scope, page) {
      if (scope.teamId !== undefined && !isUuid(scope.teamId)) return [];
      return listOauthClients(db, scope, page);
    },
    async update(id, changes, scope, actor) {
      const mayGive = await grantableTo(id, scope, actor);
      return db.transaction(async (tx) => {
        // Before the client, as whoever changes resource servers does it.
        const otherScopes = await holdRegisteredScopes(tx);
        const before = await hold(tx, id, scope);
        const whole = { ...before, ...given(changes), ...changedAuthentication(before, changes) };
        const settings = checkSettings(whole, otherScopes);
        const added = settings.allowedScopes.filter((one) => !before.allowedScopes.includes(one));
        requireGrantable(isSameAuthentication(before, settings) ? added : settings.allowedScopes, mayGive);
        const changed = changedFields(before, settings);
        if (changed.length === 0) return before;
        const client = await updateOauthClient(tx, id, settings, scope);
        await log(tx, 'updated', client!, actor, { changed });
        if (!usesSecret(settings.tokenEndpointAuthMethod)) await endSecrets(tx, audit, client!, actor);
        return client!;
      });
    },
    async enable(id, scope, actor) {
      const mayGive = await grantableTo(id, scope, actor);
      return setEnabled(id, true, scope, actor, (client) => requireGrantable(client.allowedScopes, mayGive));
    },
    disable: (id, scope, actor) => setEnabled(id, false, scope, actor),
    delete: (id, scope, actor) =>
      db.transaction(async (tx) => {
        const known = await find(id, scope);
        // Before the client, as whoever changes resource servers does it. Its client_id never changes.
        if (known !== undefined) await forgetClients(tx, audit, { clientId: known.clientId }, actor);
        const before = await hold(tx, id, scope);
        await deleteOauthClient(tx, id, scope);
        await log(tx, 'deleted', before, actor);
        return before;
      }),
  };
}

/** @param otherScopes words that are scopes of registered resource servers */
function checkSettings(input: Omit<OauthClientInput, 'teamId'>, otherScopes: ReadonlySet<string>): OauthClientSettings {
  return {
    name: checkName('name', input.name),
    description: checkText('description', input.description, LONGEST_DESCRIPTION),
    allowedScopes: checkClientScopes(input.allowedScopes, otherScopes),
    ...checkClientAuthentication('confidential', input),
  };
}

function noSuchTeam(cause?: unknown): AppError {
  return new AppError('not_found', 'There is no such team.', { cause });
}
