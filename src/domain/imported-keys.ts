/**
 * Keys that were imported: found by the text somebody presents, which can look like anything. What begins like none of
 * them is told apart without asking the database; the rest costs one statement, and bcrypt a bounded wait (`bcrypt.ts`).
 */
import { type ApiKeyRecord, findImportedApiKey } from '../storage/api-keys.ts';
import {
  findImportedKeys,
  type ImportedDigest,
  type ImportedHead,
  listImportedHeads,
} from '../storage/imported-keys.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Queryable } from '../storage/pool.ts';
import { createBcrypt } from './bcrypt.ts';
import { createCache } from './cache.ts';
import { digestBy, type Peppers } from './imported-digests.ts';

/** Characters of a prefix, as far as a key with a bcrypt hash is looked for by it. */
export const SHORTEST_BCRYPT_PREFIX = 6;
export const LONGEST_PREFIX = 24;
/** Most keys with a bcrypt hash that begin with the same prefix: as many comparisons a wrong key costs. */
export const MOST_BCRYPT_KEYS = 5;

/** First characters of texts that are ours, and of JSON in base64, with which every JWT begins. */
const TAKEN = /^(?:lk[pts]_|ey)/;
// What fits a header, is one word and one credential.
const SHAPE = /^[\x21-\x2b\x2d-\x7e]{8,512}$/;
const HEAD = 4;
// Keys of one algorithm that begin in more ways than this begin in any way.
const MOST_HEADS = 200;

export interface ImportedKeys {
  /** Whether the text begins like a key that was imported. Of what does not, nothing more is to be asked. */
  mayBe(text: string): Promise<boolean>;
  /**
   * The key a text is, for which `mayBe` holds, and until when that text is good.
   * @throws AppError `unavailable` when too many bcrypt hashes are being compared
   */
  find(text: string): Promise<(ApiKeyRecord & { textExpiresAt: Date | null }) | undefined>;
}

export interface ImportedKeysOptions {
  db: Queryable;
  notifications: Notifications;
  peppers: Peppers;
}

/** Whether texts that begin so may be imported: they must not be taken for keys of ours, or for JWTs. */
export function isPrefixFree(prefix: string): boolean {
  return !TAKEN.test(prefix);
}

/** How the keys begin that nothing known begins like; few, whatever the keys are. */
export function newHeads(keys: readonly ImportedDigest[], known: readonly ImportedHead[]): ImportedHead[] {
  const headsOf = new Map<string, Set<string>>();
  const of = ({ algorithm, pepper }: Omit<ImportedHead, 'head'>) => {
    const name = `${algorithm} ${pepper}`;
    if (!headsOf.has(name)) headsOf.set(name, new Set());
    return headsOf.get(name)!;
  };
  for (const one of known) of(one).add(one.head);
  const added: ImportedHead[] = [];
  for (const key of keys) {
    const heads = of(key);
    const head = heads.size < MOST_HEADS ? key.prefix.slice(0, HEAD) : '';
    if (heads.has('') || heads.has(head)) continue;
    heads.add(head);
    added.push({ head, algorithm: key.algorithm, pepper: key.pepper });
  }
  return added;
}

export function createImportedKeys({ db, notifications, peppers }: ImportedKeysOptions): ImportedKeys {
  const heads = createCache<ImportedHead[]>({ notifications, clearedBy: ['imported_key_heads'] });
  const bcrypt = createBcrypt();

  /** What the text may be a digest of, by how it begins. */
  async function algorithmsFor(text: string): Promise<ImportedHead[]> {
    if (!SHAPE.test(text) || TAKEN.test(text)) return [];
    const known = (await heads.get('', () => listImportedHeads(db))) ?? [];
    return known.filter(({ head }) => text.startsWith(head));
  }

  return {
    mayBe: async (text) => (await algorithmsFor(text)).length > 0,
    async find(text) {
      const algorithms = await algorithmsFor(text);
      if (algorithms.length === 0) return undefined;
      const digests = algorithms.flatMap((one) => digestBy(one, text, peppers) ?? []);
      const usesBcrypt = algorithms.some(({ algorithm }) => algorithm === 'bcrypt');
      const bcryptPrefixes = usesBcrypt ? prefixesOf(text) : [];
      const limit = MOST_BCRYPT_KEYS;
      for (const one of await findImportedKeys(db, { digests, bcryptPrefixes, limit })) {
        if (text.startsWith(one.prefix) && (await matches(one, text))) return findImportedApiKey(db, one.keyId);
      }
      return undefined;
    },
  };

  async function matches(one: ImportedDigest, text: string): Promise<boolean> {
    if (one.algorithm === 'bcrypt') return bcrypt.compare(text, one.digest.toString(), one.prefix);
    // Found by one of the digests; it must be the one its own algorithm makes.
    return digestBy(one, text, peppers)?.equals(one.digest) ?? false;
  }
}

/** Every prefix a key with a bcrypt hash could have been imported with. */
export function prefixesOf(text: string): string[] {
  const longest = Math.min(LONGEST_PREFIX, text.length);
  return Array.from({ length: Math.max(0, longest - SHORTEST_BCRYPT_PREFIX + 1) }, (_, index) =>
    text.slice(0, SHORTEST_BCRYPT_PREFIX + index),
  );
}
