import { createAccessTokenVerifier, invalidToken } from './access-token.ts';
import { checkApiKeyText, isLegacyKey, unauthenticated } from './api-key.ts';
import { type Credential, findCredential, type ResourceRequest } from './credential.ts';
import { checkScope, type Decision, type Failure, failure, Refused, unavailable } from './decision.ts';
import { createDiscovery, type FindEndpoint } from './discovery.ts';
import { createProofChecker } from './dpop.ts';
import { createIntrospection } from './introspection.ts';
import { createLocalKeySet, type KeySet } from './key-set.ts';
import { metadataOf, type ProtectedResourceMetadata } from './metadata.ts';
import { sendable } from './notice.ts';
import { fetchJson } from './outbound.ts';
import type { Principal } from './principal.ts';
import { createRemoteKeySet } from './remote-key-set.ts';
import { createRevocationFeed } from './revocation-feed.ts';
import { type ResourceOptions, type Settings, settingsFrom } from './settings.ts';
import { createUsageReport } from './usage-report.ts';

/** The middleware without a framework: requests in, decisions out. Keep one per API, it holds the caches. */
export interface Authenticator {
  /** Who sent this request. Never rejects: what cannot be checked is a Failure with status 503. */
  authenticate(request: ResourceRequest): Promise<Decision>;
  /** Undefined when `principal` has all of `scopes`, otherwise the 403 to send (RFC 6750 §3.1). */
  checkScope(principal: Principal, scopes: readonly string[]): Failure | undefined;
  /** The external URL of a request target such as `/a?b`; undefined without a configured origin. */
  externalUrl(target: string): string | undefined;
  /** The RFC 9728 document and the paths to serve it at; undefined when `resource` is not a URL. */
  readonly metadata: { readonly document: ProtectedResourceMetadata; readonly paths: ReadonlySet<string> } | undefined;
}

/**
 * Builds the middleware's core. Nothing is fetched before the first credential needs it.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function createAuthenticator(options: ResourceOptions): Authenticator {
  const settings = settingsFrom(options);
  const findEndpoint = createDiscovery(settings.issuer, settings.mayFetch, settings.clock);
  const keys = createKeySet(settings, findEndpoint);
  const feed = settings.jwks ? undefined : createRevocationFeed(settings, findEndpoint, keys);
  const verifyAccessToken = createAccessTokenVerifier(settings, keys, feed);
  const verifyApiKey = settings.introspection ? createIntrospection(settings, findEndpoint) : settings.verifyApiKey;
  const countUse = settings.introspection && createUsageReport(settings, findEndpoint);
  const checkProof = createProofChecker(settings);

  return {
    async authenticate(request) {
      let credential: Credential | undefined;
      try {
        credential = findCredential(request);
        const { token } = credential;
        const isLegacy = settings.legacyKeys ? await isLegacyKey(token, settings.legacyKeys) : false;
        // The credential's shape alone decides who checks it: a bad JWT is never tried as a key, nor a key as a JWT.
        if (isLegacy || !isJwt(token)) return admitted(await acceptApiKey(credential, isLegacy));
        const verifying = verifyAccessToken(token);
        // Nothing is waited for that is there: a turn of the microtask queue is felt with a cached token.
        const { principal, jkt } = verifying instanceof Promise ? await verifying : verifying;
        refuseOtherScheme(credential, jkt);
        if (jkt !== undefined) await checkProof(request, token, jkt);
        return admitted(principal);
      } catch (error) {
        return failure(asRefused(error, settings), settings, credential?.scheme);
      }
    },
    checkScope: (principal, scopes) => checkScope(principal, scopes, settings),
    externalUrl: (target) => (settings.origin && target.startsWith('/') ? settings.origin + target : undefined),
    metadata: metadataOf(settings),
  };

  function admitted(principal: Principal): Decision {
    countUse?.(principal);
    return { principal };
  }

  async function acceptApiKey({ scheme, token }: Credential, isLegacy: boolean): Promise<Principal> {
    if (!isLegacy) checkApiKeyText(token);
    if (scheme === 'DPoP') throw unauthenticated('DPoP scheme for an API key');
    if (!settings.apiKeys || !verifyApiKey) throw unauthenticated('API keys are not accepted');
    const answer = await verifyApiKey(token);
    if (!answer) throw unauthenticated('key unknown, revoked or expired');
    if ('retired' in answer) throw unauthenticated('key retired', sendable(answer.retired));
    return answer.notice ? { ...answer, notice: sendable(answer.notice) } : answer;
  }
}

/** RFC 9449 §7.2: a bound token is refused as Bearer, and one that is not bound is refused as DPoP. */
function refuseOtherScheme({ scheme }: Credential, jkt: string | undefined): void {
  if (jkt === undefined && scheme === 'DPoP') throw invalidToken('DPoP scheme for a token that is not bound');
  if (jkt !== undefined && scheme === 'Bearer') throw invalidToken('Bearer scheme for a bound token');
}

/** Whether there are two dots in it, and not one more. */
function isJwt(token: string): boolean {
  const [first, last] = [token.indexOf('.'), token.lastIndexOf('.')];
  return first !== last && token.indexOf('.', first + 1) === last;
}

function createKeySet(settings: Settings, findEndpoint: FindEndpoint): KeySet {
  const { jwks, jwksUri } = settings;
  if (jwks) return createLocalKeySet(jwks);
  return createRemoteKeySet(async () => fetchJson(jwksUri ?? (await findEndpoint('jwks_uri'))), settings);
}

/** Fails closed: whatever keeps a credential from being checked refuses the request, like an outage. */
function asRefused(error: unknown, settings: Settings): Refused {
  if (error instanceof Refused) return error;
  settings.onError(error as Error);
  return unavailable('could not be checked', error);
}
