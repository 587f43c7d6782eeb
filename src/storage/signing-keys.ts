/** The server's signing keys; the private part is sealed before it comes here. */
import { type Listing, listRows, type Page } from './listing.ts';
import type { Queryable } from './pool.ts';

export interface SigningKeyRecord {
  kid: string;
  alg: string;
  publicJwk: Record<string, unknown>;
  privateJwk: Buffer;
  createdAt: Date;
  signsFrom: Date;
  expiresAt: Date | null;
}

/** A key as people see it: nothing of the pair itself. */
export type ListedSigningKeyRecord = Omit<SigningKeyRecord, 'publicJwk' | 'privateJwk'>;

const LISTED = 'kid, alg, created_at AS "createdAt", signs_from AS "signsFrom", expires_at AS "expiresAt"';
const LIVES = '(expires_at IS NULL OR expires_at > now())';

const LISTING: Listing = {
  columns: LISTED,
  from: 'signing_keys',
  fields: {
    signs_from: { sql: 'signs_from', type: 'timestamptz' },
    created_at: { sql: 'created_at', type: 'timestamptz' },
    alg: { sql: 'alg', type: 'text' },
  },
  order: { field: 'signs_from', descending: true },
  id: { sql: 'kid', type: 'text' },
  where: LIVES,
};

/** One page of the keys that have not ended; default order: whichever signs last, first. */
export async function listSigningKeyPage(
  db: Queryable,
  page: Page,
): Promise<(ListedSigningKeyRecord & { id: string; sortKey: string })[]> {
  const rows = await listRows<ListedSigningKeyRecord>(db, LISTING, page);
  return rows.map((row) => ({ ...row, id: row.kid }));
}

export async function listSigningKeys(db: Queryable): Promise<SigningKeyRecord[]> {
  const { rows } = await db.query<SigningKeyRecord>(
    `SELECT ${LISTED}, public_jwk AS "publicJwk", private_jwk AS "privateJwk"
     FROM signing_keys WHERE ${LIVES} ORDER BY signs_from DESC, kid`,
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
): Promise<ListedSigningKeyRecord> {
  const { rows } = await tx.query<ListedSigningKeyRecord>(
    `INSERT INTO signing_keys (kid, alg, public_jwk, private_jwk, signs_from)
     VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second') RETURNING ${LISTED}`,
    [key.kid, key.alg, JSON.stringify(key.publicJwk), key.privateJwk, signsIn],
  );
  return rows[0]!;
}

/**
 * Lets the keys of an algorithm that one replaces end `expiresIn` seconds from now, unless they end sooner. None of them
 * signs after it: one that was still waiting for its time would take over again otherwise.
 */
export async function expireSigningKeys(
  tx: Queryable,
  { kid, alg, signsFrom }: Pick<SigningKeyRecord, 'kid' | 'alg' | 'signsFrom'>,
  expiresIn: number,
): Promise<void> {
  await tx.query(
    `UPDATE signing_keys SET expires_at = least(expires_at, now() + $3 * interval '1 second'),
       signs_from = least(signs_from, $4::timestamptz - interval '1 millisecond')
     WHERE alg = $1 AND kid <> $2`,
    [alg, kid, expiresIn, signsFrom],
  );
}

/** Undefined when there is none that has not ended. */
export async function deleteSigningKey(tx: Queryable, kid: string): Promise<ListedSigningKeyRecord | undefined> {
  const { rows } = await tx.query<ListedSigningKeyRecord>(
    `DELETE FROM signing_keys WHERE kid = $1 AND ${LIVES} RETURNING ${LISTED}`,
    [kid],
  );
  return rows[0];
}
