/**
 * What a user may do at this moment. Everything that acts for a user (key, token, session) asks here on every use, so a
 * change of roles, a disabled user or an ended membership counts at once, on every instance.
 */
import { findUserAuthority, type UserAuthorityRecord } from '../storage/authority.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Queryable } from '../storage/pool.ts';
import { findTeam } from '../storage/teams.ts';
import { createCache } from './cache.ts';
import { isUuid } from './names.ts';
import { ROLE_IDS } from './permissions.ts';

/** A team a user is a member of. */
export interface TeamAuthority {
  id: string;
  name: string;
  isRoot: boolean;
  /** Ids of the roles the user has in this very team. */
  roleIds: readonly string[];
  /** What the user may do in this team: by roles here and by roles in the root team. */
  permissions: ReadonlySet<string>;
}

/** A user who exists, is enabled and has not expired. */
export interface UserAuthority {
  id: string;
  email: string;
  name: string;
  displayName: string;
  givenName: string;
  familyName: string;
  /** IANA name; null: what the browser says. */
  timeZone: string | null;
  enabled: true;
  expiresAt: Date | undefined;
  updatedAt: Date;
  /** The teams the user is a member of, by name. */
  teams: readonly TeamAuthority[];
  /** What the roles in the root team permit, in every team. */
  rootPermissions: ReadonlySet<string>;
  /** Whether the user has the role Admin in the root team. */
  isRootAdmin: boolean;
}

export interface Authority {
  /** The user, or undefined when there is none with that id, or the user is disabled or expired. */
  user(userId: string): Promise<UserAuthority | undefined>;
  /**
   * What the user may do in a team: the roles there and the roles in the root team together; empty for a team the user
   * has nothing to do with. Undefined when `user` is. Whether the team exists is not asked (see `teamExists`).
   */
  permissionsIn(userId: string, teamId: string): Promise<ReadonlySet<string> | undefined>;
  /** The teams the user is a member of, by name; none when `user` is undefined. */
  teamsOf(userId: string): Promise<readonly TeamAuthority[]>;
  /** Whether the user is a member of the team (roles in the root team do not make one a member). */
  isMember(userId: string, teamId: string): Promise<boolean>;
  teamExists(teamId: string): Promise<boolean>;
}

export function createAuthority({ db, notifications }: { db: Queryable; notifications: Notifications }): Authority {
  const users = createCache<UserAuthority>({
    notifications,
    keyedBy: ['users', 'memberships', 'membership_roles'],
    clearedBy: ['roles', 'teams'],
  });
  const teams = createCache<{ id: string }>({ notifications, keyedBy: ['teams'] });

  async function user(userId: string): Promise<UserAuthority | undefined> {
    if (!isUuid(userId)) return undefined;
    const found = await users.get(userId, async () => toAuthority(await findUserAuthority(db, userId)));
    // Asked at every use: time passes without anybody announcing it.
    return found?.expiresAt !== undefined && found.expiresAt.getTime() <= Date.now() ? undefined : found;
  }

  return {
    user,
    async permissionsIn(userId, teamId) {
      const found = await user(userId);
      return found?.teams.find((team) => team.id === teamId)?.permissions ?? found?.rootPermissions;
    },
    async teamsOf(userId) {
      return (await user(userId))?.teams ?? [];
    },
    async isMember(userId, teamId) {
      return (await user(userId))?.teams.some((team) => team.id === teamId) ?? false;
    },
    async teamExists(teamId) {
      return isUuid(teamId) && (await teams.get(teamId, () => findTeam(db, teamId))) !== undefined;
    },
  };
}

function toAuthority(record: UserAuthorityRecord | undefined): UserAuthority | undefined {
  if (!record?.enabled) return undefined;
  const root = record.teams.find((team) => team.isRoot);
  const rootPermissions = new Set(root?.permissions);
  return {
    ...record,
    enabled: true,
    expiresAt: record.expiresAt ?? undefined,
    teams: record.teams.map((team) => ({ ...team, permissions: new Set([...team.permissions, ...rootPermissions]) })),
    rootPermissions,
    isRootAdmin: root?.roleIds.includes(ROLE_IDS.Admin) ?? false,
  };
}
