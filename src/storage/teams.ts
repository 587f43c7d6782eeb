/** The teams table, and which providers a team's policy names. */
import { deleteGrantsWhere } from './grants.ts';
import { type Listing, listRows, type Page, VERSION } from './listing.ts';
import type { Queryable } from './pool.ts';
import { byWords } from './search.ts';

export interface TeamRecord {
  id: string;
  name: string;
  description: string;
  /** 1 UNBOUND, 2 PROVIDER_ID_SET. */
  policyType: 1 | 2;
  /** The providers its policy names, by name; under UNBOUND they limit nothing. */
  providers: { id: string; name: string }[];
  /** When there are any, the team sees no provider of another type. */
  providerTypes: number[];
  ssoAlias: string;
  isRoot: boolean;
  /** How many members it has. */
  userCount: number;
  createdAt: Date;
  updatedAt: Date;
  /** Another one after every change, except of its members. */
  version: string;
}

export type NewTeam = Pick<TeamRecord, 'name' | 'description' | 'policyType' | 'providerTypes' | 'ssoAlias'>;

/** What can be changed; what is left out stays. */
export type TeamChanges = Partial<NewTeam>;

/** Which teams a caller may touch: one, or when left out all. */
export interface TeamScope {
  teamId?: string | undefined;
}

const COLUMNS = `id, name, description, policy_type AS "policyType", provider_types AS "providerTypes",
  sso_alias AS "ssoAlias", is_root AS "isRoot", created_at AS "createdAt", updated_at AS "updatedAt", ${VERSION},
  (SELECT count(*)::int FROM memberships WHERE memberships.team_id = teams.id) AS "userCount",
  (SELECT coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name) ORDER BY p.name, p.id), '[]')
   FROM team_providers JOIN providers p ON p.id = provider_id WHERE team_providers.team_id = teams.id) AS providers`;

const LISTING: Listing = {
  columns: COLUMNS,
  from: 'teams',
  fields: {
    created_at: { sql: 'created_at', type: 'timestamptz' },
    name: { sql: 'lower(name)', type: 'text', foldsCase: true },
    policy_type: { sql: 'policy_type', type: 'smallint' },
    sso_alias: { sql: 'sso_alias', type: 'text' },
  },
  order: { field: 'created_at', descending: false },
  search: byWords,
};

// $1 and $2 in every statement about one team. A null narrows nothing.
const IN_SCOPE = 'id = $1 AND ($2::uuid IS NULL OR id = $2)';

export async function findTeam(db: Queryable, id: string, scope: TeamScope = {}): Promise<TeamRecord | undefined> {
  const { rows } = await db.query<TeamRecord>(`SELECT ${COLUMNS} FROM teams WHERE ${IN_SCOPE}`, [
    id,
    scope.teamId ?? null,
  ]);
  return rows[0];
}

/** Upper and lower case count as the same. */
export async function findTeamByName(db: Queryable, name: string): Promise<TeamRecord | undefined> {
  const { rows } = await db.query<TeamRecord>(`SELECT ${COLUMNS} FROM teams WHERE lower(name) = lower($1)`, [name]);
  return rows[0];
}

/** Fields: created_at, name, policy_type, sso_alias. */
export function listTeams(
  db: Queryable,
  { teamId }: TeamScope,
  page: Page,
): Promise<(TeamRecord & { sortKey: string })[]> {
  return teamId === undefined
    ? listRows(db, LISTING, page)
    : listRows(db, { ...LISTING, where: 'id = $1' }, page, [teamId]);
}

/** Makes others who would change the team wait until this transaction ends, and answers what it is now. */
export async function lockTeam(tx: Queryable, id: string, scope: TeamScope): Promise<TeamRecord | undefined> {
  // Two statements, because what the second counts and collects must be as new as the row it waited for.
  const { count } = await tx.query(`SELECT 1 FROM teams WHERE ${IN_SCOPE} FOR NO KEY UPDATE`, [
    id,
    scope.teamId ?? null,
  ]);
  return count > 0 ? findTeam(tx, id) : undefined;
}

/** Answers the id of the new team. */
export async function insertTeam(db: Queryable, team: NewTeam): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    `INSERT INTO teams (name, description, policy_type, provider_types, sso_alias) VALUES ($1, $2, $3, $4, $5)
     RETURNING id`,
    [team.name, team.description, team.policyType, team.providerTypes, team.ssoAlias],
  );
  return rows[0]!.id;
}

export async function updateTeam(db: Queryable, id: string, changes: TeamChanges): Promise<void> {
  await db.query(
    `UPDATE teams SET name = coalesce($2, name), description = coalesce($3, description),
       policy_type = coalesce($4, policy_type), provider_types = coalesce($5, provider_types),
       sso_alias = coalesce($6, sso_alias), updated_at = now()
     WHERE id = $1`,
    [
      id,
      changes.name ?? null,
      changes.description ?? null,
      changes.policyType ?? null,
      changes.providerTypes ?? null,
      changes.ssoAlias ?? null,
    ],
  );
}

/**
 * Makes others who would change what policies name wait until this transaction ends. Whoever may do that holds it from
 * the start, with no other lock before it: the end of a provider changes teams and the end of a team ends providers, so
 * that two of them would each wait for the other.
 */
export async function lockPolicies(tx: Queryable): Promise<void> {
  await tx.query('LOCK TABLE team_providers IN SHARE ROW EXCLUSIVE MODE');
}

/** Makes the team's policy name exactly these providers. */
export async function replaceTeamProviders(tx: Queryable, teamId: string, providerIds: string[]): Promise<void> {
  await tx.query('DELETE FROM team_providers WHERE team_id = $1 AND provider_id <> ALL ($2::uuid[])', [
    teamId,
    providerIds,
  ]);
  await tx.query(
    'INSERT INTO team_providers (team_id, provider_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING',
    [teamId, providerIds],
  );
}

/** What is in a team and ends with it; of each kind at most as many as are asked for are counted. */
export interface TeamContents {
  members: number;
  personalKeys: number;
  teamKeys: number;
  clients: number;
  /** Consents of members that have not expired. */
  consents: number;
  providers: number;
  /** Resource servers that ask as its clients alone, by name. */
  resourceServers: { name: string; identifier: string }[];
}

export async function countTeamContents(db: Queryable, id: string, most: number): Promise<TeamContents> {
  const count = (table: string, where = 'true') =>
    `(SELECT count(*)::int FROM (SELECT FROM ${table} WHERE team_id = $1 AND ${where} LIMIT $2) AS counted)`;
  const { rows } = await db.query<TeamContents>(
    `SELECT ${count('memberships')} AS members, ${count('api_keys', `kind = 'personal'`)} AS "personalKeys",
       ${count('api_keys', `kind = 'team'`)} AS "teamKeys", ${count('oauth_clients')} AS clients,
       ${count('grants', 'expires_at > now()')} AS consents, ${count('providers')} AS providers,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'identifier', identifier) ORDER BY name, identifier), '[]')
        FROM resource_servers WHERE client_ids <> '{}' AND client_ids <@ ARRAY(
          SELECT client_id FROM oauth_clients WHERE team_id = $1 AND client_id IN (
            SELECT unnest(client_ids) FROM resource_servers))) AS "resourceServers"`,
    [id, most],
  );
  return rows[0]!;
}

/** Deletes a team with everything in it; the root team never. Returns whether one was deleted. */
export async function deleteTeam(tx: Queryable, id: string): Promise<boolean> {
  const { count } = await tx.query('SELECT FROM teams WHERE id = $1 AND NOT is_root FOR UPDATE', [id]);
  if (count === 0) return false;
  // In the order of whoever else may be ending the same consents (grants.ts), and not in any, as with the row.
  await tx.query(
    'SELECT count(*) FROM (SELECT FROM memberships WHERE team_id = $1 ORDER BY user_id FOR UPDATE) AS held',
    [id],
  );
  await tx.query(deleteGrantsWhere('team_id = $1'), [id]);
  await tx.query('DELETE FROM teams WHERE id = $1', [id]);
  return true;
}

/**
 * Makes every other transaction that wants this lock wait until this one ends. Whoever may take away, or must be the
 * first to make, a root administrator holds it.
 */
export async function lockRootTeam(tx: Queryable): Promise<void> {
  await tx.query('SELECT 1 FROM teams WHERE is_root FOR NO KEY UPDATE');
}
