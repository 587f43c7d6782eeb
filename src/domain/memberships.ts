/** Which roles a user has in which team. */
import { AppError, invalidField } from '../errors.ts';
import { isMissingReference } from '../storage/errors.ts';
import * as storage from '../storage/memberships.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { findRoles, type RoleRecord } from '../storage/roles.ts';
import { findUser, lockUser, touchUser } from '../storage/users.ts';
import type { Actor, Audit } from './audit.ts';
import type { Authority } from './authority.ts';
import { grantable } from './authorization.ts';
import { isUuid } from './names.ts';
import { ROOT_TEAM_ID } from './permissions.ts';
import { keepRootAdmin } from './root-admins.ts';
import { requireVersion } from './versions.ts';

export type Membership = storage.MembershipRecord;

/** A user's roles in one team; `roles` are names or ids, at least one. */
export interface TeamRoles {
  teamId: string;
  roles: string[];
}

/** Whose roles, and the version of the user that was read before (see versions.ts). */
export interface MembershipScope {
  userId: string;
  version?: string | undefined;
}

/** Whether somebody may give a permission in a team. */
export type MayGive = (teamId: string, permission: string) => boolean;

export interface Memberships {
  /** The user's memberships by team name; none for a user who does not exist. */
  list(userId: string): Promise<Membership[]>;
  /**
   * Makes the user a member of the team with exactly these roles.
   * @throws AppError `not_found` for the user or team, `invalid_argument` for a role that does not exist or is not
   *   available in this kind of team, `permission_denied` for a role that may do what the actor may not,
   *   `failed_precondition` when it would demote the last root administrator, `precondition_failed`
   */
  setRoles(change: TeamRoles & MembershipScope, actor: Actor): Promise<void>;
  /**
   * Ends the membership; the user's personal keys and consents in that team end with it.
   * @throws AppError `not_found` without such a membership, `failed_precondition` for the last root administrator,
   *   `precondition_failed`
   */
  remove(membership: MembershipScope & { teamId: string }, actor: Actor): Promise<void>;
  /** As `setRoles`, inside the caller's transaction and without asking whether the actor may. */
  assign(tx: Queryable, change: TeamRoles & { userId: string }, actor: Actor): Promise<void>;
  /**
   * Gives the user these roles and no others, inside the caller's transaction, which has locked the user and keeps the
   * last root administrator. A team named twice gets the roles of both.
   * @param limits `teamId`: in that team alone, as if there were no other; `mayGive` is asked for roles that are new
   * @returns whether anything changed
   * @throws AppError as `setRoles`
   */
  replace(
    tx: Queryable,
    change: { userId: string; teamRoles: readonly TeamRoles[] },
    limits: { teamId?: string | undefined; mayGive: MayGive },
    actor: Actor,
  ): Promise<boolean>;
  /** What the actor may give in these teams. Ask before the transaction: it may need another connection. */
  mayGive(actor: Actor, teamIds: Iterable<string>): Promise<MayGive>;
}

export interface MembershipsOptions {
  db: Database;
  audit: Audit;
  authority: Pick<Authority, 'permissionsIn'>;
}

type Wanted = { team: storage.RoleTeam; roles: RoleRecord[] };

export function createMemberships({ db, audit, authority }: MembershipsOptions): Memberships {
  async function mayGive(actor: Actor, teamIds: Iterable<string>): Promise<MayGive> {
    const checks = new Map<string, (permission: string) => boolean>();
    for (const teamId of teamIds) checks.set(teamId, await grantable(authority, actor, teamId));
    return (teamId, permission) => checks.get(teamId)?.(permission) ?? false;
  }

  /** @returns how many there were */
  async function end(tx: Queryable, userId: string, teamIds: readonly string[], actor: Actor): Promise<number> {
    const ended = teamIds.length === 0 ? [] : await storage.deleteMemberships(tx, userId, teamIds);
    for (const teamId of ended) {
      await audit.record(tx, { action: 'membership.ended', actor, teamId, target: { kind: 'user', id: userId } });
    }
    return ended.length;
  }

  async function set(tx: Queryable, userId: string, { team, roles }: Wanted, actor: Actor): Promise<void> {
    await storage.insertMembership(tx, userId, team.id).catch(explainMissing);
    const ids = roles.map(({ id }) => id);
    await storage.replaceMembershipRoles(tx, userId, team.id, ids);
    await audit.record(tx, {
      action: 'membership.changed',
      actor,
      teamId: team.id,
      target: { kind: 'user', id: userId },
      details: { roles: roles.map(({ name }) => name) },
    });
  }

  const replace: Memberships['replace'] = async (tx, { userId, teamRoles }, { teamId, mayGive }, actor) => {
    const current = (await storage.listMemberships(tx, userId)).filter((one) => !teamId || one.teamId === teamId);
    const wanted = await resolve(tx, teamRoles, teamId);
    const gone = current.filter((one) => !wanted.some(({ team }) => team.id === one.teamId));
    const changed = wanted.filter(({ team, roles }) => {
      const held = current.find((one) => one.teamId === team.id)?.roles.map(({ id }) => id) ?? [];
      const added = roles.filter(({ id }) => !held.includes(id));
      for (const role of added) requireGivable(team, role, mayGive);
      return added.length > 0 || held.length !== roles.length;
    });
    const left = gone.map(({ teamId: one }) => one);
    await end(tx, userId, left, actor);
    for (const one of changed) await set(tx, userId, one, actor);
    return gone.length + changed.length > 0;
  };

  /** Locks the user. @returns whether there is one */
  async function hold(tx: Queryable, { userId, version }: MembershipScope): Promise<boolean> {
    if (!(await lockUser(tx, userId))) return false;
    if (version !== undefined) requireVersion((await findUser(tx, userId))!, version);
    return true;
  }

  async function assign(
    tx: Queryable,
    { teamId, roles, ...scope }: TeamRoles & MembershipScope,
    actor: Actor,
    mayGive: MayGive = () => true,
  ): Promise<void> {
    const { userId } = scope;
    const write = async () => {
      if (!(await hold(tx, scope))) throw noSuchUser();
      const changed = await replace(tx, { userId, teamRoles: [{ teamId, roles }] }, { teamId, mayGive }, actor);
      if (changed) await touchUser(tx, userId);
    };
    await (teamId === ROOT_TEAM_ID ? keepRootAdmin(tx, write) : write());
  }

  return {
    list: async (userId) => (isUuid(userId) ? storage.listMemberships(db, userId) : []),
    mayGive,
    replace,
    assign: (tx, change, actor) => assign(tx, change, actor),
    async setRoles(change, actor) {
      if (!isUuid(change.userId)) throw noSuchUser();
      const may = await mayGive(actor, [change.teamId]);
      await db.transaction((tx) => assign(tx, change, actor, may));
    },
    async remove({ teamId, ...scope }, actor) {
      const { userId } = scope;
      await db.transaction(async (tx) => {
        if (!isUuid(userId) || !isUuid(teamId)) throw noMembership();
        await keepRootAdmin(tx, async () => {
          await hold(tx, scope);
          if ((await end(tx, userId, [teamId], actor)) === 0) throw noMembership();
          await touchUser(tx, userId);
        });
      });
    },
  };
}

/** The teams and roles that are meant. Another team than `within` is not there. */
async function resolve(tx: Queryable, teamRoles: readonly TeamRoles[], within: string | undefined): Promise<Wanted[]> {
  if (teamRoles.length === 0) return [];
  const ids = [...new Set(teamRoles.map(({ teamId }) => teamId))];
  if (!ids.every((id) => isUuid(id) && (within === undefined || id === within))) throw noSuchTeam();
  const teams = await storage.findRoleTeams(tx, ids);
  if (teams.length < ids.length) throw noSuchTeam();
  const known = await findRoles(tx, [...new Set(teamRoles.flatMap(({ roles }) => roles))]);
  return teams.map((team) => {
    const words = teamRoles.filter(({ teamId }) => teamId === team.id).flatMap(({ roles }) => roles);
    if (words.length === 0) throw invalidField('team_roles', 'must have at least one role');
    return { team, roles: [...new Set(words.map((word) => roleOf(word, known)))] };
  });
}

function roleOf(word: string, known: readonly RoleRecord[]): RoleRecord {
  const role = known.find(({ id, name }) => id === word || name.toLowerCase() === word.toLowerCase());
  if (role === undefined) throw invalidField('team_roles', 'has a role that does not exist');
  return role;
}

function requireGivable(team: storage.RoleTeam, role: RoleRecord, mayGive: MayGive): void {
  if (!(team.isRoot ? role.isAvailableInRootTeam : role.isAvailableInNonRootTeam)) {
    throw invalidField('team_roles', `${role.name} cannot be given in ${team.isRoot ? 'the root team' : 'this team'}`);
  }
  const lacking = role.permissions.filter((permission) => !mayGive(team.id, permission));
  if (lacking.length > 0) {
    throw new AppError(
      'permission_denied',
      `Giving the role ${role.name} needs all that it permits. You, or your credential, lack ${lacking.join(', ')}.`,
    );
  }
}

function explainMissing(error: unknown): never {
  if (isMissingReference(error)) throw noSuchTeam(error);
  throw error;
}

function noSuchUser(): AppError {
  return new AppError('not_found', 'There is no such user.');
}

function noMembership(): AppError {
  return new AppError('not_found', 'The user is not a member of this team.');
}

function noSuchTeam(cause?: unknown): AppError {
  return new AppError('not_found', 'There is no such team.', { cause });
}
