/** The registry of data providers, and which of them a team sees. */
import { type Listing, listRows, listStatement, type Page, VERSION } from './listing.ts';
import type { Queryable } from './pool.ts';

export interface ProviderRecord {
  id: string;
  name: string;
  customTemplate: string;
  teamId: string;
  createdAt: Date;
  updatedAt: Date;
  version: string;
}

/** Whose providers a caller may touch: one team's, or when left out everybody's. */
export interface ProviderScope {
  teamId?: string | undefined;
}

/** What can be changed; what is left out stays. */
export interface ProviderChanges {
  name?: string | undefined;
  customTemplate?: string | undefined;
}

const COLUMNS = `id, name, custom_template AS "customTemplate", team_id AS "teamId", created_at AS "createdAt",
  updated_at AS "updatedAt", ${VERSION}`;

const LISTING: Listing = {
  columns: COLUMNS,
  from: 'providers',
  fields: {
    created_at: { sql: 'created_at', type: 'timestamptz' },
    name: { sql: 'name', type: 'text' },
    team_id: { sql: 'team_id', type: 'uuid' },
  },
  order: { field: 'created_at', descending: false },
};

// Neither depends on the row, so each is asked once a statement. Every provider is of type 1 (CUSTOM).
const SEES_TYPE = `EXISTS (SELECT 1 FROM teams WHERE teams.id = $1
  AND (provider_types = '{}' OR 1 = ANY (provider_types)))`;
const IS_UNBOUND = 'EXISTS (SELECT 1 FROM teams WHERE teams.id = $1 AND policy_type = 1)';

// A team always sees what it made itself: it could not be bound to what is not known yet.
const OWN = 'team_id = $1';
const UNBOUND_VIEW = `(${OWN} OR (${SEES_TYPE} AND ${IS_UNBOUND}))`;
const NAMED = `team_id <> $1 AND ${SEES_TYPE}
  AND id IN (SELECT provider_id FROM team_providers WHERE team_providers.team_id = $1)`;

// $1 and $2 in every statement about one provider. A null narrows nothing.
const IN_SCOPE = 'id = $1 AND ($2::uuid IS NULL OR team_id = $2)';

type Listed = ProviderRecord & { sortKey: string };

/** What the team sees under its policy. Fields: created_at, name, team_id. */
export async function listProviders(db: Queryable, { teamId }: ProviderScope, page: Page): Promise<Listed[]> {
  if (teamId === undefined) return listRows(db, LISTING, page);
  const { rows } = await db.query<{ unbound: boolean }>(`SELECT ${IS_UNBOUND} AS unbound`, [teamId]);
  return rows[0]!.unbound
    ? listRows(db, { ...LISTING, where: UNBOUND_VIEW }, page, [teamId])
    : listBound(db, teamId, page);
}

/** Its own and those named are each read by an index, one page at most, and the two made one. */
async function listBound(db: Queryable, teamId: string, page: Page): Promise<Listed[]> {
  const parameters: unknown[] = [teamId];
  const parts = [OWN, NAMED].map(
    (where) => `(${listStatement({ ...LISTING, columns: '*', where }, page, parameters)})`,
  );
  return listRows(db, { ...LISTING, from: `(${parts.join(' UNION ALL ')}) AS providers` }, page, parameters);
}

/** What the team may change. Fields as above. */
export function listOwnProviders(db: Queryable, { teamId }: ProviderScope, page: Page): Promise<Listed[]> {
  return teamId === undefined ? listRows(db, LISTING, page) : listRows(db, { ...LISTING, where: OWN }, page, [teamId]);
}

export async function findProvider(
  db: Queryable,
  id: string,
  scope: ProviderScope,
): Promise<ProviderRecord | undefined> {
  const { rows } = await db.query<ProviderRecord>(`SELECT ${COLUMNS} FROM providers WHERE ${IN_SCOPE}`, one(id, scope));
  return rows[0];
}

/** Makes others who would change the provider wait until this transaction ends, and answers what it is now. */
export async function lockProvider(
  tx: Queryable,
  id: string,
  scope: ProviderScope,
): Promise<ProviderRecord | undefined> {
  const { rows } = await tx.query<ProviderRecord>(
    `SELECT ${COLUMNS} FROM providers WHERE ${IN_SCOPE} FOR UPDATE`,
    one(id, scope),
  );
  return rows[0];
}

/**
 * Those of `ids` that a policy may name, kept from ending until this transaction does.
 * @param scope narrows to what the team made itself or is bound to already
 */
export async function lockProvidersToName(
  tx: Queryable,
  ids: string[],
  { teamId }: ProviderScope,
): Promise<{ id: string; name: string }[]> {
  const { rows } = await tx.query<{ id: string; name: string }>(
    `SELECT id, name FROM providers WHERE id = ANY ($1::uuid[]) AND ($2::uuid IS NULL OR team_id = $2
       OR EXISTS (SELECT 1 FROM team_providers named WHERE named.team_id = $2 AND provider_id = providers.id))
     ORDER BY id FOR KEY SHARE`,
    [ids, teamId ?? null],
  );
  return rows;
}

/** @throws AppError `failed_precondition` when the team does not exist. */
export async function insertProvider(
  db: Queryable,
  provider: Pick<ProviderRecord, 'name' | 'customTemplate' | 'teamId'>,
): Promise<ProviderRecord> {
  const { rows } = await db.query<ProviderRecord>(
    `INSERT INTO providers (name, custom_template, team_id) VALUES ($1, $2, $3) RETURNING ${COLUMNS}`,
    [provider.name, provider.customTemplate, provider.teamId],
  );
  return rows[0]!;
}

export async function updateProvider(db: Queryable, id: string, changes: ProviderChanges): Promise<ProviderRecord> {
  const { rows } = await db.query<ProviderRecord>(
    `UPDATE providers SET name = coalesce($2, name), custom_template = coalesce($3, custom_template), updated_at = now()
     WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, changes.name ?? null, changes.customTemplate ?? null],
  );
  return rows[0]!;
}

export async function deleteProvider(db: Queryable, id: string): Promise<void> {
  await db.query('DELETE FROM providers WHERE id = $1', [id]);
}

function one(id: string, { teamId }: ProviderScope): unknown[] {
  return [id, teamId ?? null];
}
