/**
 * While the database is away nothing can be checked, so nothing is answered: not from a cache either, because a
 * revocation may have been missed (checklist row 127). Public documents are not held back.
 */
import type { Middleware } from 'koa';
import { AppError } from '../../errors.ts';

export function requireDatabase(available: () => boolean): Middleware {
  return (_ctx, next) => {
    if (available()) return next();
    throw new AppError('unavailable', 'The database does not answer right now. Try again in a few seconds.');
  };
}
