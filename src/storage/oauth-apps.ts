/** OAuth2 Apps: what acts for users by their consent. Their secrets and grants are in tables of their own. */
import { deleteGrantsWhere } from './grants.ts';
import { type Listing, lastUse, listRows, type Page, VERSION } from './listing.ts';
import type { Queryable } from './pool.ts';
import { byWords } from './search.ts';

/** A JWK Set (RFC 7517 §5) with public keys only. */
export interface PublicJwks {
  keys: Record<string, unknown>[];
}

export interface OauthAppRecord {
  id: string;
  clientId: string;
  name: string;
  baseUrl: string;
  redirectUris: string[];
  postLogoutRedirectUris: string[];
  allowedScopes: string[];
  type: 'confidential' | 'public';
  tokenEndpointAuthMethod: string;
  jwks: PublicJwks | null;
  /** Where its JWK Set is fetched from, instead of `jwks`. */
  jwksUri: string | null;
  idTokenSignedResponseAlg: string;
  enabled: boolean;
  logoUrl: string | null;
  createdBy: string | null;
  createdAt: Date;
  updatedAt: Date;
  lastUsedAt: Date | null;
  version: string;
}

/** What can be changed after registration. */
export type OauthAppSettings = Pick<
  OauthAppRecord,
  | 'name'
  | 'baseUrl'
  | 'redirectUris'
  | 'postLogoutRedirectUris'
  | 'allowedScopes'
  | 'tokenEndpointAuthMethod'
  | 'jwks'
  | 'jwksUri'
  | 'idTokenSignedResponseAlg'
  | 'logoUrl'
>;

export const OAUTH_APP_COLUMNS = `id, client_id AS "clientId", name, base_url AS "baseUrl",
  redirect_uris AS "redirectUris", post_logout_redirect_uris AS "postLogoutRedirectUris",
  allowed_scopes AS "allowedScopes", type, token_endpoint_auth_method AS "tokenEndpointAuthMethod", jwks, jwks_uri AS "jwksUri",
  id_token_signed_response_alg AS "idTokenSignedResponseAlg", enabled, logo_url AS "logoUrl",
  created_by AS "createdBy", created_at AS "createdAt", updated_at AS "updatedAt", last_used_at AS "lastUsedAt",
  ${VERSION}`;

const LISTING: Listing = {
  columns: OAUTH_APP_COLUMNS,
  from: 'oauth_apps',
  fields: {
    created_at: { sql: 'created_at', type: 'timestamptz' },
    name: { sql: 'name', type: 'text' },
    client_id: { sql: 'client_id', type: 'text' },
    enabled: { sql: 'enabled', type: 'boolean' },
    type: { sql: 'type', type: 'text' },
    // Of apps there are few.
    last_used_at: lastUse('last_used_at'),
  },
  order: { field: 'created_at', descending: false },
  search: byWords,
};

export async function insertOauthApp(
  db: Queryable,
  app: OauthAppSettings & Pick<OauthAppRecord, 'clientId' | 'type' | 'createdBy'>,
): Promise<OauthAppRecord> {
  const { rows } = await db.query<OauthAppRecord>(
    `INSERT INTO oauth_apps (name, base_url, redirect_uris, post_logout_redirect_uris, allowed_scopes,
       token_endpoint_auth_method, jwks, jwks_uri, id_token_signed_response_alg, logo_url, client_id, type, created_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     RETURNING ${OAUTH_APP_COLUMNS}`,
    [...settings(app), app.clientId, app.type, app.createdBy],
  );
  return rows[0]!;
}

/** @param by which column `value` is of */
export async function findOauthApp(
  db: Queryable,
  by: 'id' | 'client_id',
  value: string,
): Promise<OauthAppRecord | undefined> {
  const { rows } = await db.query<OauthAppRecord>(
    `SELECT ${OAUTH_APP_COLUMNS} FROM oauth_apps WHERE ${by === 'id' ? 'id' : 'client_id'} = $1`,
    [value],
  );
  return rows[0];
}

/** The same, and nobody else changes the app until this transaction ends. */
export async function lockOauthApp(tx: Queryable, id: string): Promise<OauthAppRecord | undefined> {
  const { rows } = await tx.query<OauthAppRecord>(
    `SELECT ${OAUTH_APP_COLUMNS} FROM oauth_apps WHERE id = $1 FOR UPDATE`,
    [id],
  );
  return rows[0];
}

/** One page of apps; default order: as they were registered. */
export function listOauthApps(db: Queryable, page: Page): Promise<(OauthAppRecord & { sortKey: string })[]> {
  return listRows<OauthAppRecord>(db, LISTING, page);
}

export async function updateOauthApp(
  db: Queryable,
  id: string,
  app: OauthAppSettings,
): Promise<OauthAppRecord | undefined> {
  const { rows } = await db.query<OauthAppRecord>(
    `UPDATE oauth_apps SET name = $1, base_url = $2, redirect_uris = $3, post_logout_redirect_uris = $4,
       allowed_scopes = $5, token_endpoint_auth_method = $6, jwks = $7, jwks_uri = $8,
       id_token_signed_response_alg = $9, logo_url = $10, updated_at = now()
     WHERE id = $11 RETURNING ${OAUTH_APP_COLUMNS}`,
    [...settings(app), id],
  );
  return rows[0];
}

export async function updateOauthAppEnabled(
  db: Queryable,
  id: string,
  enabled: boolean,
): Promise<OauthAppRecord | undefined> {
  const { rows } = await db.query<OauthAppRecord>(
    `UPDATE oauth_apps SET enabled = $2, updated_at = now() WHERE id = $1 RETURNING ${OAUTH_APP_COLUMNS}`,
    [id, enabled],
  );
  return rows[0];
}

export async function deleteOauthApp(db: Queryable, id: string): Promise<void> {
  await db.query('DELETE FROM oauth_apps WHERE id = $1', [id]);
}

/** What was usable at that moment: `tokens` are refresh tokens and codes; access tokens are not kept, and end with their grant. */
export interface EndedGrants {
  grants: number;
  tokens: number;
}

/** Ends every consent given to the app; codes and refresh tokens go with it. */
export async function deleteGrantsOfOauthApp(db: Queryable, clientId: string): Promise<EndedGrants> {
  // All parts of one statement see what was there before it, so the tokens can still be counted.
  const { rows } = await db.query<EndedGrants>(
    `WITH ended AS (${deleteGrantsWhere('client_id = $1')} RETURNING grants.id, expires_at)
     SELECT (SELECT count(*)::integer FROM ended WHERE expires_at > now()) AS grants,
       (SELECT count(*)::integer FROM oidc_payloads AS token JOIN ended ON ended.id = token.grant_id
        WHERE token.model IN ('AuthorizationCode', 'RefreshToken') AND token.consumed_at IS NULL
          AND token.expires_at > now() AND ended.expires_at > now()) AS tokens`,
    [clientId],
  );
  return rows[0]!;
}

/** Gives the app a new version: something that belongs to it has changed. */
export async function touchOauthApp(db: Queryable, id: string): Promise<void> {
  await db.query('UPDATE oauth_apps SET updated_at = now() WHERE id = $1', [id]);
}

function settings(app: OauthAppSettings): unknown[] {
  return [
    app.name,
    app.baseUrl,
    app.redirectUris,
    app.postLogoutRedirectUris,
    app.allowedScopes,
    app.tokenEndpointAuthMethod,
    app.jwks,
    app.jwksUri,
    app.idTokenSignedResponseAlg,
    app.logoUrl,
  ];
}
