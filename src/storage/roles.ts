/** The roles table. */
import { type Listing, listRows, type Page } from './listing.ts';
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

const LISTING: Listing = {
  columns: COLUMNS,
  from: 'roles',
  fields: { name: { sql: 'name', type: 'text' } },
  order: { field: 'name', descending: false },
};

export function listRoles(db: Queryable, page: Page): Promise<(RoleRecord & { sortKey: string })[]> {
  return listRows(db, LISTING, page);
}

/** Every role's id with what it permits. */
export async function findRolePermissions(db: Queryable): Promise<Map<string, readonly string[]>> {
  const { rows } = await db.query<Pick<RoleRecord, 'id' | 'permissions'>>('SELECT id, permissions FROM roles');
  return new Map(rows.map(({ id, permissions }) => [id, permissions]));
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
