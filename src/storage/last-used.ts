/** When a credential was last used, for many rows of one table with one statement. */
import type { Queryable } from './pool.ts';

/** The tables that remember their last use, with the column it is in. */
const COLUMN = {
  api_keys: 'last_access_at',
  oauth_apps: 'last_used_at',
  oauth_clients: 'last_used_at',
  client_secrets: 'last_used_at',
  grants: 'last_used_at',
  users: 'last_refresh_at',
} as const;

export type UsedTable = keyof typeof COLUMN;

/** Sets the time of each row that is given, unless it has a later one; rows that are gone are passed over. */
export async function updateLastUsed(db: Queryable, table: UsedTable, used: ReadonlyMap<string, Date>): Promise<void> {
  const column = COLUMN[table];
  // Locked in one order, because every instance writes its own times of the same rows. What somebody else is changing is
  // passed over: a time of use is not worth waiting for, nor a deadlock with the end of a whole team.
  await db.query(
    `WITH used AS (
       SELECT row.id, latest.at FROM ${table} AS row JOIN unnest($1::uuid[], $2::timestamptz[]) AS latest(id, at) USING (id)
       WHERE row.${column} IS NULL OR row.${column} < latest.at
       ORDER BY row.id FOR NO KEY UPDATE OF row SKIP LOCKED)
     UPDATE ${table} SET ${column} = used.at FROM used WHERE ${table}.id = used.id`,
    [[...used.keys()], [...used.values()]],
  );
}
