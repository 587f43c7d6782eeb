/** The server's signing keys; the private part is sealed before it comes here. */
import type { Queryable } from './pool.ts';

export interface SigningKeyRecord {
  kid: string;
  alg: string;
  publicJwk: Record<string, unknown>;
  privateJwk: Buffer;
  signsFrom: Date;
  expiresAt: Date | null;
}

export async function listSigningKeys(db: Queryable): Promise<SigningKeyRecord[]> {
  const { rows } = await db.query<SigningKeyRecord>(
    `SELECT kid, alg, public_jwk AS "publicJwk", private_jwk AS "privateJwk", signs_from AS "signsFrom", expires_at AS "expiresAt"
     FROM signing_keys WHERE expires_at IS NULL OR expires_at > now() ORDER BY signs_from DESC, kid`,
  );
  return rows;
}

/** Makes the others wait until this transaction ends, so that two instances never both create first keys. */
export async function lockSigningKeys(tx: Queryable): Promise<void> {
  await tx.query('LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE');
}

/** `signsIn`: seconds from now until it may sign. */
export async function insertSigningKey(
  tx: Queryable,
  key: Pick<SigningKeyRecord, 'kid' | 'alg' | 'publicJwk' | 'privateJwk'>,
  signsIn: number,
): Promise<void> {
  await tx.query(
    `INSERT INTO signing_keys (kid, alg, public_jwk, private_jwk, signs_from) VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')`,
    [key.kid, key.alg, JSON.stringify(key.publicJwk), key.privateJwk, signsIn],
  );
}

/** Lets the keys of an algorithm (but the one named) end `expiresIn` seconds from now, unless they end sooner. */
export async function expireSigningKeys(
  tx: Queryable,
  alg: string,
  exceptKid: string,
  expiresIn: number,
): Promise<void> {
  await tx.query(
    `UPDATE signing_keys SET expires_at = least(expires_at, now() + $3 * interval '1 second') WHERE alg = $1 AND kid <> $2`,
    [alg, exceptKid, expiresIn],
  );
}
