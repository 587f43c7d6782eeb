/** The keys tokens are signed with: made on first start, sealed at rest, rotated without a token ever being refused. */
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { AppError } from '../errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import {
  deleteSigningKey,
  expireSigningKeys,
  insertSigningKey,
  type ListedSigningKeyRecord,
  listSigningKeyPage,
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
/** Seconds a new key is published before it signs: twice that long, so no cache anywhere meets a signature it cannot check. */
export const SIGNS_AFTER = 2 * JWKS_MAX_AGE;

/** What a key does now: it waits for its time, signs, or is only published until the last token it signed has expired. */
export const SIGNING_KEY_STATES = ['waiting', 'signing', 'published'] as const;

/** A key as people see it. `expiresAt` null: not replaced yet. */
export interface SigningKey {
  /** RFC 7638 thumbprint. */
  kid: string;
  alg: SigningAlg;
  state: (typeof SIGNING_KEY_STATES)[number];
  createdAt: Date;
  signsFrom: Date;
  expiresAt: Date | null;
}

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
   * The keys that are published now, without the keys themselves (default the first 1,000). Default order: whichever signs
   * last, first. Filter: alg; they can be ordered by created_at, too.
   */
  list(page?: Page): Promise<(SigningKey & { id: string; sortKey: string })[]>;
  /**
   * Publishes a new key for `alg` (default: all). It signs from 10 minutes on, or at once with `now` (for a key that
   * leaked: caches may then miss it until they fetch the key set again). The old one stays published until what it signed has expired.
   * @returns the new ones
   */
  rotate(options: { alg?: SigningAlg | undefined; now?: boolean | undefined }, actor: Actor): Promise<SigningKey[]>;
  /** One that has not ended, by its id; undefined when there is none. */
  find(kid: string): Promise<SigningKey | undefined>;
  /**
   * Takes a key that leaked out of the key set at once: whatever was signed with it, by whomever, is refused here as soon
   * as notifications have settled, and within five seconds by whoever follows the revocation feed. If nothing replaces it
   * yet, a new one does: at once for the key that signs. Refresh tokens and secrets of clients stay good.
   * @returns the key as it was, and the one that was made in its place, if one was
   * @throws AppError `not_found`
   */
  delete(kid: string, actor: Actor): Promise<{ deleted: SigningKey; made: SigningKey | undefined }>;
}

export interface SigningKeysOptions {
  db: Database;
  audit: Audit;
  sealing: Sealing;
  /** Seconds the longest-lived token signed by these keys lives. */
  longestTokenLife: number;
}

export function createSigningKeys({ db, audit, sealing, longestTokenLife }: SigningKeysOptions): SigningKeys {
  async function add(tx: Queryable, alg: SigningAlg, signsIn: number): Promise<ListedSigningKeyRecord> {
    const key = await generateKey(alg);
    const sealed = sealing.seal(Buffer.from(JSON.stringify(key.private)), `signing-key ${key.kid}`);
    const made = { kid: key.kid, alg, publicJwk: { ...key.public }, privateJwk: sealed };
    return insertSigningKey(tx, made, signsIn);
  }

  async function replace(tx: Queryable, alg: SigningAlg, now: boolean, actor: Actor): Promise<SigningKey> {
    const signsIn = now ? 0 : SIGNS_AFTER;
    const key = await add(tx, alg, signsIn);
    await expireSigningKeys(tx, key, signsIn + longestTokenLife + SIGNS_AFTER);
    await audit.record(tx, {
      action: 'signing_key.rotated',
      actor,
      target: { kind: 'signing_key', id: key.kid },
      details: { alg, now },
    });
    return describe(key, [key]);
  }

  return {
    async ensure() {
      const present = new Set((await listSigningKeys(db)).map((key) => key.alg));
      if (SIGNING_ALGS.every((alg) => present.has(alg))) return;
      await db.transaction(async (tx) => {
        await lockSigningKeys(tx);
        const algs = new Set((await listSigningKeys(tx)).map((key) => key.alg));
        for (const alg of SIGNING_ALGS.filter((one) => !algs.has(one))) {
          const { kid } = await add(tx, alg, 0);
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
        ...keys.filter((key) => mayHaveSigned(key, now)),
        ...keys.filter((key) => !mayHaveSigned(key, now)),
      ];
      return {
        signing: ordered.map((key) => openKey(sealing, key)),
        published: ordered.map((key) => key.publicJwk as JWK),
        changesAt: nextChange(keys, now),
      };
    },
    async list(page = { limit: 1_000 }) {
      const [rows, all] = await Promise.all([listSigningKeyPage(db, page), listSigningKeys(db)]);
      return rows.map(({ sortKey, id, ...key }) => ({ ...describe(key, all), sortKey, id }));
    },
    async rotate({ alg, now = false }, actor) {
      return db.transaction(async (tx) => {
        await lockSigningKeys(tx);
        const made = [];
        for (const one of alg === undefined ? SIGNING_ALGS : [alg]) made.push(await replace(tx, one, now, actor));
        return made;
      });
    },
    async find(kid) {
      const all = await listSigningKeys(db);
      const key = all.find((one) => one.kid === kid);
      return key && describe(key, all);
    },
    async delete(kid, actor) {
      return db.transaction(async (tx) => {
        await lockSigningKeys(tx);
        const all = await listSigningKeys(tx);
        const key = await deleteSigningKey(tx, kid);
        if (key === undefined) throw noSuchKey();
        const deleted = describe(key, all);
        await audit.record(tx, {
          action: 'signing_key.deleted',
          actor,
          target: { kind: 'signing_key', id: kid },
          details: { alg: key.alg, state: deleted.state },
        });
        // Of those that were replaced before, none may sign again.
        const isNeeded = deleted.state === 'signing' || key.expiresAt === null;
        const made = isNeeded ? await replace(tx, deleted.alg, deleted.state === 'signing', actor) : undefined;
        return { deleted, made };
      });
    },
  };
}

function noSuchKey(): AppError {
  return new AppError('not_found', 'There is no such signing key. It may have left the key set already.');
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

function mayHaveSigned(key: ListedSigningKeyRecord, now: number): boolean {
  return key.signsFrom.getTime() <= now;
}

/** @param all the live keys, whichever signs last first: of an algorithm the first whose time has come signs */
function describe(key: ListedSigningKeyRecord, all: readonly ListedSigningKeyRecord[]): SigningKey {
  const { kid, alg, createdAt, signsFrom, expiresAt } = key;
  const now = Date.now();
  const signer = all.find((one) => one.alg === key.alg && mayHaveSigned(one, now));
  const state = signer?.kid === key.kid ? 'signing' : mayHaveSigned(key, now) ? 'published' : 'waiting';
  return { kid, alg: alg as SigningAlg, state, createdAt, signsFrom, expiresAt };
}

function nextChange(keys: SigningKeyRecord[], now: number): Date | undefined {
  const times = keys
    .flatMap((key) => [key.signsFrom, key.expiresAt])
    .filter((time) => time !== null && time.getTime() > now);
  return times.sort((a, b) => a!.getTime() - b!.getTime())[0] ?? undefined;
}
