import type { JSONWebKeySet, JWTPayload } from 'jose';
import { AppError } from '../errors.ts';
import type { VerifyApiKey } from './api-key.ts';
import { metadataUrlFor } from './metadata.ts';

/** Every algorithm an access token or DPoP proof may be signed with: asymmetric ones only (RFC 8725 §3.1, §3.2). */
const ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
  'EdDSA',
  'Ed25519',
];
const DEFAULT_ALGORITHMS = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'];

/** What a resource server says about itself and about the issuer it trusts. */
export interface ResourceOptions {
  /** The authorization server, exactly as in its metadata and in `iss`. */
  issuer: string;
  /** This API's identifier: an access token must name it in `aud` (RFC 9068 §4). */
  audience: string;
  /** The identifier in RFC 9728 metadata, a URL without fragment. Default: `audience`, when that is a URL. */
  resource?: string;
  /** `https://host[:port]` where callers reach this API, as DPoP proofs name it. Default: origin of `resource`. */
  origin?: string;
  /** The `realm` of challenges (RFC 9110 §11.5). Default: none. */
  realm?: string;
  /** Accepted signature algorithms. Default: ES256, RS256, PS256, EdDSA, Ed25519. */
  algorithms?: readonly string[];
  /** Seconds by which clocks may differ, 0 to 60. Default 5. */
  clockTolerance?: number;
  /** The key set's URL. Default: `jwks_uri` of the issuer's metadata (RFC 8414). */
  jwksUri?: string;
  /** The key set itself, for the issuer's own process. Return the same object until the keys change. */
  jwks?: () => JSONWebKeySet | Promise<JSONWebKeySet>;
  /** Seconds that known keys serve on, past their freshness, while the issuer is unreachable. Default 3600. */
  maxStale?: number;
  /** Checks API keys in process. */
  verifyApiKey?: VerifyApiKey;
  /**
   * Whether a text that does not look like a key of the issuer's making is to be checked as one all the same, because keys
   * were imported from elsewhere: `(text) => text.startsWith('acme_')`. Never asked about JWTs. Default: no text is.
   */
  legacyKeys?: (text: string) => boolean | Promise<boolean>;
  /** Checks API keys by asking the issuer (RFC 7662) as this OAuth client; `cacheSeconds` 0 to 60, default 10. */
  introspection?: { clientId: string; clientSecret: string; cacheSeconds?: number };
  /** Whether a token that verifies is revoked all the same; asked on every request with the token's claims. */
  isRevoked?: (claims: JWTPayload) => boolean | Promise<boolean>;
  /** Told what keeps this middleware from checking credentials. Default: a process warning, once a minute each. */
  onError?: (error: Error) => void;
  /** Scopes to name in RFC 9728 metadata. */
  scopesSupported?: readonly string[];
  /** Allows an issuer on plain http that is not on loopback, as in a closed container network. Default false. */
  allowInsecureRequests?: boolean;
  /** Milliseconds since 1970; replaceable so that tests need not wait. Default `Date.now`. */
  clock?: () => number;
}

/** The options, checked and with every default filled in. */
export interface Settings extends ResourceOptions {
  algorithms: readonly string[];
  clockTolerance: number;
  maxStale: number;
  clock: () => number;
  onError: (error: Error) => void;
  /** Whether the middleware may send requests to this URL. */
  mayFetch: (url: string) => boolean;
  /** Where RFC 9728 metadata is found, absent when `resource` is not a URL. */
  metadataUrl: string | undefined;
}

const KNOWN: Record<keyof ResourceOptions, 'string' | 'number' | 'boolean' | 'function' | 'object'> = {
  issuer: 'string',
  audience: 'string',
  resource: 'string',
  origin: 'string',
  realm: 'string',
  algorithms: 'object',
  clockTolerance: 'number',
  jwksUri: 'string',
  jwks: 'function',
  maxStale: 'number',
  verifyApiKey: 'function',
  legacyKeys: 'function',
  introspection: 'object',
  isRevoked: 'function',
  onError: 'function',
  scopesSupported: 'object',
  allowInsecureRequests: 'boolean',
  clock: 'function',
};

const INTROSPECTION = ['clientId', 'clientSecret', 'cacheSeconds'];

/** @throws AppError `invalid_argument` naming the option that is wrong. */
export function settingsFrom(options: ResourceOptions): Settings {
  checkTypes(options);
  const { issuer, jwks, jwksUri, verifyApiKey, introspection } = options;
  const mayFetch = (url: string) => isHttpUrl(url) && (isSecure(url) || options.allowInsecureRequests === true);
  need(isHttpUrl(issuer) && !/[?#]/.test(issuer), 'issuer', 'must be a URL without query or fragment (RFC 8414 §2)');
  need(!!options.audience, 'audience', 'must name this API');
  need(!(jwks && jwksUri), 'jwks', 'cannot be combined with jwksUri');
  need(!(verifyApiKey && introspection), 'verifyApiKey', 'cannot be combined with introspection');
  need(jwksUri === undefined || mayFetch(jwksUri), 'jwksUri', 'must be an https URL, or http on loopback');
  const remote = (!jwks && !jwksUri) || introspection;
  need(
    !remote || mayFetch(issuer),
    'issuer',
    'must be https, or http on loopback, unless allowInsecureRequests is set',
  );
  if (introspection) {
    const strange = Object.keys(introspection).find((name) => !INTROSPECTION.includes(name));
    need(strange === undefined, `introspection.${strange}`, 'is not an option');
    need(isText(introspection.clientId), 'introspection.clientId', 'must be a non-empty string');
    need(isText(introspection.clientSecret), 'introspection.clientSecret', 'must be a non-empty string');
    need(inRange(introspection.cacheSeconds ?? 10, 60), 'introspection.cacheSeconds', 'must be 0 to 60 seconds');
  }
  return { ...options, ...checkedValues(options), ...checkedIdentity(options), mayFetch };
}

function checkedValues(options: ResourceOptions) {
  const { clockTolerance = 5, maxStale = 3600, algorithms = DEFAULT_ALGORITHMS, clock = Date.now } = options;
  need(inRange(clockTolerance, 60), 'clockTolerance', 'must be 0 to 60 seconds');
  need(inRange(maxStale, 86_400), 'maxStale', 'must be 0 to 86400 seconds');
  const known =
    Array.isArray(algorithms) && algorithms.length > 0 && algorithms.every((name) => ALGORITHMS.includes(name));
  need(known, 'algorithms', `must be a list out of ${ALGORITHMS.join(', ')}`);
  const { realm, scopesSupported } = options;
  need(
    realm === undefined || /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/.test(realm),
    'realm',
    'must be plain ASCII without quotes',
  );
  if (scopesSupported !== undefined) checkScopeWords('scopesSupported', scopesSupported);
  return { clockTolerance, maxStale, algorithms, clock, onError: options.onError ?? createWarning(clock) };
}

function checkedIdentity(options: ResourceOptions) {
  const resource = options.resource ?? (isHttpUrl(options.audience) ? options.audience : undefined);
  const valid = resource === undefined || (isHttpUrl(resource) && !/["\\#]/.test(resource));
  need(valid, 'resource', 'must be a URL without fragment (RFC 9728 §1.2)');
  const origin = options.origin ?? (resource === undefined ? undefined : new URL(resource).origin);
  need(
    origin === undefined || (isHttpUrl(origin) && new URL(origin).origin === origin),
    'origin',
    'must be scheme://host[:port]',
  );
  return { resource, origin, metadataUrl: resource === undefined ? undefined : metadataUrlFor(resource) };
}

/** @throws AppError `invalid_argument` naming `option` unless `words` is a list of scope tokens (RFC 6749 §3.3). */
export function checkScopeWords(option: string, words: readonly string[]): void {
  const valid = Array.isArray(words) && words.every((word) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(String(word)));
  need(valid, option, 'must be a list of scope words (RFC 6749 §3.3)');
}

function checkTypes(options: ResourceOptions): void {
  need(typeof options === 'object' && options !== null, 'options', 'must be an object');
  for (const [name, value] of Object.entries(options)) {
    const expected = Object.hasOwn(KNOWN, name) ? KNOWN[name as keyof ResourceOptions] : undefined;
    need(expected !== undefined, name, 'is not an option');
    need(value === undefined || (value !== null && typeof value === expected), name, `must be of type ${expected}`);
  }
  need(isText(options.issuer), 'issuer', 'must be a URL');
  need(isText(options.audience), 'audience', 'must name this API');
}

function need(condition: boolean, option: string, problem: string): void {
  if (condition) return;
  throw new AppError('invalid_argument', `${option} ${problem}`, { fields: [{ field: option, description: problem }] });
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function inRange(value: unknown, max: number): boolean {
  return typeof value === 'number' && value >= 0 && value <= max;
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'https:' || protocol === 'http:') && !username && !password;
}

function isSecure(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

/** A flood of requests during an outage must not become a flood of log lines. */
function createWarning(clock: () => number): (error: Error) => void {
  const lastShown = new Map<string, number>();
  return (error) => {
    if (clock() - (lastShown.get(error.message) ?? Number.NEGATIVE_INFINITY) < 60_000) return;
    if (lastShown.size >= 100) lastShown.clear();
    lastShown.set(error.message, clock());
    process.emitWarning(error.message, 'LatchkeyResourceWarning');
  };
}
