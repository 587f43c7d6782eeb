/** The text of API keys and client secrets: recognisable, checkable without asking anybody, and never stored. */
import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** First four characters of the text; they are base64url characters themselves, so the whole text decodes. */
export const SECRET_PREFIXES = { lkp_: 'personal', lkt_: 'team', lks_: 'secret' } as const;

export type SecretPrefix = keyof typeof SECRET_PREFIXES;

/** What a text is by its looks. `invalid`: not base64 at all; `malformed`: base64, but nothing we made. */
export type SecretTextKind = (typeof SECRET_PREFIXES)[SecretPrefix] | 'invalid' | 'malformed';

/** A new secret. `text` is shown to its owner once; the rest is kept. */
export interface SecretText {
  text: string;
  /** SHA-256 of the text. */
  digest: Buffer;
  /** First eight characters, and the last four, to recognise it by. */
  prefix: string;
  lastFour: string;
}

const RANDOM_BYTES = 32;
const LENGTH = 52;
// Base64 (RFC 4648 §4) or base64url (§5), never both mixed.
const BASE64 = /^(?:[A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}$/;

/** Makes a secret: the prefix, then base64url of 32 random bytes and their CRC-32, big-endian. */
export function createSecretText(prefix: SecretPrefix): SecretText {
  const bytes = Buffer.alloc(RANDOM_BYTES + 4, randomBytes(RANDOM_BYTES));
  bytes.writeUInt32BE(crc32(bytes.subarray(0, RANDOM_BYTES)), RANDOM_BYTES);
  const text = prefix + bytes.toString('base64url');
  return { text, digest: digestOf(text), prefix: text.slice(0, 8), lastFour: text.slice(-4) };
}

/** SHA-256 of the text. 256 random bits need no slow hash. */
export function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Tells what a text is without any lookup. That it looks right does not mean that it opens anything. */
export function classify(text: string): SecretTextKind {
  if (!BASE64.test(text)) return 'invalid';
  const prefix = text.slice(0, 4);
  if (text.length !== LENGTH || !Object.hasOwn(SECRET_PREFIXES, prefix)) return 'malformed';
  const bytes = Buffer.from(text.slice(4), 'base64url');
  const sound =
    bytes.length === RANDOM_BYTES + 4 && crc32(bytes.subarray(0, RANDOM_BYTES)) === bytes.readUInt32BE(RANDOM_BYTES);
  return sound ? SECRET_PREFIXES[prefix as SecretPrefix] : 'malformed';
}

const WITHIN = new RegExp(`(${Object.keys(SECRET_PREFIXES).join('|')})[\\w-]{${LENGTH - 4}}`, 'g');

/** The text with every secret in it as lists show it: the first eight characters and the last four. */
export function withoutSecrets(text: string): string {
  return text.replace(WITHIN, (secret) => `${secret.slice(0, 8)}…${secret.slice(-4)}`);
}
