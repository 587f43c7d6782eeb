/** The users table, and what ends together with a user's right to be here. */
import { type Condition, type Listing, lastUse, listRows, type Page, VERSION } from './listing.ts';
import type { Queryable } from './pool.ts';
import { byWords } from './search.ts';
import { endUserSessions } from './sessions.ts';

/** A role a user has in a team. */
export interface TeamRoleRecord {
  teamId: string;
  teamName: string;
  roleId: string;
  roleName: string;
}

/** How often a user is sent which digest: 1 daily, 2 weekly, 3 monthly. */
export interface DigestSetting {
  digestId: string;
  digestName: string;
  frequency: number;
}

/** A user; the password hash stays in the table (see `findLogin`). */
export interface UserRecord {
  id: string;
  email: string;
  name: string;
  displayName: string;
  givenName: string;
  familyName: string;
  /** IANA name; null: what the browser says. */
  timeZone: string | null;
  enabled: boolean;
  hasPassword: boolean;
  /** 1 general, 2 technical, 3 business. */
  persona: number;
  digestSettings: DigestSetting[];
  /** What a provider other than this server would call the user; kept, and read by nobody here. */
  authProviderId: string;
  lastLoginAt: Date | null;
  lastRefreshAt: Date | null;
  /** A whole number as text: it may outgrow what a number holds exactly. */
  loginsLifetime: string;
  expiresAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
  version: string;
  /** By team name, then role name; read within a team, the roles in that team alone. */
  teamRoles: TeamRoleRecord[];
}

export interface NewUser {
  email: string;
  name: string;
  displayName: string;
  givenName: string;
  familyName: string;
  passwordHash: string | undefined;
  expiresAt: Date | undefined;
  persona?: number | undefined;
  digestSettings?: DigestSetting[] | undefined;
}

/** What can be changed in the row itself; what is left out stays. */
export interface UserChanges extends Partial<Omit<NewUser, 'expiresAt'>> {
  authProviderId?: string | undefined;
  enabled?: boolean | undefined;
  /** Null: none. */
  timeZone?: string | null | undefined;
  /** Null: never. */
  expiresAt?: Date | null | undefined;
}

/** Which users a caller may see: with `teamId`, the members of that team. */
export interface UserScope {
  teamId?: string | undefined;
}

/** What a login needs to know about an email address. */
export interface LoginRecord {
  /** The address as the database compares it: every spelling of one user's address has the same. */
  key: string;
  /** Null, like the rest, when there is no such user. */
  userId: string | null;
  passwordHash: string | null;
  enabled: boolean | null;
  expired: boolean | null;
}

// $1 in every statement that reads users: the team they are seen from, or null for all of them.
const COLUMNS = `id, email, name, display_name AS "displayName", given_name AS "givenName",
  family_name AS "familyName", time_zone AS "timeZone", enabled, password_hash IS NOT NULL AS "hasPassword", persona,
  digest_settings AS "digestSettings", auth_provider_id AS "authProviderId", last_login_at AS "lastLoginAt",
  last_refresh_at AS "lastRefreshAt", logins_lifetime::text AS "loginsLifetime", expires_at AS "expiresAt",
  created_at AS "createdAt", updated_at AS "updatedAt", ${VERSION},
  (SELECT coalesce(jsonb_agg(jsonb_build_object('teamId', t.id, 'teamName', t.name, 'roleId', r.id, 'roleName', r.name)
     ORDER BY lower(t.name), t.id, r.name), '[]')
   FROM membership_roles mr JOIN teams t ON t.id = mr.team_id JOIN roles r ON r.id = mr.role_id
   WHERE mr.user_id = users.id AND ($1::uuid IS NULL OR mr.team_id = $1)) AS "teamRoles"`;

const isMember = (team: string) =>
  `EXISTS (SELECT 1 FROM memberships m WHERE m.user_id = users.id AND m.team_id = ${team}::uuid)`;

const IN_SCOPE = `($1::uuid IS NULL OR ${isMember('$1')})`;

const LISTING: Listing = {
  columns: COLUMNS,
  from: 'users',
  fields: {
    created_at: { sql: 'created_at', type: 'timestamptz' },
    name: { sql: 'name', type: 'text' },
    email: { sql: 'lower(email)', type: 'text', foldsCase: true },
    enabled: { sql: 'enabled', type: 'boolean' },
    last_login_at: lastUse('last_login_at'),
  },
  order: { field: 'created_at', descending: false },
  search: byWords,
};

export async function findUser(db: Queryable, id: string, { teamId }: UserScope = {}): Promise<UserRecord | undefined> {
  const { rows } = await db.query<UserRecord>(`SELECT ${COLUMNS} FROM users WHERE id = $2 AND ${IN_SCOPE}`, [
    teamId ?? null,
    id,
  ]);
  return rows[0];
}

/** Makes whoever else wants to change this user, or the user's roles, wait until the transaction ends. Whether there is one. */
export async function lockUser(tx: Queryable, id: string): Promise<boolean> {
  const { count } = await tx.query('SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE', [id]);
  return count > 0;
}

/** Upper and lower case count as the same. */
export async function findUserByEmail(db: Queryable, email: string): Promise<UserRecord | undefined> {
  const { rows } = await db.query<UserRecord>(`SELECT ${COLUMNS} FROM users WHERE lower(email) = lower($2)`, [
    null,
    email,
  ]);
  return rows[0];
}

/** Whether a user is let in: `expired` and `disabled` are not, and nobody is both. Each has an index, or is most of the table. */
const STATUSES: Record<string, string> = {
  active: 'enabled AND (expires_at IS NULL OR expires_at > now())',
  expired: 'enabled AND expires_at <= now()',
  disabled: 'NOT enabled',
};

/** Besides the fields of the row, `team_id` can be filtered by, members of that team, and `status`: active, expired, disabled. */
export async function listUsers(
  db: Queryable,
  { teamId }: UserScope,
  page: Page,
): Promise<(UserRecord & { sortKey: string })[]> {
  const { conditions = [] } = page;
  const isTeam = ({ field }: Condition) => field === 'team_id';
  const isStatus = ({ field }: Condition) => field === 'status';
  const teams = conditions.filter(isTeam).map(({ value }) => value);
  const values: unknown[] = [teamId ?? null, ...teams];
  const where = [
    // Said only when it narrows: the planner looks members up by an index for an EXISTS of its own, not behind an OR.
    ...(teamId === undefined ? [] : [isMember('$1')]),
    ...teams.map((_, index) => isMember(`$${index + 2}`)),
    ...conditions.filter(isStatus).map(({ value }) => STATUSES[String(value)] ?? 'false'),
  ];
  const listing = where.length === 0 ? LISTING : { ...LISTING, where: where.join(' AND ') };
  return listRows(
    db,
    listing,
    { ...page, conditions: conditions.filter((one) => !isTeam(one) && !isStatus(one)) },
    values,
  );
}

export async function insertUser(db: Queryable, user: NewUser): Promise<UserRecord> {
  const { rows } = await db.query<UserRecord>(
    `INSERT INTO users (email, name, display_name, given_name, family_name, password_hash, expires_at, persona,
       digest_settings)
     VALUES ($2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING ${COLUMNS}`,
    [
      null,
      user.email,
      user.name,
      user.displayName,
      user.givenName,
      user.familyName,
      user.passwordHash ?? null,
      user.expiresAt ?? null,
      user.persona ?? 1,
      JSON.stringify(user.digestSettings ?? []),
    ],
  );
  return rows[0]!;
}

/** Changes what is given, and `updated_at` in any case. Undefined when there is no such user. */
export async function updateUser(db: Queryable, id: string, changes: UserChanges): Promise<UserRecord | undefined> {
  const { rows } = await db.query<UserRecord>(
    `UPDATE users SET email = coalesce($3, email), name = coalesce($4, name),
       display_name = coalesce($5, display_name), given_name = coalesce($6, given_name),
       family_name = coalesce($7, family_name), password_hash = coalesce($8, password_hash),
       enabled = coalesce($9, enabled), persona = coalesce($10, persona),
       digest_settings = coalesce($11, digest_settings), auth_provider_id = coalesce($12, auth_provider_id),
       expires_at = CASE WHEN $13::boolean THEN $14::timestamptz ELSE expires_at END,
       time_zone = CASE WHEN $15::boolean THEN $16 ELSE time_zone END, updated_at = now()
     WHERE id = $2 RETURNING ${COLUMNS}`,
    [
      null,
      id,
      changes.email ?? null,
      changes.name ?? null,
      changes.displayName ?? null,
      changes.givenName ?? null,
      changes.familyName ?? null,
      changes.passwordHash ?? null,
      changes.enabled ?? null,
      changes.persona ?? null,
      changes.digestSettings === undefined ? null : JSON.stringify(changes.digestSettings),
      changes.authProviderId ?? null,
      changes.expiresAt !== undefined,
      changes.expiresAt ?? null,
      changes.timeZone !== undefined,
      changes.timeZone ?? null,
    ],
  );
  return rows[0];
}

/** For a change of what hangs on the user's row: it makes a new version of the user. Whether there is such a user. */
export async function touchUser(db: Queryable, id: string): Promise<boolean> {
  const { count } = await db.query('UPDATE users SET updated_at = now() WHERE id = $1', [id]);
  return count > 0;
}

/** Deletes a user; keys, memberships, grants and sessions go with the row. Answers the user as it was. */
export async function deleteUser(tx: Queryable, id: string): Promise<UserRecord | undefined> {
  // What hangs on the row would end in any order; what others may be ending as well is ended in theirs first (grants.ts).
  await tx.query('SELECT FROM users WHERE id = $1 FOR UPDATE', [id]);
  await tx.query('SELECT FROM memberships WHERE user_id = $1 ORDER BY team_id FOR UPDATE', [id]);
  await endUserSessions(tx, id);
  const { rows } = await tx.query<UserRecord>(`DELETE FROM users WHERE id = $2 RETURNING ${COLUMNS}`, [null, id]);
  return rows[0];
}

/** Whether the password was still the former one. */
export async function replacePasswordHash(
  db: Queryable,
  id: string,
  { former, next }: { former: string; next: string },
): Promise<boolean> {
  const { count } = await db.query(
    'UPDATE users SET password_hash = $3, updated_at = now() WHERE id = $1 AND password_hash = $2',
    [id, former, next],
  );
  return count > 0;
}

/** Always one row, so that a known and an unknown address cost the same. */
export async function findLogin(db: Queryable, email: string): Promise<LoginRecord> {
  const { rows } = await db.query<LoginRecord>(
    `SELECT wanted.key, u.id AS "userId", u.password_hash AS "passwordHash", u.enabled, u.expires_at <= now() AS expired
     FROM (SELECT lower($1) AS key) wanted LEFT JOIN users u ON lower(u.email) = wanted.key`,
    [email],
  );
  return rows[0]!;
}

/**
 * Counts a login with the password behind `passwordHash`. False when the user was deleted, disabled, expired or given
 * another password since it was read.
 */
export async function recordLogin(db: Queryable, id: string, passwordHash: string): Promise<boolean> {
  const { count } = await db.query(
    `UPDATE users SET last_login_at = now(), logins_lifetime = logins_lifetime + 1
     WHERE id = $1 AND password_hash = $2 AND enabled AND (expires_at IS NULL OR expires_at > now())`,
    [id, passwordHash],
  );
  return count > 0;
}
