/** Consents: which user lets which app act in which team. Deleting one deletes every code and refresh token issued under it. */
import type { Queryable } from './pool.ts';

export interface GrantRecord {
  id: string;
  userId: string;
  teamId: string;
  clientId: string;
  /** The engine's own view of the grant: scopes and expiry, nothing secret. */
  payload: Record<string, unknown>;
}

export async function upsertGrant(db: Queryable, grant: GrantRecord, expiresIn: number): Promise<void> {
  await db.query(
    `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
     VALUES ($1, $2, $3, $4, $5, now() + $6 * interval '1 second')
     ON CONFLICT (id) DO UPDATE SET payload = EXCLUDED.payload, expires_at = EXCLUDED.expires_at`,
    [grant.id, grant.userId, grant.teamId, grant.clientId, JSON.stringify(grant.payload), expiresIn],
  );
}

export async function findGrant(db: Queryable, id: string): Promise<GrantRecord | undefined> {
  const { rows } = await db.query<GrantRecord>(
    `SELECT id, user_id AS "userId", team_id AS "teamId", client_id AS "clientId", payload FROM grants WHERE id = $1`,
    [id],
  );
  return rows[0];
}

export async function deleteGrant(db: Queryable, id: string): Promise<boolean> {
  const { count } = await db.query('DELETE FROM grants WHERE id = $1', [id]);
  return count === 1;
}
