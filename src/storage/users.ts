/** The users table, and what ends together with a user's right to be here. */
import type { Queryable } from './pool.ts';

/** A user; the password hash stays in the table (see `findLogin`). */
export interface UserRecord {
  id: string;
  email: string;
  name: string;
  displayName: string;
  givenName: string;
  familyName: string;
  enabled: boolean;
  hasPassword: boolean;
  lastLoginAt: Date | null;
  /** A whole number as text: it may outgrow what a number holds exactly. */
  loginsLifetime: string;
  expiresAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

export interface NewUser {
  email: string;
  name: string;
  displayName: string;
  givenName: string;
  familyName: string;
  passwordHash: string | undefined;
  expiresAt: Date | undefined;
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

const COLUMNS = `id, email, name, display_name AS "displayName", given_name AS "givenName",
  family_name AS "familyName", enabled, password_hash IS NOT NULL AS "hasPassword", last_login_at AS "lastLoginAt",
  logins_lifetime::text AS "loginsLifetime", expires_at AS "expiresAt", created_at AS "createdAt",
  updated_at AS "updatedAt"`;

export async function findUser(db: Queryable, id: string): Promise<UserRecord | undefined> {
  const { rows } = await db.query<UserRecord>(`SELECT ${COLUMNS} FROM users WHERE id = $1`, [id]);
  return rows[0];
}

/** Upper and lower case count as the same. */
export async function findUserByEmail(db: Queryable, email: string): Promise<UserRecord | undefined> {
  const { rows } = await db.query<UserRecord>(`SELECT ${COLUMNS} FROM users WHERE lower(email) = lower($1)`, [email]);
  return rows[0];
}

/** By email, after the user with the email `after`, at most `limit`. */
export async function listUsers(
  db: Queryable,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<UserRecord[]> {
  const { rows } = await db.query<UserRecord>(
    `SELECT ${COLUMNS} FROM users WHERE $2::text IS NULL OR lower(email) > lower($2) ORDER BY lower(email) LIMIT $1`,
    [limit, after ?? null],
  );
  return rows;
}

export async function insertUser(db: Queryable, user: NewUser): Promise<UserRecord> {
  const { rows } = await db.query<UserRecord>(
    `INSERT INTO users (email, name, display_name, given_name, family_name, password_hash, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${COLUMNS}`,
    [
      user.email,
      user.name,
      user.displayName,
      user.givenName,
      user.familyName,
      user.passwordHash ?? null,
      user.expiresAt ?? null,
    ],
  );
  return rows[0]!;
}

/** The user as changed, or undefined when there is none or `enabled` was so already. */
export async function updateUserEnabled(db: Queryable, id: string, enabled: boolean): Promise<UserRecord | undefined> {
  const { rows } = await db.query<UserRecord>(
    `UPDATE users SET enabled = $2, updated_at = now() WHERE id = $1 AND enabled <> $2 RETURNING ${COLUMNS}`,
    [id, enabled],
  );
  return rows[0];
}

export async function updateUserPassword(
  db: Queryable,
  id: string,
  passwordHash: string,
): Promise<UserRecord | undefined> {
  const { rows } = await db.query<UserRecord>(
    `UPDATE users SET password_hash = $2, updated_at = now() WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, passwordHash],
  );
  return rows[0];
}

/** Deletes a user; keys, memberships, grants and sessions go with the row. */
export async function deleteUser(db: Queryable, id: string): Promise<UserRecord | undefined> {
  const { rows } = await db.query<UserRecord>(`DELETE FROM users WHERE id = $1 RETURNING ${COLUMNS}`, [id]);
  return rows[0];
}

/** Ends a user's browser sessions, consents, and every code and refresh token issued under them. */
export async function endUserSessions(db: Queryable, id: string): Promise<void> {
  await db.query('WITH ended AS (DELETE FROM grants WHERE user_id = $1) DELETE FROM oidc_payloads WHERE user_id = $1', [
    id,
  ]);
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
