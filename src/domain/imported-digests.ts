/** Digests that other systems made of their keys: how they are written down, and how a text is held against them. */
import { createHash, createHmac } from 'node:crypto';
import { invalidField } from '../errors.ts';
import type { DigestAlgorithm, ImportedDigest } from '../storage/imported-keys.ts';

export type { DigestAlgorithm };

/** Secrets of hmac-sha256 by the names they are imported under. */
export type Peppers = ReadonlyMap<string, Buffer>;

export const DIGEST_ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512', 'hmac-sha256', 'bcrypt'];

const LENGTH = { sha256: 32, sha512: 64, 'hmac-sha256': 32 };
const BCRYPT = /^\$2[aby]\$(\d{2})\$[./A-Za-z0-9]{53}$/;
// 2^14 rounds are about a second; whoever presents a wrong key makes us do them.
const MOST_COST = 14;
const LEAST_COST = 4;

/**
 * A digest as it is kept, from hexadecimal digits, base64 or base64url; for bcrypt from the hash itself.
 * @throws AppError `invalid_argument`, which does not repeat what was given
 */
export function readDigest(algorithm: DigestAlgorithm, text: string): Buffer {
  if (algorithm === 'bcrypt') {
    const cost = Number(BCRYPT.exec(text)?.[1]);
    if (!(cost >= LEAST_COST && cost <= MOST_COST))
      throw invalidField('digest', `must be a bcrypt hash ($2a$, $2b$ or $2y$) of cost ${LEAST_COST} to ${MOST_COST}`);
    return Buffer.from(text);
  }
  const length = LENGTH[algorithm];
  if (text.length === length * 2 && /^[0-9a-f]+$/i.test(text)) return Buffer.from(text, 'hex');
  const bytes = /^(?:[A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
  const written = text.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_');
  if (bytes?.length !== length || bytes.toString('base64url') !== written) {
    throw invalidField('digest', `must be ${length} bytes (${algorithm}) in hexadecimal, base64 or base64url`);
  }
  return bytes;
}

/** The digest of a text; undefined for bcrypt, and for a pepper that is not there. */
export function digestBy(
  { algorithm, pepper }: Pick<ImportedDigest, 'algorithm' | 'pepper'>,
  text: string,
  peppers: Peppers,
): Buffer | undefined {
  if (algorithm === 'bcrypt') return undefined;
  if (algorithm !== 'hmac-sha256') return createHash(algorithm).update(text).digest();
  const secret = peppers.get(pepper);
  return secret && createHmac('sha256', secret).update(text).digest();
}
