/** What uses the authorization server: the apps and clients that may ask it for tokens, and the consents behind them. */
import type { Queryable } from './pool.ts';

/** Numbers end at the bound they were asked with. */
export interface AuthorizationServerUseRecord {
  /** That are switched on. */
  apps: number;
  clients: number;
  /** That have not expired: one for each person, team and app. */
  consents: number;
}

/** One that got a token lately. `teamName` null: an app, which belongs to no team. */
export interface LatestUseRecord {
  kind: 'oauth_app' | 'oauth_client';
  id: string;
  name: string;
  teamName: string | null;
  lastUsedAt: Date;
}

const FEW = (from: string) => `(SELECT count(*) FROM (SELECT FROM ${from} LIMIT $1) AS few)::int`;

/** @param most where counting stops */
export async function countAuthorizationServerUse(db: Queryable, most: number): Promise<AuthorizationServerUseRecord> {
  const { rows } = await db.query<AuthorizationServerUseRecord>(
    `SELECT ${FEW('oauth_apps WHERE enabled')} AS apps, ${FEW('oauth_clients WHERE enabled')} AS clients,
       ${FEW('grants WHERE expires_at > now()')} AS consents`,
    [most],
  );
  return rows[0]!;
}

/** The apps and clients that are switched on and were used last, the latest first. */
export async function listLatestUses(db: Queryable, limit: number): Promise<LatestUseRecord[]> {
  const { rows } = await db.query<LatestUseRecord>(
    `SELECT kind, id, name, (SELECT teams.name FROM teams WHERE teams.id = team_id) AS "teamName", "lastUsedAt" FROM (
       (SELECT 'oauth_app' AS kind, id, name, NULL::uuid AS team_id, last_used_at AS "lastUsedAt" FROM oauth_apps
          WHERE enabled AND last_used_at IS NOT NULL ORDER BY last_used_at DESC LIMIT $1)
       UNION ALL
       (SELECT 'oauth_client', id, name, team_id, last_used_at FROM oauth_clients
          WHERE enabled AND last_used_hour >= (
            SELECT min(last_used_hour) FROM (SELECT last_used_hour FROM oauth_clients
              WHERE last_used_hour IS NOT NULL AND enabled ORDER BY last_used_hour DESC LIMIT $1) AS latest)
          ORDER BY last_used_at DESC LIMIT $1)) AS used
     ORDER BY "lastUsedAt" DESC, id LIMIT $1`,
    [limit],
  );
  return rows;
}
