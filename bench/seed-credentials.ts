/** What W3 and W4 need beside clients and users: API keys in every state, and clients that introspect. */
import { createHash } from 'node:crypto';
import { createSecretText } from '../src/domain/secret-text.ts';
import { TEAM, withClient } from './seed.ts';

/** Other resource servers: one whose tokens end at once, and one that just is another. */
export const RESOURCES = { short: 'https://short.bench.example', other: 'https://other.bench.example' };
export const RESOURCE_SCOPE = 'bench:read';

export interface SeededKey {
  text: string;
  /** Undefined for one that nobody made. */
  id: string | undefined;
  state: 'valid' | 'expired' | 'revoked' | 'forged';
}

/** Registers the resource servers, and lets these clients have tokens for them. */
export async function seedResources(connectionString: string, clientIds: string[]): Promise<void> {
  await withClient(connectionString, async (db) => {
    for (const [identifier, ttl, scope] of [
      [RESOURCES.short, 2, 'bench-short:read'],
      [RESOURCES.other, 3_600, RESOURCE_SCOPE],
    ]) {
      await db.query(
        `INSERT INTO resource_servers (identifier, name, scopes, access_token_ttl_seconds, signing_alg)
         VALUES ($1, $1, $2, $3, 'ES256')`,
        [identifier, JSON.stringify([{ name: scope, description: 'For benchmarks' }]), ttl],
      );
    }
    await db.query(
      `UPDATE oauth_clients SET allowed_scopes = ARRAY['providers:read', 'bench-short:read', $2] WHERE client_id = ANY($1)`,
      [clientIds, RESOURCE_SCOPE],
    );
  });
}

/** Makes a client one that introspects for its team. */
export async function allowIntrospection(connectionString: string, clientId: string): Promise<void> {
  await withClient(connectionString, (db) =>
    db.query(`UPDATE oauth_clients SET allowed_scopes = ARRAY['credentials:introspect'] WHERE client_id = $1`, [
      clientId,
    ]),
  );
}

/**
 * As many keys as `states` says, personal ones (of the users there are, in turn) and team keys by halves. Forged ones look
 * right and are nobody's.
 */
export async function seedApiKeys(
  connectionString: string,
  states: Record<SeededKey['state'], number>,
): Promise<SeededKey[]> {
  const keys = Object.entries(states).flatMap(([state, count]) =>
    Array.from({ length: count }, (_, n) => ({
      ...createSecretText(n % 2 ? 'lkt_' : 'lkp_'),
      kind: n % 2 ? 'team' : 'personal',
      state: state as SeededKey['state'],
    })),
  );
  const kept = keys.filter(({ state }) => state !== 'forged');
  const ids = await withClient(connectionString, async (db) => {
    const { rows } = await db.query<{ id: string; digest: string }>(
      `WITH given AS (
         SELECT *, row_number() OVER () AS n FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[])
           AS g (kind, digest, prefix, last_four, state)
       ), people AS (
         SELECT user_id, row_number() OVER () - 1 AS n, count(*) OVER () AS count FROM memberships WHERE team_id = $6
       )
       INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id, user_id, status, expires_at)
       SELECT kind, digest, prefix, last_four, 'Bench', $6, people.user_id,
         CASE state WHEN 'revoked' THEN 2 ELSE 1 END, CASE state WHEN 'expired' THEN now() END
       FROM given LEFT JOIN people ON kind = 'personal' AND given.n % people.count = people.n
       RETURNING id, encode(digest, 'hex') AS digest`,
      [
        kept.map(({ kind }) => kind),
        kept.map(({ digest }) => digest),
        kept.map(({ prefix }) => prefix),
        kept.map(({ lastFour }) => lastFour),
        kept.map(({ state }) => state),
        TEAM,
      ],
    );
    return new Map(rows.map(({ id, digest }) => [digest, id]));
  });
  return keys.map(({ text, state }) => ({ text, state, id: ids.get(createHash('sha256').update(text).digest('hex')) }));
}
