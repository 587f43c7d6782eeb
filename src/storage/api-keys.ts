/** API keys, personal and team. The text is never here: only its digest, and what people recognise a key by. */
import { VERSION } from './listing.ts';
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
  /** Null: everything its owner may do, but for what a key has only when its scopes name it. */
  scopes: string[] | null;
  /** 1 ACTIVE, 2 INACTIVE. */
  status: 1 | 2;
  createdBy: string | null;
  createdAt: Date;
  updatedAt: Date;
  /** Equal to `createdAt` until the first use. */
  lastAccessAt: Date;
  expiresAt: Date | null;
  /** Until when the text before the last rotation is good too; null when it is not. */
  previousExpiresAt: Date | null;
  /** What the key was called where it was imported from; null for a key made here. */
  externalId: string | null;
  /** Until when a token that was got for the key may live; null when there never was one. */
  tokensUntil: Date | null;
  version: string;
}

/** Which keys a caller may touch. Every field given narrows the statement itself. */
export interface ApiKeyScope {
  kind?: 'personal' | 'team' | undefined;
  teamId?: string | undefined;
  userId?: string | undefined;
}

/** What is kept of a text. */
export interface ApiKeyText {
  digest: Buffer;
  prefix: string;
  lastFour: string;
}

export interface NewApiKey extends ApiKeyText {
  kind: 'personal' | 'team';
  name: string;
  teamId: string;
  userId: string | null;
  scopes: string[] | null;
  createdBy: string | null;
  expiresAt: Date | null;
}

export const API_KEY_COLUMNS = `id, kind, prefix, last_four AS "lastFour", name, team_id AS "teamId",
  (SELECT teams.name FROM teams WHERE teams.id = team_id) AS "teamName", user_id AS "userId",
  (SELECT users.email FROM users WHERE users.id = user_id) AS "ownerEmail", scopes, status,
  created_by AS "createdBy", created_at AS "createdAt", updated_at AS "updatedAt",
  last_access_at AS "lastAccessAt", expires_at AS "expiresAt", previous_expires_at AS "previousExpiresAt",
  external_id AS "externalId", tokens_until AS "tokensUntil", ${VERSION}`;

// $2 to $4 in every statement about one key. A null narrows nothing.
const IN_SCOPE = `($2::text IS NULL OR kind = $2) AND ($3::uuid IS NULL OR team_id = $3) AND ($4::uuid IS NULL OR user_id = $4)`;

/** @throws AppError `failed_precondition` when the team, or the owner's membership of it, does not exist. */
export async function insertApiKey(db: Queryable, key: NewApiKey): Promise<ApiKeyRecord> {
  const { rows } = await db.query<ApiKeyRecord>(
    `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id, user_id, scopes, created_by, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING ${API_KEY_COLUMNS}`,
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
    `SELECT ${API_KEY_COLUMNS} FROM api_keys WHERE id = $1 AND ${IN_SCOPE}`,
    one(id, scope),
  );
  return rows[0];
}

/** As `findApiKey`; nobody else changes the key until the transaction ends. */
export async function lockApiKey(tx: Queryable, id: string, scope: ApiKeyScope): Promise<ApiKeyRecord | undefined> {
  const { rows } = await tx.query<ApiKeyRecord>(
    `SELECT ${API_KEY_COLUMNS} FROM api_keys WHERE id = $1 AND ${IN_SCOPE} FOR UPDATE`,
    one(id, scope),
  );
  return rows[0];
}

// $2 in every statement about a key and its text: a digest, or null for what the key was imported with.
const IS_ITS_TEXT = `CASE
  WHEN $2::bytea IS NULL THEN digest IS NULL OR (previous_digest IS NULL AND previous_expires_at > now())
  ELSE digest = $2 OR (previous_digest = $2 AND previous_expires_at > now()) END`;

/** As `lockApiKey`, if that text opens the key at this moment. @param digest undefined for what it was imported with */
export async function lockApiKeyByText(
  tx: Queryable,
  id: string,
  digest: Buffer | undefined,
): Promise<ApiKeyRecord | undefined> {
  const { rows } = await tx.query<ApiKeyRecord>(
    `SELECT ${API_KEY_COLUMNS} FROM api_keys WHERE id = $1 AND ${IS_ITS_TEXT} FOR UPDATE`,
    [id, digest ?? null],
  );
  return rows[0];
}

/** The key a text is, and until when that text is good: null for the newest text of a key. */
export async function findApiKeyByDigest(
  db: Queryable,
  digest: Buffer,
): Promise<(ApiKeyRecord & { textExpiresAt: Date | null }) | undefined> {
  const { rows } = await db.query<ApiKeyRecord & { textExpiresAt: Date | null }>(
    `SELECT ${API_KEY_COLUMNS}, CASE WHEN digest = $1 THEN NULL ELSE previous_expires_at END AS "textExpiresAt"
     FROM api_keys WHERE digest = $1 OR previous_digest = $1`,
    [digest],
  );
  return rows[0];
}

/**
 * A key by what it was imported as, and until when that is good: null as long as the key was not rotated. Its first
 * rotation leaves no digest of a former text behind, so an overlap without one is that of what was imported.
 */
export async function findImportedApiKey(
  db: Queryable,
  id: string,
): Promise<(ApiKeyRecord & { textExpiresAt: Date | null }) | undefined> {
  const { rows } = await db.query<ApiKeyRecord & { textExpiresAt: Date | null }>(
    `SELECT ${API_KEY_COLUMNS}, CASE WHEN digest IS NULL THEN NULL WHEN previous_digest IS NOT NULL THEN to_timestamp(0)
       ELSE coalesce(previous_expires_at, to_timestamp(0)) END AS "textExpiresAt"
     FROM api_keys WHERE id = $1`,
    [id],
  );
  return rows[0];
}

/** Times of a key that is good at this moment, as the database's clock has it. */
export interface HeldKey {
  now: Date;
  expiresAt: Date | null;
  textExpiresAt: Date | null;
}

/**
 * Says until when a token lives that is issued for a key, if key and text are good now. Whoever changes the key waits for
 * this statement and sees what it wrote, or comes first and is seen by it.
 * @param text.digest undefined for the text a key was imported with
 */
export async function holdApiKeyForToken(
  db: Queryable,
  id: string,
  text: { digest: Buffer | undefined; until: Date },
): Promise<HeldKey | undefined> {
  const { rows } = await db.query<HeldKey>(
    `UPDATE api_keys SET tokens_until = greatest(tokens_until, $3)
     WHERE id = $1 AND status = 1 AND coalesce(expires_at > now(), true) AND ${IS_ITS_TEXT}
     RETURNING now(), expires_at AS "expiresAt",
       CASE WHEN digest IS NOT DISTINCT FROM $2 THEN NULL ELSE previous_expires_at END AS "textExpiresAt"`,
    [id, text.digest ?? null, text.until],
  );
  return rows[0];
}

/** This and the following are for a key that is locked. */
export async function updateApiKey(
  tx: Queryable,
  id: string,
  changes: { name?: string; status?: 1 | 2 },
): Promise<ApiKeyRecord> {
  const { rows } = await tx.query<ApiKeyRecord>(
    `UPDATE api_keys SET name = coalesce($2, name), status = coalesce($3, status), updated_at = now()
     WHERE id = $1 RETURNING ${API_KEY_COLUMNS}`,
    [id, changes.name ?? null, changes.status ?? null],
  );
  return rows[0]!;
}

/** Gives the key another text; the one it had is good until `previousExpiresAt`, the one before that no more. */
export async function updateApiKeyText(
  tx: Queryable,
  id: string,
  { digest, prefix, lastFour }: ApiKeyText,
  previousExpiresAt: Date | null,
): Promise<ApiKeyRecord> {
  const { rows } = await tx.query<ApiKeyRecord>(
    `UPDATE api_keys SET digest = $2, prefix = $3, last_four = $4, previous_expires_at = $5, updated_at = now(),
       previous_digest = CASE WHEN $5::timestamptz IS NULL THEN NULL ELSE digest END
     WHERE id = $1 RETURNING ${API_KEY_COLUMNS}`,
    [id, digest, prefix, lastFour, previousExpiresAt],
  );
  return rows[0]!;
}

export async function deleteApiKey(tx: Queryable, id: string): Promise<void> {
  await tx.query('DELETE FROM api_keys WHERE id = $1', [id]);
}

function one(id: string, { kind, teamId, userId }: ApiKeyScope): unknown[] {
  return [id, kind ?? null, teamId ?? null, userId ?? null];
}
