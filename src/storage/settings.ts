/** The settings table: JSON by name. */
import type { Queryable } from './pool.ts';

export interface SettingRecord {
  name: string;
  value: unknown;
}

/** The settings of these names that were ever set, when the last of them was, and their version ('0': none ever was). */
export interface SettingsRecord {
  settings: SettingRecord[];
  updatedAt: Date | null;
  version: string;
}

export async function findSetting(db: Queryable, name: string): Promise<{ value: unknown } | undefined> {
  const { rows } = await db.query<{ value: unknown }>('SELECT value FROM settings WHERE name = $1', [name]);
  return rows[0];
}

export async function findSettings(db: Queryable, names: readonly string[]): Promise<SettingsRecord> {
  const { rows } = await db.query<SettingsRecord>(
    `SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'value', value)), '[]') AS settings,
       max(updated_at) AS "updatedAt",
       coalesce((extract(epoch FROM max(updated_at)) * 1000000)::bigint, 0)::text AS version
     FROM settings WHERE name = ANY($1)`,
    [names],
  );
  return rows[0]!;
}

/** Makes the others wait until this transaction ends: a setting that was never set has no row to lock. */
export async function lockSettings(tx: Queryable): Promise<void> {
  await tx.query('LOCK TABLE settings IN SHARE ROW EXCLUSIVE MODE');
}

/** Behind `lockSettings` every change gets a later time than the one before, whichever transaction began first. */
export async function upsertSetting(db: Queryable, name: string, value: unknown): Promise<void> {
  await db.query(
    `INSERT INTO settings (name, value, updated_at)
     VALUES ($1, $2, greatest(clock_timestamp(), (SELECT max(updated_at) + interval '1 microsecond' FROM settings)))
     ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value, updated_at = EXCLUDED.updated_at`,
    [name, JSON.stringify(value)],
  );
}

export async function deleteSetting(db: Queryable, name: string): Promise<boolean> {
  const { count } = await db.query('DELETE FROM settings WHERE name = $1', [name]);
  return count > 0;
}
