/** Puts clients, an app and users straight into Latchkey's tables: a hundred thousand through any API would take hours. */
import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import pg from 'pg';
import * as argon2id from '../src/domain/argon2id.ts';
import type { Clients } from './contenders.ts';

export const TEAM = '00000000-0000-4000-8000-0000000000be';
const VIEWER = '00000000-0000-4000-8000-000000000003';

/** The password of every user that `seedApp` makes. */
export const PASSWORD = 'correct horse battery staple';
/** Where the app's codes go; nobody listens there. */
export const REDIRECT_URI = 'http://localhost:9/callback';

/** Ids and secrets as Latchkey makes them. */
export function makeClients(count: number): Clients {
  return Array.from({ length: count }, () => [`svc_${randomBytes(16).toString('base64url')}`, makeSecret()]);
}

export function makeSecret(): string {
  const bytes = Buffer.alloc(36);
  randomBytes(32).copy(bytes);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 32)), 32);
  return `lks_${bytes.toString('base64url')}`;
}

export async function seedClients(connectionString: string, clients: Clients): Promise<void> {
  await withClient(connectionString, async (db) => {
    await db.query(`INSERT INTO teams (id, name) VALUES ($1, 'Bench') ON CONFLICT DO NOTHING`, [TEAM]);
    for (let from = 0; from < clients.length; from += 10_000) {
      const batch = clients.slice(from, from + 10_000);
      await db.query(
        `WITH given AS (
           SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[]) AS g (client_id, digest, prefix, last_four)
         ), made AS (
           INSERT INTO oauth_clients (client_id, name, team_id, allowed_scopes, token_endpoint_auth_method)
           SELECT client_id, client_id, $5, ARRAY['providers:read'], 'client_secret_post' FROM given RETURNING id, client_id
         )
         INSERT INTO client_secrets (oauth_client_id, digest, prefix, last_four)
         SELECT made.id, digest, prefix, last_four FROM made JOIN given USING (client_id)`,
        [
          batch.map(([id]) => id),
          batch.map(([, secret]) => digest(secret)),
          ...shown(batch.map(([, secret]) => secret)),
          TEAM,
        ],
      );
    }
    await db.query('ANALYZE oauth_clients, client_secrets');
  });
}

// The cost is part of the hash, so a cheap one makes the check cheap without touching the server.
const COST = {
  full: { memoryKib: 19_456, passes: 2, lanes: 1 },
  cheap: { memoryKib: 8, passes: 1, lanes: 1 },
};

/** One app, and users `user0@example.com`… with the same password. */
export async function seedApp(
  connectionString: string,
  { count, hash }: { count: number; hash: 'full' | 'cheap' },
): Promise<{ id: string; secret: string }> {
  const app = { id: `app_${randomBytes(16).toString('base64url')}`, secret: makeSecret() };
  const passwordHash = await argon2id.hash(PASSWORD, COST[hash]);
  await withClient(connectionString, async (db) => {
    await db.query(`INSERT INTO teams (id, name) VALUES ($1, 'Bench') ON CONFLICT DO NOTHING`, [TEAM]);
    await db.query(
      `WITH made AS (
         INSERT INTO oauth_apps (client_id, name, base_url, redirect_uris, allowed_scopes, type, token_endpoint_auth_method)
         VALUES ($1, 'Bench', 'http://localhost:9', ARRAY[$2],
           ARRAY['openid', 'profile', 'email', 'offline_access', 'providers:read'], 'confidential', 'client_secret_post')
         RETURNING id
       )
       INSERT INTO client_secrets (oauth_app_id, digest, prefix, last_four) SELECT id, $3, $4, $5 FROM made`,
      [app.id, REDIRECT_URI, digest(app.secret), ...shown([app.secret]).flat()],
    );
    await db.query(
      `WITH made AS (
         INSERT INTO users (email, name, password_hash) SELECT 'user' || n || '@example.com', 'User ' || n, $1
         FROM generate_series(0, $2::int - 1) AS n RETURNING id
       ), joined AS (
         INSERT INTO memberships (user_id, team_id) SELECT id, $3 FROM made RETURNING user_id
       )
       INSERT INTO membership_roles (user_id, team_id, role_id) SELECT user_id, $3, $4 FROM joined`,
      [passwordHash, count, TEAM, VIEWER],
    );
  });
  return app;
}

function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function shown(secrets: string[]): [prefixes: string[], lastFour: string[]] {
  return [secrets.map((one) => one.slice(0, 8)), secrets.map((one) => one.slice(-4))];
}

/** Runs `work` with one connection. */
export async function withClient<T>(connectionString: string, work: (db: pg.Client) => Promise<T>): Promise<T> {
  const db = new pg.Client({ connectionString });
  await db.connect();
  try {
    return await work(db);
  } finally {
    await db.end();
  }
}
