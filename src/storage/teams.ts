/** The teams table. */
import type { Queryable } from './pool.ts';

export interface TeamRecord {
  id: string;
  name: string;
  description: string;
  /** How the team's access policy works: 1 or 2 (wire contract, `policyType`). */
  policyType: number;
  ssoAlias: string;
  isRoot: boolean;
  createdAt: Date;
  updatedAt: Date;
}

export interface NewTeam {
  name: string;
  description: string;
}

/** What can be changed; what is left out stays. */
export type TeamChanges = Partial<Pick<TeamRecord, 'name' | 'description'>>;

const COLUMNS = `id, name, description, policy_type AS "policyType", sso_alias AS "ssoAlias", is_root AS "isRoot",
  created_at AS "createdAt", updated_at AS "updatedAt"`;

export async function findTeam(db: Queryable, id: string): Promise<TeamRecord | undefined> {
  const { rows } = await db.query<TeamRecord>(`SELECT ${COLUMNS} FROM teams WHERE id = $1`, [id]);
  return rows[0];
}

/** Upper and lower case count as the same. */
export async function findTeamByName(db: Queryable, name: string): Promise<TeamRecord | undefined> {
  const { rows } = await db.query<TeamRecord>(`SELECT ${COLUMNS} FROM teams WHERE lower(name) = lower($1)`, [name]);
  return rows[0];
}

/** By name, after the team `after` (its name and id), at most `limit`. */
export async function listTeams(
  db: Queryable,
  { limit, after }: { limit: number; after?: { name: string; id: string } | undefined },
): Promise<TeamRecord[]> {
  const { rows } = await db.query<TeamRecord>(
    `SELECT ${COLUMNS} FROM teams WHERE $2::text IS NULL OR (lower(name), id) > (lower($2), $3::uuid)
     ORDER BY lower(name), id LIMIT $1`,
    [limit, after?.name ?? null, after?.id ?? null],
  );
  return rows;
}

export async function insertTeam(db: Queryable, { name, description }: NewTeam): Promise<TeamRecord> {
  const { rows } = await db.query<TeamRecord>(
    `INSERT INTO teams (name, description) VALUES ($1, $2) RETURNING ${COLUMNS}`,
    [name, description],
  );
  return rows[0]!;
}

export async function updateTeam(db: Queryable, id: string, changes: TeamChanges): Promise<TeamRecord | undefined> {
  const { rows } = await db.query<TeamRecord>(
    `UPDATE teams SET name = coalesce($2, name), description = coalesce($3, description), updated_at = now()
     WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, changes.name ?? null, changes.description ?? null],
  );
  return rows[0];
}

/** Deletes a team with everything in it; the root team never. Returns whether one was deleted. */
export async function deleteTeam(db: Queryable, id: string): Promise<boolean> {
  const { count } = await db.query('DELETE FROM teams WHERE id = $1 AND NOT is_root', [id]);
  return count > 0;
}

/**
 * Makes every other transaction that wants this lock wait until this one ends. Whoever may take away, or must be the
 * first to make, a root administrator holds it.
 */
export async function lockRootTeam(tx: Queryable): Promise<void> {
  await tx.query('SELECT 1 FROM teams WHERE is_root FOR NO KEY UPDATE');
}
