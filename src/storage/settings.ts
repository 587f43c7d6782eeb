/** The settings table: JSON by name. */
import type { Queryable } from './pool.ts';

export async function findSetting(db: Queryable, name: string): Promise<{ value: unknown } | undefined> {
  const { rows } = await db.query<{ value: unknown }>('SELECT value FROM settings WHERE name = $1', [name]);
  return rows[0];
}

export async function upsertSetting(db: Queryable, name: string, value: unknown): Promise<void> {
  await db.query(
    `INSERT INTO settings (name, value) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value, updated_at = now()`,
    [name, JSON.stringify(value)],
  );
}

export async function deleteSetting(db: Queryable, name: string): Promise<boolean> {
  const { count } = await db.query('DELETE FROM settings WHERE name = $1', [name]);
  return count > 0;
}
