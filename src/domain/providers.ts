/**
 * The registry of data providers. Which ones a team sees is its policy: the root team and an UNBOUND team see all, a
 * team bound to a set sees that set and what it made itself. Changing is narrower: a team its own, the root team all.
 */
import { AppError } from '../errors.ts';
import { isMissingReference } from '../storage/errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import * as storage from '../storage/providers.ts';
import { lockPolicies } from '../storage/teams.ts';
import type { Actor, Audit } from './audit.ts';
import { changedFields } from './changed-fields.ts';
import { given } from './given.ts';
import { checkName, checkText, isUuid } from './names.ts';
import { requireVersion } from './versions.ts';

export type Provider = storage.ProviderRecord;

/** The integers are those of the wire. */
export const PROVIDER_TYPES = { CUSTOM: 1 } as const;

/** The team whose providers are meant; every team's when left out, as for the root team. */
export interface ProviderScope {
  teamId?: string | undefined;
  /** What the caller that changes or deletes read before (see versions.ts). */
  version?: string | undefined;
}

export interface Providers {
  /** What the team sees. By default in the order they were made; fields: created_at, name, team_id. */
  list(scope: ProviderScope, page: Page): Promise<(Provider & { sortKey: string })[]>;
  /** What the team may change; as `list`. */
  listCustom(scope: ProviderScope, page: Page): Promise<(Provider & { sortKey: string })[]>;
  /** One the team may change. Another team's is undefined. */
  findCustom(id: string, scope: ProviderScope): Promise<Provider | undefined>;
  /** @throws AppError `invalid_argument`; `not_found` when there is no such team */
  createCustom(
    provider: { name: string; customTemplate?: string | undefined; teamId: string },
    actor: Actor,
  ): Promise<Provider>;
  /**
   * Changes what is given. What is so already makes no new version and leaves no trace.
   * @throws AppError `not_found` for one the team may not change, `precondition_failed`, `invalid_argument`
   */
  updateCustom(id: string, changes: storage.ProviderChanges, scope: ProviderScope, actor: Actor): Promise<Provider>;
  /** @throws AppError `not_found` for one the team may not change, `precondition_failed` */
  deleteCustom(id: string, scope: ProviderScope, actor: Actor): Promise<Provider>;
}

export function createProviders({ db, audit }: { db: Database; audit: Audit }): Providers {
  function log(tx: Queryable, verb: string, provider: Provider, actor: Actor, details = {}): Promise<void> {
    return audit.record(tx, {
      action: `provider.${verb}`,
      actor,
      teamId: provider.teamId,
      target: { kind: 'provider', id: provider.id },
      details: { name: provider.name, ...details },
    });
  }

  /** The provider as it is, kept from others until the transaction ends. */
  async function hold(tx: Queryable, id: string, scope: ProviderScope): Promise<Provider> {
    const provider = isUuid(id) && isSound(scope) ? await storage.lockProvider(tx, id, scope) : undefined;
    if (provider === undefined) throw new AppError('not_found', 'There is no such provider.');
    requireVersion(provider, scope.version);
    return provider;
  }

  return {
    list: async (scope, page) => (isSound(scope) ? storage.listProviders(db, scope, page) : []),
    listCustom: async (scope, page) => (isSound(scope) ? storage.listOwnProviders(db, scope, page) : []),
    findCustom: async (id, scope) => (isUuid(id) && isSound(scope) ? storage.findProvider(db, id, scope) : undefined),
    async createCustom({ name, customTemplate, teamId }, actor) {
      const checked = {
        name: checkName('name', name),
        customTemplate: checkText('custom_template', customTemplate),
        teamId,
      };
      if (!isUuid(teamId)) throw noSuchTeam();
      return db.transaction(async (tx) => {
        const provider = await storage.insertProvider(tx, checked).catch((error: unknown) => {
          throw isMissingReference(error) ? noSuchTeam(error) : error;
        });
        await log(tx, 'created', provider, actor);
        return provider;
      });
    },
    async updateCustom(id, { name, customTemplate }, scope, actor) {
      const changes = given({
        name: name === undefined ? undefined : checkName('name', name),
        customTemplate: customTemplate === undefined ? undefined : checkText('custom_template', customTemplate),
      });
      return db.transaction(async (tx) => {
        const before = await hold(tx, id, scope);
        const changed = changedFields<storage.ProviderChanges>(before, changes);
        if (changed.length === 0) return before;
        const provider = await storage.updateProvider(tx, id, changes);
        await log(tx, 'updated', provider, actor, { changed });
        return provider;
      });
    },
    deleteCustom: (id, scope, actor) =>
      db.transaction(async (tx) => {
        await lockPolicies(tx);
        const provider = await hold(tx, id, scope);
        await storage.deleteProvider(tx, id);
        await log(tx, 'deleted', provider, actor);
        return provider;
      }),
  };
}

/** A team that cannot exist must not count as none given. */
function isSound({ teamId }: ProviderScope): boolean {
  return teamId === undefined || isUuid(teamId);
}

function noSuchTeam(cause?: unknown): AppError {
  return new AppError('not_found', 'There is no such team.', { cause });
}
