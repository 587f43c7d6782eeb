/** Answers already given to requests that carried an Idempotency-Key. */
import type { Queryable } from './pool.ts';

export interface IdempotencyKeyRecord {
  requestDigest: Buffer;
  answer: Buffer;
}

/** Makes every other transaction with this key wait until this one ends. */
export async function lockIdempotencyKey(tx: Queryable, id: Buffer): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock($1::bigint)', [id.readBigInt64BE().toString()]);
}

export async function findIdempotencyKey(tx: Queryable, id: Buffer): Promise<IdempotencyKeyRecord | undefined> {
  const { rows } = await tx.query<IdempotencyKeyRecord>(
    'SELECT request_digest AS "requestDigest", answer FROM idempotency_keys WHERE id = $1 AND expires_at > now()',
    [id],
  );
  return rows[0];
}

export async function upsertIdempotencyKey(
  tx: Queryable,
  id: Buffer,
  { requestDigest, answer }: IdempotencyKeyRecord,
  lifetimeSeconds: number,
): Promise<void> {
  await tx.query(
    `INSERT INTO idempotency_keys (id, request_digest, answer, expires_at)
     VALUES ($1, $2, $3, now() + $4 * interval '1 second')
     ON CONFLICT (id) DO UPDATE SET request_digest = $2, answer = $3, expires_at = EXCLUDED.expires_at`,
    [id, requestDigest, answer, lifetimeSeconds],
  );
}
