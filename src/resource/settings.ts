import type { JSONWebKeySet, JWTPayload } from 'jose';
import { AppError } from '../errors.ts';
import type { VerifyApiKey } from './api-key.ts';
import { metadataUrlFor } from './metadata.ts';

/** Every algorithm an access token or DPoP proof may be signed with: asymmetric ones only (RFC 8725 §3.1, §3.2). */
const ALGORITHM = /^([EPR]S(256|384|512)|EdDSA|Ed25519)$/;

/** Of `introspection`: with what it takes to be told, a revoked key is refused within 5 s. */
export const DEFAULT_CACHE_SECONDS = 4;

const SECURE = 'must be https, or http on loopback';

const FAIL_MODES = ['known-good', 'closed', 'verified'] as const;

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
  /** Accepted signature algorithms, of access tokens and of the revocation feed. Default: ES256, RS256, PS256, EdDSA, Ed25519. */
  algorithms?: readonly string[];
  /** Seconds by which clocks may differ, 0 to 60. Default 5. */
  clockTolerance?: number;
  /**
   * The key set's URL. Default: `jwks_uri` of the issuer's metadata (RFC 8414). That is asked for all the same, since it
   * names the revocation feed.
   */
  jwksUri?: string;
  /**
   * The key set itself, for the issuer's own process. Return the same object until the keys change. The revocation feed
   * is not followed then: `isRevoked` says what is revoked.
   */
  jwks?: () => JSONWebKeySet | Promise<JSONWebKeySet>;
  /**
   * What happens to access tokens while the issuer's revocation feed cannot be had, so that its last answer is more than
   * 5 s old. Whatever it is, tokens that are known to be revoked stay 401.
   *
   * - `known-good` (default): those accepted before go on for `maxStale` seconds from that answer; all others are 503.
   * - `closed`: all are 503.
   * - `verified`: whatever verifies offline is accepted for `maxStale` seconds from that answer, also what is seen for
   *   the first time.
   *
   * After `maxStale` all are 503, in each mode. An issuer whose metadata names no feed is not followed.
   */
  failMode?: (typeof FAIL_MODES)[number];
  /**
   * Seconds for which what was last heard of the issuer serves on while it is unreachable: its keys from when they
   * should have been renewed, its revocations as `failMode` says. 0 to 86400, default 300.
   */
  maxStale?: number;
  /** Entries that are remembered at most, of access tokens and of API keys each; 0: none. Default 10000. */
  cacheSize?: number;
  /** Whether API keys are accepted. Default: when there is a way to check them, `verifyApiKey` or `introspection`. */
  apiKeys?: boolean;
  /** Checks API keys in process. */
  verifyApiKey?: VerifyApiKey;
  /**
   * Whether a text that does not look like a key of the issuer's making is to be checked as one all the same, because
   * keys were imported from elsewhere: `(text) => text.startsWith('acme_')`. Never asked about JWTs. Default: no text is.
   */
  legacyKeys?: (text: string) => boolean | Promise<boolean>;
  /**
   * Checks API keys by asking the issuer (RFC 7662) as this OAuth client; `cacheSeconds` 0 to 60, default 4: how long a
   * revoked key may go on. The issuer is also told how many requests came with which credential, if it wants to know.
   */
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
  failMode: (typeof FAIL_MODES)[number];
  maxStale: number;
  cacheSize: number;
  apiKeys: boolean;
  clock: () => number;
  onError: (error: Error) => void;
  /** Whether the middleware may send requests to this URL. */
  mayFetch: (url: string) => boolean;
  /** Where RFC 9728 metadata is found, absent when `resource` is not a URL. */
  metadataUrl: string | undefined;
}

const DEFAULTS = {
  algorithms: ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'] as readonly string[],
  failMode: 'known-good' as const,
  clockTolerance: 5,
  maxStale: 300,
  cacheSize: 10_000,
  clock: Date.now,
};

const MAXIMA = { clockTolerance: 60, maxStale: 86_400, cacheSize: 1_000_000 };

const [text, flag, hook] = ['', false, Date.now];

/** Of each option something of its type. */
const SAMPLES: Record<keyof ResourceOptions, unknown> = {
  ...DEFAULTS,
  ...{ issuer: text, audience: text, resource: text, origin: text, realm: text, jwksUri: text },
  ...{ apiKeys: flag, allowInsecureRequests: flag, introspection: {}, scopesSupported: [] },
  ...{ jwks: hook, verifyApiKey: hook, legacyKeys: hook, isRevoked: hook, onError: hook },
};

/** @throws AppError `invalid_argument` naming the option that is wrong. */
export function settingsFrom(options: ResourceOptions): Settings {
  need(typeof options === 'object' && options !== null, 'options', 'must be an object');
  const given = checked(options, SAMPLES);
  const { issuer, jwks, jwksUri, verifyApiKey, introspection, allowInsecureRequests } = given;
  const canCheckKeys = !!(verifyApiKey ?? introspection);
  const settings = { ...DEFAULTS, apiKeys: canCheckKeys, ...given };
  const mayFetch = (url: string) => isHttpUrl(url) && (isSecure(url) || allowInsecureRequests === true);
  need(isHttpUrl(issuer) && !/[?#]/.test(issuer), 'issuer', 'must be a URL without query or fragment (RFC 8414 §2)');
  need(!!given.audience, 'audience', 'must name this API');
  need(!jwks || !jwksUri, 'jwks', 'cannot be combined with jwksUri');
  need(!verifyApiKey || !introspection, 'verifyApiKey', 'cannot be combined with introspection');
  need(canCheckKeys || !settings.apiKeys, 'apiKeys', 'needs introspection or verifyApiKey');
  need(jwksUri === undefined || mayFetch(jwksUri), 'jwksUri', SECURE);
  need((jwks && !introspection) || mayFetch(issuer), 'issuer', `${SECURE}, unless allowInsecureRequests is set`);
  if (introspection) checkIntrospection(introspection);
  need(FAIL_MODES.includes(settings.failMode), 'failMode', `must be one of ${FAIL_MODES.join(', ')}`);
  for (const [name, max] of Object.entries(MAXIMA)) checkRange(name, settings[name as keyof typeof MAXIMA], max);
  const { algorithms, clock, onError = createWarning(clock) } = settings;
  const areKnown = Array.isArray(algorithms) && algorithms.every((name) => ALGORITHM.test(name));
  need(areKnown && algorithms.length > 0, 'algorithms', 'must be a list of asymmetric ones, such as ES256');
  return { ...settings, ...identityOf(given), mayFetch, onError: guarded(onError) };
}

function checkIntrospection(introspection: NonNullable<ResourceOptions['introspection']>): void {
  checked(introspection, { clientId: text, clientSecret: text, cacheSeconds: 0 }, 'introspection.');
  const { clientId, clientSecret, cacheSeconds = DEFAULT_CACHE_SECONDS } = introspection;
  need(clientId, 'introspection.clientId', 'is missing');
  need(clientSecret, 'introspection.clientSecret', 'is missing');
  checkRange('introspection.cacheSeconds', cacheSeconds, 60);
}

function identityOf({ audience, realm = '', scopesSupported = [], ...options }: ResourceOptions) {
  need(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/.test(realm), 'realm', 'must be ASCII without quotes');
  checkScopeWords('scopesSupported', scopesSupported);
  const { resource = isHttpUrl(audience) ? audience : undefined } = options;
  const isResource = resource === undefined || (isHttpUrl(resource) && !/["\\#]/.test(resource));
  need(isResource, 'resource', 'must be a URL without fragment (RFC 9728 §1.2)');
  const { origin = resource && new URL(resource).origin } = options;
  const isOrigin = origin === undefined || (isHttpUrl(origin) && new URL(origin).origin === origin);
  need(isOrigin, 'origin', 'must be scheme://host[:port]');
  return { resource, origin, metadataUrl: resource && metadataUrlFor(resource) };
}

/** @throws AppError `invalid_argument` naming `option` unless `words` is a list of scope tokens (RFC 6749 §3.3). */
export function checkScopeWords(option: string, words: readonly string[]): void {
  const valid = Array.isArray(words) && words.every((word) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(String(word)));
  need(valid, option, 'must be a list of scope words (RFC 6749 §3.3)');
}

/** The options that are there, each known and of its type. */
function checked<Options extends object>(options: Options, samples: Record<string, unknown>, prefix = ''): Options {
  const given = Object.entries(options).filter(([name, value]) => {
    need(Object.hasOwn(samples, name), prefix + name, 'is not an option');
    const type = typeof samples[name];
    need(value === undefined || (value !== null && typeof value === type), prefix + name, `must be of type ${type}`);
    return value !== undefined;
  });
  return Object.fromEntries(given) as Options;
}

function checkRange(option: string, value: number, max: number): void {
  need(value >= 0 && value <= max, option, `must be 0 to ${max}`);
}

function need(condition: unknown, option: string, problem: string): void {
  if (condition) return;
  throw new AppError('invalid_argument', `${option} ${problem}`, { fields: [{ field: option, description: problem }] });
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && !username && !password;
}

function isSecure(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

/** A flood of requests during an outage must not become a flood of log lines. */
function createWarning(clock: () => number): (error: Error) => void {
  const lastShown = new Map<string, number>();
  return ({ message }) => {
    if (Math.abs(clock() - (lastShown.get(message) ?? Number.NEGATIVE_INFINITY)) < 60_000) return;
    if (lastShown.size >= 100) lastShown.clear();
    lastShown.set(message, clock());
    warn(message);
  };
}

/** A hook that throws must not turn a decision into a crash. */
function guarded(onError: Settings['onError']): Settings['onError'] {
  return async (error) => {
    try {
      await onError(error);
    } catch {
      warn('The onError option threw');
    }
  };
}

function warn(message: string): void {
  process.emitWarning(message, 'LatchkeyResourceWarning');
}
