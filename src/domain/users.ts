/** Users: the people who log in, own personal keys and consent to apps. */
import { AppError, invalidField } from '../errors.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import * as storage from '../storage/users.ts';
import type { Actor, Audit } from './audit.ts';
import type { Memberships, TeamRoles } from './memberships.ts';
import { checkEmail, checkText, isUuid } from './names.ts';
import type { Passwords } from './passwords.ts';
import { keepRootAdmin } from './root-admins.ts';

export type User = storage.UserRecord;

/** Names are at most 255 characters each. Without a password the user cannot log in, but can own keys. */
export interface UserInput {
  email: string;
  password?: string | undefined;
  name?: string | undefined;
  displayName?: string | undefined;
  givenName?: string | undefined;
  familyName?: string | undefined;
  expiresAt?: Date | undefined;
  teamRoles?: TeamRoles[];
}

/** A checked input whose password is hashed already: a transaction is no place to wait for that. */
export interface PreparedUser {
  user: storage.NewUser;
  teamRoles: TeamRoles[];
}

export interface Users {
  /**
   * @throws AppError `invalid_argument`, `already_exists` when another user has the email (case does not count),
   *   `not_found` for a team
   */
  create(input: UserInput, actor: Actor): Promise<User>;
  /** The first half of `create`: checks and hashes. */
  prepare(input: UserInput): Promise<PreparedUser>;
  /** The second half of `create`: writes, inside the caller's transaction. */
  add(tx: Queryable, prepared: PreparedUser, actor: Actor): Promise<User>;
  find(id: string): Promise<User | undefined>;
  /** Case does not count. */
  findByEmail(email: string): Promise<User | undefined>;
  /** By email, `limit` (default 50, at most 1,000) at a time, after the user with the email `after`. */
  list(page?: { limit?: number; after?: string | undefined }): Promise<User[]>;
  /**
   * Disabling ends sessions, consents and their tokens, and stops the user's keys. Repeating is harmless.
   * @throws AppError `not_found`, or `failed_precondition` for the last root administrator
   */
  setEnabled(id: string, enabled: boolean, actor: Actor): Promise<User>;
  /**
   * Sets a new password and ends sessions, consents and their tokens: whoever had the old one is out.
   * @throws AppError `not_found`, `invalid_argument`
   */
  setPassword(id: string, password: string, actor: Actor): Promise<User>;
  /**
   * Deletes the user with personal keys, memberships, sessions and consents.
   * @throws AppError `not_found`, or `failed_precondition` for the last root administrator
   */
  delete(id: string, actor: Actor): Promise<User>;
}

export interface UsersOptions {
  db: Database;
  audit: Audit;
  passwords: Passwords;
  memberships: Memberships;
}

export function createUsers({ db, audit, passwords, memberships }: UsersOptions): Users {
  function record(tx: Queryable, action: string, user: User, actor: Actor): Promise<void> {
    const target = { kind: 'user', id: user.id };
    return audit.record(tx, { action, actor, target, details: { email: user.email } });
  }

  async function prepare(input: UserInput): Promise<PreparedUser> {
    const { password, expiresAt, teamRoles = [] } = input;
    if (expiresAt !== undefined && Number.isNaN(expiresAt.getTime())) {
      throw invalidField('expires_at', 'must be a point in time');
    }
    const names = {
      email: checkEmail('email', input.email),
      name: checkText('name', input.name),
      displayName: checkText('display_name', input.displayName),
      givenName: checkText('given_name', input.givenName),
      familyName: checkText('family_name', input.familyName),
    };
    // Last, because it is the expensive part.
    const passwordHash = password === undefined ? undefined : await passwords.hash('password', password);
    return { user: { ...names, passwordHash, expiresAt }, teamRoles };
  }

  async function add(tx: Queryable, { user, teamRoles }: PreparedUser, actor: Actor): Promise<User> {
    const created = await storage.insertUser(tx, user);
    await record(tx, 'user.created', created, actor);
    for (const roles of teamRoles) await memberships.assign(tx, { userId: created.id, ...roles }, actor);
    return created;
  }

  async function find(id: string): Promise<User | undefined> {
    return isUuid(id) ? storage.findUser(db, id) : undefined;
  }

  async function get(id: string): Promise<User> {
    const user = await find(id);
    if (user === undefined) throw noSuchUser();
    return user;
  }

  return {
    prepare,
    add,
    async create(input, actor) {
      const prepared = await prepare(input);
      return db.transaction((tx) => add(tx, prepared, actor));
    },
    find,
    findByEmail: async (email) => storage.findUserByEmail(db, checkEmail('email', email)),
    list: ({ limit = 50, after } = {}) => storage.listUsers(db, { limit: Math.min(limit, 1_000), after }),
    async setEnabled(id, enabled, actor) {
      await get(id);
      const changed = await db.transaction(async (tx) => {
        const user = await keepRootAdmin(tx, () => storage.updateUserEnabled(tx, id, enabled));
        if (user === undefined) return undefined;
        if (!enabled) await storage.endUserSessions(tx, id);
        await record(tx, enabled ? 'user.enabled' : 'user.disabled', user, actor);
        return user;
      });
      return changed ?? get(id);
    },
    async setPassword(id, password, actor) {
      await get(id);
      const passwordHash = await passwords.hash('password', password);
      return db.transaction(async (tx) => {
        const user = await storage.updateUserPassword(tx, id, passwordHash);
        if (user === undefined) throw noSuchUser();
        await storage.endUserSessions(tx, id);
        await record(tx, 'user.password_changed', user, actor);
        return user;
      });
    },
    async delete(id, actor) {
      if (!isUuid(id)) throw noSuchUser();
      return db.transaction(async (tx) => {
        const user = await keepRootAdmin(tx, () => storage.deleteUser(tx, id));
        if (user === undefined) throw noSuchUser();
        await record(tx, 'user.deleted', user, actor);
        return user;
      });
    },
  };
}

function noSuchUser(): AppError {
  return new AppError('not_found', 'There is no such user.');
}
