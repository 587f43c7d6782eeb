/** JWT access tokens ended before their time. */
import type { Queryable } from './pool.ts';

/** Answers false when it was there already. */
export async function insertRevokedToken(db: Queryable, jti: string, expiresAt: Date): Promise<boolean> {
  const { count } = await db.query(
    'INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING',
    [jti, expiresAt],
  );
  return count === 1;
}

export async function listRevokedTokens(db: Queryable): Promise<{ jti: string; expiresAt: Date }[]> {
  const { rows } = await db.query<{ jti: string; expiresAt: Date }>(
    `SELECT jti, expires_at AS "expiresAt" FROM revoked_tokens WHERE expires_at > now()`,
  );
  return rows;
}
