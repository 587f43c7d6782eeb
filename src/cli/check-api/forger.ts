/** Makes tokens nobody should take. By hand, because a JOSE library rightly declines to write most of them. */
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKeyInput,
  type KeyObject,
  sign as signBytes,
} from 'node:crypto';
import type { Issuer, Jwk } from './issuer.ts';

export type Algorithm = 'ES256' | 'RS256' | 'EdDSA';
export type Sign = (input: Buffer) => Buffer;

/** The kid of keys that are ours and say so. */
export const OWN_KID = 'check-api';

const GENERATE = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

// Slow to make, and good for as many tokens as one likes.
const pairs = new Map<Algorithm, ReturnType<(typeof GENERATE)['ES256']>>();

function pairOf(name: Algorithm) {
  const pair = pairs.get(name) ?? GENERATE[name]();
  pairs.set(name, pair);
  return pair;
}

/** A token in its parts, header and claims decoded. */
export interface DecodedToken {
  header: Record<string, unknown>;
  claims: Record<string, unknown>;
  parts: [string, string, string];
}

/** Undefined when it is no compact JWT. */
export function decodeToken(token: string): DecodedToken | undefined {
  const parts = token.split('.');
  if (parts.length !== 3) return undefined;
  try {
    const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
    if (typeof header !== 'object' || typeof claims !== 'object' || !header || !claims) return undefined;
    return { header, claims, parts: parts as DecodedToken['parts'] };
  } catch {
    return undefined;
  }
}

export type Forger = ReturnType<typeof createForger>;

/**
 * @param good a token the API takes, whose header and claims are imitated; without one they are made up.
 * @param audience the API's identifier.
 */
export function createForger({ issuer, keys }: Issuer, good: DecodedToken | undefined, audience: string) {
  const imitated = keys.find(({ kid }) => kid !== undefined && kid === good?.header.kid) ?? keys[0]!;
  const alg = [imitated.alg, good?.header.alg].find((name) => Object.hasOwn(GENERATE, String(name)));
  const now = Math.floor(Date.now() / 1000);
  const usual = {
    header: { alg: (alg ?? 'ES256') as Algorithm, typ: 'at+jwt', kid: imitated.kid, ...pick(good?.header, 'typ') },
    claims: {
      ...{ iss: issuer, aud: audience, sub: 'check-api', client_id: 'check-api', jti: 'check-api' },
      ...{ team_id: '00000000-0000-4000-8000-000000000000' },
      ...good?.claims,
      iat: now,
      exp: now + 300,
    },
  };

  /** Our own key, which the issuer has never seen. */
  function own(name: Algorithm = usual.header.alg): Sign {
    const key = pairOf(name).privateKey;
    const digest = name === 'EdDSA' ? null : 'sha256';
    return (input) => signBytes(digest, input, { key, dsaEncoding: 'ieee-p1363' });
  }

  return {
    now,
    issuer,
    claims: usual.claims,
    own,
    /** Its public half, as an attacker would publish it. */
    ownJwk(): Jwk {
      const jwk = pairOf(usual.header.alg).publicKey.export({ format: 'jwk' });
      return { ...jwk, kid: OWN_KID, alg: usual.header.alg, use: 'sig' };
    },
    /** The issuer's public key, as the text or bytes a careless program might take for a shared secret. */
    publicForms(): [form: string, secret: string | Buffer][] {
      const key: KeyObject = createPublicKey({ key: imitated, format: 'jwk' } as JsonWebKeyInput);
      const pem = key.export({ type: 'spki', format: 'pem' }).toString();
      return [
        ['PEM', pem],
        ['PEM without its last line end', pem.trimEnd()],
        ['DER', key.export({ type: 'spki', format: 'der' })],
        ['JWK', JSON.stringify(imitated)],
      ];
    },
    /** Like the good token but for these changes; what is undefined is left out. */
    forge(header: Record<string, unknown>, claims: Record<string, unknown> = {}, sign: Sign = own()): string {
      const input = [
        { ...usual.header, ...header },
        { ...usual.claims, ...claims },
      ]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.');
      return `${input}.${sign(Buffer.from(input)).toString('base64url')}`;
    },
  };
}

/** HMAC with SHA-256, as HS256 signs. */
export function hmac(secret: string | Buffer): Sign {
  return (input) => createHmac('sha256', secret).update(input).digest();
}

/** No signature at all. */
export function unsigned(): Buffer {
  return Buffer.alloc(0);
}

function pick(header: Record<string, unknown> | undefined, name: string): Record<string, unknown> {
  return header && Object.hasOwn(header, name) ? { [name]: header[name] } : {};
}
