/** Secrets of OAuth2 Apps and Clients: digests, and when each ends. */
import type { Queryable } from './pool.ts';

export interface ClientSecretRecord {
  id: string;
  prefix: string;
  lastFour: string;
  createdAt: Date;
  /** Null: lives until it is ended. */
  expiresAt: Date | null;
  lastUsedAt: Date | null;
}

/** Whose secret it is, by the owner's row id. */
export interface SecretOwner {
  kind: 'app' | 'client';
  id: string;
}

const COLUMNS = `id, prefix, last_four AS "lastFour", created_at AS "createdAt", expires_at AS "expiresAt",
  last_used_at AS "lastUsedAt"`;
const OWNER = { app: 'oauth_app_id', client: 'oauth_client_id' } as const;
const LIVE = '(expires_at IS NULL OR expires_at > now())';

/** The secrets that still open something, oldest first. */
export async function listLiveClientSecrets(db: Queryable, owner: SecretOwner): Promise<ClientSecretRecord[]> {
  const { rows } = await db.query<ClientSecretRecord>(
    `SELECT ${COLUMNS} FROM client_secrets WHERE ${OWNER[owner.kind]} = $1 AND ${LIVE} ORDER BY created_at, id`,
    [owner.id],
  );
  return rows;
}

/** Of several owners at once: those that still open something, oldest first, each with whose it is. */
export async function listLiveClientSecretsOf(
  db: Queryable,
  kind: SecretOwner['kind'],
  ownerIds: readonly string[],
): Promise<(ClientSecretRecord & { ownerId: string })[]> {
  const { rows } = await db.query<ClientSecretRecord & { ownerId: string }>(
    `SELECT ${COLUMNS}, ${OWNER[kind]} AS "ownerId" FROM client_secrets
     WHERE ${OWNER[kind]} = ANY($1::uuid[]) AND ${LIVE} ORDER BY created_at, id`,
    [ownerIds],
  );
  return rows;
}

export async function insertClientSecret(
  db: Queryable,
  owner: SecretOwner,
  secret: { digest: Buffer; prefix: string; lastFour: string; expiresAt: Date | null },
): Promise<ClientSecretRecord> {
  const { rows } = await db.query<ClientSecretRecord>(
    `INSERT INTO client_secrets (${OWNER[owner.kind]}, digest, prefix, last_four, expires_at)
     VALUES ($1, $2, $3, $4, $5) RETURNING ${COLUMNS}`,
    [owner.id, secret.digest, secret.prefix, secret.lastFour, secret.expiresAt],
  );
  return rows[0]!;
}

/** Makes every live secret of the owner end in `seconds` at the latest, by the database's clock. */
export async function expireClientSecrets(db: Queryable, owner: SecretOwner, seconds: number): Promise<number> {
  const { count } = await db.query(
    `UPDATE client_secrets SET expires_at = least(expires_at, now() + $2 * interval '1 second')
     WHERE ${OWNER[owner.kind]} = $1 AND ${LIVE}`,
    [owner.id, seconds],
  );
  return count;
}

/** Sets when one secret ends. */
export async function updateClientSecretExpiry(
  db: Queryable,
  owner: SecretOwner,
  id: string,
  expiresAt: Date,
): Promise<ClientSecretRecord | undefined> {
  const { rows } = await db.query<ClientSecretRecord>(
    `UPDATE client_secrets SET expires_at = $3 WHERE id = $2 AND ${OWNER[owner.kind]} = $1 AND ${LIVE} RETURNING ${COLUMNS}`,
    [owner.id, id, expiresAt],
  );
  return rows[0];
}

export async function deleteClientSecret(
  db: Queryable,
  owner: SecretOwner,
  id: string,
): Promise<ClientSecretRecord | undefined> {
  const { rows } = await db.query<ClientSecretRecord>(
    `DELETE FROM client_secrets WHERE id = $2 AND ${OWNER[owner.kind]} = $1 RETURNING ${COLUMNS}`,
    [owner.id, id],
  );
  return rows[0];
}

/** Ends all that still open something; what they were. */
export async function deleteLiveClientSecrets(db: Queryable, owner: SecretOwner): Promise<ClientSecretRecord[]> {
  const { rows } = await db.query<ClientSecretRecord>(
    `DELETE FROM client_secrets WHERE ${OWNER[owner.kind]} = $1 AND ${LIVE} RETURNING ${COLUMNS}`,
    [owner.id],
  );
  return rows;
}

/** Clears away what has ended. */
export async function deleteEndedClientSecrets(db: Queryable, owner: SecretOwner): Promise<void> {
  await db.query(`DELETE FROM client_secrets WHERE ${OWNER[owner.kind]} = $1 AND expires_at <= now()`, [owner.id]);
}
