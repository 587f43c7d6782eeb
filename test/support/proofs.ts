/** What clients sign: assertions that authenticate them (RFC 7523 §3) and DPoP proofs (RFC 9449 §4.2). */
import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

export interface ClientKey {
  alg: string;
  kid: string;
  privateKey: CryptoKey;
  publicJwk: JWK;
  /** For the registration of an app or client. */
  jwks: { keys: JWK[] };
}

export async function createClientKey(alg = 'ES256'): Promise<ClientKey> {
  const { privateKey, publicKey } = alg in RSA ? rsaKeyPair(RSA[alg]!) : await generateKeyPair(alg, EXTRACTABLE);
  const [kid, publicJwk] = [randomUUID(), await exportJWK(publicKey)];
  return { alg, kid, privateKey, publicJwk, jwks: { keys: [{ ...publicJwk, kid, alg, use: 'sig' }] } };
}

const EXTRACTABLE = { extractable: true };
const RSA: Record<string, string> = { RS256: 'RSASSA-PKCS1-v1_5', PS256: 'RSA-PSS' };
// Slow to make, and both algorithms can have the same.
let rsa: { privateKey: KeyObject; publicKey: KeyObject } | undefined;

function rsaKeyPair(name: string): { privateKey: CryptoKey; publicKey: CryptoKey } {
  rsa ??= generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const algorithm = { name, hash: 'SHA-256' };
  return {
    privateKey: rsa.privateKey.toCryptoKey(algorithm, true, ['sign']),
    publicKey: rsa.publicKey.toCryptoKey(algorithm, true, ['verify']),
  };
}

/** The two form fields of private_key_jwt. A claim changed to undefined is left out. */
export async function signAssertion(
  issuer: string,
  clientId: string,
  key: ClientKey,
  changes: Record<string, unknown> = {},
) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60, ...changes };
  const assertion = await new SignJWT(claims).setProtectedHeader({ alg: key.alg, kid: key.kid }).sign(key.privateKey);
  return assertionFields(assertion);
}

export function assertionFields(assertion: string): Record<string, string> {
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  };
}

/** A proof for one request; with `accessToken` for a protected resource. */
export function signDpopProof(
  key: ClientKey,
  request: { method: string; url: string; accessToken?: string },
  changes: Record<string, unknown> = {},
): Promise<string> {
  const { method, url, accessToken } = request;
  return new SignJWT({
    jti: randomUUID(),
    htm: method,
    htu: url,
    iat: Math.floor(Date.now() / 1000),
    ...(accessToken && { ath: createHash('sha256').update(accessToken).digest('base64url') }),
    ...changes,
  })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: key.alg, jwk: key.publicJwk })
    .sign(key.privateKey);
}
