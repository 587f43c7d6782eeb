/** How an app or client proves who it is at the token endpoint (RFC 7591 §2, `token_endpoint_auth_method`). */
import { isDeepStrictEqual } from 'node:util';
import { invalidField } from '../errors.ts';
import type { PublicJwks } from '../storage/oauth-apps.ts';
import { checkOutboundUrl } from './outbound-urls.ts';
import { checkPublicJwks } from './public-jwks.ts';

const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'];

export interface ClientAuthentication {
  tokenEndpointAuthMethod: string;
  jwks: PublicJwks | null;
  /** An https address its JWK Set is fetched from when it is needed. */
  jwksUri: string | null;
}

/** What whoever registers says about it. The keys themselves, or where they are; undefined and null say nothing. */
export interface ClientAuthenticationInput {
  tokenEndpointAuthMethod?: string | undefined;
  /** A JWK Set of public keys; with private_key_jwt. */
  jwks?: unknown;
  /** Where the JWK Set is, https; instead of `jwks`. */
  jwksUri?: string | null | undefined;
}

/**
 * The method and the keys that go with it. Without a method: `none` for a public app, `private_key_jwt` with keys,
 * else `client_secret_basic`.
 * @param type public apps cannot keep a secret, so they have no method but `none`, and nobody else has that one
 * @throws AppError `invalid_argument`
 */
export function checkClientAuthentication(
  type: 'confidential' | 'public',
  input: ClientAuthenticationInput,
): ClientAuthentication {
  const jwks = input.jwks ?? undefined;
  const jwksUri = input.jwksUri ?? undefined;
  const keysField = jwks !== undefined ? 'jwks' : jwksUri !== undefined ? 'jwks_uri' : undefined;
  const method =
    input.tokenEndpointAuthMethod ??
    (type === 'public' ? 'none' : keysField === undefined ? 'client_secret_basic' : 'private_key_jwt');
  const field = 'token_endpoint_auth_method';
  if (!METHODS.includes(method)) throw invalidField(field, `must be one of ${METHODS.join(', ')}`);
  if (type === 'public' && method !== 'none') throw invalidField(field, 'must be none for a public app');
  if (type !== 'public' && method === 'none') throw invalidField(field, 'none is for public apps only');
  if (method !== 'private_key_jwt') {
    if (keysField !== undefined) throw invalidField(keysField, `goes with ${field} private_key_jwt only`);
    return { tokenEndpointAuthMethod: method, jwks: null, jwksUri: null };
  }
  if (keysField === undefined) throw invalidField('jwks', 'is required with private_key_jwt, or jwks_uri');
  if (jwks !== undefined && jwksUri !== undefined) throw invalidField('jwks_uri', 'goes instead of jwks, not with it');
  return {
    tokenEndpointAuthMethod: method,
    jwks: jwks === undefined ? null : checkPublicJwks(jwks),
    jwksUri: jwksUri === undefined ? null : checkOutboundUrl('jwks_uri', jwksUri),
  };
}

/** The input for a change: keys and their address replace one another, and both end with another method. */
export function changedAuthentication(
  before: ClientAuthentication,
  { tokenEndpointAuthMethod = before.tokenEndpointAuthMethod, jwks, jwksUri }: ClientAuthenticationInput,
): ClientAuthenticationInput {
  const isNew = (jwks ?? jwksUri ?? undefined) !== undefined;
  const kept = tokenEndpointAuthMethod === 'private_key_jwt' && !isNew ? before : { jwks, jwksUri };
  return { tokenEndpointAuthMethod, jwks: kept.jwks, jwksUri: kept.jwksUri };
}

/** Whether both prove themselves by the same means, so that nobody new can act as it. */
export function isSameAuthentication(a: ClientAuthentication, b: ClientAuthentication): boolean {
  const [one, other] = [a, b].map((it) => [it.tokenEndpointAuthMethod, it.jwks, it.jwksUri]);
  return isDeepStrictEqual(one, other);
}

/** Whether the method needs a secret. */
export function usesSecret(method: string): boolean {
  return method.startsWith('client_secret_');
}
