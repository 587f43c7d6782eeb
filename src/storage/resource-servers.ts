/** Resource servers: the APIs tokens are for. What their scopes are, and what ends with them elsewhere. */
import { heldGrants } from './grants.ts';
import { type Listing, listRows, type Page, VERSION } from './listing.ts';
import type { Queryable } from './pool.ts';
import { byWords } from './search.ts';

export interface ResourceServerScope {
  name: string;
  description: string;
}

export interface ResourceServerRecord {
  id: string;
  identifier: string;
  name: string;
  scopes: ResourceServerScope[];
  accessTokenTtlSeconds: number;
  signingAlg: string;
  /** Whether API keys open it too. */
  acceptsApiKeys: boolean;
  /** OAuth2 clients that are this resource server: they may ask about what is presented to it. */
  clientIds: string[];
  isBuiltIn: boolean;
  createdBy: string | null;
  createdAt: Date;
  updatedAt: Date;
  version: string;
}

/** What can be changed after registration. */
export type ResourceServerSettings = Pick<
  ResourceServerRecord,
  'name' | 'scopes' | 'accessTokenTtlSeconds' | 'signingAlg' | 'acceptsApiKeys' | 'clientIds'
>;

/** An app, or a client of a team, that lost scopes. */
export interface NarrowedRecord {
  id: string;
  clientId: string;
  name: string;
  teamId: string | null;
  allowedScopes: string[];
}

/** An API key that lost scopes. */
export interface EndedKeyScopesRecord {
  id: string;
  name: string;
  teamId: string;
}

const COLUMNS = `id, identifier, name, scopes, access_token_ttl_seconds AS "accessTokenTtlSeconds",
  signing_alg AS "signingAlg", accepts_api_keys AS "acceptsApiKeys", client_ids AS "clientIds", is_built_in AS "isBuiltIn", created_by AS "createdBy", created_at AS "createdAt",
  updated_at AS "updatedAt", ${VERSION}`;

const LISTING: Listing = {
  columns: COLUMNS,
  from: 'resource_servers',
  fields: {
    created_at: { sql: 'created_at', type: 'timestamptz' },
    name: { sql: 'name', type: 'text' },
    identifier: { sql: 'identifier', type: 'text' },
  },
  order: { field: 'created_at', descending: false },
  search: byWords,
};

/** One page; default order: as they were registered. */
export function listResourceServers(
  db: Queryable,
  page: Page,
): Promise<(ResourceServerRecord & { sortKey: string })[]> {
  return listRows<ResourceServerRecord>(db, LISTING, page);
}

export async function findResourceServer(db: Queryable, id: string): Promise<ResourceServerRecord | undefined> {
  const { rows } = await db.query<ResourceServerRecord>(`SELECT ${COLUMNS} FROM resource_servers WHERE id = $1`, [id]);
  return rows[0];
}

/** The registered ones, without the built-in one. */
export async function findRegisteredResourceServers(db: Queryable): Promise<ResourceServerRecord[]> {
  const { rows } = await db.query<ResourceServerRecord>(
    `SELECT ${COLUMNS} FROM resource_servers WHERE NOT is_built_in`,
  );
  return rows;
}

/** The same, and none of them changes or goes until this transaction ends. */
export async function holdRegisteredResourceServers(tx: Queryable): Promise<ResourceServerRecord[]> {
  const { rows } = await tx.query<ResourceServerRecord>(
    `SELECT ${COLUMNS} FROM resource_servers WHERE NOT is_built_in ORDER BY id FOR SHARE`,
  );
  return rows;
}

/** Makes other changes of resource servers wait until this transaction ends: their scopes are compared with each other. */
export async function lockResourceServers(tx: Queryable): Promise<void> {
  await tx.query('LOCK TABLE resource_servers IN SHARE ROW EXCLUSIVE MODE');
}

export async function lockResourceServer(tx: Queryable, id: string): Promise<ResourceServerRecord | undefined> {
  const { rows } = await tx.query<ResourceServerRecord>(
    `SELECT ${COLUMNS} FROM resource_servers WHERE id = $1 FOR UPDATE`,
    [id],
  );
  return rows[0];
}

export async function insertResourceServer(
  db: Queryable,
  made: ResourceServerSettings & Pick<ResourceServerRecord, 'identifier' | 'createdBy'>,
): Promise<ResourceServerRecord> {
  const { rows } = await db.query<ResourceServerRecord>(
    `INSERT INTO resource_servers
       (name, scopes, access_token_ttl_seconds, signing_alg, accepts_api_keys, client_ids, identifier, created_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ${COLUMNS}`,
    [...settings(made), made.identifier, made.createdBy],
  );
  return rows[0]!;
}

/** What the server's own API is started with; in everything else it is as resource servers are by default. */
export type BuiltInResourceServer = Pick<
  ResourceServerRecord,
  'identifier' | 'name' | 'scopes' | 'accessTokenTtlSeconds' | 'signingAlg'
>;

/** Makes the row of the server's own API be as given; one that is so already is not touched. */
export async function upsertBuiltInResourceServer(db: Queryable, made: BuiltInResourceServer): Promise<void> {
  await db.query(
    `INSERT INTO resource_servers AS known (name, scopes, access_token_ttl_seconds, signing_alg, identifier, is_built_in)
     VALUES ($1, $2, $3, $4, $5, true)
     ON CONFLICT (is_built_in) WHERE is_built_in DO UPDATE
     SET name = EXCLUDED.name, scopes = EXCLUDED.scopes, access_token_ttl_seconds = EXCLUDED.access_token_ttl_seconds,
       signing_alg = EXCLUDED.signing_alg, identifier = EXCLUDED.identifier, updated_at = now()
     WHERE (known.name, known.scopes, known.access_token_ttl_seconds, known.signing_alg, known.identifier) IS DISTINCT FROM
       (EXCLUDED.name, EXCLUDED.scopes, EXCLUDED.access_token_ttl_seconds, EXCLUDED.signing_alg, EXCLUDED.identifier)`,
    [made.name, JSON.stringify(made.scopes), made.accessTokenTtlSeconds, made.signingAlg, made.identifier],
  );
}

export async function updateResourceServer(
  db: Queryable,
  id: string,
  changed: ResourceServerSettings,
): Promise<ResourceServerRecord | undefined> {
  const { rows } = await db.query<ResourceServerRecord>(
    `UPDATE resource_servers SET name = $1, scopes = $2, access_token_ttl_seconds = $3, signing_alg = $4,
       accepts_api_keys = $5, client_ids = $6, updated_at = now() WHERE id = $7 RETURNING ${COLUMNS}`,
    [...settings(changed), id],
  );
  return rows[0];
}

export async function deleteResourceServer(db: Queryable, id: string): Promise<boolean> {
  const { count } = await db.query('DELETE FROM resource_servers WHERE id = $1', [id]);
  return count === 1;
}

/** Takes scopes that mean nothing any more from every app or client that was allowed them. Answers what is left to each. */
export async function dropAllowedScopes(
  tx: Queryable,
  owners: 'oauth_apps' | 'oauth_clients',
  words: readonly string[],
): Promise<NarrowedRecord[]> {
  const team = owners === 'oauth_clients' ? 'team_id' : 'NULL::uuid';
  const { rows } = await tx.query<NarrowedRecord>(
    `UPDATE ${owners === 'oauth_clients' ? 'oauth_clients' : 'oauth_apps'} SET updated_at = now(),
       allowed_scopes = ARRAY(SELECT word FROM unnest(allowed_scopes) WITH ORDINALITY AS one (word, place)
         WHERE word <> ALL($1::text[]) ORDER BY place)
     WHERE allowed_scopes && $1::text[]
     RETURNING id, client_id AS "clientId", name, ${team} AS "teamId", allowed_scopes AS "allowedScopes"`,
    [words],
  );
  return rows;
}

/** Takes scopes that mean nothing any more from every API key. Null, which names none of them, stays null. */
export async function dropKeyScopes(tx: Queryable, words: readonly string[]): Promise<EndedKeyScopesRecord[]> {
  const { rows } = await tx.query<EndedKeyScopesRecord>(
    `UPDATE api_keys SET updated_at = now(),
       scopes = ARRAY(SELECT word FROM unnest(scopes) WITH ORDINALITY AS one (word, place)
         WHERE word <> ALL($1::text[]) ORDER BY place)
     WHERE scopes && $1::text[] RETURNING id, name, team_id AS "teamId"`,
    [words],
  );
  return rows;
}

/** An app, a client or an API key that was allowed scopes by name. `teamName` null: an app, which belongs to no team. */
export interface ScopeHolderRecord {
  kind: 'oauth_app' | 'oauth_client' | 'personal_key' | 'team_key';
  id: string;
  name: string;
  teamName: string | null;
  /** Of the scopes asked for. */
  scopes: string[];
}

const NAMED = (column: string) =>
  `ARRAY(SELECT word FROM unnest(${column}) AS word WHERE word = ANY ($1) ORDER BY word)`;

/** Whoever was allowed one of these scopes by name: of apps, of clients and of keys the first `limit` each. */
export async function listScopeHolders(
  db: Queryable,
  words: readonly string[],
  limit: number,
): Promise<ScopeHolderRecord[]> {
  // Found first and cut afterwards: a limit would make the planner read the tables instead of their indexes.
  const { rows } = await db.query<ScopeHolderRecord>(
    `WITH of_clients AS MATERIALIZED (SELECT id FROM oauth_clients WHERE allowed_scopes && $1::text[]),
       of_keys AS MATERIALIZED (SELECT id FROM api_keys WHERE scopes && $1::text[])
     (SELECT 'oauth_app' AS kind, id, name, NULL AS "teamName", ${NAMED('allowed_scopes')} AS scopes
        FROM oauth_apps WHERE allowed_scopes && $1::text[] ORDER BY name, id LIMIT $2)
     UNION ALL
     (SELECT 'oauth_client', one.id, one.name, teams.name, ${NAMED('allowed_scopes')}
        FROM oauth_clients AS one JOIN teams ON teams.id = team_id
        WHERE one.id IN (SELECT id FROM of_clients LIMIT $2) ORDER BY one.name, one.id)
     UNION ALL
     (SELECT one.kind || '_key', one.id, one.name, teams.name, ${NAMED('scopes')}
        FROM api_keys AS one JOIN teams ON teams.id = team_id
        WHERE one.id IN (SELECT id FROM of_keys LIMIT $2) ORDER BY one.name, one.id)`,
    [words, limit],
  );
  return rows;
}

/**
 * Of these client_ids those that are no OAuth2 client's. The others stay clients until the transaction ends; call it with
 * resource servers locked.
 */
export async function holdMissingClients(tx: Queryable, clientIds: readonly string[]): Promise<string[]> {
  const { rows } = await tx.query<{ clientId: string }>(
    'SELECT client_id AS "clientId" FROM oauth_clients WHERE client_id = ANY($1) ORDER BY id FOR KEY SHARE',
    [clientIds],
  );
  const known = new Set(rows.map(({ clientId }) => clientId));
  return clientIds.filter((clientId) => !known.has(clientId));
}

/**
 * Takes clients that are about to be deleted out of the resource servers they were: one by its id, or all of a team. Other
 * changes of resource servers wait until the transaction ends, so call it before other rows are locked.
 */
export async function dropClients(
  tx: Queryable,
  gone: { clientId: string } | { teamId: string },
): Promise<ResourceServerRecord[]> {
  const [column, id] = 'clientId' in gone ? ['client_id', gone.clientId] : ['team_id', gone.teamId];
  const { rows } = await tx.query<ResourceServerRecord>(
    `UPDATE resource_servers SET updated_at = now(),
       client_ids = ARRAY(SELECT one FROM unnest(client_ids) WITH ORDINALITY AS clients (one, place)
         WHERE one NOT IN (SELECT client_id FROM oauth_clients WHERE ${column} = $1) ORDER BY place)
     WHERE client_ids && ARRAY(SELECT client_id FROM oauth_clients WHERE ${column} = $1) RETURNING ${COLUMNS}`,
    [id],
  );
  return rows;
}

/** Takes scopes of one resource out of every consent: a word that comes back is asked for anew. */
export async function dropGrantedScopes(tx: Queryable, identifier: string, words: readonly string[]): Promise<void> {
  await tx.query(
    `WITH ${heldGrants(`string_to_array(payload #>> ARRAY['resources', $1], ' ') && $2::text[]`, 'NO KEY UPDATE')}
     UPDATE grants SET payload = jsonb_set(payload, ARRAY['resources', $1], to_jsonb(array_to_string(ARRAY(
         SELECT word FROM unnest(string_to_array(payload #>> ARRAY['resources', $1], ' ')) AS word
         WHERE word <> ALL($2::text[])), ' ')))
     FROM held WHERE grants.id = held.id`,
    [identifier, words],
  );
}

/** Takes a resource out of every consent: one that is registered again under its name is asked for anew. */
export async function dropGrantedResource(tx: Queryable, identifier: string): Promise<void> {
  await tx.query(
    `WITH ${heldGrants(`payload -> 'named' ? $1 OR payload -> 'resources' ? $1`, 'NO KEY UPDATE')}
     UPDATE grants SET payload = CASE WHEN payload ? 'named'
       THEN jsonb_set(payload #- ARRAY['resources', $1::text], '{named}', (payload -> 'named') - $1::text)
       ELSE payload #- ARRAY['resources', $1::text] END
     FROM held WHERE grants.id = held.id`,
    [identifier],
  );
}

function settings(given: ResourceServerSettings): unknown[] {
  const { name, scopes, accessTokenTtlSeconds, signingAlg, acceptsApiKeys, clientIds } = given;
  return [name, JSON.stringify(scopes), accessTokenTtlSeconds, signingAlg, acceptsApiKeys, clientIds];
}
