/** Which roles a user has in which team. */
import { AppError, invalidField } from '../errors.ts';
import { isMissingReference } from '../storage/errors.ts';
import * as storage from '../storage/memberships.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { findRoles, type RoleRecord } from '../storage/roles.ts';
import { findTeam, type TeamRecord } from '../storage/teams.ts';
import type { Actor, Audit } from './audit.ts';
import { isUuid } from './names.ts';
import { keepRootAdmin } from './root-admins.ts';

export type Membership = storage.MembershipRecord;

/** A user's roles in one team; `roles` are names or ids, at least one. */
export interface TeamRoles {
  teamId: string;
  roles: string[];
}

export interface Memberships {
  /** The user's memberships by team name; none for a user who does not exist. */
  list(userId: string): Promise<Membership[]>;
  /**
   * Makes the user a member of the team with exactly these roles.
   * @throws AppError `not_found` for the user or team, `invalid_argument` for a role that does not exist or is not
   *   available in this kind of team, `failed_precondition` when it would demote the last root administrator
   */
  setRoles(change: TeamRoles & { userId: string }, actor: Actor): Promise<void>;
  /**
   * Ends the membership; the user's personal keys and consents in that team end with it.
   * @throws AppError `not_found` without such a membership, `failed_precondition` for the last root administrator
   */
  remove(membership: { userId: string; teamId: string }, actor: Actor): Promise<void>;
  /** As `setRoles`, inside the caller's transaction. */
  assign(tx: Queryable, change: TeamRoles & { userId: string }, actor: Actor): Promise<void>;
}

export function createMemberships({ db, audit }: { db: Database; audit: Audit }): Memberships {
  async function assign(tx: Queryable, { userId, teamId, roles }: TeamRoles & { userId: string }, actor: Actor) {
    const team = isUuid(teamId) ? await findTeam(tx, teamId) : undefined;
    if (team === undefined) throw new AppError('not_found', 'There is no such team.');
    const found = await resolveRoles(tx, team, roles);
    const write = async () => {
      await storage.insertMembership(tx, userId, teamId).catch(explainMissing);
      await storage.replaceMembershipRoles(
        tx,
        userId,
        teamId,
        found.map((role) => role.id),
      );
    };
    await (team.isRoot ? keepRootAdmin(tx, write) : write());
    await audit.record(tx, {
      action: 'membership.changed',
      actor,
      teamId,
      target: { kind: 'user', id: userId },
      details: { roles: found.map((role) => role.name) },
    });
  }

  return {
    list: async (userId) => (isUuid(userId) ? storage.listMemberships(db, userId) : []),
    assign,
    async setRoles(change, actor) {
      if (!isUuid(change.userId)) throw new AppError('not_found', 'There is no such user.');
      await db.transaction((tx) => assign(tx, change, actor));
    },
    async remove({ userId, teamId }, actor) {
      await db.transaction(async (tx) => {
        const known = isUuid(userId) && isUuid(teamId);
        const ended = known && (await keepRootAdmin(tx, () => storage.deleteMembership(tx, userId, teamId)));
        if (!ended) throw new AppError('not_found', 'The user is not a member of this team.');
        await audit.record(tx, { action: 'membership.ended', actor, teamId, target: { kind: 'user', id: userId } });
      });
    },
  };
}

async function resolveRoles(tx: Queryable, team: TeamRecord, words: string[]): Promise<RoleRecord[]> {
  if (words.length === 0) throw invalidField('roles', 'must have at least one role');
  const found = await findRoles(tx, words);
  for (const word of words) {
    const role = found.find(({ id, name }) => id === word || name.toLowerCase() === word.toLowerCase());
    if (role === undefined) throw invalidField('roles', 'has a role that does not exist');
    if (!(team.isRoot ? role.isAvailableInRootTeam : role.isAvailableInNonRootTeam)) {
      throw invalidField('roles', `${role.name} cannot be given in ${team.isRoot ? 'the root team' : 'this team'}`);
    }
  }
  return found;
}

function explainMissing(error: unknown): never {
  if (isMissingReference(error)) throw new AppError('not_found', 'There is no such user.', { cause: error });
  throw error;
}
