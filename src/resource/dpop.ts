import { calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from 'jose';
import { digest } from './bounded-cache.ts';
import { checkHeader, joseReason } from './compact-jwt.ts';
import type { ResourceRequest } from './credential.ts';
import { Refused, unavailable } from './decision.ts';
import { createReplayCache, type UseOnce } from './replay-cache.ts';
import type { Settings } from './settings.ts';

/** Seconds a proof is good for, back and ahead of our clock (RFC 9449 §11.1). */
const MAX_AGE = 60;
const MAX_AHEAD = 5;
/** About 20 MB when full; at 65 s a proof that is 1,500 bound requests a second. */
const MAX_PROOFS = 100_000;
const MAX_PROOF_LENGTH = 8_192;

/**
 * Checks that the sender of a bound token holds its key (RFC 9449 §4.3).
 * @throws Refused 401 for a missing, wrong, old or replayed proof; 503 when replays cannot be told any more.
 */
export type CheckProof = (request: ResourceRequest, token: string, jkt: string) => Promise<void>;

/** Proofs are remembered in this process only: on another instance one may be used again within its 60 seconds. */
export function createProofChecker(
  settings: Settings,
  useOnce: UseOnce = createReplayCache((MAX_AGE + MAX_AHEAD + 1) * 1000, MAX_PROOFS, settings.clock),
): CheckProof {
  return async (request, token, jkt) => {
    const proof = soleProof(request);
    const { jwk } = checkHeader(proof, 'dpop+jwt', settings.algorithms, invalidProof, 'jwk');
    // The token names the key, so the proof's own key is trusted for nothing but matching it.
    const thumbprint = await calculateJwkThumbprint(jwk as JWK).catch(() => undefined);
    if (thumbprint !== jkt) throw invalidProof('proof of another key');
    const { payload } = await jwtVerify(proof, EmbeddedJWK, {
      algorithms: [...settings.algorithms],
      clockTolerance: MAX_AHEAD,
      currentDate: new Date(settings.clock()),
    }).catch((error) => {
      throw invalidProof(joseReason(error));
    });
    const { htm, htu, ath, iat, jti } = payload as Record<string, unknown>;
    if (htm !== request.method) throw invalidProof('htm of another method');
    if (!isSameTarget(htu, request.url)) throw invalidProof('htu of another URL');
    if (ath !== digest(token)) throw invalidProof('ath of another token');
    checkAge(iat, settings.clock() / 1000);
    if (typeof jti !== 'string' || jti === '') throw invalidProof('jti is not text');
    const use = useOnce(digest(`${jkt} ${jti}`));
    if (use === 'replayed') throw invalidProof('replayed');
    if (use === 'full') throw unavailable('too many live DPoP proofs');
  };
}

function invalidProof(reason: string): Refused {
  return new Refused('invalid_dpop_proof', 'Invalid DPoP proof', reason);
}

function soleProof({ headers }: ResourceRequest): string {
  const { dpop } = headers;
  const proof = typeof dpop === 'string' ? dpop : dpop?.length === 1 ? dpop[0] : undefined;
  if (!proof) throw invalidProof('not exactly one DPoP header');
  if (proof.length > MAX_PROOF_LENGTH) throw invalidProof('proof too long');
  return proof;
}

function checkAge(iat: unknown, now: number): void {
  if (typeof iat !== 'number' || iat > now + MAX_AHEAD || iat < now - MAX_AGE) throw invalidProof('iat is not recent');
}

/** RFC 9449 §4.3 (9): scheme, host, port and path after normalisation; query and fragment are left out. */
function isSameTarget(htu: unknown, url: string | undefined): boolean {
  return typeof htu === 'string' && url !== undefined && normalised(htu) === normalised(url);
}

function normalised(text: string): string {
  if (!URL.canParse(text)) return `not a URL: ${text}`;
  const url = new URL(text);
  url.search = '';
  url.hash = '';
  return url.href;
}
