/** What is exchanged, once it is known to be good: an API key or a user's access token, in one shape. */
import { errors } from 'oidc-provider';
import type { Target } from '../resource-servers.ts';

/** The claims of the token to be that come from its subject. */
export interface SubjectClaims {
  sub: string;
  client_id: string;
  team_id: string;
  derived_from: string[];
  grant_id?: string;
  /** RFC 8693 §4.1: who acts, and for whom that one acted. */
  act?: object;
}

/** From when and until when a token is good, in seconds since 1970. */
export interface Times {
  iat: number;
  exp: number;
}

export interface Subject {
  claims: SubjectClaims;
  /** The API the token is for when the request names none. */
  resource: string;
  /** Thumbprint of the key the subject is bound to (RFC 9449 §6.1). */
  jkt?: string | undefined;
  /**
   * Every scope word that can be had there, whatever the rights of this moment say; undefined for no bound but those.
   * @throws InvalidTarget when the subject opens nothing there
   */
  scopesAt(target: Target): readonly string[] | undefined;
  /**
   * The last step before signing, after which the end of the subject is the end of the token.
   * @param lifetime seconds the API's tokens live
   */
  hold(lifetime: number): Promise<Times>;
}

/** RFC 6749 §5.2: what was presented has ended, or was never good. */
export function invalidGrant(description: string): Error {
  return new errors.CustomOIDCProviderError('invalid_grant', description);
}
