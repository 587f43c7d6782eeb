import { createPublicKey, type JsonWebKeyInput } from 'node:crypto';
import { AppError } from '../../errors.ts';
import { fetchObject } from './request.ts';

export interface Jwk extends Record<string, unknown> {
  kid?: string;
  alg?: string;
}

/** What the issuer publishes. */
export interface Issuer {
  issuer: string;
  keys: Jwk[];
  tokenEndpoint: string | undefined;
}

/**
 * Reads the issuer's metadata (RFC 8414 §3.1, or OpenID Connect Discovery) and its signing keys.
 *
 * @throws AppError `unavailable` when either cannot be read, or the metadata is another issuer's.
 */
export async function readIssuer(issuer: string): Promise<Issuer> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const metadata =
    (await fetchObject(`${origin}/.well-known/oauth-authorization-server${path}`)) ??
    (await fetchObject(`${origin}${path}/.well-known/openid-configuration`));
  if (metadata?.issuer !== issuer) {
    throw new AppError('unavailable', `There is no metadata of ${issuer}. Write the issuer exactly as it does itself.`);
  }
  const { jwks_uri: jwksUri, token_endpoint: tokenEndpoint } = metadata;
  const set = isUrl(jwksUri) ? await fetchObject(jwksUri) : undefined;
  const keys = Array.isArray(set?.keys) ? (set.keys as Jwk[]).filter(isSigningKey) : [];
  if (keys.length === 0) throw new AppError('unavailable', 'The issuer publishes no signing keys.');
  return { issuer, keys, tokenEndpoint: isUrl(tokenEndpoint) ? tokenEndpoint : undefined };
}

export interface ClientCredentials {
  clientId: string;
  clientSecret: string;
  /** Asked for as `resource` (RFC 8707). */
  audience: string | undefined;
  scope: string | undefined;
}

/** A token by client credentials (RFC 6749 §4.4). @throws AppError `failed_precondition`, `unavailable` */
export async function fetchToken({ tokenEndpoint }: Issuer, client: ClientCredentials): Promise<string> {
  const { clientId, clientSecret, audience, scope } = client;
  if (tokenEndpoint === undefined || !isPrivate(tokenEndpoint)) {
    throw new AppError('failed_precondition', 'The issuer has no token endpoint on https or on loopback.');
  }
  // RFC 6749 §2.3.1: both are form-encoded before they are joined.
  const [id, secret] = [clientId, clientSecret].map((word) => new URLSearchParams({ word }).toString().slice(5));
  const answer = await fetchObject(tokenEndpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      ...(audience !== undefined && { resource: audience }),
      ...(scope !== undefined && { scope }),
    }),
  });
  if (typeof answer?.access_token !== 'string') throw new AppError('unavailable', 'The issuer gave no access token.');
  return answer.access_token;
}

/** Whether it is a public key for signatures, of a kind Node knows. */
function isSigningKey(jwk: Jwk | null): boolean {
  try {
    return (jwk?.use ?? 'sig') === 'sig' && !!createPublicKey({ key: jwk, format: 'jwk' } as JsonWebKeyInput);
  } catch {
    return false;
  }
}

function isUrl(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && /^https?:/.test(value);
}

function isPrivate(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
