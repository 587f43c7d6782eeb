/** Teams: what credentials, providers and memberships belong to. */
import { AppError } from '../errors.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import * as storage from '../storage/teams.ts';
import type { Actor, Audit } from './audit.ts';
import { checkName, checkText, isUuid } from './names.ts';

export type Team = storage.TeamRecord;

/** `name` 1 to 255 characters, `description` at most 1,000. */
export interface TeamInput {
  name: string;
  description?: string | undefined;
}

export interface Teams {
  /** @throws AppError `invalid_argument`, or `already_exists` when another team has the name (case does not count) */
  create(input: TeamInput, actor: Actor): Promise<Team>;
  /** As `create`, inside the caller's transaction. */
  add(tx: Queryable, input: TeamInput, actor: Actor): Promise<Team>;
  find(id: string): Promise<Team | undefined>;
  findByName(name: string): Promise<Team | undefined>;
  /** The team a person means by an id or a name. @throws AppError `not_found` */
  resolve(word: string): Promise<Team>;
  /** By name, `limit` (default 50, at most 1,000) at a time, after the team `after`. */
  list(page?: { limit?: number; after?: { name: string; id: string } | undefined }): Promise<Team[]>;
  /** Changes what is given. @throws AppError `not_found`, `invalid_argument`, `already_exists` */
  update(id: string, changes: Partial<TeamInput>, actor: Actor): Promise<Team>;
  /**
   * Deletes the team with its memberships, keys, clients and consents.
   * @throws AppError `not_found`, or `failed_precondition` for the root team
   */
  delete(id: string, actor: Actor): Promise<void>;
}

const LONGEST_DESCRIPTION = 1_000;

export function createTeams({ db, audit }: { db: Database; audit: Audit }): Teams {
  const find = async (id: string) => (isUuid(id) ? storage.findTeam(db, id) : undefined);

  async function findByName(name: string): Promise<Team | undefined> {
    // A word the database cannot take is nobody's name.
    return storable(name) ? storage.findTeamByName(db, name.normalize('NFC').trim()) : undefined;
  }

  async function add(tx: Queryable, { name, description }: TeamInput, actor: Actor): Promise<Team> {
    const team = await storage.insertTeam(tx, {
      name: checkName('name', name),
      description: checkText('description', description, LONGEST_DESCRIPTION),
    });
    await record(tx, 'team.created', team, actor);
    return team;
  }

  function record(tx: Queryable, action: string, team: Team, actor: Actor): Promise<void> {
    const target = { kind: 'team', id: team.id };
    return audit.record(tx, { action, actor, teamId: team.id, target, details: { name: team.name } });
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
    list: ({ limit = 50, after } = {}) => storage.listTeams(db, { limit: Math.min(limit, 1_000), after }),
    async update(id, { name, description }, actor) {
      const changes = {
        ...(name !== undefined && { name: checkName('name', name) }),
        ...(description !== undefined && { description: checkText('description', description, LONGEST_DESCRIPTION) }),
      };
      if (!isUuid(id)) throw noSuchTeam();
      return db.transaction(async (tx) => {
        const team = await storage.updateTeam(tx, id, changes);
        if (team === undefined) throw noSuchTeam();
        await record(tx, 'team.updated', team, actor);
        return team;
      });
    },
    async delete(id, actor) {
      const team = await find(id);
      if (team === undefined) throw noSuchTeam();
      if (team.isRoot) throw new AppError('failed_precondition', 'The root team cannot be deleted.');
      await db.transaction(async (tx) => {
        if (!(await storage.deleteTeam(tx, id))) throw noSuchTeam();
        await record(tx, 'team.deleted', team, actor);
      });
    },
  };
}

function storable(word: unknown): word is string {
  return typeof word === 'string' && word.length <= 1_000 && word.isWellFormed() && !word.includes('\0');
}

function noSuchTeam(): AppError {
  return new AppError('not_found', 'There is no such team.');
}
