/** Users: the people who log in, own personal keys and consent to apps. */
import { AppError, invalidField } from '../errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { findRolePermissions } from '../storage/roles.ts';
import { endUserSessions } from '../storage/sessions.ts';
import * as storage from '../storage/users.ts';
import type { Actor, Audit } from './audit.ts';
import type { Caller } from './authorization.ts';
import { wireName } from './changed-fields.ts';
import type { MayGive, Memberships, TeamRoles } from './memberships.ts';
import { checkEmail, isUuid } from './names.ts';
import type { Passwords } from './passwords.ts';
import { keepRootAdmin } from './root-admins.ts';
import { checkUserFields, newsIn, type UserFields } from './user-input.ts';
import { createUserOptions, mayGiveAllOf, type UserOptions } from './user-options.ts';
import { requireVersion } from './versions.ts';

export type User = storage.UserRecord;

/** Without a password the user cannot log in, but can own keys. */
export interface UserInput extends Omit<UserFields, 'enabled' | 'authProviderId' | 'timeZone'> {
  email: string;
  password?: string | undefined;
  teamRoles?: TeamRoles[];
}

/** The roles by id. Names that come along must be theirs: whoever changed one and not the other may mean either. */
export interface NamedTeamRoles extends TeamRoles {
  teamName?: string | undefined;
  roleName?: string | undefined;
}

/** What is left out stays. */
export interface UserUpdate extends UserFields {
  /** Ends sessions, consents and their tokens: whoever had the old one is out. */
  password?: string | undefined;
  /** These and no others; within a team: in that team. Nobody is a member of a team without a role in it. */
  teamRoles?: NamedTeamRoles[] | undefined;
}

/** Whom a caller reaches: with `teamId` the members of that team, and of them nothing but their roles in it. */
export interface UserScope extends storage.UserScope {
  version?: string | undefined;
}

/** A checked input whose password is hashed already: a transaction is no place to wait for that. */
export interface PreparedUser {
  user: storage.NewUser;
  teamRoles: TeamRoles[];
}

export interface Users {
  /**
   * @param scope with `teamId` the user must get a role in that team, and can get none in another
   * @throws AppError `invalid_argument`, `already_exists` when another user has the email (case does not count),
   *   `not_found` for a team, `permission_denied` for a role that may do what the actor may not
   */
  create(input: UserInput, actor: Actor, scope?: UserScope): Promise<User>;
  /** The first half of `create`: checks and hashes. */
  prepare(input: UserInput): Promise<PreparedUser>;
  /** The second half of `create`: writes, inside the caller's transaction, without asking whether the actor may. */
  add(tx: Queryable, prepared: PreparedUser, actor: Actor): Promise<User>;
  find(id: string, scope?: UserScope): Promise<User | undefined>;
  /** Case does not count. */
  findByEmail(email: string): Promise<User | undefined>;
  /**
   * Default: the first 1,000 in the order they were made. Filters: `email`, `name`, `enabled`, `team_id`, and `status`
   * (`active`, `expired`, `disabled`); order: `created_at`, `name`, `email`, `last_login_at`.
   */
  list(scope?: UserScope, page?: Page): Promise<(User & { sortKey: string })[]>;
  /**
   * Changes what is given and is news, all of it or nothing. Disabling, or an expiry that has passed, ends sessions,
   * consents and their tokens, and stops the user's keys; the end of a membership ends the keys and consents in that team.
   * @throws AppError `not_found`, `invalid_argument`, `already_exists`, `precondition_failed`; `permission_denied` when it
   *   takes over or revives an account that may do what the actor may not, gives such a role, or changes more than roles
   *   from within a team; `failed_precondition` for the last root administrator
   */
  update(id: string, changes: UserUpdate, scope: UserScope, actor: Actor): Promise<User>;
  /** As `update`. Repeating is harmless. */
  setEnabled(id: string, enabled: boolean, actor: Actor): Promise<User>;
  /** As `update`. */
  setPassword(id: string, password: string, actor: Actor): Promise<User>;
  /**
   * Deletes the user with personal keys, memberships, sessions and consents. Answers the user as it was.
   * @throws AppError `not_found`, `precondition_failed`, or `failed_precondition` for the last root administrator
   */
  delete(id: string, actor: Actor, scope?: UserScope): Promise<User>;
  /** What this caller may do with each of the users, as far as the users let it. */
  withOptions<One extends User>(users: readonly One[], caller: Caller): Promise<(One & { options: UserOptions })[]>;
}

export interface UsersOptions {
  db: Database;
  audit: Audit;
  passwords: Passwords;
  memberships: Memberships;
}

/** An update that was checked, with all that had to be asked for before the transaction. */
interface Plan {
  fields: UserFields;
  changesPassword: boolean;
  mayGive: MayGive;
}

export function createUsers({ db, audit, passwords, memberships }: UsersOptions): Users {
  const optionsOf = createUserOptions({ db, memberships });

  function record(tx: Queryable, action: string, user: User, actor: Actor, details: object = {}): Promise<void> {
    const target = { kind: 'user', id: user.id };
    return audit.record(tx, { action, actor, target, details: { email: user.email, ...details } });
  }

  async function prepare({ email, password, expiresAt, teamRoles = [], ...names }: UserInput): Promise<PreparedUser> {
    const checked = checkUserFields({ ...names, email, expiresAt: expiresAt ?? null });
    // Last, because it is the expensive part.
    const passwordHash = password === undefined ? undefined : await passwords.hash('password', password);
    const { name = '', displayName = '', givenName = '', familyName = '', persona, digestSettings } = checked;
    const shown = { email: checked.email!, name, displayName, givenName, familyName, persona, digestSettings };
    return { user: { ...shown, passwordHash, expiresAt: checked.expiresAt ?? undefined }, teamRoles };
  }

  async function insert(
    tx: Queryable,
    { user, teamRoles }: PreparedUser,
    limits: { teamId?: string | undefined; mayGive: MayGive },
    actor: Actor,
  ): Promise<User> {
    const created = await storage.insertUser(tx, user);
    await record(tx, 'user.created', created, actor);
    await memberships.replace(tx, { userId: created.id, teamRoles }, limits, actor);
    return (await storage.findUser(tx, created.id))!;
  }

  async function find(id: string, scope: UserScope = {}): Promise<User | undefined> {
    return isUuid(id) ? storage.findUser(db, id, scope) : undefined;
  }

  /** Locks the user, then reads it: what hangs on the row is read as it is once the lock is held. */
  async function lock(tx: Queryable, id: string, scope: UserScope): Promise<User> {
    await storage.lockUser(tx, id);
    const user = await storage.findUser(tx, id, scope);
    if (user === undefined) throw noSuchUser();
    requireVersion(user, scope.version);
    return user;
  }

  /** @returns what the update changes in the user's row */
  async function requireAllowed(tx: Queryable, plan: Plan, user: User, { teamId }: UserScope): Promise<UserFields> {
    const news = newsIn(plan.fields, user);
    const opens = plan.changesPassword || news.email !== undefined || isRevived(user, news);
    if (teamId !== undefined && (plan.changesPassword || Object.keys(news).length > 0)) throw onlyFromRoot();
    if (opens && !mayGiveAllOf(user, await findRolePermissions(tx), plan.mayGive)) {
      throw new AppError(
        'permission_denied',
        'This user may do more than you, or your credential, may. Changing their password or email, or giving their account ' +
          'back, needs all of that.',
      );
    }
    return news;
  }

  async function recordUpdate(tx: Queryable, before: User, news: UserFields, actor: Actor): Promise<void> {
    const { enabled, ...rest } = news;
    const user = { ...before, email: news.email ?? before.email };
    if (enabled !== undefined) await record(tx, enabled ? 'user.enabled' : 'user.disabled', user, actor);
    const fields = Object.keys(rest).map(wireName);
    const previous = news.email === undefined ? {} : { previous_email: before.email };
    if (fields.length > 0) await record(tx, 'user.updated', user, actor, { fields, ...previous });
  }

  async function update(id: string, changes: UserUpdate, scope: UserScope, actor: Actor): Promise<User> {
    const { password, teamRoles, ...given } = changes;
    const fields = checkUserFields(given);
    const seen = await find(id, scope);
    if (seen === undefined) throw noSuchUser();
    const teams = new Set([...seen.teamRoles, ...(teamRoles ?? [])].map(({ teamId }) => teamId));
    const mayGive = await memberships.mayGive(actor, teams);
    const plan = { fields, changesPassword: password !== undefined, mayGive };
    // Asked here too, because a hash is expensive: who may not set it gets none made.
    await requireAllowed(db, plan, seen, scope);
    const passwordHash = password === undefined ? undefined : await passwords.hash('password', password);

    const write = async (tx: Queryable): Promise<User> => {
      const before = await lock(tx, id, scope);
      const news = await requireAllowed(tx, plan, before, scope);
      // Before memberships end: consents are ended after sessions by everybody (storage/grants.ts).
      if (passwordHash !== undefined || isShutOut(news)) await endUserSessions(tx, id);
      const limits = { teamId: scope.teamId, mayGive };
      const changesRoles =
        teamRoles !== undefined && (await memberships.replace(tx, { userId: id, teamRoles }, limits, actor));
      const held = changesRoles ? (await storage.findUser(tx, id, scope))?.teamRoles : before.teamRoles;
      requireNames(teamRoles ?? [], held ?? []);
      if (!changesRoles && passwordHash === undefined && Object.keys(news).length === 0) return before;
      await storage.updateUser(tx, id, { ...news, passwordHash });
      if (passwordHash !== undefined) await record(tx, 'user.password_changed', before, actor);
      await recordUpdate(tx, before, news, actor);
      return within((await storage.findUser(tx, id))!, scope);
    };
    const mayEndAdmin = teamRoles !== undefined || fields.enabled === false || fields.expiresAt instanceof Date;
    return db.transaction((tx) => (mayEndAdmin ? keepRootAdmin(tx, () => write(tx)) : write(tx)));
  }

  return {
    prepare,
    add: (tx, prepared, actor) => insert(tx, prepared, { mayGive: () => true }, actor),
    async create({ teamRoles = [], ...input }, actor, { teamId } = {}) {
      if (teamId !== undefined && teamRoles.length === 0) {
        throw invalidField('team_roles', 'must have at least one role in your team');
      }
      const mayGive = await memberships.mayGive(actor, new Set(teamRoles.map((one) => one.teamId)));
      const prepared = await prepare({ ...input, teamRoles });
      return db.transaction((tx) => insert(tx, prepared, { teamId, mayGive }, actor));
    },
    find,
    findByEmail: async (email) => storage.findUserByEmail(db, checkEmail('email', email)),
    list: (scope = {}, page = { limit: 1_000 }) => storage.listUsers(db, scope, page),
    update,
    setEnabled: (id, enabled, actor) => update(id, { enabled }, {}, actor),
    setPassword: (id, password, actor) => update(id, { password }, {}, actor),
    delete(id, actor, scope = {}) {
      return db.transaction(async (tx) => {
        if (!isUuid(id)) throw noSuchUser();
        return keepRootAdmin(tx, async () => {
          await lock(tx, id, scope);
          if (scope.teamId !== undefined) throw onlyFromRoot();
          const user = (await storage.deleteUser(tx, id))!;
          await record(tx, 'user.deleted', user, actor);
          return user;
        });
      });
    },
    async withOptions(users, caller) {
      const options = await optionsOf(users, caller);
      return users.map((user, index) => ({ ...user, options: options[index]! }));
    },
  };
}

/** Whether the news let somebody in who is, or soon would be, shut out. */
function isRevived({ expiresAt: until }: User, { enabled, expiresAt }: UserFields): boolean {
  const putOff = expiresAt !== undefined && until !== null && (expiresAt === null || expiresAt > until);
  return enabled === true || putOff;
}

/** @param held the roles as they are now, those of the entries among them */
function requireNames(entries: readonly NamedTeamRoles[], held: User['teamRoles']): void {
  for (const [index, { teamId, roles, teamName, roleName }] of entries.entries()) {
    const one = held.find((role) => role.teamId === teamId && roles.includes(role.roleId));
    if ((teamName ?? one?.teamName) !== one?.teamName) {
      throw invalidField(`team_roles.${index}.team_name`, 'is not the name of the team with this id');
    }
    if ((roleName ?? one?.roleName) !== one?.roleName) {
      throw invalidField(`team_roles.${index}.role_name`, 'is not the name of the role with this id');
    }
  }
}

function isShutOut({ enabled, expiresAt }: UserFields): boolean {
  return enabled === false || (expiresAt instanceof Date && expiresAt.getTime() <= Date.now());
}

/** As seen from within a team: nobody learns there which others the user is in. */
function within(user: User, { teamId }: UserScope): User {
  return teamId === undefined ? user : { ...user, teamRoles: user.teamRoles.filter((one) => one.teamId === teamId) };
}

function onlyFromRoot(): AppError {
  return new AppError(
    'permission_denied',
    'From within a team only the roles in that team can be changed, because a user may be in others too. Use a credential ' +
      'of the root team for the rest.',
  );
}

function noSuchUser(): AppError {
  return new AppError('not_found', 'There is no such user.');
}
