/**
 * Who is behind an email address and a password. Unknown, wrong, disabled, expired and password-less are one answer
 * after the same work; guessing is slowed down without locking anybody out.
 */
import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';
import type { Queryable } from '../storage/pool.ts';
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
   * @throws AppError `resource_exhausted` after too many failures, or when too many people log in at once
   */
  authenticate(given: { email: unknown; password: unknown }, origin: LoginOrigin): Promise<string | undefined>;
}

export interface LoginOptions {
  db: Queryable;
  audit: Audit;
  passwords: Passwords;
  limits?: LoginLimits;
}

// What is not an email address belongs to nobody; the question is asked all the same, for the same cost.
const NOBODY = '';

export function createLogin({ db, audit, passwords, limits = LIMITS }: LoginOptions): Login {
  const perNetwork = createThrottle(limits);
  const perAccount = createThrottle(limits);
  const perBoth = createThrottle(limits);

  function refuse(reason: string, login: LoginRecord | undefined, origin: LoginOrigin): undefined {
    audit.note({
      action: 'user.login_refused',
      outcome: 'refused',
      actor: { kind: 'anonymous', id: '', ...origin },
      ...(login?.userId && { target: { kind: 'user', id: login.userId } }),
      details: { reason, ...(login !== undefined && login.userId === null && { email_digest: mark(login.key) }) },
    });
  }

  /** Counts a try, and gives what takes it back. @throws AppError when there were too many */
  function countTry(login: LoginRecord, network: string, origin: LoginOrigin): () => void {
    const both = `${network} ${login.key}`;
    const attacked = perAccount.count(login.key) >= limits.perAccount;
    const allowed = attacked ? limits.perAccountAndNetworkUnderAttack : limits.perAccountAndNetwork;
    const verdict = perBoth.take(both, allowed);
    if (verdict !== 'allowed') {
      if (verdict === 'over') refuse('too_many_attempts', login, origin);
      throw tooMany();
    }
    perAccount.take(login.key, Number.POSITIVE_INFINITY);
    return () => {
      perBoth.giveBack(both);
      perAccount.giveBack(login.key);
    };
  }

  async function check(login: LoginRecord, password: unknown, origin: LoginOrigin): Promise<string | undefined> {
    const { userId, passwordHash } = login;
    const matches = await passwords.verify(passwordHash, password);
    if (userId === null) return refuse('unknown_user', login, origin);
    if (passwordHash === null) return refuse('no_password', login, origin);
    if (!matches) return refuse('wrong_password', login, origin);
    if (!login.enabled) return refuse('disabled', login, origin);
    if (login.expired) return refuse('expired', login, origin);
    if (!(await recordLogin(db, userId, passwordHash))) return refuse('changed_meanwhile', login, origin);
    const target = { kind: 'user', id: userId };
    audit.note({ action: 'user.logged_in', actor: { ...target, kind: 'user', ...origin }, target });
    return userId;
  }

  return {
    async authenticate({ email, password }, origin) {
      const network = networkOf(origin.ip);
      const verdict = perNetwork.take(network, limits.perNetwork);
      if (verdict === 'over') refuse('too_many_attempts', undefined, origin);
      if (verdict !== 'allowed') throw tooMany();
      let takeBack = () => {};
      // Counted before the answer is known, because parallel tries would all be let through otherwise.
      let failed = false;
      try {
        const login = await findLogin(db, toEmail(email));
        takeBack = countTry(login, network, origin);
        const userId = await check(login, password, origin);
        failed = userId === undefined;
        return userId;
      } finally {
        if (!failed) {
          takeBack();
          perNetwork.giveBack(network);
        }
      }
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
