/** OAuth2 Clients: services that act for themselves in one team. Nobody can give one more than they may do there. */
import { AppError } from '../errors.ts';
import { isMissingReference } from '../storage/errors.ts';
import {
  deleteOauthClient,
  findOauthClient,
  insertOauthClient,
  listOauthClients,
  lockOauthClient,
  type OauthClientRecord,
  type OauthClientScope,
  type OauthClientSettings,
  updateOauthClient,
  updateOauthClientEnabled,
} from '../storage/oauth-clients.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { checkClientScopes } from './allowed-scopes.ts';
import type { Actor, Audit } from './audit.ts';
import type { Authority } from './authority.ts';
import { checkClientAuthentication, usesSecret } from './client-authentication.ts';
import { createClientId, kindOfClientId } from './client-id.ts';
import { insertFirstSecret } from './client-secrets.ts';
import { creatorOf } from './creator.ts';
import { given } from './given.ts';
import { checkName, checkText, isUuid } from './names.ts';

const LONGEST_DESCRIPTION = 1_000;

export type OauthClient = OauthClientRecord;

export interface OauthClientInput {
  name: string;
  description?: string;
  teamId: string;
  /** Permissions; at least one. */
  allowedScopes: string[];
  /** Default client_secret_basic, or private_key_jwt with `jwks`. */
  tokenEndpointAuthMethod?: string;
  /** A JWK Set of public keys; with private_key_jwt. */
  jwks?: unknown;
}

export interface OauthClients {
  /**
   * Makes a client. `secret` is its first client secret, for the methods that use one, and is never available again.
   * @throws AppError `invalid_argument` naming the field; `failed_precondition` when there is no such team;
   *   `permission_denied` when the actor lacks one of the scopes in that team
   */
  create(input: OauthClientInput, actor: Actor): Promise<{ client: OauthClient; secret: string | undefined }>;
  /** By id or client_id. */
  find(reference: string, scope?: OauthClientScope): Promise<OauthClient | undefined>;
  /** In the order they were made (default the first 1,000). */
  list(
    scope: OauthClientScope,
    page?: { limit?: number; after?: { createdAt: Date; id: string } },
  ): Promise<OauthClient[]>;
  /**
   * Changes what is given; the team stays. This and the following throw AppError `not_found` for a client that is not
   * within the scope.
   */
  update(
    id: string,
    changes: Partial<Omit<OauthClientInput, 'teamId'>>,
    scope: OauthClientScope,
    actor: Actor,
  ): Promise<OauthClient>;
  /** Repeating it is harmless, here as for `disable`. */
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
  /** Locks the client within the scope, changes it, and records that, all or nothing. */
  function change<T>(
    id: string,
    { teamId }: OauthClientScope,
    work: (tx: Queryable, client: OauthClient) => Promise<T>,
  ): Promise<T> {
    return db.transaction(async (tx) => {
      const sound = isUuid(id) && (teamId === undefined || isUuid(teamId));
      const client = sound ? await lockOauthClient(tx, id, { teamId }) : undefined;
      if (client === undefined) throw new AppError('not_found', 'There is no such OAuth2 client.');
      return work(tx, client);
    });
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

  /** What the actor may hand out in a team: a client acts on its own rights, so whoever gives one must have it. */
  async function givable(actor: Actor, teamId: string): Promise<(scope: string) => boolean> {
    if (actor.kind === 'operator' || actor.kind === 'system') return () => true;
    const own = actor.kind === 'user' ? await authority.permissionsIn(actor.id, teamId) : undefined;
    return (scope) => own?.has(scope) ?? false;
  }

  async function find(reference: string, { teamId }: OauthClientScope = {}): Promise<OauthClient | undefined> {
    if (teamId !== undefined && !isUuid(teamId)) return undefined;
    if (isUuid(reference)) return findOauthClient(db, 'id', reference, { teamId });
    return kindOfClientId(reference) === 'client' ? findOauthClient(db, 'client_id', reference, { teamId }) : undefined;
  }

  function setEnabled(id: string, enabled: boolean, scope: OauthClientScope, actor: Actor): Promise<OauthClient> {
    return change(id, scope, async (tx, before) => {
      if (before.enabled === enabled) return before;
      const client = await updateOauthClientEnabled(tx, id, enabled, scope);
      await log(tx, enabled ? 'enabled' : 'disabled', client!, actor);
      return client!;
    });
  }

  return {
    async create(input, actor) {
      const settings = checkSettings(input);
      if (!isUuid(input.teamId)) throw noSuchTeam();
      refuseOthers(settings.allowedScopes, await givable(actor, input.teamId));
      return db.transaction(async (tx) => {
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
    async list(scope, { limit = 1_000, after } = {}) {
      if (scope.teamId !== undefined && !isUuid(scope.teamId)) return [];
      return listOauthClients(db, scope, { limit, after });
    },
    async update(id, changes, scope, actor) {
      // Asked before the transaction, which should not hold one connection while it waits for another.
      const found = await find(id, scope);
      const mayGive = await givable(actor, found?.teamId ?? '');
      return change(id, scope, async (tx, before) => {
        const { jwks, ...rest } = before;
        const method = changes.tokenEndpointAuthMethod ?? before.tokenEndpointAuthMethod;
        const keys = method === 'private_key_jwt' ? jwks : undefined;
        const settings = checkSettings({ ...rest, jwks: keys, ...given(changes) });
        const added = settings.allowedScopes.filter((one) => !before.allowedScopes.includes(one));
        refuseOthers(added, mayGive);
        const client = await updateOauthClient(tx, id, settings, scope);
        await log(tx, 'updated', client!, actor, { changed: Object.keys(given(changes)) });
        return client!;
      });
    },
    enable: (id, scope, actor) => setEnabled(id, true, scope, actor),
    disable: (id, scope, actor) => setEnabled(id, false, scope, actor),
    delete: (id, scope, actor) =>
      change(id, scope, async (tx, before) => {
        await deleteOauthClient(tx, id, scope);
        await log(tx, 'deleted', before, actor);
        return before;
      }),
  };
}

function refuseOthers(scopes: readonly string[], mayGive: (scope: string) => boolean): void {
  const lacking = scopes.filter((scope) => !mayGive(scope));
  if (lacking.length === 0) return;
  throw new AppError('permission_denied', `You cannot give what you may not do in this team: ${lacking.join(', ')}.`);
}

function checkSettings(input: Omit<OauthClientInput, 'teamId'>): OauthClientSettings {
  return {
    name: checkName('name', input.name),
    description: checkText('description', input.description, LONGEST_DESCRIPTION),
    allowedScopes: checkClientScopes(input.allowedScopes),
    ...checkClientAuthentication('confidential', input),
  };
}

function noSuchTeam(cause?: unknown): AppError {
  return new AppError('failed_precondition', 'There is no such team.', { cause });
}
