/**
 * Every failure Latchkey can tell a caller about. One class, a closed list of kinds; each surface renders it in its own
 * format (OAuth error, google.rpc.Status, page, exit code) in exactly one place.
 */

/** Failure kinds with their HTTP status and google.rpc code (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto). */
export const KINDS = {
  invalid_argument: { status: 400, rpc: 3 },
  not_found: { status: 404, rpc: 5 },
  already_exists: { status: 409, rpc: 6 },
  permission_denied: { status: 403, rpc: 7 },
  resource_exhausted: { status: 429, rpc: 8 },
  failed_precondition: { status: 400, rpc: 9 },
  precondition_failed: { status: 412, rpc: 9 },
  too_large: { status: 413, rpc: 3 },
  unsupported_type: { status: 415, rpc: 3 },
  aborted: { status: 409, rpc: 10 },
  internal: { status: 500, rpc: 13 },
  unavailable: { status: 503, rpc: 14 },
  unauthenticated: { status: 401, rpc: 16 },
} as const;

export type Kind = keyof typeof KINDS;

/** One thing wrong with one input field; `field` is the name the caller used. */
export interface FieldViolation {
  field: string;
  description: string;
}

export interface AppErrorOptions {
  /** The private reason: logged, never sent. */
  cause?: unknown;
  /** What is wrong with which input field. */
  fields?: FieldViolation[];
}

/** A failure whose `message` is safe and useful to show: it says what is wrong and what to do. */
export class AppError extends Error {
  readonly kind: Kind;
  readonly fields: FieldViolation[];

  constructor(kind: Kind, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.kind = kind;
    this.fields = options.fields ?? [];
  }

  get status(): number {
    return KINDS[this.kind].status;
  }

  /** Whether the caller is at fault; everything else is logged as ours. */
  get expected(): boolean {
    return this.status < 500;
  }
}

/** Shorthand for one bad input field. */
export function invalidField(field: string, description: string): AppError {
  return new AppError('invalid_argument', `${field}: ${description}`, { fields: [{ field, description }] });
}

/** Any thrown value as an AppError; what is not one becomes `internal` with the original kept as private cause. */
export function asAppError(error: unknown): AppError {
  return error instanceof AppError
    ? error
    : new AppError('internal', 'Something went wrong on our side. The request id tells the operator where to look.', {
        cause: error,
      });
}
