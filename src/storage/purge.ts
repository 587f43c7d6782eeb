/** Removes what has expired, a bounded batch at a time, so that no statement holds locks for long. */
import type { Queryable } from './pool.ts';

// An hour of grace: replay detection and clock differences between instances still see what just ended.
const EXPIRED: Record<string, string> = {
  sessions: "SELECT ctid FROM sessions WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  oidc_payloads:
    "SELECT ctid FROM oidc_payloads WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  // A day more, as long as a token may live: removed sooner, each of them would be one more revocation.
  grants: "SELECT ctid FROM grants WHERE expires_at < now() - interval '25 hours' LIMIT $1 FOR UPDATE SKIP LOCKED",
  revocations:
    "SELECT ctid FROM revocations WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  former_lifetimes:
    "SELECT ctid FROM former_lifetimes WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  idempotency_keys:
    "SELECT ctid FROM idempotency_keys WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  signing_keys:
    "SELECT ctid FROM signing_keys WHERE expires_at < now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED",
  // And what was counted for teams that have ended since, each of which is found by one look into the index.
  credential_uses: `WITH RECURSIVE counted(team_id) AS (
      (SELECT team_id FROM credential_uses ORDER BY team_id LIMIT 1)
      UNION ALL SELECT (SELECT team_id FROM credential_uses AS next WHERE next.team_id > counted.team_id
        ORDER BY team_id LIMIT 1) FROM counted WHERE team_id IS NOT NULL)
    SELECT ctid FROM credential_uses
    WHERE day < (now() AT TIME ZONE 'UTC')::date - 400 OR team_id = ANY (ARRAY(
      SELECT team_id FROM counted WHERE NOT EXISTS (SELECT FROM teams WHERE teams.id = counted.team_id)))
    LIMIT $1 FOR UPDATE SKIP LOCKED`,
  credential_use_totals:
    "SELECT ctid FROM credential_use_totals WHERE day < (now() AT TIME ZONE 'UTC')::date - 400 LIMIT $1 FOR UPDATE SKIP LOCKED",
  credential_use_days:
    "SELECT ctid FROM credential_use_days WHERE day < (now() AT TIME ZONE 'UTC')::date - 400 LIMIT $1 FOR UPDATE SKIP LOCKED",
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
