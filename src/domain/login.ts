/**
 * Who is behind an email address and a password. Unknown, wrong, disabled, expired and password-less are one answer
 * after the same work; guessing is slowed down without locking anybody out.
 */
import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';
import type { Database } from '../storage/pool.ts';
import { findLogin, type LoginRecord, recordLogin } from '../storage/users.ts';
import type { Audit } from './audit.ts';
import { checkEmail } from './names.ts';
import type { Passwords } from './passwords.ts';
import { createThrottle, networkOf } from './throttle.ts';

/** Failures allowed per window. A network is an IPv4 address or an IPv6 /64. */
export interface LoginLimits {
  windowMs: number;
  /** On one account from one network. */
  perAccountAndNetwork: number;
  /** From one network on all accounts. */
  perNetwork: number;
  /** After this many on one account, from anywhere, each network has fewer tries on it; nobody has none. */
  perAccount: number;
  /** That fewer. */
  perAccountAndNetworkUnderAttack: number;
}

const LIMITS: LoginLimits = {
  windowMs: 15 * 60_000,
  perAccountAndNetwork: 10,
  perNetwork: 100,
  perAccount: 50,
  perAccountAndNetworkUnderAttack: 3,
};

/** Where a login comes from. */
export interface LoginOrigin {
  requestId?: string | undefined;
  ip?: string | undefined;
}

export interface Login {
  /**
   * The id of the user who logs in with this email and password, or undefined; the caller is not told why.
   * @param admit stores that the user is logged in. Nobody changes the account meanwhile: whoever does it next, and ends the
   *   user's sessions, ends this one too
   * @throws AppError `resource_exhausted` after too many failures, or when too many people log in at once
   */
  authenticate(
    given: { email: unknown; password: unknown },
    origin: LoginOrigin,
    admit?: (userId: string) => Promise<unknown>,
  ): Promise<string | undefined>;
  /**
   * For somebody who is logged in already: what is kept of their password, when this is it; otherwise undefined. It counts
   * as no login, and wrong ones are bounded together with those at the login.
   * @throws AppError `resource_exhausted` as `authenticate`
   */
  confirm(given: { email: string; password: unknown }, origin: LoginOrigin): Promise<string | undefined>;
}

export interface LoginOptions {
  db: Database;
  audit: Audit;
  passwords: Passwords;
  limits?: LoginLimits;
}

/** What is being tried: how a refusal is noted, and where it comes from. */
interface Attempt {
  action: 'user.login_refused' | 'user.password_refused';
  origin: LoginOrigin;
  admit?: ((userId: string) => Promise<unknown>) | undefined;
}

interface Known {
  userId: string;
  passwordHash: string;
}

// What is not an email address belongs to nobody; the question is asked all the same, for the same cost.
const NOBODY = '';

export function createLogin({ db, audit, passwords, limits = LIMITS }: LoginOptions): Login {
  const perNetwork = createThrottle(limits);
  const perAccount = createThrottle(limits);
  const perBoth = createThrottle(limits);

  function refuse(reason: string, login: LoginRecord | undefined, { action, origin }: Attempt): undefined {
    const target = login?.userId ? { kind: 'user' as const, id: login.userId } : undefined;
    const who = action === 'user.password_refused' ? target : undefined;
    audit.note({
      action,
      outcome: 'refused',
      actor: { ...(who ?? { kind: 'anonymous', id: '' }), ...origin },
      ...(target && { target }),
      details: { reason, ...(login !== undefined && login.userId === null && { email_digest: mark(login.key) }) },
    });
  }

  /** Counts a try, and gives what takes it back. @throws AppError when there were too many */
  function countTry(login: LoginRecord, network: string, attempt: Attempt): () => void {
    const both = `${network} ${login.key}`;
    const attacked = perAccount.count(login.key) >= limits.perAccount;
    const allowed = attacked ? limits.perAccountAndNetworkUnderAttack : limits.perAccountAndNetwork;
    const verdict = perBoth.take(both, allowed);
    if (verdict !== 'allowed') {
      if (verdict === 'over') refuse('too_many_attempts', login, attempt);
      throw tooMany();
    }
    perAccount.take(login.key, Number.POSITIVE_INFINITY);
    return () => {
      perBoth.giveBack(both);
      perAccount.giveBack(login.key);
    };
  }

  /** The user, when this is the password of one who may be here. */
  async function check(login: LoginRecord, password: unknown, attempt: Attempt): Promise<Known | undefined> {
    const { userId, passwordHash } = login;
    const matches = await passwords.verify(passwordHash, password);
    if (userId === null) return refuse('unknown_user', login, attempt);
    if (passwordHash === null) return refuse('no_password', login, attempt);
    if (!matches) return refuse('wrong_password', login, attempt);
    if (!login.enabled) return refuse('disabled', login, attempt);
    if (login.expired) return refuse('expired', login, attempt);
    if (attempt.action === 'user.password_refused') return { userId, passwordHash };
    const isIn = await db.transaction(async (tx) => {
      if (!(await recordLogin(tx, userId, passwordHash))) return false;
      await db.within(tx, async () => attempt.admit?.(userId));
      return true;
    });
    if (!isIn) return refuse('changed_meanwhile', login, attempt);
    const target = { kind: 'user', id: userId };
    audit.note({ action: 'user.logged_in', actor: { ...target, kind: 'user', ...attempt.origin }, target });
    return { userId, passwordHash };
  }

  async function bounded(email: unknown, password: unknown, attempt: Attempt): Promise<Known | undefined> {
    const network = networkOf(attempt.origin.ip);
    const verdict = perNetwork.take(network, limits.perNetwork);
    if (verdict === 'over') refuse('too_many_attempts', undefined, attempt);
    if (verdict !== 'allowed') throw tooMany();
    let takeBack = () => {};
    // Counted before the answer is known, because parallel tries would all be let through otherwise.
    let failed = false;
    try {
      const login = await findLogin(db, toEmail(email));
      takeBack = countTry(login, network, attempt);
      const known = await check(login, password, attempt);
      failed = known === undefined;
      return known;
    } finally {
      if (!failed) {
        takeBack();
        perNetwork.giveBack(network);
      }
    }
  }

  return {
    async authenticate({ email, password }, origin, admit) {
      return (await bounded(email, password, { action: 'user.login_refused', origin, admit }))?.userId;
    },
    async confirm({ email, password }, origin) {
      return (await bounded(email, password, { action: 'user.password_refused', origin }))?.passwordHash;
    },
  };
}

function toEmail(email: unknown): string {
  try {
    return checkEmail('email', email);
  } catch {
    return NOBODY;
  }
}

/** Enough to see that two tries were for the same address, too little to read it: people type passwords there. */
function mark(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}

function tooMany(): AppError {
  return new AppError('resource_exhausted', 'Too many attempts. Wait a quarter of an hour, then try again.');
}
