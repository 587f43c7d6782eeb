/** What hangs on an app or client and ends with it, counted before it does. */
import type { Queryable } from './pool.ts';

/** What hangs on an app by the consents users gave it. */
export interface AppEndingsRecord {
  /** Users who gave one that has not expired. */
  users: number;
  consents: number;
  /** Refresh tokens and codes that are good for one more use. */
  tokens: number;
  /** Consents used so lately that an access token may still be good. Access tokens themselves are not kept. */
  consentsInUse: number;
  /** There are more consents than were counted: each number is the least it can be. */
  isMore: boolean;
}

// No token that was issued earlier can still be good: as long as they live at most, and minutes for clocks.
const TOKENS_SINCE = 'now() - (latchkey_tokens_until() - now())';

/**
 * As `deleteGrantsOfOauthApp` would count it.
 * @param most consents looked at: an app may have any number of them
 */
export async function countAppEndings(db: Queryable, clientId: string, most: number): Promise<AppEndingsRecord> {
  const { rows } = await db.query<AppEndingsRecord>(
    `WITH found AS MATERIALIZED (SELECT id, user_id, last_used_at FROM grants
         WHERE client_id = $1 AND expires_at > now() LIMIT $2::integer + 1),
       counted AS MATERIALIZED (SELECT * FROM found LIMIT $2)
     SELECT count(DISTINCT user_id)::integer AS users, count(*)::integer AS consents,
       -- One by one, which follows the index: a join of few with a large table would read all of it.
       coalesce(sum((SELECT count(*) FROM oidc_payloads AS token WHERE token.grant_id = counted.id
         AND token.model IN ('AuthorizationCode', 'RefreshToken') AND token.consumed_at IS NULL
         AND token.expires_at > now())), 0)::integer AS tokens,
       count(*) FILTER (WHERE last_used_at > ${TOKENS_SINCE})::integer AS "consentsInUse",
       (SELECT count(*) FROM found) > $2 AS "isMore"
     FROM counted`,
    [clientId, most],
  );
  return rows[0]!;
}

/** Whether a client was used so lately that an access token of it may still be good. */
export async function isClientInUse(db: Queryable, id: string): Promise<boolean> {
  const { rows } = await db.query<{ inUse: boolean }>(
    `SELECT coalesce(last_used_at > ${TOKENS_SINCE}, false) AS "inUse" FROM oauth_clients WHERE id = $1`,
    [id],
  );
  return rows[0]?.inUse ?? false;
}
