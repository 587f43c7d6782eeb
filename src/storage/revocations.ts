/** What ended before its time. Triggers write nearly all of it (see the schema); single tokens are written here. */
import type { Queryable } from './pool.ts';

export interface RevocationRecord {
  /**
   * What ended: a token by its `jti`, a consent, user, member, client, team or key by its id; by the identifier of a resource
   * server, tokens for it (`aud`) or those of them that were got for API keys (`aud_keys`).
   */
  kind: string;
  id: string;
  /** It goes on with fewer rights: tokens from before may say more than is theirs. */
  narrowed: boolean;
  /** Tokens issued in this second (since 1970) or earlier are dead; null: whenever they were issued. */
  before: number | null;
  /** From this second on no token can be concerned. */
  expires: number;
}

/** A row as a notification tells it; the order is that of the function `latchkey_notify_revocation` in the schema. */
export function parseRevocation(text: string): RevocationRecord {
  const [kind, id, narrowed, before, expires] = JSON.parse(text) as [string, string, boolean, number | null, number];
  return { kind, id, narrowed, before, expires };
}

export async function listRevocations(db: Queryable): Promise<RevocationRecord[]> {
  const { rows } = await db.query<RevocationRecord>(
    `SELECT kind, id, narrowed,
       CASE WHEN isfinite(revoked_before) THEN floor(extract(epoch FROM revoked_before))::float8 END AS before,
       ceil(extract(epoch FROM expires_at))::float8 AS expires
     FROM revocations WHERE expires_at > now() - interval '1 minute'`,
  );
  return rows;
}

/** What a single token belongs to, as the table names it: one of the kinds that can end with all their tokens. */
export interface TokenOwner {
  kind: 'key' | 'client';
  id: string;
}

/** Whether fewer than `most` tokens of an owner have been ended one by one. It counts no further than that. */
export async function hasRoomForTokens(db: Queryable, owner: TokenOwner, most: number): Promise<boolean> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM
       (SELECT FROM revocations WHERE owner = $1 AND expires_at > now() LIMIT $2) AS counted`,
    [wordOf(owner), most],
  );
  return rows[0]!.count < most;
}

/** Ends one token. Answers false when it had ended already. */
export async function insertTokenRevocation(
  db: Queryable,
  token: { jti: string; owner: TokenOwner; expiresAt: Date },
): Promise<boolean> {
  const { count } = await db.query(
    `INSERT INTO revocations (kind, id, owner, expires_at) VALUES ('token', $1, $2, $3) ON CONFLICT DO NOTHING`,
    [token.jti, wordOf(token.owner), token.expiresAt],
  );
  return count === 1;
}

/**
 * Ends all tokens of an owner that were issued until now, or until `issuedAt` (seconds since 1970) if that is later. An
 * owner that has ended altogether stays so.
 */
export async function endTokensUntilNow(db: Queryable, owner: TokenOwner, issuedAt: number): Promise<void> {
  await db.query(
    `INSERT INTO revocations AS known (kind, id, revoked_before, expires_at)
       VALUES ($1, $2, greatest(clock_timestamp(), to_timestamp($3)), latchkey_tokens_until())
     ON CONFLICT (kind, id, narrowed) DO UPDATE
       SET revoked_before = greatest(known.revoked_before, EXCLUDED.revoked_before),
         expires_at = greatest(known.expires_at, EXCLUDED.expires_at)`,
    [owner.kind, owner.id, issuedAt],
  );
}

function wordOf({ kind, id }: TokenOwner): string {
  return `${kind}:${id}`;
}
