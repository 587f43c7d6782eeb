/** API keys, personal and team. The text is never here: only its digest, and what people recognise a key by. */
import type { Queryable } from './pool.ts';

export interface ApiKeyRecord {
  id: string;
  kind: 'personal' | 'team';
  /** First characters of the text, and its last four. */
  prefix: string;
  lastFour: string;
  name: string;
  teamId: string;
  teamName: string;
  /** The owner of a personal key; null for a team key. */
  userId: string | null;
  ownerEmail: string | null;
  /** Null: everything its owner may do. */
  scopes: string[] | null;
  /** 1 ACTIVE, 2 INACTIVE. */
  status: 1 | 2;
  createdBy: string | null;
  createdAt: Date;
  updatedAt: Date;
  /** Equal to `createdAt` until the first use. */
  lastAccessAt: Date;
  expiresAt: Date | null;
}

/** Which keys a caller may touch. Every field given narrows the statement itself. */
export interface ApiKeyScope {
  kind?: 'personal' | 'team' | undefined;
  teamId?: string | undefined;
  userId?: string | undefined;
}

export interface NewApiKey {
  kind: 'personal' | 'team';
  digest: Buffer;
  prefix: string;
  lastFour: string;
  name: string;
  teamId: string;
  userId: string | null;
  scopes: string[] | null;
  createdBy: string | null;
  expiresAt: Date | null;
}

const COLUMNS = `id, kind, prefix, last_four AS "lastFour", name, team_id AS "teamId",
  (SELECT teams.name FROM teams WHERE teams.id = team_id) AS "teamName", user_id AS "userId",
  (SELECT users.email FROM users WHERE users.id = user_id) AS "ownerEmail", scopes, status,
  created_by AS "createdBy", created_at AS "createdAt", updated_at AS "updatedAt",
  last_access_at AS "lastAccessAt", expires_at AS "expiresAt"`;

// $2 to $4 in every statement about one key. A null narrows nothing.
const IN_SCOPE = `($2::text IS NULL OR kind = $2) AND ($3::uuid IS NULL OR team_id = $3) AND ($4::uuid IS NULL OR user_id = $4)`;

/** @throws AppError `failed_precondition` when the team, or the owner's membership of it, does not exist. */
export async function insertApiKey(db: Queryable, key: NewApiKey): Promise<ApiKeyRecord> {
  // Whole milliseconds, because a page of a list ends at a time that went through JavaScript.
  const { rows } = await db.query<ApiKeyRecord>(
    `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id, user_id, scopes, created_by, expires_at,
       created_at, updated_at, last_access_at)
     SELECT $1, $2, $3, $4, $5, $6::uuid, $7::uuid, $8::text[], $9::uuid, $10::timestamptz, t, t, t
     FROM date_trunc('milliseconds', now()) AS t
     RETURNING ${COLUMNS}`,
    [
      key.kind,
      key.digest,
      key.prefix,
      key.lastFour,
      key.name,
      key.teamId,
      key.userId,
      key.scopes,
      key.createdBy,
      key.expiresAt,
    ],
  );
  return rows[0]!;
}

export async function findApiKey(db: Queryable, id: string, scope: ApiKeyScope): Promise<ApiKeyRecord | undefined> {
  const { rows } = await db.query<ApiKeyRecord>(
    `SELECT ${COLUMNS} FROM api_keys WHERE id = $1 AND ${IN_SCOPE}`,
    one(id, scope),
  );
  return rows[0];
}

export async function findApiKeyByDigest(db: Queryable, digest: Buffer): Promise<ApiKeyRecord | undefined> {
  const { rows } = await db.query<ApiKeyRecord>(`SELECT ${COLUMNS} FROM api_keys WHERE digest = $1`, [digest]);
  return rows[0];
}

/**
 * Keys in the order they were created.
 * @param page at most `limit`, those behind `after`
 */
export async function listApiKeys(
  db: Queryable,
  scope: ApiKeyScope,
  page: { limit: number; after?: { createdAt: Date; id: string } | undefined },
): Promise<ApiKeyRecord[]> {
  const { rows } = await db.query<ApiKeyRecord>(
    `SELECT ${COLUMNS} FROM api_keys
     WHERE ($1::timestamptz IS NULL OR (created_at, id) > ($1, $5::uuid)) AND ${IN_SCOPE}
     ORDER BY created_at, id LIMIT $6`,
    [
      page.after?.createdAt ?? null,
      scope.kind ?? null,
      scope.teamId ?? null,
      scope.userId ?? null,
      page.after?.id ?? null,
      page.limit,
    ],
  );
  return rows;
}

export async function updateApiKeyName(
  db: Queryable,
  id: string,
  scope: ApiKeyScope,
  name: string,
): Promise<ApiKeyRecord | undefined> {
  const { rows } = await db.query<ApiKeyRecord>(
    `UPDATE api_keys SET name = $5, updated_at = now() WHERE id = $1 AND ${IN_SCOPE} RETURNING ${COLUMNS}`,
    [...one(id, scope), name],
  );
  return rows[0];
}

/** `changed` is false when the key had that status already. */
export async function updateApiKeyStatus(
  db: Queryable,
  id: string,
  scope: ApiKeyScope,
  status: 1 | 2,
): Promise<{ key: ApiKeyRecord; changed: boolean } | undefined> {
  const { rows } = await db.query<ApiKeyRecord & { before: number }>(
    `WITH found AS (SELECT id AS found_id, status AS before FROM api_keys WHERE id = $1 AND ${IN_SCOPE} FOR UPDATE)
     UPDATE api_keys SET status = $5, updated_at = CASE WHEN before = $5 THEN updated_at ELSE now() END
     FROM found WHERE id = found_id
     RETURNING ${COLUMNS}, before`,
    [...one(id, scope), status],
  );
  if (rows[0] === undefined) return undefined;
  const { before, ...key } = rows[0];
  return { key, changed: before !== status };
}

/** Deletes the key and answers what it was. */
export async function deleteApiKey(db: Queryable, id: string, scope: ApiKeyScope): Promise<ApiKeyRecord | undefined> {
  const { rows } = await db.query<ApiKeyRecord>(
    `DELETE FROM api_keys WHERE id = $1 AND ${IN_SCOPE} RETURNING ${COLUMNS}`,
    one(id, scope),
  );
  return rows[0];
}

function one(id: string, { kind, teamId, userId }: ApiKeyScope): unknown[] {
  return [id, kind ?? null, teamId ?? null, userId ?? null];
}
