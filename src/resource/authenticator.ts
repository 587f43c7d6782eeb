import { createAccessTokenVerifier, invalidToken, type VerifyAccessToken } from './access-token.ts';
import { checkApiKeyText, isLegacyKey, unauthenticated, type VerifyApiKey } from './api-key.ts';
import { type Credential, findCredential, type ResourceRequest } from './credential.ts';
import { type Decision, type Failure, failure, Refused, unavailable } from './decision.ts';
import { createDiscovery, type FindEndpoint } from './discovery.ts';
import { type CheckProof, createProofChecker } from './dpop.ts';
import { createIntrospection } from './introspection.ts';
import { createLocalKeySet, type KeySet } from './key-set.ts';
import { metadataOf, metadataPaths, type ProtectedResourceMetadata } from './metadata.ts';
import { fetchJson } from './outbound.ts';
import type { Principal } from './principal.ts';
import { createRemoteKeySet } from './remote-key-set.ts';
import { checkScope } from './scope.ts';
import { type ResourceOptions, type Settings, settingsFrom } from './settings.ts';

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
  const settings = guarded(settingsFrom(options));
  const findEndpoint = createDiscovery(settings.issuer, fetchJson, settings.mayFetch, settings.clock);
  const verifyAccessToken = createAccessTokenVerifier(settings, createKeySet(settings, findEndpoint));
  const verifyApiKey = settings.introspection
    ? createIntrospection(settings, findEndpoint, fetchJson)
    : settings.verifyApiKey;
  const checkProof = createProofChecker(settings);
  const document = metadataOf(settings);

  return {
    async authenticate(request) {
      let credential: Credential | undefined;
      try {
        credential = findCredential(request);
        return { principal: await verify(request, credential) };
      } catch (error) {
        return failure(asRefused(error, settings), settings, credential?.scheme);
      }
    },
    checkScope: (principal, scopes) => checkScope(principal, scopes, settings),
    externalUrl: (target) => (settings.origin && target.startsWith('/') ? settings.origin + target : undefined),
    metadata: document && { document, paths: metadataPaths(settings) },
  };

  /** The credential's shape alone decides who checks it: a bad JWT is never tried as a key, nor a key as a JWT. */
  async function verify(request: ResourceRequest, credential: Credential): Promise<Principal> {
    const isLegacy = await isLegacyKey(credential.token, settings.legacyKeys);
    if (!isLegacy && !isJwt(credential.token)) checkApiKeyText(credential.token);
    return !isLegacy && isJwt(credential.token)
      ? acceptAccessToken(request, credential, verifyAccessToken, checkProof)
      : acceptApiKey(credential, verifyApiKey, settings);
  }
}

function isJwt(token: string): boolean {
  return token.split('.', 4).length === 3;
}

/** RFC 9449 §7.2: a bound token is refused as Bearer, and one that is not bound is refused as DPoP. */
async function acceptAccessToken(
  request: ResourceRequest,
  { scheme, token }: Credential,
  verifyAccessToken: VerifyAccessToken,
  checkProof: CheckProof,
): Promise<Principal> {
  const { principal, jkt } = await verifyAccessToken(token);
  if (jkt === undefined && scheme === 'DPoP') throw invalidToken('DPoP scheme for a token that is not bound');
  if (jkt !== undefined && scheme === 'Bearer') throw invalidToken('Bearer scheme for a bound token');
  if (jkt !== undefined) await checkProof(request, token, jkt);
  return principal;
}

async function acceptApiKey(
  { scheme, token }: Credential,
  verifyApiKey: VerifyApiKey | undefined,
  settings: Settings,
): Promise<Principal> {
  if (scheme === 'DPoP') throw unauthenticated('DPoP scheme for an API key');
  if (!verifyApiKey) throw unauthenticated('API keys are not accepted');
  let principal: Principal | undefined;
  try {
    principal = await verifyApiKey(token);
  } catch (cause) {
    settings.onError(cause as Error);
    throw unavailable('API key could not be checked', cause);
  }
  if (!principal) throw unauthenticated('key unknown, revoked or expired');
  return principal;
}

function createKeySet(settings: Settings, findEndpoint: FindEndpoint): KeySet {
  const { jwks, jwksUri } = settings;
  if (jwks) return createLocalKeySet(jwks, settings.onError);
  return createRemoteKeySet(async () => fetchJson(jwksUri ?? (await findEndpoint('jwks_uri'))), settings);
}

/** A hook that throws must not turn a decision into a crash. */
function guarded(settings: Settings): Settings {
  const { onError } = settings;
  return {
    ...settings,
    onError(error) {
      try {
        onError(error);
      } catch {
        process.emitWarning('The onError option threw', 'LatchkeyResourceWarning');
      }
    },
  };
}

/** Fails closed: an error nobody foresaw refuses the request like an outage does. */
function asRefused(error: unknown, settings: Settings): Refused {
  if (error instanceof Refused) return error;
  settings.onError(error as Error);
  return unavailable('unexpected error', error);
}
