/**
 * The registry of data providers. Which ones a team sees is its policy: the root team and an UNBOUND team see all, a
 * team bound to a set sees that set and what it made itself. Changing is narrower: a team its own, the root team all.
 */
import { AppError } from '../errors.ts';
import { isMissingReference } from '../storage/errors.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import {
  deleteOwnProvider,
  findOwnProvider,
  insertProvider,
  listOwnProviders,
  listProviders,
  type ProviderPage,
  type ProviderRecord,
  updateOwnProvider,
} from '../storage/providers.ts';
import type { Actor, Audit } from './audit.ts';
import { checkName, checkText, isUuid } from './names.ts';

export type Provider = ProviderRecord;

export interface Providers {
  /** What the team sees, in the order it was made. */
  list(teamId: string, page: ProviderPage): Promise<Provider[]>;
  /** What the team may change, in the order it was made. */
  listCustom(teamId: string, page: ProviderPage): Promise<Provider[]>;
  /** One the team may change. Another team's is undefined. */
  findCustom(id: string, teamId: string): Promise<Provider | undefined>;
  /** @throws AppError `invalid_argument`; `failed_precondition` when there is no such team */
  createCustom(provider: { name: string; customTemplate?: string; teamId: string }, actor: Actor): Promise<Provider>;
  /** Changes what is given. This and `deleteCustom` throw AppError `not_found` for one the team may not change. */
  updateCustom(
    id: string,
    teamId: string,
    changes: { name?: string; customTemplate?: string },
    actor: Actor,
  ): Promise<Provider>;
  deleteCustom(id: string, teamId: string, actor: Actor): Promise<Provider>;
}

export function createProviders({ db, audit }: { db: Database; audit: Audit }): Providers {
  function log(tx: Queryable, verb: string, provider: Provider, actor: Actor): Promise<void> {
    return audit.record(tx, {
      action: `provider.${verb}`,
      actor,
      teamId: provider.teamId,
      target: { kind: 'provider', id: provider.id },
      details: { name: provider.name },
    });
  }

  return {
    list: async (teamId, page) => (isUuid(teamId) ? listProviders(db, teamId, page) : []),
    listCustom: async (teamId, page) => (isUuid(teamId) ? listOwnProviders(db, teamId, page) : []),
    findCustom: async (id, teamId) => (isUuid(id) && isUuid(teamId) ? findOwnProvider(db, id, teamId) : undefined),
    async createCustom({ name, customTemplate, teamId }, actor) {
      const checked = {
        name: checkName('name', name),
        customTemplate: checkText('custom_template', customTemplate),
        teamId,
      };
      if (!isUuid(teamId)) throw noSuchTeam();
      return db.transaction(async (tx) => {
        const provider = await insertProvider(tx, checked).catch((error: unknown) => {
          throw isMissingReference(error) ? noSuchTeam(error) : error;
        });
        await log(tx, 'created', provider, actor);
        return provider;
      });
    },
    async updateCustom(id, teamId, { name, customTemplate }, actor) {
      const changes = {
        name: name === undefined ? undefined : checkName('name', name),
        customTemplate: customTemplate === undefined ? undefined : checkText('custom_template', customTemplate),
      };
      if (!isUuid(id) || !isUuid(teamId)) throw noSuchProvider();
      return db.transaction(async (tx) => {
        const provider = await updateOwnProvider(tx, id, teamId, changes);
        if (provider === undefined) throw noSuchProvider();
        await log(tx, 'updated', provider, actor);
        return provider;
      });
    },
    async deleteCustom(id, teamId, actor) {
      if (!isUuid(id) || !isUuid(teamId)) throw noSuchProvider();
      return db.transaction(async (tx) => {
        const provider = await deleteOwnProvider(tx, id, teamId);
        if (provider === undefined) throw noSuchProvider();
        await log(tx, 'deleted', provider, actor);
        return provider;
      });
    },
  };
}

function noSuchProvider(): AppError {
  return new AppError('not_found', 'There is no such provider.');
}

function noSuchTeam(cause?: unknown): AppError {
  return new AppError('failed_precondition', 'There is no such team.', { cause });
}
