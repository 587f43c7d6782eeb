/** Keys that were imported by their digests: how a text is found among them, and how they come in, a batch at a time. */
import type { Queryable } from './pool.ts';

export type DigestAlgorithm = 'sha256' | 'sha512' | 'hmac-sha256' | 'bcrypt';

/** What is kept of a text: how it was digested, and how it begins. */
export interface ImportedDigest {
  algorithm: DigestAlgorithm;
  /** The name of the pepper of hmac-sha256, otherwise ''. */
  pepper: string;
  /** For bcrypt the whole hash in its usual text form. */
  digest: Buffer;
  prefix: string;
}

/** A way texts may begin, and an algorithm there are digests of those by. */
export interface ImportedHead {
  head: string;
  algorithm: DigestAlgorithm;
  pepper: string;
}

export interface NewImportedKey extends ImportedDigest {
  id: string;
  kind: 'personal' | 'team';
  lastFour: string;
  name: string;
  teamId: string;
  userId: string | null;
  scopes: string[] | null;
  createdBy: string | null;
  /** Null: now. */
  createdAt: Date | null;
  lastAccessAt: Date | null;
  expiresAt: Date | null;
  externalId: string | null;
}

/** There are few: whoever inserts them sees to it. */
export async function listImportedHeads(db: Queryable): Promise<ImportedHead[]> {
  return (await db.query<ImportedHead>('SELECT head, algorithm, pepper FROM imported_key_heads')).rows;
}

export async function insertImportedHeads(tx: Queryable, heads: readonly ImportedHead[]): Promise<void> {
  await tx.query(
    `INSERT INTO imported_key_heads (head, algorithm, pepper)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING`,
    [heads.map(({ head }) => head), heads.map(({ algorithm }) => algorithm), heads.map(({ pepper }) => pepper)],
  );
}

/**
 * What a text may be: every key with one of the digests, and at most `limit` keys with a bcrypt hash that begin with one
 * of the prefixes and can be opened with what they were imported with now, those that say most about the text first.
 */
export async function findImportedKeys(
  db: Queryable,
  { digests, bcryptPrefixes, limit }: { digests: Buffer[]; bcryptPrefixes: string[]; limit: number },
): Promise<(ImportedDigest & { keyId: string })[]> {
  const { rows } = await db.query<ImportedDigest & { keyId: string }>(
    `SELECT algorithm, pepper, digest, prefix, key_id AS "keyId" FROM imported_keys
     WHERE digest = ANY ($1::bytea[]) AND key_id IS NOT NULL
     UNION ALL
     (SELECT algorithm, pepper, imported_keys.digest, imported_keys.prefix, key_id
      FROM imported_keys JOIN api_keys ON api_keys.id = key_id
      WHERE algorithm = 'bcrypt' AND key_id IS NOT NULL AND imported_keys.prefix = ANY ($2::text[]) AND status = 1
        AND coalesce(expires_at > now(), true)
        AND (api_keys.digest IS NULL OR (previous_digest IS NULL AND previous_expires_at > now()))
      ORDER BY length(imported_keys.prefix) DESC LIMIT $3)`,
    [digests, bcryptPrefixes, limit],
  );
  return rows;
}

/** Which of these digests were imported once, whether their key still exists or not. */
export async function listKnownDigests(
  db: Queryable,
  digests: readonly Buffer[],
): Promise<Pick<ImportedDigest, 'algorithm' | 'pepper' | 'digest'>[]> {
  const { rows } = await db.query<ImportedDigest>(
    'SELECT algorithm, pepper, digest FROM imported_keys WHERE digest = ANY ($1::bytea[])',
    [digests],
  );
  return rows;
}

/** How many keys with a bcrypt hash begin with each of the prefixes. */
export async function countBcryptKeys(db: Queryable, prefixes: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await db.query<{ prefix: string; count: number }>(
    `SELECT prefix, count(*)::int AS count FROM imported_keys
     WHERE algorithm = 'bcrypt' AND key_id IS NOT NULL AND prefix = ANY ($1::text[]) GROUP BY prefix`,
    [prefixes],
  );
  return new Map(rows.map(({ prefix, count }) => [prefix, count]));
}

/** Makes this transaction the only one that imports, until it ends. */
export async function lockImport(tx: Queryable): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(7264003)');
}

/**
 * Makes keys of digests that are not known; how many were made.
 * @throws AppError `failed_precondition` when a team, or an owner's membership of it, does not exist
 */
export async function insertImportedKeys(tx: Queryable, keys: readonly NewImportedKey[]): Promise<number> {
  const rows = keys.map(({ digest, ...key }) => ({ ...key, digest: digest.toString('hex') }));
  // What is claimed by its digest becomes a key. The reference from one to the other is checked when both are there.
  const { count } = await tx.query(
    `WITH input AS MATERIALIZED (
       SELECT * FROM jsonb_to_recordset($1::jsonb) AS row (id uuid, kind text, algorithm text, pepper text, digest text,
         prefix text, "lastFour" text, name text, "teamId" uuid, "userId" uuid, scopes text[], "createdBy" uuid,
         "createdAt" timestamptz, "lastAccessAt" timestamptz, "expiresAt" timestamptz, "externalId" text)),
     claimed AS (
       INSERT INTO imported_keys (digest, algorithm, pepper, prefix, key_id)
       SELECT decode(digest, 'hex'), algorithm, pepper, prefix, id FROM input
       ON CONFLICT DO NOTHING RETURNING key_id)
     INSERT INTO api_keys (id, kind, prefix, last_four, name, team_id, user_id, scopes, created_by, created_at,
       last_access_at, expires_at, external_id)
     SELECT id, kind, prefix, "lastFour", name, "teamId", "userId", scopes, "createdBy", coalesce("createdAt", now()),
       coalesce("lastAccessAt", "createdAt", now()), "expiresAt", "externalId"
     FROM input JOIN claimed ON key_id = id`,
    [JSON.stringify(rows)],
  );
  return count;
}

/** A person a word means, by id or email, with the teams they are a member of. */
export interface MeantUser {
  word: string;
  id: string;
  teamIds: string[];
}

/** @param words ids in lower case, and email addresses in any case */
export async function listMeantUsers(db: Queryable, words: readonly string[]): Promise<MeantUser[]> {
  const { rows } = await db.query<MeantUser>(
    `SELECT word, users.id, ARRAY(SELECT team_id FROM memberships WHERE user_id = users.id) AS "teamIds"
     FROM unnest($1::text[]) AS word JOIN users ON lower(users.email) = lower(word)
     UNION ALL
     SELECT id::text, users.id, ARRAY(SELECT team_id FROM memberships WHERE user_id = users.id)
     FROM unnest($2::uuid[]) AS id JOIN users USING (id)`,
    split(words),
  );
  return rows;
}

/** The team each word means, by id or by name; case does not count. */
export async function listMeantTeams(db: Queryable, words: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await db.query<{ word: string; id: string }>(
    `SELECT word, teams.id FROM unnest($1::text[]) AS word JOIN teams ON lower(teams.name) = lower(word)
     UNION ALL
     SELECT id::text, id FROM unnest($2::uuid[]) AS id JOIN teams USING (id)`,
    split(words),
  );
  return new Map(rows.map(({ word, id }) => [word, id]));
}

function split(words: readonly string[]): [string[], string[]] {
  const isId = (word: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(word);
  return [words.filter((word) => !isId(word)), words.filter(isId)];
}
