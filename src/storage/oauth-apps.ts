/** OAuth2 Apps: what acts for users by their consent. Their secrets and grants are in tables of their own. */
import type { Queryable } from './pool.ts';

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
  idTokenSignedResponseAlg: string;
  enabled: boolean;
  createdBy: string | null;
  createdAt: Date;
  updatedAt: Date;
  lastUsedAt: Date | null;
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
  | 'idTokenSignedResponseAlg'
>;

export const OAUTH_APP_COLUMNS = `id, client_id AS "clientId", name, base_url AS "baseUrl",
  redirect_uris AS "redirectUris", post_logout_redirect_uris AS "postLogoutRedirectUris",
  allowed_scopes AS "allowedScopes", type, token_endpoint_auth_method AS "tokenEndpointAuthMethod", jwks,
  id_token_signed_response_alg AS "idTokenSignedResponseAlg", enabled, created_by AS "createdBy",
  created_at AS "createdAt", updated_at AS "updatedAt", last_used_at AS "lastUsedAt"`;

export async function insertOauthApp(
  db: Queryable,
  app: OauthAppSettings & Pick<OauthAppRecord, 'clientId' | 'type' | 'createdBy'>,
): Promise<OauthAppRecord> {
  const { rows } = await db.query<OauthAppRecord>(
    `INSERT INTO oauth_apps (name, base_url, redirect_uris, post_logout_redirect_uris, allowed_scopes,
       token_endpoint_auth_method, jwks, id_token_signed_response_alg, client_id, type, created_by, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, date_trunc('milliseconds', now()))
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

/** Apps in the order they were registered, at most `limit`, those behind `after`. */
export async function listOauthApps(
  db: Queryable,
  page: { limit: number; after?: { createdAt: Date; id: string } | undefined },
): Promise<OauthAppRecord[]> {
  const { rows } = await db.query<OauthAppRecord>(
    `SELECT ${OAUTH_APP_COLUMNS} FROM oauth_apps
     WHERE ($1::timestamptz IS NULL OR (created_at, id) > ($1, $2::uuid)) ORDER BY created_at, id LIMIT $3`,
    [page.after?.createdAt ?? null, page.after?.id ?? null, page.limit],
  );
  return rows;
}

export async function updateOauthApp(
  db: Queryable,
  id: string,
  app: OauthAppSettings,
): Promise<OauthAppRecord | undefined> {
  const { rows } = await db.query<OauthAppRecord>(
    `UPDATE oauth_apps SET name = $1, base_url = $2, redirect_uris = $3, post_logout_redirect_uris = $4,
       allowed_scopes = $5, token_endpoint_auth_method = $6, jwks = $7, id_token_signed_response_alg = $8,
       updated_at = now()
     WHERE id = $9 RETURNING ${OAUTH_APP_COLUMNS}`,
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

export async function deleteOauthApp(db: Queryable, id: string): Promise<OauthAppRecord | undefined> {
  const { rows } = await db.query<OauthAppRecord>(
    `DELETE FROM oauth_apps WHERE id = $1 RETURNING ${OAUTH_APP_COLUMNS}`,
    [id],
  );
  return rows[0];
}

/** Ends every consent given to the app; codes and refresh tokens go with it. Answers how many there were. */
export async function deleteGrantsOfOauthApp(db: Queryable, clientId: string): Promise<number> {
  return (await db.query('DELETE FROM grants WHERE client_id = $1', [clientId])).count;
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
    app.idTokenSignedResponseAlg,
  ];
}
