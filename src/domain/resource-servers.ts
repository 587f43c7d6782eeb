/**
 * Resource servers: the APIs tokens are issued for (RFC 8707), each with scopes, a token lifetime and a signing algorithm of
 * its own. A scope word means one thing: it belongs to one of them, or to the server itself.
 */
import { AppError, invalidField } from '../errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import {
  deleteResourceServer,
  dropAllowedScopes,
  dropClients,
  dropGrantedResource,
  dropGrantedScopes,
  dropKeyScopes,
  findRegisteredResourceServers,
  findResourceServer,
  holdMissingClients,
  holdRegisteredResourceServers,
  insertResourceServer,
  listResourceServers,
  listScopeHolders,
  lockResourceServer,
  lockResourceServers,
  type ResourceServerRecord,
  type ResourceServerSettings,
  type ScopeHolderRecord,
  updateResourceServer,
  upsertBuiltInResourceServer,
} from '../storage/resource-servers.ts';
import type { Actor, Audit } from './audit.ts';
import { createCache } from './cache.ts';
import { changedFields } from './changed-fields.ts';
import { creatorOf } from './creator.ts';
import { given } from './given.ts';
import { isUuid } from './names.ts';
import { PERMISSIONS } from './permissions.ts';
import { checkIdentifier, checkSettings, type ResourceServerInput } from './resource-server-input.ts';
import type { SigningAlg } from './signing-keys.ts';
import { requireVersion } from './versions.ts';

export type ResourceServer = ResourceServerRecord;
/** An app, a client or an API key that was allowed scopes by name. */
export type ScopeHolder = ScopeHolderRecord;
export type { ResourceServerInput } from './resource-server-input.ts';

export interface ResourceServers {
  /** @throws AppError `invalid_argument` naming the field; `already_exists` for the identifier or a scope */
  create(input: ResourceServerInput, actor: Actor): Promise<ResourceServer>;
  find(id: string): Promise<ResourceServer | undefined>;
  /** One page; default order: as they were registered. Filters: name, identifier, which can be searched too. */
  list(page: Page): Promise<(ResourceServer & { sortKey: string })[]>;
  /**
   * Changes what is given; the identifier stays. A scope that is left out of `scopes` ends, also for the apps, clients and
   * personal keys that were allowed it.
   * @param scope.version the one the caller read; another one by now is `precondition_failed`
   * @throws AppError as `create`; `not_found`, `precondition_failed`; `failed_precondition` for the built-in one
   */
  update(
    id: string,
    changes: { [Field in keyof Omit<ResourceServerInput, 'identifier'>]?: ResourceServerInput[Field] | undefined },
    scope: { version?: string | undefined },
    actor: Actor,
  ): Promise<ResourceServer>;
  /**
   * Whose scopes end with these: the apps, clients and API keys that were allowed one of them by name, of each of the three
   * the first `limit`. Those of the built-in one are permissions, which nearly everything names: nobody is told then.
   */
  holdersOf(server: Pick<ResourceServer, 'isBuiltIn'>, words: readonly string[], limit: number): Promise<ScopeHolder[]>;
  /** Nothing is issued for it any more, and its scopes end. @throws AppError as `update` */
  delete(id: string, scope: { version?: string | undefined }, actor: Actor): Promise<ResourceServer>;
  /** Makes the server's own API one of the list, with permissions for scopes. Safe on many instances at once. */
  ensureBuiltIn(own: { identifier: string; ttl: number; alg: SigningAlg }): Promise<void>;
  /** A registered one by its identifier, from memory; never the built-in one. */
  findForProtocol(identifier: string): Promise<ResourceServer | undefined>;
  /** The registered one a scope belongs to, from memory. */
  findByScope(word: string): Promise<ResourceServer | undefined>;
  /** The registered ones that an OAuth2 client is, from memory. */
  listOfClient(clientId: string): Promise<readonly ResourceServer[]>;
}

export interface ResourceServersOptions {
  db: Database;
  audit: Audit;
  notifications: Notifications;
}

/**
 * The scope words of all registered resource servers, which stay what they are until the transaction ends. Call it before
 * other rows are locked: changes of resource servers lock these first.
 */
export async function holdRegisteredScopes(tx: Queryable): Promise<ReadonlySet<string>> {
  const servers = await holdRegisteredResourceServers(tx);
  return new Set(servers.flatMap(wordsOf));
}

/** The same at this moment. */
export async function findRegisteredScopes(db: Queryable): Promise<ReadonlySet<string>> {
  return new Set((await findRegisteredResourceServers(db)).flatMap(wordsOf));
}

/**
 * Takes clients that are about to be deleted out of the resource servers they are: one, or all of a team. Call it before
 * other rows are locked: changes of resource servers lock these first.
 */
export async function forgetClients(
  tx: Queryable,
  audit: Pick<Audit, 'record'>,
  gone: { clientId: string } | { teamId: string },
  actor: Actor,
): Promise<void> {
  for (const server of await dropClients(tx, gone)) {
    await audit.record(tx, eventOf('updated', server, actor, { changed: ['client_ids'] }));
  }
}

export function createResourceServers({ db, audit, notifications }: ResourceServersOptions): ResourceServers {
  // They are few, and all of them are known: an unknown identifier costs no query.
  const cache = createCache<Registered>({ notifications, clearedBy: ['resource_servers'] });

  async function registered(): Promise<Registered> {
    const found = await cache.get('all', async () => index(await findRegisteredResourceServers(db)));
    return found!;
  }

  /** Locks all of them, and one by id; changes it and records that, all or nothing. */
  function change<T>(
    id: string,
    { version }: { version?: string | undefined },
    work: (tx: Queryable, before: ResourceServer) => Promise<T>,
  ): Promise<T> {
    return db.transaction(async (tx) => {
      await lockResourceServers(tx);
      const before = isUuid(id) ? await lockResourceServer(tx, id) : undefined;
      if (before === undefined) throw new AppError('not_found', 'There is no such resource server.');
      requireVersion(before, version);
      if (before.isBuiltIn) {
        throw new AppError('failed_precondition', "The server's own API cannot be changed or deleted.");
      }
      return work(tx, before);
    });
  }

  function log(tx: Queryable, verb: string, server: ResourceServer, actor: Actor, details: object = {}) {
    return audit.record(tx, eventOf(verb, server, actor, details));
  }

  /** Scopes that ended are taken from whoever was allowed them. */
  async function drop(tx: Queryable, words: readonly string[], actor: Actor): Promise<void> {
    if (words.length === 0) return;
    for (const [owners, kind] of [
      ['oauth_apps', 'oauth_app'],
      ['oauth_clients', 'oauth_client'],
    ] as const) {
      for (const { id, clientId, name, teamId } of await dropAllowedScopes(tx, owners, words)) {
        await audit.record(tx, {
          action: `${kind}.updated`,
          actor,
          teamId: teamId ?? undefined,
          target: { kind, id },
          details: { client_id: clientId, name, changed: ['allowed_scopes'], ended_scopes: words },
        });
      }
    }
    for (const { id, name, teamId } of await dropKeyScopes(tx, words)) {
      const target = { kind: 'api_key', id };
      await audit.record(tx, {
        action: 'api_key.updated',
        actor,
        teamId,
        target,
        details: { name, ended_scopes: words },
      });
    }
  }

  return {
    async create({ identifier, ...input }, actor) {
      const made = { ...checkSettings(input), identifier: checkIdentifier(identifier) };
      return db.transaction(async (tx) => {
        await lockResourceServers(tx);
        await requireUnused(tx, made);
        await requireClients(tx, made.clientIds);
        const server = await insertResourceServer(tx, { ...made, createdBy: creatorOf(actor) });
        await log(tx, 'created', server, actor, describe(server));
        return server;
      });
    },
    find: async (id) => (isUuid(id) ? findResourceServer(db, id) : undefined),
    list: (page) => listResourceServers(db, page),
    update: (id, changes, scope, actor) =>
      change(id, scope, async (tx, before) => {
        const settings = checkSettings({ ...before, ...given(changes) });
        const changed = changedFields(before, settings);
        if (changed.length === 0) return before;
        await requireUnused(tx, settings, id);
        await requireClients(tx, settings.clientIds, before.clientIds);
        const kept = new Set(settings.scopes.map(({ name }) => name));
        const server = await updateResourceServer(tx, id, settings);
        const ended = wordsOf(before).filter((word) => !kept.has(word));
        await drop(tx, ended, actor);
        if (ended.length > 0) await dropGrantedScopes(tx, before.identifier, ended);
        await log(tx, 'updated', server!, actor, { changed, ended_scopes: ended });
        return server!;
      }),
    delete: (id, scope, actor) =>
      change(id, scope, async (tx, before) => {
        await deleteResourceServer(tx, id);
        await drop(tx, wordsOf(before), actor);
        await dropGrantedResource(tx, before.identifier);
        await log(tx, 'deleted', before, actor, { ended_scopes: wordsOf(before) });
        return before;
      }),
    async holdersOf({ isBuiltIn }, words, limit) {
      return isBuiltIn || words.length === 0 ? [] : listScopeHolders(db, words, limit);
    },
    async ensureBuiltIn({ identifier, ttl, alg }) {
      const scopes = Object.entries(PERMISSIONS).map(([name, description]) => ({ name, description }));
      const own = { name: 'Latchkey API', scopes, accessTokenTtlSeconds: ttl, signingAlg: alg, identifier };
      // Registered by somebody before the server came to be reached there: the protocol knows its own API all the same.
      await upsertBuiltInResourceServer(db, own).catch((error: unknown) => {
        if (!(error instanceof AppError) || error.kind !== 'already_exists') throw error;
      });
    },
    findForProtocol: async (identifier) => (await registered()).byIdentifier.get(identifier),
    findByScope: async (word) => (await registered()).byScope.get(word),
    listOfClient: async (clientId) => (await registered()).byClient.get(clientId) ?? [],
  };
}

interface Registered {
  byIdentifier: ReadonlyMap<string, ResourceServer>;
  byScope: ReadonlyMap<string, ResourceServer>;
  byClient: ReadonlyMap<string, readonly ResourceServer[]>;
}

function index(servers: readonly ResourceServer[]): Registered {
  return {
    byIdentifier: new Map(servers.map((server) => [server.identifier, server])),
    byScope: new Map(servers.flatMap((server) => wordsOf(server).map((word) => [word, server] as const))),
    byClient: new Map(
      servers
        .flatMap(({ clientIds }) => clientIds)
        .map((clientId) => [clientId, servers.filter(({ clientIds }) => clientIds.includes(clientId))]),
    ),
  };
}

async function requireUnused(tx: Queryable, { scopes }: ResourceServerSettings, id?: string): Promise<void> {
  const others = (await findRegisteredResourceServers(tx)).filter((server) => server.id !== id);
  const { byScope } = index(others);
  const taken = scopes.find(({ name }) => byScope.has(name));
  if (taken === undefined) return;
  const owner = byScope.get(taken.name)!.identifier;
  const description = `${taken.name} is a scope of ${owner} already; a scope means one thing`;
  throw new AppError('already_exists', `scopes: ${description}`, { fields: [{ field: 'scopes', description }] });
}

async function requireClients(
  tx: Queryable,
  clientIds: readonly string[],
  before: readonly string[] = [],
): Promise<void> {
  const added = clientIds.filter((one) => !before.includes(one));
  const [missing] = added.length === 0 ? [] : await holdMissingClients(tx, added);
  if (missing === undefined) return;
  throw invalidField(`client_ids.${clientIds.indexOf(missing)}`, 'there is no such OAuth2 client');
}

function eventOf(verb: string, server: ResourceServer, actor: Actor, details: object) {
  return {
    action: `resource_server.${verb}`,
    actor,
    target: { kind: 'resource_server', id: server.id },
    details: { identifier: server.identifier, name: server.name, ...details },
  };
}

function wordsOf({ scopes }: ResourceServer): string[] {
  return scopes.map(({ name }) => name);
}

function describe(server: ResourceServer): object {
  return {
    scopes: wordsOf(server),
    access_token_ttl_seconds: server.accessTokenTtlSeconds,
    signing_alg: server.signingAlg,
    accepts_api_keys: server.acceptsApiKeys,
    client_ids: server.clientIds,
  };
}
