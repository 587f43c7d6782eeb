/** Consents: which user lets which app act in which team. Deleting one deletes every code and refresh token issued under it. */
import { type Listing, listRows, type Page } from './listing.ts';
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

/**
 * A statement that deletes consents. Whoever ends or changes more than one locks them in the order of their ids, and those
 * who end more than consents lock in this order: users, teams and apps; memberships; sessions; consents; what was issued
 * under them. So two who end the same ones by user, session, app, team or scope wait for each other one way only. For that,
 * what one transaction ends is ended by one such statement: a second would begin with lower ids again.
 * @param where which, in SQL
 */
export function deleteGrantsWhere(where: string): string {
  return `WITH ${heldGrants(where, 'UPDATE')} DELETE FROM grants USING held WHERE grants.id = held.id`;
}

/** As above, to go on with another statement: `held` has the ids, locked in their order. */
export function heldGrants(where: string, strength: 'UPDATE' | 'NO KEY UPDATE'): string {
  return `held AS MATERIALIZED (SELECT id FROM grants WHERE ${where} ORDER BY id FOR ${strength})`;
}

export async function deleteGrant(db: Queryable, id: string): Promise<boolean> {
  const { count } = await db.query('DELETE FROM grants WHERE id = $1', [id]);
  return count === 1;
}

/** All that one user lets one app do in one team, however many times the user was asked. */
export interface ConnectedAppRecord {
  /** Of the first of its consents. */
  id: string;
  clientId: string;
  name: string;
  logoUrl: string | null;
  teamId: string;
  teamName: string;
  /** Each word once. */
  scopes: string[];
  createdAt: Date;
  lastUsedAt: Date | null;
  expiresAt: Date;
  /** Its place in the list's order (storage/listing.ts). */
  sortKey: string;
}

/** Whose consents, and in which team (default all). */
export interface GrantScope {
  userId: string;
  teamId?: string | undefined;
}

/** The scopes of a consent as an SQL array, some of them twice: the engine keeps them by resource, identity apart. */
export const GRANTED_SCOPES = `string_to_array(concat_ws(' ', (SELECT string_agg(value, ' ')
  FROM jsonb_each_text(grants.payload->'resources')), grants.payload->'openid'->>'scope'), ' ')`;

const CONNECTED_APPS: Listing = {
  columns: `id, client_id AS "clientId", team_id AS "teamId", scopes, created_at AS "createdAt",
    last_used_at AS "lastUsedAt", expires_at AS "expiresAt",
    (SELECT name FROM oauth_apps WHERE oauth_apps.client_id = connected.client_id) AS name,
    (SELECT logo_url FROM oauth_apps WHERE oauth_apps.client_id = connected.client_id) AS "logoUrl",
    (SELECT name FROM teams WHERE teams.id = team_id) AS "teamName"`,
  from: `(SELECT (array_agg(id ORDER BY created_at, id))[1] AS id, client_id, team_id, min(created_at) AS created_at,
      max(last_used_at) AS last_used_at, max(expires_at) AS expires_at,
      string_to_array(string_agg(array_to_string(${GRANTED_SCOPES}, ' '), ' ' ORDER BY created_at, id), ' ') AS scopes
    FROM grants WHERE user_id = $1 AND ($2::uuid IS NULL OR team_id = $2) AND expires_at > now()
    GROUP BY client_id, team_id) AS connected`,
  fields: {
    created_at: { sql: 'created_at', type: 'timestamptz' },
    team_id: { sql: 'team_id', type: 'uuid' },
    client_id: { sql: 'client_id', type: 'text' },
  },
  order: { field: 'created_at', descending: false },
};

/** One row for each app and team, of consents that have not expired. */
export async function listConnectedApps(
  db: Queryable,
  { userId, teamId }: GrantScope,
  page: Page,
): Promise<ConnectedAppRecord[]> {
  const rows = await listRows<ConnectedAppRecord>(db, CONNECTED_APPS, page, [userId, teamId ?? null]);
  return rows.map((row) => ({ ...row, scopes: [...new Set(row.scopes)] }));
}

/** Ends every consent a user gave an app. Answers the team of each that had not expired. */
export async function deleteGrantsOfUser(
  db: Queryable,
  clientId: string,
  { userId, teamId }: GrantScope,
): Promise<{ teamId: string }[]> {
  const { rows } = await db.query<{ teamId: string }>(
    `${deleteGrantsWhere(`user_id = $1 AND client_id = $2 AND ($3::uuid IS NULL OR team_id = $3) AND expires_at > now()`)}
     RETURNING team_id AS "teamId"`,
    [userId, clientId, teamId ?? null],
  );
  return rows;
}
