/**
 * The engine's payload rows, but those of sessions (sessions.ts). Single use is decided here, by conditional statements, so it
 * holds for any number of instances.
 */
import type { Queryable } from './pool.ts';

export interface OidcPayloadRecord {
  id: Buffer;
  payload: Buffer;
  consumedAt: Date | null;
  /** Seconds since it was consumed, by the database's clock; null when it was not. */
  consumedFor: number | null;
}

export interface NewOidcPayload {
  model: string;
  /** SHA-256 of the engine's id. */
  id: Buffer;
  grantId?: string | undefined;
  userId?: string | undefined;
  payload: Buffer;
  /** Seconds. */
  expiresIn: number;
}

const COLUMNS = `id, payload, consumed_at AS "consumedAt", extract(epoch FROM clock_timestamp() - consumed_at)::float8 AS "consumedFor"`;

function values(row: NewOidcPayload): unknown[] {
  return [row.model, row.id, row.grantId ?? null, row.userId ?? null, row.payload, row.expiresIn];
}

const INSERT = `INSERT INTO oidc_payloads (model, id, grant_id, user_id, payload, expires_at)
  VALUES ($1, $2, $3, $4, $5, now() + $6 * interval '1 second')`;

export async function upsertOidcPayload(db: Queryable, row: NewOidcPayload): Promise<void> {
  await db.query(
    `${INSERT} ON CONFLICT (model, id) DO UPDATE SET grant_id = EXCLUDED.grant_id, user_id = EXCLUDED.user_id,
       payload = EXCLUDED.payload, expires_at = EXCLUDED.expires_at`,
    values(row),
  );
}

/** Overwrites what is there; false when nothing is (any more). */
export async function updateOidcPayload(db: Queryable, row: NewOidcPayload): Promise<boolean> {
  const { count } = await db.query(
    `UPDATE oidc_payloads SET grant_id = $3, user_id = $4, payload = $5, expires_at = now() + $6 * interval '1 second'
     WHERE model = $1 AND id = $2`,
    values(row),
  );
  return count === 1;
}

/** Inserts, or answers false when the row is there already and still counts. */
export async function insertOidcPayloadOnce(db: Queryable, row: NewOidcPayload): Promise<boolean> {
  const { count } = await db.query(
    `${INSERT} ON CONFLICT (model, id) DO UPDATE SET payload = EXCLUDED.payload, expires_at = EXCLUDED.expires_at
       WHERE oidc_payloads.expires_at < now() - interval '1 minute'`,
    values(row),
  );
  return count === 1;
}

export async function findOidcPayload(
  db: Queryable,
  model: string,
  id: Buffer,
): Promise<OidcPayloadRecord | undefined> {
  const { rows } = await db.query<OidcPayloadRecord>(
    `SELECT ${COLUMNS} FROM oidc_payloads WHERE model = $1 AND id = $2`,
    [model, id],
  );
  return rows[0];
}

/** Marks it used. Of any number of parallel calls exactly one gets true. */
export async function consumeOidcPayload(db: Queryable, model: string, id: Buffer): Promise<boolean> {
  const { count } = await db.query(
    'UPDATE oidc_payloads SET consumed_at = clock_timestamp() WHERE model = $1 AND id = $2 AND consumed_at IS NULL',
    [model, id],
  );
  return count === 1;
}

/** Deletes it. Of any number of parallel calls at most one gets true. */
export async function deleteOidcPayload(db: Queryable, model: string, id: Buffer): Promise<boolean> {
  const { count } = await db.query('DELETE FROM oidc_payloads WHERE model = $1 AND id = $2', [model, id]);
  return count === 1;
}

export async function deleteOidcPayloadsOfGrant(db: Queryable, model: string, grantId: string): Promise<void> {
  await db.query('DELETE FROM oidc_payloads WHERE grant_id = $2 AND model = $1', [model, grantId]);
}
