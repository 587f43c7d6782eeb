/** Removes what has expired, a bounded batch at a time, so that no statement holds locks for long. */
import type { Queryable } from './pool.ts';

// An hour of grace: replay detection and clock differences between instances still see what just ended.
const EXPIRED: Record<string, string> = {
  oidc_payloads:
    "SELECT ctid FROM oidc_payloads WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  grants: "SELECT ctid FROM grants WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  revoked_tokens:
    "SELECT ctid FROM revoked_tokens WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  idempotency_keys:
    "SELECT ctid FROM idempotency_keys WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  signing_keys:
    "SELECT ctid FROM signing_keys WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
};

export const PURGED_TABLES = Object.keys(EXPIRED);

/** Deletes at most `limit` expired rows of one of `PURGED_TABLES` and says how many. */
export async function deleteExpired(db: Queryable, table: string, limit: number): Promise<number> {
  const { count } = await db.query(`DELETE FROM ${table} WHERE ctid = ANY (ARRAY(${EXPIRED[table]}))`, [limit]);
  return count;
}

/** Takes the purge lock for this transaction; false when another instance has it. */
export async function lockPurge(tx: Queryable): Promise<boolean> {
  const { rows } = await tx.query<{ locked: boolean }>('SELECT pg_try_advisory_xact_lock(7264002) AS locked');
  return rows[0]?.locked ?? false;
}
