/** People's passwords: what is accepted, how it is kept (Argon2id) and compared, and how much of that at once. */
import { availableParallelism } from 'node:os';
import { AppError, invalidField } from '../errors.ts';
import * as argon2id from './argon2id.ts';
import { COMMON_PASSWORDS } from './common-passwords.ts';

const SHORTEST = 8;
const LONGEST = 1_000;
// OWASP Password Storage: 19 MiB, two passes, one lane.
const COST = { memoryKib: 19_456, passes: 2, lanes: 1 };
// Each takes a thread of a pool of four that signing and file access need too.
const AT_ONCE = Math.max(1, Math.min(availableParallelism(), 3));
const MOST_WAITING = 100;

export interface Passwords {
  /**
   * The PHC string to keep for a password.
   * @param field the name the caller used for this input, for the message
   * @throws AppError `invalid_argument` when it is too short, too long, too common or not well-formed Unicode;
   *   `resource_exhausted` when too many are being worked on
   */
  hash(field: string, password: unknown): Promise<string>;
  /**
   * Whether the password is the one behind `kept`. Without `kept` the answer is no, after the same work, so that the
   * time does not tell who exists.
   * @throws AppError `resource_exhausted` when too many are being worked on
   */
  verify(kept: string | null | undefined, password: unknown): Promise<boolean>;
}

export interface PasswordsOptions {
  /** Most hashes at once (default: as many as there are processors, at most 3). */
  atOnce?: number;
  /** Most waiting for their turn (default 100). */
  waiting?: number;
  /** What a new hash costs. What a kept one costs is in it. */
  cost?: argon2id.Argon2idCost;
}

export function createPasswords({
  atOnce = AT_ONCE,
  waiting = MOST_WAITING,
  cost = COST,
}: PasswordsOptions = {}): Passwords {
  const inTurn = createTurns(atOnce, waiting);
  const decoy = argon2id.decoy(cost);
  return {
    async hash(field, password) {
      const accepted = checkPassword(field, password);
      return inTurn(() => argon2id.hash(accepted, cost));
    },
    async verify(kept, password) {
      const presented = normalise(password);
      const matches = await inTurn(() => argon2id.verify(kept ?? decoy, presented ?? ''));
      return matches && presented !== undefined && typeof kept === 'string';
    },
  };
}

/** Nothing is trimmed, cut or forbidden but what nobody can type (ASVS 6.2.5, 6.2.8). */
function checkPassword(field: string, password: unknown): string {
  if (typeof password !== 'string' || password === '') throw invalidField(field, 'is required');
  const normal = normalise(password);
  if (normal === undefined) {
    throw invalidField(field, `must be well-formed Unicode text of at most ${LONGEST} characters`);
  }
  if ([...normal].length < SHORTEST) throw invalidField(field, `must have at least ${SHORTEST} characters`);
  if (COMMON_PASSWORDS.has(normal.toLowerCase())) {
    throw invalidField(field, 'is one of the most common passwords: choose another');
  }
  return normal;
}

/** One form for what keyboards send in several (NFC); undefined for what no accepted password can be. */
function normalise(password: unknown): string | undefined {
  // The first bound only keeps us from normalising megabytes.
  if (typeof password !== 'string' || password.length > LONGEST * 6 || !password.isWellFormed()) return undefined;
  const normal = password.normalize('NFC');
  return [...normal].length > LONGEST ? undefined : normal;
}

/** Runs work in order of arrival, `atOnce` at a time; refuses when `most` wait already: each would hold 19 MiB. */
function createTurns(atOnce: number, most: number): <T>(work: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < atOnce) running += 1;
    else if (queue.length >= most) {
      throw new AppError('resource_exhausted', 'Too many people are logging in right now. Try again in a few seconds.');
    } else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      return await work();
    } finally {
      // The turn is handed on, not given back: a newcomer cannot slip in between.
      const next = queue.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
