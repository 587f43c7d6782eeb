/** The roles table. */
import type { Queryable } from './pool.ts';

export interface RoleRecord {
  id: string;
  name: string;
  description: string;
  permissions: string[];
  isAvailableInRootTeam: boolean;
  isAvailableInNonRootTeam: boolean;
}

const COLUMNS = `id, name, description, permissions, is_available_in_root_team AS "isAvailableInRootTeam",
  is_available_in_non_root_team AS "isAvailableInNonRootTeam"`;

/** All roles, by name. */
export async function listRoles(db: Queryable): Promise<RoleRecord[]> {
  const { rows } = await db.query<RoleRecord>(`SELECT ${COLUMNS} FROM roles ORDER BY lower(name), id`);
  return rows;
}

/** The roles that any of these words names: an id, or a name in upper or lower case. */
export async function findRoles(db: Queryable, words: string[]): Promise<RoleRecord[]> {
  const { rows } = await db.query<RoleRecord>(
    `SELECT ${COLUMNS} FROM roles
     WHERE id::text = ANY ($1) OR lower(name) IN (SELECT lower(word) FROM unnest($1::text[]) AS word)`,
    [words],
  );
  return rows;
}
