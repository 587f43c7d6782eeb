/** The keys tokens are signed with: made on first start, sealed at rest, rotated without a token ever being refused. */
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import type { Database, Queryable } from '../storage/pool.ts';
import {
  expireSigningKeys,
  insertSigningKey,
  listSigningKeys,
  lockSigningKeys,
  type SigningKeyRecord,
} from '../storage/signing-keys.ts';
import { type Actor, type Audit, SYSTEM } from './audit.ts';
import type { Sealing } from './sealing.ts';

export const SIGNING_ALGS = ['ES256', 'RS256', 'EdDSA'] as const;
export type SigningAlg = (typeof SIGNING_ALGS)[number];

/** Seconds a JWKS answer may be kept (Cache-Control: max-age). */
export const JWKS_MAX_AGE = 300;
// A new key is published twice that long before it signs, so no cache anywhere meets a signature it cannot check.
const PUBLISHED_AHEAD = 2 * JWKS_MAX_AGE;

export interface KeySet {
  /** Private JWKs, for each algorithm the one that signs now first. */
  signing: JWK[];
  /** Public JWKs to publish. */
  published: JWK[];
  /** When the next key starts to sign or ends, if one does. */
  changesAt: Date | undefined;
}

export interface SigningKeys {
  /** Creates the first key of each algorithm that has none. Safe on many instances at once. */
  ensure(): Promise<void>;
  current(): Promise<KeySet>;
  /**
   * Publishes a new key for `alg` (default: all). It signs from 10 minutes on, or at once with `now` (for a key that
   * leaked: caches may then miss it until they fetch the key set again). The old one stays published until what it signed has expired.
   */
  rotate(
    options: { alg?: SigningAlg; now?: boolean },
    actor: Actor,
  ): Promise<{ kid: string; alg: SigningAlg; signsFrom: Date }[]>;
}

export interface SigningKeysOptions {
  db: Database;
  audit: Audit;
  sealing: Sealing;
  /** Seconds the longest-lived token signed by these keys lives. */
  longestTokenLife: number;
}

export function createSigningKeys({ db, audit, sealing, longestTokenLife }: SigningKeysOptions): SigningKeys {
  async function add(tx: Queryable, alg: SigningAlg, signsIn: number): Promise<string> {
    const key = await generateKey(alg);
    const sealed = sealing.seal(Buffer.from(JSON.stringify(key.private)), `signing-key ${key.kid}`);
    await insertSigningKey(tx, { kid: key.kid, alg, publicJwk: { ...key.public }, privateJwk: sealed }, signsIn);
    return key.kid;
  }

  return {
    async ensure() {
      const present = new Set((await listSigningKeys(db)).map((key) => key.alg));
      if (SIGNING_ALGS.every((alg) => present.has(alg))) return;
      await db.transaction(async (tx) => {
        await lockSigningKeys(tx);
        const algs = new Set((await listSigningKeys(tx)).map((key) => key.alg));
        for (const alg of SIGNING_ALGS.filter((one) => !algs.has(one))) {
          const kid = await add(tx, alg, 0);
          await audit.record(tx, {
            action: 'signing_key.created',
            actor: SYSTEM,
            target: { kind: 'signing_key', id: kid },
            details: { alg },
          });
        }
      });
    },
    async current() {
      const keys = await listSigningKeys(db);
      const now = Date.now();
      const ordered = [
        ...keys.filter((key) => key.signsFrom.getTime() <= now),
        ...keys.filter((key) => key.signsFrom.getTime() > now),
      ];
      return {
        signing: ordered.map((key) => openKey(sealing, key)),
        published: ordered.map((key) => key.publicJwk as JWK),
        changesAt: nextChange(keys, now),
      };
    },
    async rotate({ alg, now = false }, actor) {
      const signsIn = now ? 0 : PUBLISHED_AHEAD;
      return db.transaction(async (tx) => {
        await lockSigningKeys(tx);
        const made = [];
        for (const one of alg === undefined ? SIGNING_ALGS : [alg]) {
          const kid = await add(tx, one, signsIn);
          await expireSigningKeys(tx, one, kid, signsIn + longestTokenLife + PUBLISHED_AHEAD);
          await audit.record(tx, {
            action: 'signing_key.rotated',
            actor,
            target: { kind: 'signing_key', id: kid },
            details: { alg: one, now },
          });
          made.push({ kid, alg: one, signsFrom: new Date(Date.now() + signsIn * 1000) });
        }
        return made;
      });
    },
  };
}

async function generateKey(alg: SigningAlg): Promise<{ kid: string; private: JWK; public: JWK }> {
  const pair = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  const publicJwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  const labels = { kid, alg, use: 'sig' };
  return { kid, private: { ...(await exportJWK(pair.privateKey)), ...labels }, public: { ...publicJwk, ...labels } };
}

function openKey(sealing: Sealing, key: SigningKeyRecord): JWK {
  return JSON.parse(sealing.open(key.privateJwk, `signing-key ${key.kid}`).toString()) as JWK;
}

function nextChange(keys: SigningKeyRecord[], now: number): Date | undefined {
  const times = keys
    .flatMap((key) => [key.signsFrom, key.expiresAt])
    .filter((time) => time !== null && time.getTime() > now);
  return times.sort((a, b) => a!.getTime() - b!.getTime())[0] ?? undefined;
}
