/** A hundred thousand API keys, as unevenly spread as in life: one large team, one busy user, a name everybody uses. */
import { withClient } from './seed.ts';

const id = (number: number) => `00000000-0000-4000-9000-${String(number).padStart(12, '0')}`;

/** What there is: as many personal keys as team keys. */
export const KEYS = {
  count: 100_000,
  /** Has a third of the keys; the rest is spread over 999 others. */
  largeTeam: id(1),
  smallTeam: id(2),
  /** Has a fifth of the personal keys. */
  busyUser: id(1),
  quietUser: id(2),
  /** A tenth of the keys is called so. */
  commonName: 'CI',
  rareName: 'Key 77777',
};

export async function seedKeys(connectionString: string): Promise<void> {
  await withClient(connectionString, async (db) => {
    const uuid = (number: string) => `('00000000-0000-4000-9000-' || lpad((${number})::text, 12, '0'))::uuid`;
    await db.query(`INSERT INTO teams (id, name) SELECT ${uuid('n')}, 'Team ' || n FROM generate_series(1, 1000) AS n`);
    await db.query(
      `INSERT INTO users (id, email, name) SELECT ${uuid('n')}, 'user' || n || '@example.com', 'User ' || n
       FROM generate_series(1, 1000) AS n`,
    );
    // Everybody is in two teams: the large one and one more.
    await db.query(
      `INSERT INTO memberships (user_id, team_id)
       SELECT ${uuid('n')}, team FROM generate_series(1, 1000) AS n, (VALUES (true), (false)) AS which (large),
         LATERAL (SELECT CASE WHEN large THEN ${uuid('1')} ELSE ${uuid('n')} END AS team) AS t ON CONFLICT DO NOTHING`,
    );
    await db.query(
      `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id, user_id, status, created_at, updated_at, last_access_at)
       SELECT kind, sha256(n::text::bytea), 'lkp_abcd', 'wxyz', CASE WHEN random() < 0.1 THEN $2 ELSE 'Key ' || n END,
         ${uuid('CASE WHEN random() < 0.33 THEN 1 ELSE member END')}, CASE kind WHEN 'personal' THEN ${uuid('member')} END,
         CASE WHEN random() < 0.05 THEN 2 ELSE 1 END, at, at, at
       FROM (SELECT n, CASE WHEN n % 2 = 0 THEN 'personal' ELSE 'team' END AS kind,
               CASE WHEN random() < 0.2 THEN 1 ELSE 1 + floor(random() * 1000)::int END AS member,
               now() - make_interval(secs => $1::int - n) AS at
             FROM generate_series(1, $1::int) AS n) AS made`,
      [KEYS.count, KEYS.commonName],
    );
    await db.query('VACUUM ANALYZE');
  });
}
