/** What the protocol needs to know of whoever calls it: an app or a client with its live secrets, in one statement. */
import { OAUTH_APP_COLUMNS, type OauthAppRecord } from './oauth-apps.ts';
import { OAUTH_CLIENT_COLUMNS, type OauthClientRecord } from './oauth-clients.ts';
import type { Queryable } from './pool.ts';

/** A secret as it is checked: the digest of its text (SHA-256), and when it ends. */
export interface SecretDigest {
  id: string;
  digest: Buffer;
  expiresAt: Date | null;
}

interface Row {
  secrets: { id: string; digest: string; expiresAt: number | null }[];
}

const secretsOf = (owner: string) => `(
  SELECT coalesce(jsonb_agg(jsonb_build_object('id', secret.id, 'digest', encode(secret.digest, 'hex'),
    'expiresAt', extract(epoch FROM secret.expires_at) * 1000)), '[]')
  FROM client_secrets AS secret
  WHERE secret.${owner} AND (secret.expires_at IS NULL OR secret.expires_at > now())) AS secrets`;

export async function findAppRegistration(
  db: Queryable,
  clientId: string,
): Promise<{ record: OauthAppRecord; secrets: SecretDigest[] } | undefined> {
  const { rows } = await db.query<OauthAppRecord & Row>(
    `SELECT ${OAUTH_APP_COLUMNS}, ${secretsOf('oauth_app_id = oauth_apps.id')} FROM oauth_apps WHERE client_id = $1`,
    [clientId],
  );
  return rows[0] && split(rows[0]);
}

export async function findClientRegistration(
  db: Queryable,
  clientId: string,
): Promise<{ record: OauthClientRecord; secrets: SecretDigest[] } | undefined> {
  const { rows } = await db.query<OauthClientRecord & Row>(
    `SELECT ${OAUTH_CLIENT_COLUMNS}, ${secretsOf('oauth_client_id = oauth_clients.id')} FROM oauth_clients
     WHERE client_id = $1`,
    [clientId],
  );
  return rows[0] && split(rows[0]);
}

function split<T>({ secrets, ...record }: T & Row): { record: Omit<T & Row, 'secrets'>; secrets: SecretDigest[] } {
  return {
    record,
    secrets: secrets.map(({ id, digest, expiresAt }) => ({
      id,
      digest: Buffer.from(digest, 'hex'),
      expiresAt: expiresAt === null ? null : new Date(expiresAt),
    })),
  };
}
