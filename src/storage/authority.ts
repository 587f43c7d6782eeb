/** Who a user is and what the user's roles permit, read with one statement. */
import type { Queryable } from './pool.ts';
import type { UserRecord } from './users.ts';

type Person = Pick<
  UserRecord,
  'id' | 'email' | 'name' | 'displayName' | 'givenName' | 'familyName' | 'timeZone' | 'updatedAt'
>;

export interface UserAuthorityRecord extends Person, Pick<UserRecord, 'enabled' | 'expiresAt'> {
  /** The teams the user is a member of, by name. */
  teams: TeamAuthorityRecord[];
}

export interface TeamAuthorityRecord {
  id: string;
  name: string;
  isRoot: boolean;
  /** Ids of the roles the user has in this very team. */
  roleIds: string[];
  /** What those roles permit, each word once. */
  permissions: string[];
}

export async function findUserAuthority(db: Queryable, userId: string): Promise<UserAuthorityRecord | undefined> {
  const { rows } = await db.query<UserAuthorityRecord>(
    `SELECT u.id, u.email, u.name, u.display_name AS "displayName", u.given_name AS "givenName",
       u.family_name AS "familyName", u.time_zone AS "timeZone", u.enabled, u.expires_at AS "expiresAt", u.updated_at AS "updatedAt",
       coalesce((
         SELECT jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name, 'isRoot', t.is_root,
           'roleIds', coalesce(held.role_ids, '[]'), 'permissions', coalesce(held.permissions, '[]'))
           ORDER BY lower(t.name), t.id)
         FROM memberships m
         JOIN teams t ON t.id = m.team_id
         LEFT JOIN LATERAL (
           SELECT jsonb_agg(DISTINCT r.id) AS role_ids,
             jsonb_agg(DISTINCT permission) FILTER (WHERE permission IS NOT NULL) AS permissions
           FROM membership_roles mr
           JOIN roles r ON r.id = mr.role_id
           LEFT JOIN LATERAL unnest(r.permissions) AS permission ON true
           WHERE mr.user_id = m.user_id AND mr.team_id = m.team_id
         ) held ON true
         WHERE m.user_id = u.id
       ), '[]') AS teams
     FROM users u WHERE u.id = $1`,
    [userId],
  );
  return rows[0];
}
