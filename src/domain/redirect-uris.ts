/**
 * Where an app may have people sent back to. Every URI is registered in full and compared character by character
 * (RFC 9700 §2.1), so only what a browser would send unchanged can be registered.
 */
import { type AppError, invalidField } from '../errors.ts';

const LONGEST = 2_000;
/** Of one app, of each kind. */
export const MOST_REDIRECT_URIS = 100;
// RFC 3986 §2: anything else has to be percent-encoded in a URI.
const URI_CHARACTERS = /^[A-Za-z0-9._~:/?#[\]@!$&'()+,;=%-]+$/;
// RFC 8252 §7.1: a reverse domain name, which is what keeps two apps on one device apart.
const PRIVATE_USE_SCHEME = /^[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:$/;

/** The app the URIs belong to. Public apps run on people's devices (RFC 8252). */
export interface RedirectPolicy {
  baseUrl: string;
  type: 'confidential' | 'public';
}

/**
 * The address of an app: https, or http on loopback.
 * @throws AppError `invalid_argument`
 */
export function checkBaseUrl(value: string): string {
  const why = baseUrlRefusal(value);
  if (why !== undefined) throw refuse('base_url', value, why);
  return value;
}

/**
 * The redirect URIs of an app. Each has the scheme of the app's base URL and its host or a sub-domain of it; a public
 * app may also have http on loopback with any port (RFC 8252 §7.3) and private-use schemes (§7.1).
 * @param field name of the input, for messages
 * @throws AppError `invalid_argument` saying which URI is wrong and why
 */
export function checkRedirectUris(field: string, uris: readonly string[], policy: RedirectPolicy): string[] {
  if (uris.length > MOST_REDIRECT_URIS) throw invalidField(field, `must be at most ${MOST_REDIRECT_URIS}`);
  for (const uri of uris) {
    const why = redirectUriRefusal(uri, policy);
    if (why !== undefined) throw refuse(field, uri, why);
  }
  return [...new Set(uris)];
}

/** Why it cannot be the address of an app, in words that go on from "it …"; undefined when it can. */
export function baseUrlRefusal(value: string): string | undefined {
  const why = textRefusal(value);
  if (why !== undefined) return why;
  return isWebUrl(new URL(value)) ? undefined : 'must be an https URL, or an http URL on loopback';
}

/**
 * Why it cannot be a redirect URI of such an app, in words that go on from "it …"; undefined when it can.
 * @param policy without `baseUrl` it is not held against the app's address
 */
export function redirectUriRefusal(
  uri: string,
  { baseUrl, type }: Pick<RedirectPolicy, 'type'> & { baseUrl?: string | undefined },
): string | undefined {
  const why = textRefusal(uri);
  if (why !== undefined) return why;
  const url = new URL(uri);
  if (type === 'public' && PRIVATE_USE_SCHEME.test(url.protocol)) return undefined;
  if (!isWebUrl(url)) return explainScheme(url, type);
  if (type === 'public' && isLoopback(url)) {
    // No authority certifies a loopback name, so RFC 8252 §7.3 has plain http there.
    return url.protocol === 'https:' ? 'must be http on loopback' : undefined;
  }
  if (baseUrl === undefined) return undefined;
  const base = new URL(baseUrl);
  const sameHost = url.hostname === base.hostname || url.hostname.endsWith(`.${base.hostname}`);
  if (url.protocol === base.protocol && sameHost) return undefined;
  return `must have the scheme of the base URL (${base.origin}) and its host or a sub-domain of it`;
}

function textRefusal(uri: string): string | undefined {
  if (typeof uri !== 'string' || uri.length > LONGEST) return `must be at most ${LONGEST} characters`;
  if (uri.includes('*')) {
    return (
      'patterns and "any redirect URI" are not offered: whoever can choose where codes are sent can take them ' +
      '(RFC 9700 §4.1). Register every URI in full'
    );
  }
  if (!URI_CHARACTERS.test(uri) || !URL.canParse(uri)) return 'must be an absolute URI, percent-encoded';
  const url = new URL(uri);
  if (uri.includes('#')) return 'must not have a fragment (RFC 6749 §3.1.2)';
  if (url.username !== '' || url.password !== '') return 'must not have a user name or password';
  // `https://host` is sent as it is registered, with or without the slash.
  const asSent = url.href === uri || url.href === `${uri}/`;
  return asSent ? undefined : `must be written as a browser sends it: ${url.href}`;
}

/** Whether it is https, or http on loopback, where nobody can listen in. */
export function isWebUrl(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url));
}

// RFC 8252 §7.3.
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Whether it leads to the machine the browser runs on. */
export function isLoopback({ hostname }: URL): boolean {
  return LOOPBACK.includes(hostname);
}

function explainScheme(url: URL, type: RedirectPolicy['type']): string {
  if (url.protocol === 'http:') return 'must be https; plain http is for loopback only';
  return type === 'public'
    ? 'must be https, http on loopback, or have a private-use scheme with a dot such as com.example.app:'
    : 'must be https, or http on loopback';
}

function refuse(field: string, uri: string, why: string): AppError {
  return invalidField(field, `${JSON.stringify(String(uri).slice(0, 200))} ${why}`);
}
