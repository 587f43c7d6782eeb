import { type JWTPayload, jwtVerify } from 'jose';
import { type BoundedCache, createBoundedCache, digest } from './bounded-cache.ts';
import { checkHeader, joseReason } from './compact-jwt.ts';
import { Refused, unavailable } from './decision.ts';
import type { KeySet, VerificationKey } from './key-set.ts';
import { frozen, type Principal, scopeWords } from './principal.ts';
import type { Settings } from './settings.ts';

/** An access token that verified: who it stands for and, if it is bound to a key, to which (RFC 7800 §3). */
export interface VerifiedToken {
  principal: Principal;
  claims: JWTPayload;
  /** Thumbprint (RFC 7638) of the key whose holder alone may use the token (RFC 9449 §6.1). */
  jkt: string | undefined;
}

/** @throws Refused 401 for a token that fails any check, 503 when that cannot be told. */
export type VerifyAccessToken = (token: string) => Promise<VerifiedToken>;

interface CachedToken extends VerifiedToken {
  kid: string;
  key: VerificationKey;
  exp: number;
}

const MAX_CACHED = 10_000;
const TYPE = 'at+jwt';
const REQUIRED_CLAIMS = ['sub', 'client_id', 'jti', 'team_id', 'iat', 'exp'];

/** `reason` is for the log; every caller gets the same words. */
export function invalidToken(reason: string): Refused {
  return new Refused('invalid_token', 'Invalid access token', reason);
}

/**
 * Verifies RFC 9068 access tokens offline (§4). A token that verified is remembered by its digest; it is checked again
 * on each use for what can change: the time, the issuer's keys, revocation. Refusals are not remembered.
 */
export function createAccessTokenVerifier(settings: Settings, keys: KeySet): VerifyAccessToken {
  const cache: BoundedCache<CachedToken> = createBoundedCache(MAX_CACHED);

  return async (token) => {
    const id = digest(token);
    const cached = cache.get(id);
    const verified = cached && (await stillGood(cached)) ? cached : await verify(token);
    if (verified !== cached) cache.set(id, verified);
    await refuseRevoked(verified.claims);
    return verified;
  };

  async function stillGood(cached: CachedToken): Promise<boolean> {
    if (settings.clock() >= (cached.exp + settings.clockTolerance) * 1000) return false;
    const index = keys.current();
    return (index instanceof Promise ? await index : index).get(cached.kid) === cached.key;
  }

  async function verify(token: string): Promise<CachedToken> {
    const header = checkHeader(token, TYPE, settings.algorithms, invalidToken);
    if (typeof header.kid !== 'string') throw invalidToken('no kid');
    const key = await keys.find(header.kid);
    const imported = await key?.import(header.alg);
    if (!key || !imported) throw invalidToken('unknown key');
    const { payload } = await jwtVerify(token, imported, {
      algorithms: [header.alg],
      issuer: settings.issuer,
      audience: settings.audience,
      clockTolerance: settings.clockTolerance,
      requiredClaims: REQUIRED_CLAIMS,
      currentDate: new Date(settings.clock()),
    }).catch((error) => {
      throw invalidToken(joseReason(error));
    });
    checkClaims(payload, settings);
    return { ...accepted(payload), kid: header.kid, key, exp: payload.exp as number };
  }

  async function refuseRevoked(claims: JWTPayload): Promise<void> {
    if (!settings.isRevoked) return;
    let revoked: unknown;
    try {
      revoked = await settings.isRevoked(claims);
    } catch (cause) {
      settings.onError(cause as Error);
      throw unavailable('isRevoked failed', cause);
    }
    if (revoked !== false) throw invalidToken('revoked');
  }
}

/** What the JOSE library leaves open: the claims' types, and times that contradict each other (RFC 9068 §2.2). */
function checkClaims(payload: JWTPayload, { clock, clockTolerance }: Settings): void {
  for (const name of ['sub', 'client_id', 'jti', 'team_id']) {
    const value = payload[name];
    if (typeof value !== 'string' || value === '') throw invalidToken(`${name} is not text`);
  }
  if (payload.scope !== undefined && typeof payload.scope !== 'string') throw invalidToken('scope is not text');
  const { iat, exp } = payload as { iat: unknown; exp: number };
  if (typeof iat !== 'number' || iat > clock() / 1000 + clockTolerance || iat > exp)
    throw invalidToken('iat is not sane');
}

function accepted(claims: JWTPayload): VerifiedToken {
  const { sub, client_id, jti, team_id, scope, exp } = claims as Record<string, string> & { exp: number };
  const principal: Principal = {
    // RFC 9068 §5: a token with no user in it has its client as `sub`; Latchkey's two kinds of `sub` cannot collide.
    kind: sub === client_id ? 'client' : 'user',
    credential: { kind: 'access_token', id: jti as string },
    subject: sub as string,
    clientId: client_id as string,
    teamId: team_id as string,
    scopes: scopeWords(scope),
    expiresAt: exp,
    claims,
  };
  return { principal: frozen(principal), claims, jkt: boundTo(claims.cnf) };
}

/** A confirmation method other than `jkt` would have to be checked and cannot be: the token is refused. */
function boundTo(cnf: unknown): string | undefined {
  if (cnf === undefined) return undefined;
  const { jkt, ...others } = (cnf ?? {}) as Record<string, unknown>;
  if (typeof jkt !== 'string' || Object.keys(others).length > 0) throw invalidToken('unknown cnf');
  return jkt;
}
