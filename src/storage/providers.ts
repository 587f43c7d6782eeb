/** The registry of data providers, and which of them a bound team sees. */
import type { Queryable } from './pool.ts';

export interface ProviderRecord {
  id: string;
  name: string;
  customTemplate: string;
  teamId: string;
  createdAt: Date;
  updatedAt: Date;
}

export interface ProviderPage {
  limit: number;
  after?: { createdAt: Date; id: string } | undefined;
}

const COLUMNS = `id, name, custom_template AS "customTemplate", team_id AS "teamId", created_at AS "createdAt",
  updated_at AS "updatedAt"`;

// The team may change its own, and the root team everybody's.
const IN_REACH = (team: string) =>
  `(team_id = ${team} OR EXISTS (SELECT 1 FROM teams WHERE teams.id = ${team} AND teams.is_root))`;

// UNBOUND is policy 1. A team always sees what it made itself: it could not be bound to what it does not know yet.
const IN_VIEW = (team: string) => `(${IN_REACH(team)}
  OR EXISTS (SELECT 1 FROM teams WHERE teams.id = ${team} AND teams.policy_type = 1)
  OR EXISTS (SELECT 1 FROM team_providers WHERE team_providers.team_id = ${team} AND provider_id = providers.id))`;

const PAGE = `($2::timestamptz IS NULL OR (created_at, id) > ($2, $3::uuid)) ORDER BY created_at, id LIMIT $4`;

/** What the team sees under its policy. */
export async function listProviders(db: Queryable, teamId: string, page: ProviderPage): Promise<ProviderRecord[]> {
  const { rows } = await db.query<ProviderRecord>(
    `SELECT ${COLUMNS} FROM providers WHERE ${IN_VIEW('$1::uuid')} AND ${PAGE}`,
    paged(teamId, page),
  );
  return rows;
}

/** What the team may change. */
export async function listOwnProviders(db: Queryable, teamId: string, page: ProviderPage): Promise<ProviderRecord[]> {
  const { rows } = await db.query<ProviderRecord>(
    `SELECT ${COLUMNS} FROM providers WHERE ${IN_REACH('$1::uuid')} AND ${PAGE}`,
    paged(teamId, page),
  );
  return rows;
}

export async function findOwnProvider(db: Queryable, id: string, teamId: string): Promise<ProviderRecord | undefined> {
  const { rows } = await db.query<ProviderRecord>(
    `SELECT ${COLUMNS} FROM providers WHERE id = $1 AND ${IN_REACH('$2::uuid')}`,
    [id, teamId],
  );
  return rows[0];
}

/** @throws AppError `failed_precondition` when the team does not exist. */
export async function insertProvider(
  db: Queryable,
  provider: Pick<ProviderRecord, 'name' | 'customTemplate' | 'teamId'>,
): Promise<ProviderRecord> {
  // Whole milliseconds, because a page of a list ends at a time that went through JavaScript.
  const { rows } = await db.query<ProviderRecord>(
    `INSERT INTO providers (name, custom_template, team_id, created_at, updated_at)
     SELECT $1, $2, $3::uuid, t, t FROM date_trunc('milliseconds', now()) AS t RETURNING ${COLUMNS}`,
    [provider.name, provider.customTemplate, provider.teamId],
  );
  return rows[0]!;
}

/** Changes the fields given. */
export async function updateOwnProvider(
  db: Queryable,
  id: string,
  teamId: string,
  changes: { name?: string | undefined; customTemplate?: string | undefined },
): Promise<ProviderRecord | undefined> {
  const { rows } = await db.query<ProviderRecord>(
    `UPDATE providers SET name = coalesce($3, name), custom_template = coalesce($4, custom_template), updated_at = now()
     WHERE id = $1 AND ${IN_REACH('$2::uuid')} RETURNING ${COLUMNS}`,
    [id, teamId, changes.name ?? null, changes.customTemplate ?? null],
  );
  return rows[0];
}

export async function deleteOwnProvider(
  db: Queryable,
  id: string,
  teamId: string,
): Promise<ProviderRecord | undefined> {
  const { rows } = await db.query<ProviderRecord>(
    `DELETE FROM providers WHERE id = $1 AND ${IN_REACH('$2::uuid')} RETURNING ${COLUMNS}`,
    [id, teamId],
  );
  return rows[0];
}

function paged(teamId: string, { limit, after }: ProviderPage): unknown[] {
  return [teamId, after?.createdAt ?? null, after?.id ?? null, limit];
}
