/**
 * Browser sessions: a row each that people can look at, and the engine's sealed payload that hangs on it. Whoever ends one
 * deletes the row; nothing stores a payload for a session that has ended meanwhile.
 */
import { deleteGrantsWhere } from './grants.ts';
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

export async function countSessions(db: Queryable, scope: SessionScope): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM sessions WHERE ${IN_SCOPE}`,
    scopeParameters(scope),
  );
  return rows[0]!.count;
}

/** One that ended: how many consents ended with it. */
export interface EndedSession {
  id: string;
  userId: string | null;
  endedGrants: number;
}

/** What ends with a session, by the ids the engine gave the consents. */
type EndedRow = Omit<EndedSession, 'endedGrants'> & { grantIds: string[] };

/** Ends sessions in the order of their ids, and nothing else (see `deleteGrantsWhere`). */
async function endAlone(tx: Queryable, where: string, values: unknown[]): Promise<EndedRow[]> {
  const { rows } = await tx.query<EndedRow>(
    `WITH held AS MATERIALIZED (SELECT id FROM sessions WHERE ${where} ORDER BY id FOR UPDATE)
     DELETE FROM sessions USING held WHERE sessions.id = held.id
     RETURNING sessions.id, user_id AS "userId", grant_ids AS "grantIds"`,
    values,
  );
  return rows;
}

/** Ends sessions and then, when the last of them is locked, the consents that end with them. */
async function end(tx: Queryable, where: string, values: unknown[]): Promise<EndedSession[]> {
  const ended = await endAlone(tx, where, values);
  const owners = new Set(ended.flatMap(({ userId, grantIds }) => (grantIds.length > 0 && userId) || []));
  if (owners.size === 0) return ended.map(({ id, userId }) => ({ id, userId, endedGrants: 0 }));
  const { rows: gone } = await tx.query<{ id: string }>(
    `${deleteGrantsWhere('user_id = ANY ($1::uuid[]) AND id = ANY ($2::uuid[])')} RETURNING grants.id`,
    [[...owners], ended.flatMap(({ grantIds }) => grantIds)],
  );
  const left = new Set(gone.map(({ id }) => id));
  // Of two sessions with one consent the first ended it.
  return ended.map(({ id, userId, grantIds }) => ({
    id,
    userId,
    endedGrants: grantIds.filter((grantId) => left.delete(grantId)).length,
  }));
}

export async function deleteSession(tx: Queryable, id: string, scope: SessionScope): Promise<EndedSession | undefined> {
  return (await end(tx, `${IN_SCOPE} AND id = $5`, [...scopeParameters(scope), id]))[0];
}

export async function deleteSessionByUid(tx: Queryable, uid: Buffer): Promise<EndedSession | undefined> {
  return (await end(tx, 'uid = $1', [uid]))[0];
}

const OTHERS = 'user_id = $1 AND uid <> $2';

/** Ends all sessions of a user but the one of that uid. */
export function deleteOtherSessions(tx: Queryable, userId: string, uid: Buffer): Promise<EndedSession[]> {
  return end(tx, OTHERS, [userId, uid]);
}

/**
 * As `endUserSessions` (users.ts), but for one session: the others, all consents and every code and refresh token end.
 */
export async function endAllButSession(tx: Queryable, userId: string, uid: Buffer): Promise<number> {
  const ended = await endAlone(tx, OTHERS, [userId, uid]);
  await endAllIssued(tx, userId, uid);
  return ended.length;
}

/** Ends a user's browser sessions, consents, and every code and refresh token issued under them. */
export async function endUserSessions(tx: Queryable, userId: string): Promise<void> {
  await endAlone(tx, 'user_id = $1', [userId]);
  await endAllIssued(tx, userId, null);
}

/** @param uid of the session that stays, if one does */
async function endAllIssued(tx: Queryable, userId: string, uid: Buffer | null): Promise<void> {
  await tx.query(deleteGrantsWhere('user_id = $1'), [userId]);
  // Codes and tokens have no uid: without a session that stays they end all the same.
  const others = 'user_id = $1 AND ($2::bytea IS NULL OR uid IS DISTINCT FROM $2)';
  await tx.query(`DELETE FROM oidc_payloads WHERE ${others}`, [userId, uid]);
}
