/**
 * Browser sessions: a row each that people can look at, and the engine's sealed payload that hangs on it. Whoever ends one
 * deletes the row; nothing stores a payload for a session that has ended meanwhile.
 */
import { type Listing, listRows, type Page } from './listing.ts';
import type { Queryable } from './pool.ts';

/** What can be seen of a session. */
export interface SessionRecord {
  id: string;
  loggedInAt: Date;
  lastUsedAt: Date;
  expiresAt: Date;
  /** Where it was last used from; empty when that is not known. */
  ip: string;
  userAgent: string;
  /** Whether it is the one that is asked about. */
  isCurrent: boolean;
  /** Its place in the list's order (storage/listing.ts). */
  sortKey: string;
}

/** A session as the engine stores it, with what is to be seen of it. */
export interface StoredSession {
  /** SHA-256 of its id and of its uid. */
  id: Buffer;
  uid: Buffer;
  userId: string | undefined;
  payload: Buffer;
  loggedInAt: Date;
  lastUsedAt: Date;
  expiresAt: Date;
  ip: string;
  userAgent: string;
  grantIds: readonly string[];
}

/** What the engine finds. The times are those of the row: a use moves them without touching the payload. */
export interface SessionPayloadRecord {
  id: Buffer;
  payload: Buffer;
  lastUsedAt: Date;
  expiresAt: Date;
}

/** Whose sessions, and which of them count: those that were logged in and used since then. */
export interface SessionScope {
  userId: string;
  now: Date;
  loggedInSince: Date;
  usedSince: Date;
}

const parameters = (row: StoredSession): unknown[] => [
  row.id,
  row.uid,
  row.userId ?? null,
  row.payload,
  row.loggedInAt,
  row.lastUsedAt,
  row.expiresAt,
  row.ip,
  row.userAgent,
  row.grantIds,
];

const CHANGES = `user_id = $3, logged_in_at = $5, last_used_at = $6, expires_at = $7, ip = $8, user_agent = $9, grant_ids = $10`;

/** Stores a session that is new. */
export async function insertSession(db: Queryable, row: StoredSession): Promise<void> {
  await db.query(
    `WITH made AS (
       INSERT INTO sessions (uid, user_id, logged_in_at, last_used_at, expires_at, ip, user_agent, grant_ids)
       VALUES ($2, $3, $5, $6, $7, $8, $9, $10) ON CONFLICT (uid) DO UPDATE SET ${CHANGES})
     INSERT INTO oidc_payloads (model, id, uid, user_id, payload, expires_at) VALUES ('Session', $1, $2, $3, $4, $7)
     ON CONFLICT (model, id) DO UPDATE SET uid = EXCLUDED.uid, user_id = EXCLUDED.user_id, payload = EXCLUDED.payload,
       expires_at = EXCLUDED.expires_at`,
    parameters(row),
  );
}

/**
 * Overwrites a session, and gives it another id when `row` has one: the former is dead with the same statement. False when
 * the session has ended or has another id by now; then nothing is stored.
 */
export async function renewSession(db: Queryable, formerId: Buffer, row: StoredSession): Promise<boolean> {
  const { count } = await db.query(
    `WITH living AS (UPDATE sessions SET ${CHANGES} WHERE uid = $2 RETURNING uid)
     UPDATE oidc_payloads SET id = $1, user_id = $3, payload = $4, expires_at = $7
     FROM living WHERE oidc_payloads.model = 'Session' AND oidc_payloads.id = $11 AND oidc_payloads.uid = living.uid`,
    [...parameters(row), formerId],
  );
  return count === 1;
}

const FOUND = `SELECT p.id, p.payload, s.last_used_at AS "lastUsedAt", s.expires_at AS "expiresAt"
  FROM oidc_payloads AS p JOIN sessions AS s ON s.uid = p.uid WHERE p.model = 'Session'`;

export async function findSessionPayload(db: Queryable, id: Buffer): Promise<SessionPayloadRecord | undefined> {
  const { rows } = await db.query<SessionPayloadRecord>(`${FOUND} AND p.id = $1`, [id]);
  return rows[0];
}

export async function findSessionPayloadByUid(db: Queryable, uid: Buffer): Promise<SessionPayloadRecord | undefined> {
  const { rows } = await db.query<SessionPayloadRecord>(`${FOUND} AND p.uid = $1`, [uid]);
  return rows[0];
}

export async function deleteSessionOfPayload(db: Queryable, id: Buffer): Promise<void> {
  await db.query(
    `DELETE FROM sessions USING oidc_payloads AS p WHERE p.model = 'Session' AND p.id = $1 AND sessions.uid = p.uid`,
    [id],
  );
}

/** Moves the times of a session that was not used since `usedBefore`; of any number of parallel calls one writes. */
export async function touchSession(
  db: Queryable,
  uid: Buffer,
  use: Pick<StoredSession, 'lastUsedAt' | 'expiresAt' | 'ip' | 'userAgent'> & { usedBefore: Date },
): Promise<void> {
  await db.query(
    `WITH used AS (
       UPDATE sessions SET last_used_at = $2, expires_at = $3, ip = $4, user_agent = $5
       WHERE uid = $1 AND last_used_at <= $6 RETURNING uid)
     UPDATE oidc_payloads SET expires_at = $3 FROM used WHERE oidc_payloads.uid = used.uid`,
    [uid, use.lastUsedAt, use.expiresAt, use.ip, use.userAgent, use.usedBefore],
  );
}

const IN_SCOPE = 'user_id = $1 AND expires_at > $2 AND logged_in_at > $3 AND last_used_at > $4';

const scopeParameters = ({ userId, now, loggedInSince, usedSince }: SessionScope) => [
  userId,
  now,
  loggedInSince,
  usedSince,
];

const LISTING: Listing = {
  columns: `id, logged_in_at AS "loggedInAt", last_used_at AS "lastUsedAt", expires_at AS "expiresAt", ip,
    user_agent AS "userAgent", coalesce(uid = $5, false) AS "isCurrent"`,
  from: 'sessions',
  fields: {
    id: { sql: 'id', type: 'uuid' },
    last_used_at: { sql: 'last_used_at', type: 'timestamptz' },
    logged_in_at: { sql: 'logged_in_at', type: 'timestamptz' },
  },
  order: { field: 'last_used_at', descending: true },
  where: IN_SCOPE,
};

/** @param current the uid's digest of the session that is asked about, if any */
export function listSessions(
  db: Queryable,
  scope: SessionScope,
  page: Page,
  current: Buffer | undefined,
): Promise<SessionRecord[]> {
  return listRows<Omit<SessionRecord, 'sortKey'>>(db, LISTING, page, [...scopeParameters(scope), current ?? null]);
}

/** One that ended: how many consents ended with it. */
export interface EndedSession {
  id: string;
  userId: string | null;
  endedGrants: number;
}

const end = (where: string) => `WITH ended AS (DELETE FROM sessions WHERE ${where} RETURNING id, user_id, grant_ids),
  gone AS (DELETE FROM grants USING ended WHERE grants.user_id = ended.user_id AND grants.id = ANY (ended.grant_ids)
    RETURNING ended.id)
  SELECT id, user_id AS "userId", (SELECT count(*) FROM gone WHERE gone.id = ended.id)::int AS "endedGrants" FROM ended`;

export async function deleteSession(db: Queryable, id: string, scope: SessionScope): Promise<EndedSession | undefined> {
  const { rows } = await db.query<EndedSession>(end(`${IN_SCOPE} AND id = $5`), [...scopeParameters(scope), id]);
  return rows[0];
}

export async function deleteSessionByUid(db: Queryable, uid: Buffer): Promise<EndedSession | undefined> {
  const { rows } = await db.query<EndedSession>(end('uid = $1'), [uid]);
  return rows[0];
}

/** Ends all sessions of a user but the one of that uid. */
export async function deleteOtherSessions(db: Queryable, userId: string, uid: Buffer): Promise<EndedSession[]> {
  const { rows } = await db.query<EndedSession>(end('user_id = $1 AND uid <> $2'), [userId, uid]);
  return rows;
}

/**
 * As `endUserSessions` (users.ts), but for one session: the others, all consents and every code and refresh token end.
 */
export async function endAllButSession(db: Queryable, userId: string, uid: Buffer): Promise<number> {
  const ended = await deleteOtherSessions(db, userId, uid);
  await db.query(
    `WITH ended AS (DELETE FROM grants WHERE user_id = $1)
     DELETE FROM oidc_payloads WHERE user_id = $1 AND uid IS DISTINCT FROM $2`,
    [userId, uid],
  );
  return ended.length;
}
