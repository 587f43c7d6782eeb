/** Who belongs to which team, with which roles: the tables memberships and membership_roles. */
import { deleteGrantsWhere } from './grants.ts';
import type { Queryable } from './pool.ts';

export interface MembershipRecord {
  teamId: string;
  teamName: string;
  roles: { id: string; name: string }[];
}

/** What has to be known of a team to give roles in it. */
export interface RoleTeam {
  id: string;
  name: string;
  isRoot: boolean;
}

/** Those of the teams that exist. */
export async function findRoleTeams(db: Queryable, ids: string[]): Promise<RoleTeam[]> {
  // Held before the memberships are written: the end of a team locks it first and its memberships after.
  const { rows } = await db.query<RoleTeam>(
    'SELECT id, name, is_root AS "isRoot" FROM teams WHERE id = ANY ($1) ORDER BY id FOR KEY SHARE',
    [ids],
  );
  return rows;
}

/** A user's memberships, by team name. */
export async function listMemberships(db: Queryable, userId: string): Promise<MembershipRecord[]> {
  const { rows } = await db.query<MembershipRecord>(
    `SELECT t.id AS "teamId", t.name AS "teamName",
       coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'name', r.name) ORDER BY r.name)
         FILTER (WHERE r.id IS NOT NULL), '[]') AS roles
     FROM memberships m
     JOIN teams t ON t.id = m.team_id
     LEFT JOIN membership_roles mr ON mr.user_id = m.user_id AND mr.team_id = m.team_id
     LEFT JOIN roles r ON r.id = mr.role_id
     WHERE m.user_id = $1
     GROUP BY t.id ORDER BY lower(t.name), t.id`,
    [userId],
  );
  return rows;
}

/** Makes sure the membership exists; whether it is new. */
export async function insertMembership(db: Queryable, userId: string, teamId: string): Promise<boolean> {
  const { count } = await db.query(
    'INSERT INTO memberships (user_id, team_id) VALUES ($1, $2) ON CONFLICT DO NOTHING',
    [userId, teamId],
  );
  return count > 0;
}

/** Gives an existing membership exactly these roles. */
export async function replaceMembershipRoles(
  db: Queryable,
  userId: string,
  teamId: string,
  roleIds: string[],
): Promise<void> {
  await db.query(
    `WITH gone AS (
       DELETE FROM membership_roles WHERE user_id = $1 AND team_id = $2 AND role_id <> ALL ($3::uuid[])
     )
     INSERT INTO membership_roles (user_id, team_id, role_id)
     SELECT $1, $2, role_id FROM unnest($3::uuid[]) AS role_id ON CONFLICT DO NOTHING`,
    [userId, teamId, roleIds],
  );
}

/**
 * Ends memberships of a user with everything that hangs on them (personal keys, grants), all of them at once: others may be
 * ending the same consents in the order of their ids (grants.ts). Answers the teams there was one in.
 */
export async function deleteMemberships(tx: Queryable, userId: string, teamIds: readonly string[]): Promise<string[]> {
  const values = [userId, teamIds];
  const ofTeams = 'user_id = $1 AND team_id = ANY ($2::uuid[])';
  await tx.query(`SELECT FROM memberships WHERE ${ofTeams} ORDER BY team_id FOR UPDATE`, values);
  await tx.query(deleteGrantsWhere(ofTeams), values);
  const { rows } = await tx.query<{ teamId: string }>(
    `DELETE FROM memberships WHERE ${ofTeams} RETURNING team_id AS "teamId"`,
    values,
  );
  return rows.map(({ teamId }) => teamId);
}

/** How many hold a role in the root team. */
export interface RootHolders {
  /** Those who are enabled and unexpired. */
  live: number;
  /** Those of them who never expire. */
  lasting: number;
  /** Those of these who have a password. */
  loggingIn: number;
}

export async function countRootHolders(db: Queryable, roleId: string): Promise<RootHolders> {
  const { rows } = await db.query<RootHolders>(
    `SELECT count(*)::int AS live, (count(*) FILTER (WHERE u.expires_at IS NULL))::int AS lasting,
       (count(*) FILTER (WHERE u.expires_at IS NULL AND u.password_hash IS NOT NULL))::int AS "loggingIn"
     FROM membership_roles mr
     JOIN teams t ON t.id = mr.team_id AND t.is_root
     JOIN users u ON u.id = mr.user_id
     WHERE mr.role_id = $1 AND u.enabled AND (u.expires_at IS NULL OR u.expires_at > now())`,
    [roleId],
  );
  return rows[0]!;
}
