/** Root administrators: the users with the role Admin in the root team. There is always one left. */
import { AppError } from '../errors.ts';
import { countRootHolders } from '../storage/memberships.ts';
import type { Queryable } from '../storage/pool.ts';
import { lockRootTeam } from '../storage/teams.ts';
import { ROLE_IDS } from './permissions.ts';

/** Whether somebody enabled and unexpired has the role Admin in the root team. */
export async function hasRootAdmin(db: Queryable): Promise<boolean> {
  return (await countRootHolders(db, ROLE_IDS.Admin)) > 0;
}

/**
 * Makes a change that may take the root administrator's role, right or existence away. Only one such change runs at a
 * time, so two administrators who remove each other cannot both succeed.
 * @throws AppError `failed_precondition` when nobody would be left
 */
export async function keepRootAdmin<T>(tx: Queryable, change: () => Promise<T>): Promise<T> {
  await lockRootTeam(tx);
  const before = await hasRootAdmin(tx);
  const result = await change();
  if (before && !(await hasRootAdmin(tx))) {
    throw new AppError(
      'failed_precondition',
      'This is the last root administrator. Give another user the role Admin in the root team first.',
    );
  }
  return result;
}
