import type { JWTPayload } from 'jose';
import { createBoundedCache, digest } from './bounded-cache.ts';
import { type IssuedJwt, verifyIssued } from './compact-jwt.ts';
import { Refused } from './decision.ts';
import type { KeySet } from './key-set.ts';
import { frozen, type Principal, scopeWords } from './principal.ts';
import type { Revocable, RevocationFeed } from './revocation-feed.ts';
import type { Settings } from './settings.ts';

/** An access token that verified: who it stands for and, if it is bound to a key, to which (RFC 7800 §3). */
export interface VerifiedToken {
  principal: Principal;
  claims: JWTPayload;
  /** Thumbprint (RFC 7638) of the key whose holder alone may use the token (RFC 9449 §6.1). */
  jkt: string | undefined;
}

/**
 * A promise only when there is something to wait for.
 * @throws Refused 401 for a token that fails any check, 503 when that cannot be told; whatever `isRevoked` throws.
 */
export type VerifyAccessToken = (token: string) => VerifiedToken | Promise<VerifiedToken>;

type CachedToken = VerifiedToken & IssuedJwt & Revocable;

/** `reason` is for the log; every caller gets the same words. */
export function invalidToken(reason: string): Refused {
  return new Refused('invalid_token', 'Invalid access token', reason);
}

/**
 * Verifies RFC 9068 access tokens offline (§4). A token that was accepted is remembered by its digest; it is checked
 * again on each use for what can change: the time, the issuer's keys, revocation. Refusals are not remembered.
 *
 * @param feed absent when `isRevoked` alone says what is revoked.
 */
export function createAccessTokenVerifier(
  settings: Settings,
  keys: KeySet,
  feed: RevocationFeed | undefined,
): VerifyAccessToken {
  const { isRevoked, clock, clockTolerance } = settings;
  const cache = createBoundedCache<CachedToken>(settings.cacheSize);

  return (token) => {
    const id = digest(token);
    const cached = cache.get(id);
    const isGood = cached !== undefined && stillGood(cached);
    // Nearly every request of a busy API ends here, without a promise.
    if (isGood === true && !isRevoked && feed?.hasPassed(cached!) !== false) return cached!;
    return check(token, id, cached, isGood);
  };

  async function check(
    token: string,
    id: string,
    cached: CachedToken | undefined,
    isGood: boolean | Promise<boolean>,
  ): Promise<VerifiedToken> {
    const known = (await isGood) ? cached : undefined;
    const verified = known ?? (await verify(token));
    await feed?.check(verified, known !== undefined);
    if (isRevoked && (await isRevoked(verified.claims)) !== false) throw invalidToken('revoked');
    if (!known) cache.set(id, verified);
    return verified;
  }

  function stillGood({ principal, kid, key }: CachedToken): boolean | Promise<boolean> {
    if (clock() >= ((principal.expiresAt as number) + clockTolerance) * 1000) return false;
    const index = keys.current();
    return index instanceof Promise ? index.then((current) => current.get(kid) === key) : index.get(kid) === key;
  }

  async function verify(token: string): Promise<CachedToken> {
    const demands = { typ: 'at+jwt', audience: settings.audience };
    const issued = await verifyIssued(token, demands, keys, settings, invalidToken);
    checkClaims(issued.claims, settings);
    return { ...issued, ...accepted(issued.claims) };
  }
}

/** What the JOSE library leaves open (RFC 9068 §2.2): claims that are missing, types, times that contradict each other. */
function checkClaims(payload: JWTPayload, { clock, clockTolerance }: Settings): void {
  for (const name of ['sub', 'client_id', 'jti', 'team_id']) {
    const value = payload[name];
    if (typeof value !== 'string' || value === '') throw invalidToken(`${name} is not text`);
  }
  const { scope = '', derived_from = [] } = payload;
  if (typeof scope !== 'string') throw invalidToken('scope is not text');
  if (!Array.isArray(derived_from) || derived_from.some((word) => typeof word !== 'string')) {
    throw invalidToken('derived_from is not a list of words');
  }
  const { iat, exp } = payload as { iat: unknown; exp: number };
  if (typeof iat !== 'number' || iat > clock() / 1000 + clockTolerance || iat > exp)
    throw invalidToken('iat is not sane');
}

function accepted(claims: JWTPayload): Omit<VerifiedToken, 'claims'> {
  const { sub, client_id, jti, team_id, scope, exp } = claims as Record<string, string> & { exp: number };
  const principal: Principal = {
    // RFC 9068 §5: a token with no user in it has its client as `sub`; Latchkey's three kinds of `sub` cannot collide.
    kind: sub?.startsWith('team:') ? 'team' : sub === client_id ? 'client' : 'user',
    credential: { kind: 'access_token', id: jti as string },
    subject: sub as string,
    clientId: client_id as string,
    teamId: team_id as string,
    scopes: scopeWords(scope),
    expiresAt: exp,
    claims,
  };
  return { principal: frozen(principal), jkt: boundTo(claims.cnf) };
}

/** A confirmation method other than `jkt` would have to be checked and cannot be: the token is refused. */
function boundTo(cnf: unknown): string | undefined {
  if (cnf === undefined) return undefined;
  const { jkt, ...others } = (cnf ?? {}) as Record<string, unknown>;
  if (typeof jkt !== 'string' || Object.keys(others).length > 0) throw invalidToken('unknown cnf');
  return jkt;
}
