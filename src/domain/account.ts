/** What people do with their own account, whatever roles they have: how they are called, and their password. */
import { AppError, invalidField } from '../errors.ts';
import type { Database } from '../storage/pool.ts';
import { endAllButSession } from '../storage/sessions.ts';
import { replacePasswordHash } from '../storage/users.ts';
import type { Actor, Audit } from './audit.ts';
import type { Login } from './login.ts';
import type { Passwords } from './passwords.ts';
import { digestOf } from './secret-text.ts';
import type { UserFields } from './user-input.ts';
import type { User, Users } from './users.ts';

/** What people may say about themselves; what is left out stays. An administrator gives them their email. */
export type ProfileChanges = Pick<UserFields, 'name' | 'displayName' | 'givenName' | 'familyName' | 'timeZone'>;

export interface PasswordChange {
  /** The one that is to be changed. */
  current: string;
  password: string;
  /** Whether whoever else is logged in with the old one is out: see `changePassword`. */
  endOthers: boolean;
}

/** Somebody who is logged in with a browser. */
export interface AccountOwner {
  userId: string;
  /** The uid of the session. */
  uid: string;
}

export interface Account {
  /** @throws AppError `not_found` when the user is gone */
  profile(userId: string): Promise<User>;
  /** @throws AppError `invalid_argument` naming the field as the API does, `not_found` */
  updateProfile(userId: string, changes: ProfileChanges, actor: Actor): Promise<User>;
  /**
   * Changes the password of whoever knows it. With `endOthers` everything that may have come of the old one ends, as when an
   * administrator sets a password: every other session, and all consents with their codes and tokens. Personal keys stay.
   * Without it nothing ends. The session that asks goes on; the surface gives it a new id.
   * @returns how many other sessions ended
   * @throws AppError `invalid_argument` (`current_password`, `password`), `resource_exhausted` after too many wrong ones,
   *   `failed_precondition` when somebody else has changed it meanwhile
   */
  changePassword(owner: AccountOwner, change: PasswordChange, actor: Actor): Promise<number>;
}

export interface AccountOptions {
  db: Database;
  audit: Audit;
  passwords: Passwords;
  login: Pick<Login, 'confirm'>;
  users: Pick<Users, 'find' | 'update'>;
}

export function createAccount({ db, audit, passwords, login, users }: AccountOptions): Account {
  async function profile(userId: string): Promise<User> {
    const user = await users.find(userId);
    if (user === undefined) throw new AppError('not_found', 'There is no such user.');
    return user;
  }

  return {
    profile,
    updateProfile: (userId, { name, displayName, givenName, familyName, timeZone }, actor) =>
      users.update(userId, { name, displayName, givenName, familyName, timeZone }, {}, actor),
    async changePassword({ userId, uid }, { current, password, endOthers }, actor) {
      const { email } = await profile(userId);
      const known = await login.confirm({ email, password: current }, { requestId: actor.requestId, ip: actor.ip });
      if (known === undefined) throw invalidField('current_password', 'is not right');
      if (current === password) throw invalidField('password', 'is the one you have already');
      const hash = await passwords.hash('password', password);
      return db.transaction(async (tx) => {
        if (!(await replacePasswordHash(tx, userId, { former: known, next: hash }))) throw changedMeanwhile();
        const ended = endOthers ? await endAllButSession(tx, userId, digestOf(uid)) : 0;
        const details = { email, ended_others: endOthers, ended_sessions: ended };
        await audit.record(tx, {
          action: 'user.password_changed',
          actor,
          target: { kind: 'user', id: userId },
          details,
        });
        return ended;
      });
    },
  };
}

function changedMeanwhile(): AppError {
  return new AppError('failed_precondition', 'Your password was changed by somebody else just now. Log in again.');
}
