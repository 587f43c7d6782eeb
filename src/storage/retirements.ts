/** Retirements: until when which keys may be used. There are few of them, so that all are read at once. */
import { type Condition, type Listing, listRows, type Page, VERSION } from './listing.ts';
import type { Queryable } from './pool.ts';

/** One key; or without `keyId` all keys of a team, all that begin with a prefix, or those of a team that do. */
export interface RetirementSubject {
  keyId: string | null;
  /** For one key, its team. */
  teamId: string | null;
  prefix: string | null;
}

export interface RetirementRecord extends RetirementSubject {
  id: string;
  keyName: string | null;
  teamName: string | null;
  retiresAt: Date;
  /** Where what replaces the keys is described. */
  replacementUrl: string | null;
  createdBy: string | null;
  /** Since when the keys are deprecated. */
  createdAt: Date;
  updatedAt: Date;
  version: string;
}

export interface NewRetirement extends RetirementSubject {
  retiresAt: Date;
  replacementUrl: string | null;
  createdBy: string | null;
}

/** Those that concern keys of one team alone. Left out: all. */
export interface RetirementScope {
  teamId?: string | undefined;
}

const COLUMNS = `id, key_id AS "keyId", team_id AS "teamId", prefix, retires_at AS "retiresAt",
  replacement_url AS "replacementUrl", created_by AS "createdBy", created_at AS "createdAt", updated_at AS "updatedAt",
  (SELECT name FROM api_keys WHERE api_keys.id = key_id) AS "keyName",
  (SELECT name FROM teams WHERE teams.id = team_id) AS "teamName", ${VERSION}`;

const LISTING: Listing = {
  columns: COLUMNS,
  from: 'retirements',
  fields: {
    key_id: { sql: 'key_id', type: 'uuid' },
    team_id: { sql: 'team_id', type: 'uuid' },
    created_at: { sql: 'created_at', type: 'timestamptz' },
    retires_at: { sql: 'retires_at', type: 'timestamptz' },
  },
  order: { field: 'created_at', descending: false },
};

const IN_SCOPE = '($2::uuid IS NULL OR team_id = $2)';

/** What matching needs of every retirement. */
export type RetirementRule = Pick<
  RetirementRecord,
  'id' | 'keyId' | 'teamId' | 'prefix' | 'createdAt' | 'retiresAt' | 'replacementUrl'
>;

/** All of them, the earliest first. */
export async function listRetirementRules(db: Queryable): Promise<RetirementRule[]> {
  const { rows } = await db.query<RetirementRule>(
    `SELECT id, key_id AS "keyId", team_id AS "teamId", prefix, created_at AS "createdAt", retires_at AS "retiresAt",
       replacement_url AS "replacementUrl"
     FROM retirements ORDER BY retires_at, id`,
  );
  return rows;
}

/** How many there are of a team (null: of no team). */
export async function countRetirements(db: Queryable, teamId: string | null): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM retirements WHERE team_id IS NOT DISTINCT FROM $1',
    [teamId],
  );
  return rows[0]!.count;
}

/** @throws AppError `already_exists` for the subject; `failed_precondition` when the team or key does not exist */
export async function insertRetirement(db: Queryable, made: NewRetirement): Promise<RetirementRecord> {
  const { rows } = await db.query<RetirementRecord>(
    `INSERT INTO retirements (key_id, team_id, prefix, retires_at, replacement_url, created_by)
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING ${COLUMNS}`,
    [made.keyId, made.teamId, made.prefix, made.retiresAt, made.replacementUrl, made.createdBy],
  );
  return rows[0]!;
}

export async function findRetirement(
  db: Queryable,
  id: string,
  { teamId }: RetirementScope,
): Promise<RetirementRecord | undefined> {
  const { rows } = await db.query<RetirementRecord>(
    `SELECT ${COLUMNS} FROM retirements WHERE id = $1 AND ${IN_SCOPE}`,
    [id, teamId ?? null],
  );
  return rows[0];
}

/** As `findRetirement`; nobody else changes it until the transaction ends. */
export async function lockRetirement(
  tx: Queryable,
  id: string,
  { teamId }: RetirementScope,
): Promise<RetirementRecord | undefined> {
  const { rows } = await tx.query<RetirementRecord>(
    `SELECT ${COLUMNS} FROM retirements WHERE id = $1 AND ${IN_SCOPE} FOR UPDATE`,
    [id, teamId ?? null],
  );
  return rows[0];
}

/** One page; default order: as they were made. */
export function listRetirements(
  db: Queryable,
  { teamId }: RetirementScope,
  page: Page,
): Promise<(RetirementRecord & { sortKey: string })[]> {
  const scope: Condition[] = teamId === undefined ? [] : [{ field: 'team_id', operator: 'eq', value: teamId }];
  return listRows(db, LISTING, { ...page, conditions: [...scope, ...(page.conditions ?? [])] });
}

/** This and the following are for one that is locked. */
export async function updateRetirement(
  tx: Queryable,
  id: string,
  { retiresAt, replacementUrl }: Pick<RetirementRecord, 'retiresAt' | 'replacementUrl'>,
): Promise<RetirementRecord> {
  const { rows } = await tx.query<RetirementRecord>(
    `UPDATE retirements SET retires_at = $2, replacement_url = $3, updated_at = now() WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, retiresAt, replacementUrl],
  );
  return rows[0]!;
}

export async function deleteRetirement(tx: Queryable, id: string): Promise<void> {
  await tx.query('DELETE FROM retirements WHERE id = $1', [id]);
}
