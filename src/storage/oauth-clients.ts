/** OAuth2 Clients: what acts for itself in one team. Their secrets are in a table of their own. */
import { type Listing, lastUse, listRows, type Page, VERSION } from './listing.ts';
import type { PublicJwks } from './oauth-apps.ts';
import type { Queryable } from './pool.ts';
import { byWords } from './search.ts';

export interface OauthClientRecord {
  id: string;
  clientId: string;
  name: string;
  description: string;
  teamId: string;
  teamName: string;
  allowedScopes: string[];
  tokenEndpointAuthMethod: string;
  jwks: PublicJwks | null;
  /** Where its JWK Set is fetched from, instead of `jwks`. */
  jwksUri: string | null;
  enabled: boolean;
  createdBy: string | null;
  createdAt: Date;
  updatedAt: Date;
  lastUsedAt: Date | null;
  version: string;
}

/** What can be changed after registration. */
export type OauthClientSettings = Pick<
  OauthClientRecord,
  'name' | 'description' | 'allowedScopes' | 'tokenEndpointAuthMethod' | 'jwks' | 'jwksUri'
>;

/** Narrows a statement to the clients of one team; without it every team's are meant. */
export interface OauthClientScope {
  teamId?: string | undefined;
}

export const OAUTH_CLIENT_COLUMNS = `id, client_id AS "clientId", name, description, team_id AS "teamId",
  (SELECT teams.name FROM teams WHERE teams.id = team_id) AS "teamName", allowed_scopes AS "allowedScopes",
  token_endpoint_auth_method AS "tokenEndpointAuthMethod", jwks, jwks_uri AS "jwksUri", enabled,
  created_by AS "createdBy", created_at AS "createdAt", updated_at AS "updatedAt", last_used_at AS "lastUsedAt",
  ${VERSION}`;

const LISTING: Listing = {
  columns: OAUTH_CLIENT_COLUMNS,
  from: 'oauth_clients',
  fields: {
    created_at: { sql: 'created_at', type: 'timestamptz' },
    name: { sql: 'name', type: 'text' },
    team_id: { sql: 'team_id', type: 'uuid' },
    client_id: { sql: 'client_id', type: 'text' },
    enabled: { sql: 'enabled', type: 'boolean' },
    // By the hour: the time itself changes too often for an index.
    last_used_at: lastUse('last_used_hour'),
  },
  order: { field: 'created_at', descending: false },
  search: byWords,
};

const IN_SCOPE = '($2::uuid IS NULL OR team_id = $2)';

/** @throws AppError `failed_precondition` when the team does not exist; its cause is a missing reference */
export async function insertOauthClient(
  db: Queryable,
  client: OauthClientSettings & Pick<OauthClientRecord, 'clientId' | 'teamId' | 'createdBy'>,
): Promise<OauthClientRecord> {
  const { rows } = await db.query<OauthClientRecord>(
    `INSERT INTO oauth_clients (name, description, allowed_scopes, token_endpoint_auth_method, jwks, jwks_uri,
       client_id, team_id, created_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING ${OAUTH_CLIENT_COLUMNS}`,
    [...settings(client), client.clientId, client.teamId, client.createdBy],
  );
  return rows[0]!;
}

/** @param by which column `value` is of */
export async function findOauthClient(
  db: Queryable,
  by: 'id' | 'client_id',
  value: string,
  { teamId }: OauthClientScope = {},
): Promise<OauthClientRecord | undefined> {
  const { rows } = await db.query<OauthClientRecord>(
    `SELECT ${OAUTH_CLIENT_COLUMNS} FROM oauth_clients WHERE ${by === 'id' ? 'id' : 'client_id'} = $1 AND ${IN_SCOPE}`,
    [value, teamId ?? null],
  );
  return rows[0];
}

/** By id, and nobody else changes the client until this transaction ends. */
export async function lockOauthClient(
  tx: Queryable,
  id: string,
  { teamId }: OauthClientScope = {},
): Promise<OauthClientRecord | undefined> {
  const { rows } = await tx.query<OauthClientRecord>(
    `SELECT ${OAUTH_CLIENT_COLUMNS} FROM oauth_clients WHERE id = $1 AND ${IN_SCOPE} FOR UPDATE`,
    [id, teamId ?? null],
  );
  return rows[0];
}

/** One page of clients; default order: as they were made. */
export function listOauthClients(
  db: Queryable,
  { teamId }: OauthClientScope,
  page: Page,
): Promise<(OauthClientRecord & { sortKey: string })[]> {
  // By its own statement, so that the planner can follow the index of one team.
  if (teamId === undefined) return listRows<OauthClientRecord>(db, LISTING, page);
  return listRows<OauthClientRecord>(db, { ...LISTING, where: 'team_id = $1' }, page, [teamId]);
}

export async function updateOauthClient(
  db: Queryable,
  id: string,
  client: OauthClientSettings,
  { teamId }: OauthClientScope = {},
): Promise<OauthClientRecord | undefined> {
  const { rows } = await db.query<OauthClientRecord>(
    `UPDATE oauth_clients SET name = $3, description = $4, allowed_scopes = $5, token_endpoint_auth_method = $6,
       jwks = $7, jwks_uri = $8, updated_at = now()
     WHERE id = $1 AND ${IN_SCOPE} RETURNING ${OAUTH_CLIENT_COLUMNS}`,
    [id, teamId ?? null, ...settings(client)],
  );
  return rows[0];
}

export async function updateOauthClientEnabled(
  db: Queryable,
  id: string,
  enabled: boolean,
  { teamId }: OauthClientScope = {},
): Promise<OauthClientRecord | undefined> {
  const { rows } = await db.query<OauthClientRecord>(
    `UPDATE oauth_clients SET enabled = $3, updated_at = now() WHERE id = $1 AND ${IN_SCOPE}
     RETURNING ${OAUTH_CLIENT_COLUMNS}`,
    [id, teamId ?? null, enabled],
  );
  return rows[0];
}

export async function deleteOauthClient(db: Queryable, id: string, { teamId }: OauthClientScope = {}): Promise<void> {
  await db.query(`DELETE FROM oauth_clients WHERE id = $1 AND ${IN_SCOPE}`, [id, teamId ?? null]);
}

/** Gives the client a new version: something that belongs to it has changed. */
export async function touchOauthClient(db: Queryable, id: string): Promise<void> {
  await db.query('UPDATE oauth_clients SET updated_at = now() WHERE id = $1', [id]);
}

function settings(client: OauthClientSettings): unknown[] {
  return [
    client.name,
    client.description,
    client.allowedScopes,
    client.tokenEndpointAuthMethod,
    client.jwks,
    client.jwksUri,
  ];
}
