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

/** What a subject is to one API. */
export interface SubjectAt {
  claims: SubjectClaims;
  /** Every scope word that can be had there, whatever the rights of this moment say; undefined for no bound but those. */
  scopes: readonly string[] | undefined;
}

export interface Subject {
  /** The API the token is for when the request names none. */
  resource: string;
  /** Thumbprint of the key the subject is bound to (RFC 9449 §6.1). */
  jkt?: string | undefined;
  /**
   * When the token is good. What ends or is taken away after its `iat` ends the token, and what did so before is known
   * from here on: rights and APIs are to be looked at afterwards.
   * @param lifetime seconds the API's tokens live
   */
  hold(lifetime: number): Promise<Times>;
  /** @throws InvalidTarget when the subject opens nothing there */
  at(target: Target): SubjectAt;
}

/**
 * RFC 6749 §5.2: what was presented has ended, or was never good.
 * @param detail for the audit trail alone
 */
export function invalidGrant(description: string, detail?: string): Error {
  return new errors.CustomOIDCProviderError(
    'invalid_grant',
    description,
    detail === undefined ? undefined : { detail },
  );
}
