/** What a caller may do with a user: asked before, so that nobody is shown a button that will not work. */
import { countRootHolders, type RootHolders } from '../storage/memberships.ts';
import type { Queryable } from '../storage/pool.ts';
import { findRolePermissions } from '../storage/roles.ts';
import type { UserRecord } from '../storage/users.ts';
import { actsInRoot, type Caller } from './authorization.ts';
import type { MayGive, Memberships } from './memberships.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from './permissions.ts';

export interface UserOptions {
  canChangePassword: boolean;
  /** Always false: there is no second factor yet. */
  hasMfa: boolean;
  canChangeRoles: boolean;
  canDisable: boolean;
  canDelete: boolean;
  canEditName: boolean;
  /** Whether there is an expiry that the caller may put off. */
  canExtendSupport: boolean;
  canRemoveFromTeams: boolean;
}

/** Whether somebody may give all that a user may do: only then the user's account is theirs to open or to revive. */
export function mayGiveAllOf(
  { teamRoles }: Pick<UserRecord, 'teamRoles'>,
  permissions: ReadonlyMap<string, readonly string[]>,
  mayGive: MayGive,
): boolean {
  return teamRoles.every(
    ({ teamId, roleId }) => permissions.get(roleId)?.every((permission) => mayGive(teamId, permission)) ?? false,
  );
}

/** @returns the options of each user, in order */
export function createUserOptions({ db, memberships }: { db: Queryable; memberships: Pick<Memberships, 'mayGive'> }) {
  return async (users: readonly UserRecord[], caller: Caller): Promise<UserOptions[]> => {
    const changesRoles = caller.permissions.has('users:write');
    // Everything but roles in the own team is for the root team.
    const changesAll = changesRoles && actsInRoot(caller);
    const mayGive = await memberships.mayGive(caller.actor, new Set(users.flatMap(teamsOf)));
    const permissions = await findRolePermissions(db);
    const admins = await countRootHolders(db, ROLE_IDS.Admin);
    return users.map((user) => {
      const isLast = isRootAdmin(user) && isLastOf(admins, user);
      const opens = changesAll && mayGiveAllOf(user, permissions, mayGive);
      return {
        canChangePassword: opens,
        hasMfa: false,
        canChangeRoles: changesRoles,
        canDisable: changesAll && !isLast,
        canDelete: changesAll && !isLast,
        canEditName: changesAll,
        canExtendSupport: opens && user.expiresAt !== null,
        canRemoveFromTeams: changesRoles && teamsOf(user).some((teamId) => !(isLast && teamId === ROOT_TEAM_ID)),
      };
    });
  };
}

/** @param user one of them */
function isLastOf({ live, lasting, loggingIn }: RootHolders, { expiresAt, hasPassword }: UserRecord): boolean {
  return live === 1 || (expiresAt === null && (lasting === 1 || (hasPassword && loggingIn === 1)));
}

function teamsOf({ teamRoles }: UserRecord): string[] {
  return teamRoles.map(({ teamId }) => teamId);
}

/** Among those who count as one: enabled and unexpired. */
function isRootAdmin({ enabled, expiresAt, teamRoles }: UserRecord): boolean {
  const isLive = enabled && (expiresAt === null || expiresAt.getTime() > Date.now());
  return isLive && teamRoles.some(({ teamId, roleId }) => teamId === ROOT_TEAM_ID && roleId === ROLE_IDS.Admin);
}
