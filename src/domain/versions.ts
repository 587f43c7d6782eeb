/** Two people who change one thing at once: the second is told, instead of undoing the first (RFC 9110 §13.1.1). */
import { AppError } from '../errors.ts';

/** A record's version as its storage file selects it, and what a caller that read it earlier expects it to be still. */
export interface Versioned {
  version: string;
}

/**
 * Call it in the transaction that changes, after the row is locked.
 * @param expected the version the caller read; undefined when it does not care, '*' for any
 * @throws AppError `precondition_failed` when the record is another version by now
 */
export function requireVersion(current: Versioned, expected: string | undefined): void {
  if (expected === undefined || expected === '*' || expected === current.version) return;
  throw new AppError(
    'precondition_failed',
    'It was changed since you read it. Read it again, then repeat your change.',
  );
}
