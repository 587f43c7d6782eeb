import { type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import type { KeySet, VerificationKey } from './key-set.ts';
import type { Settings } from './settings.ts';

/** Parameters that bring or point at a key (RFC 7515 §4.1.2-4.1.6) or demand an extension (§4.1.11): never followed. */
const FORBIDDEN_HEADERS = ['crit', 'b64', 'jku', 'jwk', 'x5u', 'x5c', 'enc', 'zip'];

/** The JOSE header of a compact JWT, checked before anything is done with it. */
export interface CheckedHeader extends Record<string, unknown> {
  alg: string;
}

/**
 * Reads the header of a compact JWT and refuses what no honest issuer sends: parts that are not the one spelling of
 * their bytes, an alg outside `algorithms`, a type other than `typ` (RFC 8725 §3.11), parameters that bring keys.
 *
 * @param refuse makes the error from its private reason.
 * @param except a forbidden parameter this kind of JWT has all the same.
 */
export function checkHeader(
  token: string,
  typ: string,
  algorithms: readonly string[],
  refuse: (reason: string) => Error,
  except?: 'jwk',
): CheckedHeader {
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every(isCanonical)) throw refuse('not a compact JWT');
  const header = parseHeader(parts[0] as string);
  if (!header) throw refuse('header is not JSON');
  // RFC 7515 §4.1.9: types compare without case, and `application/` may be left out.
  const type = typeof header.typ === 'string' ? header.typ.toLowerCase().replace(/^application\//, '') : '';
  if (type !== typ) throw refuse('wrong typ');
  if (typeof header.alg !== 'string' || !algorithms.includes(header.alg)) throw refuse('alg not allowed');
  if (FORBIDDEN_HEADERS.some((name) => name !== except && Object.hasOwn(header, name))) {
    throw refuse('header parameter not allowed');
  }
  return header as CheckedHeader;
}

/** Base64url has several spellings of the same bytes unless padding and spare bits are pinned (RFC 4648 §3.5). */
function isCanonical(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part;
}

function parseHeader(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The private reason in an error of the JOSE library: its code, a fixed word, never its message. */
export function joseReason(error: unknown): string {
  const { code, claim } = error as { code?: unknown; claim?: unknown };
  return [code, claim].filter((part) => typeof part === 'string').join(' ') || 'verification failed';
}

/** A JWT the issuer signed, and with which of its keys. */
export interface IssuedJwt {
  claims: JWTPayload;
  kid: string;
  key: VerificationKey;
}

/** What one kind of JWT demands beyond the issuer's signature, `iss`, `exp` and `nbf`. */
export interface Demands extends Pick<JWTVerifyOptions, 'audience' | 'maxTokenAge'> {
  typ: string;
  /** See `KeySet.find`. */
  coolDownMs?: number;
}

/**
 * Verifies a compact JWT of the issuer.
 *
 * @param refuse makes the error from its private reason.
 * @throws Refused 503 when there are no keys to judge by.
 */
export async function verifyIssued(
  jwt: string,
  { typ, coolDownMs, ...demands }: Demands,
  keys: KeySet,
  { algorithms, issuer, clockTolerance, clock }: Settings,
  refuse: (reason: string) => Error,
): Promise<IssuedJwt> {
  const { kid, alg } = checkHeader(jwt, typ, algorithms, refuse);
  if (typeof kid !== 'string') throw refuse('no kid');
  const key = await keys.find(kid, coolDownMs);
  const imported = await key?.import(alg);
  if (!key || !imported) throw refuse('unknown key');
  const currentDate = new Date(clock());
  try {
    const options = { ...demands, algorithms: [alg], issuer, requiredClaims: ['exp'], clockTolerance, currentDate };
    return { claims: (await jwtVerify(jwt, imported, options)).payload, kid, key };
  } catch (error) {
    throw refuse(joseReason(error));
  }
}
