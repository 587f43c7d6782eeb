/** Retirements: until when which keys may be used. There are few of them, so that all are read at once. */
import { type Condition, type Listing, listRows, listStatement, type Page, VERSION } from './listing.ts';
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
  /** Whether the root team made or changed it: the team it concerns does not then. */
  setByRoot: boolean;
  createdBy: string | null;
  /** Since when the keys are deprecated. */
  createdAt: Date;
  updatedAt: Date;
  version: string;
}

export interface NewRetirement extends RetirementSubject {
  retiresAt: Date;
  replacementUrl: string | null;
  setByRoot: boolean;
  createdBy: string | null;
}

/** Those that concern keys of one team alone. Left out: all. */
export interface RetirementScope {
  teamId?: string | undefined;
}

const COLUMNS = `id, key_id AS "keyId", team_id AS "teamId", prefix, retires_at AS "retiresAt",
  replacement_url AS "replacementUrl", set_by_root AS "setByRoot", created_by AS "createdBy", created_at AS "createdAt",
  updated_at AS "updatedAt",
  (SELECT name FROM api_keys WHERE api_keys.id = key_id) AS "keyName",
  (SELECT name FROM teams WHERE teams.id = team_id) AS "teamName", ${VERSION}`;

const LISTING: Listing = {
  columns: COLUMNS,
  from: 'retirements',
  fields: {
    key_id: { sql: 'key_id', type: 'uuid' },
    team_id: { sql: 'team_id', type: 'uuid' },
    prefix: { sql: 'prefix', type: 'text' },
    created_at: { sql: 'created_at', type: 'timestamptz' },
    retires_at: { sql: 'retires_at', type: 'timestamptz' },
  },
  order: { field: 'created_at', descending: false },
};

// Each by an index of its own.
const REASONS = [
  'id IN (SELECT key_id FROM retirements WHERE key_id IS NOT NULL AND retires_at <= now())',
  `team_id IN (SELECT due.team_id FROM retirements AS due
    WHERE due.key_id IS NULL AND due.prefix IS NULL AND due.team_id IS NOT NULL AND due.retires_at <= now())`,
  `EXISTS (SELECT FROM retirements AS due WHERE due.key_id IS NULL AND due.retires_at <= now()
    AND (due.team_id = api_keys.team_id OR due.team_id IS NULL) AND starts_with(api_keys.prefix, due.prefix))`,
];

/** Whether a row of `api_keys` has been given up, as far as what is kept of its text tells. */
export const GIVEN_UP = `(${REASONS.join(' OR ')})`;

/** Retirements that are due: which keys have been given up. */
export interface DueRetirements {
  keyIds: string[];
  teamIds: string[];
  prefixes: { prefix: string; teamId: string | null }[];
}

/** Read before the lists that need it: what is told to the planner it need not guess, and most often there is nothing. */
export async function listDueRetirements(db: Queryable): Promise<DueRetirements> {
  const { rows } = await db.query<RetirementSubject>(
    `SELECT key_id AS "keyId", team_id AS "teamId", prefix FROM retirements WHERE retires_at <= now()`,
  );
  return {
    keyIds: rows.flatMap(({ keyId }) => keyId ?? []),
    teamIds: rows.flatMap(({ keyId, prefix, teamId }) => (keyId === null && prefix === null && teamId) || []),
    prefixes: rows.flatMap(({ prefix, teamId }) => (prefix === null ? [] : [{ prefix, teamId }])),
  };
}

/** Each has a part of its own in a statement, which an index can be used for; of more, one part looks at every row. */
const MOST_PREFIXES = 50;

/**
 * As `GIVEN_UP`, of what is due known beforehand, and so by the indexes of ids, teams and prefixes. Undefined when no key can
 * have been given up.
 */
export function givenUp(
  { keyIds, teamIds, prefixes }: DueRetirements,
  bind: (value: unknown) => string,
): string | undefined {
  const reasons = [
    ...(keyIds.length === 0 ? [] : [`id = ANY (${bind(keyIds)}::uuid[])`]),
    ...(teamIds.length === 0 ? [] : [`team_id = ANY (${bind(teamIds)}::uuid[])`]),
    ...(prefixes.length > MOST_PREFIXES ? [beginAsOneOf(prefixes, bind)] : prefixes.map((one) => beginsAs(one, bind))),
  ];
  return reasons.length === 0 ? undefined : `(${reasons.join(' OR ')})`;
}

/** What is asked for the first time is kept: a statement that never asks for a condition must not have its parameters. */
export function once<T>(make: () => T): () => T {
  let made: { it: T } | undefined;
  return () => {
    made ??= { it: make() };
    return made.it;
  };
}

type Beginning = DueRetirements['prefixes'][number];

function beginsAs({ prefix, teamId }: Beginning, bind: (value: unknown) => string): string {
  const begins = `${bind(prefix)}::text`;
  return `(prefix ~>=~ ${begins} AND prefix ~<~ (${begins} || chr(1114111)) AND starts_with(prefix, ${begins})
    ${teamId === null ? '' : `AND team_id = ${bind(teamId)}::uuid`})`;
}

function beginAsOneOf(all: readonly Beginning[], bind: (value: unknown) => string): string {
  const due = [all.map(({ prefix }) => prefix), all.map(({ teamId }) => teamId)].map(bind);
  return `EXISTS (SELECT FROM unnest(${due[0]}::text[], ${due[1]}::uuid[]) AS due (prefix, team_id)
    WHERE starts_with(api_keys.prefix, due.prefix) AND (due.team_id IS NULL OR due.team_id = api_keys.team_id))`;
}

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

/** How many there are of a team (null: of no team), and in all. */
export async function countRetirements(
  db: Queryable,
  teamId: string | null,
): Promise<{ ofTeam: number; inAll: number }> {
  const { rows } = await db.query<{ ofTeam: number; inAll: number }>(
    `SELECT count(*)::int AS "inAll", count(*) FILTER (WHERE team_id IS NOT DISTINCT FROM $1)::int AS "ofTeam"
     FROM retirements`,
    [teamId],
  );
  return rows[0]!;
}

/** How many keys that are not switched off one may concern, as far as the first characters that are kept tell. */
export async function countKeysOf(db: Queryable, { keyId, teamId, prefix }: RetirementSubject): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM api_keys
     WHERE status = 1 AND ($1::uuid IS NULL OR id = $1) AND ($2::uuid IS NULL OR team_id = $2)
       AND ($3::text IS NULL OR starts_with(prefix, $3) OR starts_with($3, prefix))`,
    [keyId, teamId, prefix],
  );
  return rows[0]!.count;
}

/** A key that a retirement may concern and that was used lately. */
export interface UsedKeyRecord {
  id: string;
  kind: 'personal' | 'team';
  name: string;
  prefix: string;
  lastFour: string;
  teamName: string;
  ownerEmail: string | null;
  lastUsedAt: Date;
  /** With the key itself, since that day. */
  requests: number;
  sortKey: string;
}

const USED_KEYS: Listing = {
  columns: `id, kind, name, prefix, last_four AS "lastFour", last_access_at AS "lastUsedAt",
    (SELECT teams.name FROM teams WHERE teams.id = team_id) AS "teamName",
    (SELECT users.email FROM users WHERE users.id = user_id) AS "ownerEmail",
    coalesce((SELECT least(sum(requests), ${Number.MAX_SAFE_INTEGER})::float8 FROM credential_uses AS used
      WHERE used.team_id = api_keys.team_id AND used.credential = api_keys.id::text
        AND used.day >= ($1::timestamptz AT TIME ZONE 'UTC')::date), 0) AS requests`,
  from: 'api_keys',
  fields: { last_used_hour: { sql: 'last_used_hour', type: 'timestamptz' } },
  order: { field: 'last_used_hour', descending: true },
};

/** Keys one may concern, as `countKeysOf` finds them, that were used since then; the last used first. */
export async function listUsedKeysOf(
  db: Queryable,
  { keyId, teamId, prefix }: RetirementSubject,
  since: Date,
  { limit, after }: Pick<Page, 'limit' | 'after'>,
): Promise<UsedKeyRecord[]> {
  const parameters: unknown[] = [since];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const meant = [
    ...(keyId === null ? [] : [`id = ${bind(keyId)}::uuid`]),
    ...(teamId === null ? [] : [`team_id = ${bind(teamId)}::uuid`]),
    ...(prefix === null
      ? []
      : [`(starts_with(prefix, ${bind(prefix)}) OR starts_with($${parameters.length}, prefix))`]),
  ];
  // Of each kind by its own index.
  const parts = ['personal', 'team'].map((kind) => {
    const where = [`kind = '${kind}'`, 'status = 1', 'last_used_hour >= $1', ...meant].join(' AND ');
    return `(${listStatement({ ...USED_KEYS, where }, { limit, after }, parameters)})`;
  });
  const { rows } = await db.query<UsedKeyRecord>(
    `SELECT * FROM (${parts.join(' UNION ALL ')}) AS of_kind
     ORDER BY "sortKey"::timestamptz DESC, id DESC LIMIT ${bind(limit)}`,
    parameters,
  );
  return rows;
}

/** @throws AppError `already_exists` for the subject; `failed_precondition` when the team or key does not exist */
export async function insertRetirement(db: Queryable, made: NewRetirement): Promise<RetirementRecord> {
  const { rows } = await db.query<RetirementRecord>(
    `INSERT INTO retirements (key_id, team_id, prefix, retires_at, replacement_url, set_by_root, created_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${COLUMNS}`,
    [made.keyId, made.teamId, made.prefix, made.retiresAt, made.replacementUrl, made.setByRoot, made.createdBy],
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
  { retiresAt, replacementUrl, setByRoot }: Pick<RetirementRecord, 'retiresAt' | 'replacementUrl' | 'setByRoot'>,
): Promise<RetirementRecord> {
  const { rows } = await tx.query<RetirementRecord>(
    `UPDATE retirements SET retires_at = $2, replacement_url = $3, set_by_root = $4, updated_at = now()
     WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, retiresAt, replacementUrl, setByRoot],
  );
  return rows[0]!;
}

export async function deleteRetirement(tx: Queryable, id: string): Promise<void> {
  await tx.query('DELETE FROM retirements WHERE id = $1', [id]);
}
