/**
 * People who leave: what stops when a user is disabled or deleted, or a membership ends, told before it does. What a
 * script does with a person's key can be handed over first (hand-overs.ts).
 */
import { AppError } from '../errors.ts';
import { type ConnectedAppRecord, listConnectedApps } from '../storage/grants.ts';
import * as storage from '../storage/leavers.ts';
import { findUser } from '../storage/users.ts';
import { actsInRoot, type Caller, teamReach } from './authorization.ts';
import { createHandOvers, type HandOvers, type HandOversOptions } from './hand-overs.ts';
import type { LastUsed } from './last-used.ts';
import { isUuid } from './names.ts';
import { ROOT_TEAM_ID } from './permissions.ts';
import type { Sessions } from './sessions.ts';
import type { User } from './users.ts';

/** Of each kind at most this many are listed. */
export const MOST_LISTED = 50;
/** What was made by the leaver and goes on: as many as somebody can look after in one go. */
export const MOST_MADE_LISTED = 20;
/** A key used since then most likely does something that somebody will miss. In days. */
export const RECENT_DAYS = 30;

export interface LeavingKey extends storage.LeaverKeyRecord {
  /** Used in the last `RECENT_DAYS` days. */
  isRecent: boolean;
  /** What took its place so far, the first first. */
  successors: storage.SuccessorRecord[];
}

/** What stops. A user who is disabled loses the use of the keys until enabled again; all else ends for good. */
export interface LeaverPreview {
  user: User;
  /** The team that is left; undefined when all of the account stops. */
  team: { id: string; name: string; isRoot: boolean } | undefined;
  /** Personal keys that are good, those used last first. */
  keys: LeavingKey[];
  hasMoreKeys: boolean;
  /** Apps the user let in. */
  apps: ConnectedAppRecord[];
  hasMoreApps: boolean;
  /** Browser sessions; none end with a membership. */
  sessions: number;
  /** Roles in the team; those of the root team reach every team, and with them what keys and apps may do there. */
  roles: User['teamRoles'];
  /** What goes on, though the user made it and may know its secret; the newest first. */
  made: storage.MadeRecord[];
  hasMoreMade: boolean;
}

export interface Leavers extends HandOvers {
  /**
   * @param leaving `teamId`: what stops when that membership ends; otherwise, when the user is disabled or deleted
   * @throws AppError `not_found` for a user, or a membership, that is not within the caller's reach; `permission_denied`
   *   when it is about more than a membership and the caller acts within a team
   */
  preview(leaving: { userId: string; teamId?: string | undefined }, caller: Caller): Promise<LeaverPreview>;
}

export interface LeaversOptions extends HandOversOptions {
  lastUsed: Pick<LastUsed, 'flush'>;
  sessions: Pick<Sessions, 'count'>;
}

export function createLeavers({ db, lastUsed, sessions, ...options }: LeaversOptions): Leavers {
  async function keysOf(scope: storage.LeaverScope) {
    const found = await storage.listKeysOfLeaver(db, scope, MOST_LISTED + 1);
    const useOf = ({ lastUsedAt }: storage.LeaverKeyRecord) => lastUsedAt?.getTime() ?? 0;
    const shown = found.slice(0, MOST_LISTED).sort((a, b) => useOf(b) - useOf(a));
    const all = await storage.listSuccessors(
      db,
      shown.map(({ id }) => id),
    );
    const since = Date.now() - RECENT_DAYS * 86_400_000;
    const keys = shown.map((key) => ({
      ...key,
      isRecent: key.lastUsedAt !== null && key.lastUsedAt.getTime() >= since,
      successors: all.filter(({ keyId }) => keyId === key.id),
    }));
    return { keys, hasMoreKeys: found.length > MOST_LISTED };
  }

  return {
    ...createHandOvers({ db, ...options }),
    async preview({ userId, teamId }, caller) {
      const reach = teamReach(caller);
      const user = isUuid(userId) ? await findUser(db, userId, reach) : undefined;
      if (user === undefined) throw new AppError('not_found', 'There is no such user.');
      const roles = user.teamRoles.filter((role) => teamId === undefined || role.teamId === teamId);
      if (teamId === undefined && !actsInRoot(caller)) throw onlyFromRoot();
      if (teamId !== undefined && roles.length === 0) throw notMember();
      const scope = { userId, ...(teamId !== undefined && { teamId }) };
      // A key that was used a moment ago must not be called unused here.
      await lastUsed.flush();
      const apps = await listConnectedApps(db, scope, { limit: MOST_LISTED + 1 });
      const made = await storage.listMadeBy(db, scope, MOST_MADE_LISTED + 1);
      return {
        user,
        team:
          teamId === undefined ? undefined : { id: teamId, name: roles[0]!.teamName, isRoot: teamId === ROOT_TEAM_ID },
        ...(await keysOf(scope)),
        apps: apps.slice(0, MOST_LISTED),
        hasMoreApps: apps.length > MOST_LISTED,
        sessions: teamId === undefined ? await sessions.count(userId) : 0,
        roles,
        made: made.slice(0, MOST_MADE_LISTED),
        hasMoreMade: made.length > MOST_MADE_LISTED,
      };
    },
  };
}

function onlyFromRoot(): AppError {
  return new AppError('permission_denied', 'From within a team only the roles in that team can be changed or ended.');
}

function notMember(): AppError {
  return new AppError('not_found', 'The user is not a member of this team.');
}
