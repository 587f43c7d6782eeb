/** On top of a hundred thousand keys: what the pages show besides, in numbers no page may feel. */

import { ROLE_IDS } from '../src/domain/permissions.ts';
import { withClient } from './seed.ts';
import { KEYS } from './seed-keys.ts';

export async function seedConsole(connectionString: string): Promise<void> {
  await withClient(connectionString, async (db) => {
    await db.query(
      'INSERT INTO membership_roles (user_id, team_id, role_id) SELECT user_id, team_id, $1 FROM memberships ON CONFLICT DO NOTHING',
      [ROLE_IDS.Viewer],
    );
    await db.query(
      `INSERT INTO oauth_apps (client_id, name, base_url, redirect_uris, allowed_scopes, type, token_endpoint_auth_method)
       SELECT 'app_bench' || n, 'App ' || n, 'https://app' || n || '.example.com', ARRAY['https://app' || n || '.example.com/cb'],
         ARRAY['openid', 'providers:read'], 'public', 'none' FROM generate_series(1, 200) AS n`,
    );
    await db.query(
      `INSERT INTO oauth_clients (client_id, name, team_id, allowed_scopes, token_endpoint_auth_method)
       SELECT 'svc_bench' || n, 'Client ' || n, (SELECT id FROM teams ORDER BY id OFFSET n % 1000 LIMIT 1), ARRAY['providers:read'],
         'client_secret_basic' FROM generate_series(1, 20000) AS n`,
    );
    await db.query(
      `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
       SELECT gen_random_uuid(), user_id, team_id, 'app_bench' || n, '{"openid": {"scope": "openid"}}', now() + interval '90 days'
       FROM memberships, generate_series(1, 20) AS n`,
    );
    // The oldest keys have expired, as in life, and of those that begin as keys once did, and of one team, all are given up.
    await db.query(
      `UPDATE api_keys SET expires_at = created_at + interval '1 second' * $1 / 4 WHERE status = 1
         AND created_at < now() - interval '1 second' * $1 * 0.55`,
      [KEYS.count],
    );
    await db.query(
      `UPDATE api_keys SET prefix = 'lkp_0000' WHERE kind = 'personal' AND created_at < now() - interval '1 second' * $1 / 4`,
      [KEYS.count],
    );
    await db.query(
      `INSERT INTO retirements (team_id, prefix, retires_at) VALUES (NULL, 'lkp_0', now() - interval '1 day'),
         ($1, NULL, now() - interval '1 day')`,
      [KEYS.largeTeam],
    );
    await db.query(
      `INSERT INTO audit_events (occurred_at, action, outcome, actor_kind, actor_id, team_id, target_kind, target_id, ip)
       SELECT now() - make_interval(secs => n * 10), (ARRAY['api_key.created', 'user.logged_in', 'api_key.revoked', 'user.login_refused'])[1 + n % 4],
         CASE n % 4 WHEN 3 THEN 'refused' ELSE 'success' END, 'user', $1, $2, 'api_key', $1, '192.0.2.1'
       FROM generate_series(1, 1000000) AS n`,
      [KEYS.busyUser, KEYS.largeTeam],
    );
    await db.query(
      `INSERT INTO credential_uses (team_id, credential, day, kind, requests)
       SELECT team_id, id::text, current_date - n, kind || '_key', 1 + n FROM api_keys, generate_series(0, 9) AS n`,
    );
    await db.query(
      `INSERT INTO credential_use_totals (team_id, day, kind, requests)
       SELECT teams.id, current_date - n, kind, 1000 + n FROM teams, generate_series(0, 29) AS n,
         unnest(ARRAY['personal_key', 'team_key', 'oauth2_app', 'oauth2_client', 'exchanged_token']) AS kind`,
    );
    await db.query(
      `INSERT INTO credential_use_days (day, kind, requests)
       SELECT day, kind, sum(requests) FROM credential_use_totals GROUP BY 1, 2 ON CONFLICT DO NOTHING`,
    );
    await db.query('VACUUM ANALYZE');
  });
}
