/** Teams: what credentials, providers and memberships belong to. */
import { AppError } from '../errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import * as storage from '../storage/teams.ts';
import type { Actor, Audit } from './audit.ts';
import { isUuid } from './names.ts';
import { forgetClients } from './resource-servers.ts';
import {
  changesOf,
  checkChanges,
  checkNewTeam,
  lockNamedProviders,
  requireOwn,
  requireUnbound,
  type TeamInput,
} from './team-settings.ts';
import { requireVersion } from './versions.ts';

export { type NamedProvider, POLICY_TYPES, type TeamInput } from './team-settings.ts';

export type Team = storage.TeamRecord;
export type TeamContents = storage.TeamContents;

/** The team that may be touched; any when left out, as for the root team and the command line. */
export interface TeamScope {
  teamId?: string | undefined;
  /** What the caller that changes or deletes read before (see versions.ts). */
  version?: string | undefined;
}

// More than this says no more to anybody.
const MOST_COUNTED = 1_000;

export interface Teams {
  /**
   * @throws AppError `invalid_argument`, `already_exists` when another team has the name (case does not count),
   *   `not_found` for a provider that does not exist
   */
  create(input: TeamInput, actor: Actor): Promise<Team>;
  /** As `create`, inside the caller's transaction. */
  add(tx: Queryable, input: TeamInput, actor: Actor): Promise<Team>;
  find(id: string, scope?: TeamScope): Promise<Team | undefined>;
  findByName(name: string): Promise<Team | undefined>;
  /** The team a person means by an id or a name. @throws AppError `not_found` */
  resolve(word: string): Promise<Team>;
  /**
   * By default 50, in the order they were made; fields: created_at, name (case does not count), policy_type, sso_alias.
   */
  list(scope?: TeamScope, page?: Partial<Page>): Promise<(Team & { sortKey: string })[]>;
  /**
   * Changes what is given. Within a scope only name and description; the rest may be given as it is.
   * @throws AppError `not_found` for the team or a provider, `invalid_argument`, `already_exists`, `permission_denied`,
   *   `precondition_failed`, `failed_precondition` for the root team when it would see less
   */
  update(id: string, changes: Partial<TeamInput>, actor: Actor, scope?: TeamScope): Promise<Team>;
  /**
   * What ends with the team. Of each kind 1,000 are counted at most: 1,000 may be more.
   * @throws AppError `not_found`
   */
  contentsOf(id: string, scope?: TeamScope): Promise<TeamContents>;
  /**
   * Deletes the team with its memberships, keys, clients, consents and providers; nothing of it works afterwards.
   * @throws AppError `not_found`, `precondition_failed`, or `failed_precondition` for the root team
   */
  delete(id: string, actor: Actor, scope?: TeamScope): Promise<void>;
}

export function createTeams({ db, audit }: { db: Database; audit: Audit }): Teams {
  async function find(id: string, scope: TeamScope = {}): Promise<Team | undefined> {
    return isUuid(id) && isSound(scope) ? storage.findTeam(db, id, scope) : undefined;
  }

  async function findByName(name: string): Promise<Team | undefined> {
    // A word the database cannot take is nobody's name.
    return storable(name) ? storage.findTeamByName(db, name.normalize('NFC').trim()) : undefined;
  }

  async function add(tx: Queryable, input: TeamInput, actor: Actor): Promise<Team> {
    const checked = checkNewTeam(input);
    const named = input.providers ?? [];
    if (named.length > 0) await storage.lockPolicies(tx);
    const providers = await lockNamedProviders(tx, named, {});
    const id = await storage.insertTeam(tx, checked);
    if (providers.length > 0) await storage.replaceTeamProviders(tx, id, providers);
    const team = (await storage.findTeam(tx, id))!;
    await record(tx, 'team.created', team, actor);
    return team;
  }

  /** The team as it is, kept from others until the transaction ends. */
  async function hold(tx: Queryable, id: string, scope: TeamScope): Promise<Team> {
    const team = isUuid(id) && isSound(scope) ? await storage.lockTeam(tx, id, scope) : undefined;
    if (team === undefined) throw noSuchTeam();
    requireVersion(team, scope.version);
    return team;
  }

  function record(tx: Queryable, action: string, team: Team, actor: Actor, details = {}): Promise<void> {
    const target = { kind: 'team', id: team.id };
    return audit.record(tx, { action, actor, teamId: team.id, target, details: { name: team.name, ...details } });
  }

  return {
    add,
    create: (input, actor) => db.transaction((tx) => add(tx, input, actor)),
    find,
    findByName,
    async resolve(word) {
      const team = (await find(word)) ?? (await findByName(word));
      if (team === undefined) throw noSuchTeam();
      return team;
    },
    list: async (scope = {}, page = {}) => (isSound(scope) ? storage.listTeams(db, scope, { limit: 50, ...page }) : []),
    async update(id, input, actor, scope = {}) {
      const changes = checkChanges(input);
      return db.transaction(async (tx) => {
        if (input.providers !== undefined) await storage.lockPolicies(tx);
        const before = await hold(tx, id, scope);
        const providers = input.providers && (await lockNamedProviders(tx, input.providers, scope));
        const changed = changesOf(before, { ...changes, ...(providers && { providers }) });
        if (scope.teamId !== undefined) requireOwn(changed);
        if (before.isRoot) requireUnbound(changes);
        if (changed.length === 0) return before;
        if (providers !== undefined) await storage.replaceTeamProviders(tx, id, providers);
        await storage.updateTeam(tx, id, changes);
        const team = (await storage.findTeam(tx, id))!;
        await record(tx, 'team.updated', team, actor, { changed });
        return team;
      });
    },
    async contentsOf(id, scope) {
      const team = await find(id, scope);
      if (team === undefined) throw noSuchTeam();
      return storage.countTeamContents(db, team.id, MOST_COUNTED);
    },
    delete: (id, actor, scope = {}) =>
      db.transaction(async (tx) => {
        // Before all others, as whoever changes resource servers does it. A team that is not deleted after all keeps them.
        if (isUuid(id)) await forgetClients(tx, audit, { teamId: id }, actor);
        await storage.lockPolicies(tx);
        // The members' rights end in it too; whoever changes those holds this one.
        await storage.lockRootTeam(tx);
        const team = await hold(tx, id, scope);
        if (team.isRoot) throw new AppError('failed_precondition', 'The root team cannot be deleted.');
        await storage.deleteTeam(tx, id);
        await record(tx, 'team.deleted', team, actor);
      }),
  };
}

function storable(word: unknown): word is string {
  return typeof word === 'string' && word.length <= 1_000 && word.isWellFormed() && !word.includes('\0');
}

/** A team that cannot exist must not count as none given. */
function isSound({ teamId }: TeamScope): boolean {
  return teamId === undefined || isUuid(teamId);
}

function noSuchTeam(): AppError {
  return new AppError('not_found', 'There is no such team.');
}
