/**
 * `latchkey/resource`: checks whatever credential a request brings to an API and says who is calling.
 *
 * Owns: finding the credential, telling kinds apart, verifying access tokens (RFC 9068) offline, following what the
 * issuer revokes, asking for API keys, DPoP proofs (RFC 9449), scopes, challenges (RFC 6750) and the API's own metadata
 * (RFC 9728).
 * Does not own: issuing anything, the database, what a scope allows. It knows the issuer by URL only and imports
 * nothing of the server but its error class, so that it runs in other people's services (Node 20.15 or later).
 *
 * `createAuthenticator` is the core without a framework; the other functions are the Koa adapter. The adapters for
 * other frameworks are modules of their own (`latchkey/resource/express` and so on): each takes only types from its
 * framework, so that none is a dependency.
 */
export type { Retired, VerifyApiKey } from './api-key.ts';
export { type Authenticator, createAuthenticator } from './authenticator.ts';
export type { ResourceRequest } from './credential.ts';
export type { Decision, Failure } from './decision.ts';
export {
  authenticate,
  type KoaContext,
  type KoaMiddleware,
  type KoaOptions,
  protectedResourceMetadata,
  type RenderFailure,
  requireScope,
} from './koa.ts';
export type { ProtectedResourceMetadata } from './metadata.ts';
export type { Notice } from './notice.ts';
export type { Principal } from './principal.ts';
export type { ResourceOptions } from './settings.ts';
