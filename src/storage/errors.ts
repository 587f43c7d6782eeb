/** What PostgreSQL and its driver throw, as failures a caller can be told about. The only place that reads SQLSTATE. */
import { AppError } from '../errors.ts';

/** Constraint names (`table__columns`) with the message the caller gets when one is violated. */
const CONSTRAINTS: Record<string, string> = {
  users__email: 'A user with this email exists already.',
  teams__name: 'A team with this name exists already.',
  roles__name: 'A role with this name exists already.',
  oauth_apps__client_id: 'An app with this client_id exists already.',
  oauth_clients__client_id: 'A client with this client_id exists already.',
  resource_servers__identifier: 'A resource server with this identifier exists already.',
  retirements__subject: 'These keys have a retirement already: change that one, or delete it.',
};

// Connection, shutdown, resources, I/O; also a refused login or a missing database: the operator's to mend, not the caller's.
const UNREACHABLE = /^(08|28|57P|53|58|3D000|25006)/;
const TIMED_OUT = new Set(['57014', '55P03', '25P03']);
const CONFLICT = new Set(['40001', '40P01']);
const NOT_TEXT = new Set(['22021', '22P05', '22P02', '22003', '22001']);

/** The SQLSTATE of a failed statement, if there is one. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Whether a statement failed because the row it points to is gone (or never was). */
export function isMissingReference(error: unknown): boolean {
  return error instanceof AppError && sqlState(error.cause) === '23503';
}

/** Whether the database did not answer, or not in time. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof AppError && error.kind === 'unavailable';
}

/** Whether the same statements may succeed when they are made once more. */
export function isConflict(error: unknown): boolean {
  return error instanceof AppError && error.kind === 'aborted';
}

/** Maps any failure of the driver; an AppError passes through unchanged. */
export function databaseError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const state = sqlState(error);
  // pg has no code for its own timeouts and for sockets that close under it.
  if (state === undefined || UNREACHABLE.test(state) || TIMED_OUT.has(state)) {
    return new AppError('unavailable', 'The database does not answer right now. Try again in a few seconds.', {
      cause: error,
    });
  }
  if (CONFLICT.has(state)) {
    return new AppError('aborted', 'Two changes met; this one was not made. Try again.', { cause: error });
  }
  if (NOT_TEXT.has(state)) {
    return new AppError('invalid_argument', 'A value has characters or a form that cannot be stored.', {
      cause: error,
    });
  }
  if (state === '23505') {
    const constraint = (error as { constraint?: string }).constraint ?? '';
    return new AppError('already_exists', CONSTRAINTS[constraint] ?? 'It exists already.', { cause: error });
  }
  if (state === '23503') {
    return new AppError('failed_precondition', 'It refers to something that does not exist (any more).', {
      cause: error,
    });
  }
  return new AppError(
    'internal',
    'Something went wrong on our side. The request id tells the operator where to look.',
    { cause: error },
  );
}
