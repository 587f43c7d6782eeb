/**
 * Our JWT access tokens (RFC 9068) read back by the server that issued them: for userinfo, introspection and revocation.
 * The engine never stores them, so it cannot find them; a signature of ours takes the place of the row.
 */
import { setTimeout } from 'node:timers/promises';
import { createLocalJWKSet, type JWTPayload, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import type Provider from 'oidc-provider';
import { type AccessToken, errors } from 'oidc-provider';
import type { Revocations } from '../domain/revocations.ts';
import { digestOf } from '../domain/secret-text.ts';
import type { KeySet } from '../domain/signing-keys.ts';
import { AppError } from '../errors.ts';
import { engineError } from './errors.ts';

export interface AccessTokenClaims extends JWTPayload {
  sub: string;
  aud: string;
  client_id: string;
  jti: string;
  iat: number;
  exp: number;
  scope?: string;
  team_id?: string;
  grant_id?: string;
  /** What it was made from, for a token that came by exchange (`domain/derivation.ts`). */
  derived_from?: string[];
  /** RFC 8693 §4.1 */
  act?: object;
  cnf?: { jkt?: string };
}

/** Verifies and returns the claims; undefined for anything that is not a live, unrevoked access token of this server. */
export type VerifyAccessToken = (token: string) => Promise<AccessTokenClaims | undefined>;

export function isJwt(text: string): boolean {
  return text.split('.', 4).length === 3;
}

const MOST_KEPT = 10_000;

/**
 * What verified once is kept by its digest, because a signature takes longer to check than all the rest; time and
 * revocation are looked at on every use, and with other keys there is another one of these.
 */
export function createVerifyAccessToken(issuer: string, keys: KeySet, revocations: Revocations): VerifyAccessToken {
  const keySet = createLocalJWKSet({ keys: keys.published });
  const verified = new LRUCache<string, AccessTokenClaims>({ max: MOST_KEPT });

  async function verify(token: string): Promise<AccessTokenClaims> {
    const { payload } = await jwtVerify<AccessTokenClaims>(token, keySet, {
      issuer,
      typ: 'at+jwt',
      algorithms: ['ES256', 'RS256', 'EdDSA'],
      requiredClaims: ['sub', 'aud', 'client_id', 'jti', 'iat', 'exp'],
    });
    return Object.freeze(payload);
  }

  return async (token) => {
    if (!isJwt(token)) return undefined;
    const digest = digestOf(token).toString('base64url');
    try {
      const known = verified.get(digest);
      const claims = known ?? (await verify(token));
      if (claims.exp * 1000 <= Date.now() || revocations.isRevoked(claims)) return undefined;
      if (known === undefined) verified.set(digest, claims);
      return claims;
    } catch (error) {
      if (error instanceof AppError) throw error;
      return undefined;
    }
  };
}

/** What a token may wait for before it is signed, in milliseconds: two seconds, and a little for clocks that differ. */
export const LONGEST_WAIT_MS = 3_000;

/** For whoever waited that long in vain. */
export function changesTooOften(): AppError {
  return new AppError(
    'unavailable',
    'Rights behind this token are being changed right now. Try again in a few seconds.',
  );
}

/** The parts of the engine's token that count here. */
interface Unsigned {
  kind?: string;
  scope?: string | undefined;
}

/**
 * The engine's last word on a JWT before it is signed. Somebody who was switched off and on again, or has lost a right, in
 * this very second has no token of this second: the feed could not tell it from those it ends. It waits for the next. And
 * as its scope was chosen a while ago, and its moment only now, it keeps no more of it than is right at that moment.
 * @param rightsOf as `rightsBehind`
 */
export function createAwaitLife(
  revocations: Pick<Revocations, 'bornDeadUntil'>,
  rightsOf: (claims: JWTPayload) => Promise<ReadonlySet<string> | undefined>,
) {
  return async (_ctx: unknown, token: Unsigned, { payload }: { payload: JWTPayload }): Promise<void> => {
    const deadline = Date.now() + LONGEST_WAIT_MS;
    for (;;) {
      const rights = await rightsOf(payload).catch((error: unknown) => Promise.reject(engineError(error)));
      if (rights === undefined) throw gone();
      narrow(token, payload, rights);
      const second = revocations.bornDeadUntil(payload);
      if (second === undefined) return;
      if (Date.now() >= deadline) {
        if (token.kind === 'ClientCredentials') throw engineError(changesTooOften());
        // A code or refresh token has been used up for it: what comes along with it must reach the client.
        return;
      }
      await setTimeout(Math.min(second * 1000, deadline) - Date.now());
      // `exp` stays: whatever bounds it still does.
      payload.iat = Math.floor(Date.now() / 1000);
    }
  };
}

/** Takes out of the token, and of what the answer says about it, what is not right any more. */
function narrow(token: Unsigned, payload: JWTPayload, rights: ReadonlySet<string>): void {
  if (typeof payload.scope !== 'string') return;
  const kept = payload.scope.split(' ').filter((word) => rights.has(word));
  payload.scope = token.scope = kept.join(' ') || undefined;
}

function gone(): Error {
  return new errors.CustomOIDCProviderError('invalid_grant', 'Whoever this token is for may not act any more.');
}

/**
 * Lets the userinfo endpoint (OpenID Connect Core 1.0 §5.3) accept our JWT access tokens of users.
 * @param audience what they must be for: a token for another API is that API's to see, and opens nothing here
 */
export function useJwtAccessTokens(provider: Provider, verify: VerifyAccessToken, audience: string): void {
  const Model = provider.AccessToken as unknown as {
    new (payload: Record<string, unknown>): AccessToken;
    find(value: string, options?: unknown): Promise<AccessToken | undefined>;
  };
  const findStored = Model.find.bind(Model);
  Model.find = async (value, options) => {
    if (!isJwt(value)) return findStored(value, options);
    const claims = await verify(value);
    if (claims?.grant_id === undefined || claims.aud !== audience) return undefined;
    return new Model({
      kind: 'AccessToken',
      jti: claims.jti,
      iat: claims.iat,
      exp: claims.exp,
      accountId: claims.sub,
      clientId: claims.client_id,
      grantId: claims.grant_id,
      scope: claims.scope,
      // aud is left out: the engine takes a token with an audience as one that is not for userinfo.
      ...(claims.cnf?.jkt && { jkt: claims.cnf.jkt }),
    });
  };
}
