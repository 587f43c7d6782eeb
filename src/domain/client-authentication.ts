/** How an app or client proves who it is at the token endpoint (RFC 7591 §2, `token_endpoint_auth_method`). */
import { invalidField } from '../errors.ts';
import type { PublicJwks } from '../storage/oauth-apps.ts';
import { checkPublicJwks } from './public-jwks.ts';

const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'];

export interface ClientAuthentication {
  tokenEndpointAuthMethod: string;
  jwks: PublicJwks | null;
}

/**
 * The method and the keys that go with it. Without a method: `none` for a public app, `private_key_jwt` with keys,
 * else `client_secret_basic`.
 * @param type public apps cannot keep a secret, so they have no method but `none`, and nobody else has that one
 * @throws AppError `invalid_argument`
 */
export function checkClientAuthentication(
  type: 'confidential' | 'public',
  input: { tokenEndpointAuthMethod?: string | undefined; jwks?: unknown },
): ClientAuthentication {
  const given = input.jwks ?? undefined;
  const method =
    input.tokenEndpointAuthMethod ??
    (type === 'public' ? 'none' : given === undefined ? 'client_secret_basic' : 'private_key_jwt');
  const field = 'token_endpoint_auth_method';
  if (!METHODS.includes(method)) throw invalidField(field, `must be one of ${METHODS.join(', ')}`);
  if (type === 'public' && method !== 'none') throw invalidField(field, 'must be none for a public app');
  if (type !== 'public' && method === 'none') throw invalidField(field, 'none is for public apps only');
  if (method !== 'private_key_jwt') {
    if (given !== undefined) throw invalidField('jwks', 'goes with token_endpoint_auth_method private_key_jwt only');
    return { tokenEndpointAuthMethod: method, jwks: null };
  }
  if (given === undefined) throw invalidField('jwks', 'is required with private_key_jwt');
  return { tokenEndpointAuthMethod: method, jwks: checkPublicJwks(given) };
}

/** Whether the method needs a secret. */
export function usesSecret(method: string): boolean {
  return method.startsWith('client_secret_');
}
