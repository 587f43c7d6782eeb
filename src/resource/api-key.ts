import { crc32 } from 'node:zlib';
import { Refused } from './decision.ts';
import type { Notice } from './notice.ts';
import type { Principal } from './principal.ts';

/** A key that would be good, had its retirement date not come; the notice is sent with the refusal. */
export interface Retired {
  readonly retired: Notice;
}

/** Answers whose key this is, or undefined for one that is unknown, revoked, expired or without its owner. */
export type VerifyApiKey = (key: string) => Promise<Principal | Retired | undefined>;

/** `lkp_` (personal) or `lkt_` (team), then base64url of 32 random bytes and their CRC-32, big-endian. */
const PREFIX = /^lk[pt]_/;
const PREFIX_LENGTH = 4;
const LENGTH = 52;
const RANDOM_BYTES = 32;

/** Base64 (RFC 4648 §4) or base64url (§5), never both mixed. */
const BASE64 = /^(?:[A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}$/;

/**
 * Checks a key's text without asking anybody, so that a damaged key costs no lookup.
 *
 * @throws Refused 401 "Invalid API key" (not base64 at all) or "Malformed API key" (wrong prefix, length or checksum).
 */
export function checkApiKeyText(key: string): void {
  if (!BASE64.test(key)) throw new Refused('invalid_token', 'Invalid API key', 'not base64');
  const bytes = Buffer.from(key.slice(PREFIX_LENGTH), 'base64url');
  const isWhole =
    PREFIX.test(key) &&
    key.length === LENGTH &&
    bytes.length === RANDOM_BYTES + 4 &&
    crc32(bytes.subarray(0, RANDOM_BYTES)) === bytes.readUInt32BE(RANDOM_BYTES);
  if (!isWhole) throw new Refused('invalid_token', 'Malformed API key', 'wrong prefix, length or checksum');
}

/** First characters of texts the issuer makes itself, and of JSON in base64, with which every JWT begins. */
const NOT_LEGACY = /^(?:lk[pts]_|ey)/;

/** Whether `text` is to be checked as a key from elsewhere, which can have any shape, also that of a JWT. */
export async function isLegacyKey(text: string, legacyKeys: (text: string) => unknown): Promise<boolean> {
  return !NOT_LEGACY.test(text) && !!(await legacyKeys(text));
}

/** The one answer for every well-formed key that opens nothing. */
export function unauthenticated(reason: string, notice?: Notice): Refused {
  return new Refused('invalid_token', 'Unauthenticated', reason, { notice });
}
