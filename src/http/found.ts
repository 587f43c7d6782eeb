/** What was looked for within somebody's reach, or the one answer for whatever is not in it. */
import { AppError } from '../errors.ts';

/** @throws AppError `not_found` when there is nothing, or nothing within the caller's reach */
export function found<T>(object: T | undefined, what = 'thing'): T {
  if (object === undefined) throw new AppError('not_found', `There is no such ${what}.`);
  return object;
}
