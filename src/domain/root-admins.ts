/** Root administrators: the users with the role Admin in the root team. One always stays. */
import { AppError } from '../errors.ts';
import { countRootHolders } from '../storage/memberships.ts';
import type { Queryable } from '../storage/pool.ts';
import { lockRootTeam } from '../storage/teams.ts';
import { ROLE_IDS } from './permissions.ts';

/** Whether somebody enabled and unexpired has the role Admin in the root team. */
export async function hasRootAdmin(db: Queryable): Promise<boolean> {
  return (await countRootHolders(db, ROLE_IDS.Admin)).live > 0;
}

/**
 * Makes a change that may take the root administrator's role, right or existence away. Only one such change runs at a
 * time, so two administrators who remove each other cannot both succeed.
 * @throws AppError `failed_precondition` when nobody would be left; or nobody without an expiry, for the last of the others
 *   expires without anybody being asked; or of these nobody with a password, for no page could help then
 */
export async function keepRootAdmin<T>(tx: Queryable, change: () => Promise<T>): Promise<T> {
  await lockRootTeam(tx);
  const before = await countRootHolders(tx, ROLE_IDS.Admin);
  const result = await change();
  const after = await countRootHolders(tx, ROLE_IDS.Admin);
  if ((before.live > 0 && after.live === 0) || (before.lasting > 0 && after.lasting === 0)) {
    throw new AppError(
      'failed_precondition',
      'This is the last root administrator. Give another user without expiry the role Admin in the root team first.',
    );
  }
  if (before.loggingIn > 0 && after.loggingIn === 0) {
    throw new AppError(
      'failed_precondition',
      'This is the last root administrator who can log in. Set a password for another one without expiry first.',
    );
  }
  return result;
}
