/** What ended before its time. Triggers write nearly all of it (see the schema); single tokens are written here. */
import type { Queryable } from './pool.ts';

export interface RevocationRecord {
  /** What ended: a token by its `jti`, a consent, user, member, client, team or key by its id. */
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

/** Ends one token. Answers false when it had ended already. */
export async function insertTokenRevocation(db: Queryable, jti: string, expiresAt: Date): Promise<boolean> {
  const { count } = await db.query(
    `INSERT INTO revocations (kind, id, expires_at) VALUES ('token', $1, $2) ON CONFLICT DO NOTHING`,
    [jti, expiresAt],
  );
  return count === 1;
}
