/** The public keys an app or client signs its assertions with (private_key_jwt, RFC 7523). */
import { createPublicKey } from 'node:crypto';
import { type AppError, invalidField } from '../errors.ts';
import type { PublicJwks } from '../storage/oauth-apps.ts';

const MOST_KEYS = 20;
const LEAST_RSA_BITS = 2_048;
const MEMBERS: Record<string, readonly string[]> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
};
const CURVES = ['P-256', 'P-384', 'P-521', 'Ed25519'];
// RFC 7518 §6.2.2, §6.3.2, §6.4.1.
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/**
 * A JWK Set with what is public of its keys and nothing else.
 * @param value parsed JSON: `{ keys: [...] }`, 1 to 20 RSA (2,048 bits or more), EC or Ed25519 keys
 * @throws AppError `invalid_argument`, also for symmetric keys and for keys with a private part
 */
export function checkPublicJwks(value: unknown): PublicJwks {
  const keys = (value as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MOST_KEYS) {
    throw refuse(`must be a JWK Set, {"keys": [...]}, with 1 to ${MOST_KEYS} keys`);
  }
  const checked = keys.map(checkKey);
  const kids = checked.map((key) => key.kid).filter((kid) => kid !== undefined);
  if (new Set(kids).size !== kids.length) throw refuse('two keys have the same kid');
  return { keys: checked };
}

function checkKey(key: unknown): Record<string, unknown> {
  if (typeof key !== 'object' || key === null) throw refuse('a key must be a JSON object');
  const jwk = key as Record<string, unknown>;
  const leaked = PRIVATE_MEMBERS.find((name) => Object.hasOwn(jwk, name));
  if (jwk.kty === 'oct') throw refuse('a symmetric key (kty oct) is a shared secret; use a key pair');
  if (leaked !== undefined)
    throw refuse(`has the private member "${leaked}". Send the public key, and replace this one`);
  const members = Object.hasOwn(MEMBERS, String(jwk.kty)) ? MEMBERS[String(jwk.kty)]! : undefined;
  if (members === undefined) throw refuse('kty must be RSA, EC or OKP');
  if (jwk.use !== undefined && jwk.use !== 'sig') throw refuse('use must be "sig"');
  for (const name of ['kid', 'alg']) {
    if (jwk[name] !== undefined && (typeof jwk[name] !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(jwk[name]))) {
      throw refuse(`${name} must be 1 to 255 printable characters`);
    }
  }
  const kept = Object.fromEntries(
    ['kty', ...members, 'kid', 'use', 'alg'].filter((name) => jwk[name] !== undefined).map((name) => [name, jwk[name]]),
  );
  checkStrength(kept);
  return kept;
}

function checkStrength(jwk: Record<string, unknown>): void {
  if (jwk.kty !== 'RSA' && !CURVES.includes(String(jwk.crv))) throw refuse(`crv must be one of ${CURVES.join(', ')}`);
  let bits: number | undefined;
  try {
    bits = createPublicKey({ key: jwk, format: 'jwk' }).asymmetricKeyDetails?.modulusLength;
  } catch {
    throw refuse('a key cannot be read: its members do not form a public key');
  }
  if (jwk.kty === 'RSA' && (bits ?? 0) < LEAST_RSA_BITS)
    throw refuse(`an RSA key must have at least ${LEAST_RSA_BITS} bits`);
}

function refuse(why: string): AppError {
  return invalidField('jwks', why);
}
