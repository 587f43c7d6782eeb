/**
 * Our JWT access tokens (RFC 9068) read back by the server that issued them: for userinfo, introspection and revocation.
 * The engine never stores them, so it cannot find them; a signature of ours takes the place of the row.
 */
import { createLocalJWKSet, type JWTPayload, jwtVerify } from 'jose';
import type Provider from 'oidc-provider';
import type { AccessToken } from 'oidc-provider';
import type { RevokedTokens } from '../domain/revoked-tokens.ts';
import type { KeySet } from '../domain/signing-keys.ts';
import { AppError } from '../errors.ts';

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
  cnf?: { jkt?: string };
}

/** Verifies and returns the claims; undefined for anything that is not a live, unrevoked access token of this server. */
export type VerifyAccessToken = (token: string) => Promise<AccessTokenClaims | undefined>;

export function isJwt(text: string): boolean {
  return text.split('.', 4).length === 3;
}

export function createVerifyAccessToken(issuer: string, keys: KeySet, revokedTokens: RevokedTokens): VerifyAccessToken {
  const keySet = createLocalJWKSet({ keys: keys.published });
  return async (token) => {
    if (!isJwt(token)) return undefined;
    try {
      const { payload } = await jwtVerify<AccessTokenClaims>(token, keySet, {
        issuer,
        typ: 'at+jwt',
        algorithms: ['ES256', 'RS256', 'EdDSA'],
        requiredClaims: ['sub', 'aud', 'client_id', 'jti', 'iat', 'exp'],
      });
      return revokedTokens.isRevoked(payload) ? undefined : payload;
    } catch (error) {
      if (error instanceof AppError) throw error;
      return undefined;
    }
  };
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
