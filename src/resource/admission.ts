import { AppError } from '../errors.ts';
import { type Authenticator, createAuthenticator } from './authenticator.ts';
import type { Failure } from './decision.ts';
import { type NodeRequest, nodeRequest } from './node-request.ts';
import type { Principal } from './principal.ts';
import { checkScopeWords, type ResourceOptions } from './settings.ts';

/** What the adapters send JSON as, in the one spelling that all frameworks can be brought to. */
export const JSON_TYPE = 'application/json; charset=utf-8';

/** Who let a request in, and how a refusal of that request is sent. */
interface Admission {
  authenticator: Authenticator;
  refuse: (failure: Failure) => unknown;
}

// In the request itself: a WeakMap with an entry for each request costs a fifth of the time in garbage collection.
const ADMISSION = Symbol('admission');

interface Admitted {
  [ADMISSION]?: Admission;
}

/**
 * What all adapters' `authenticate` have in common. `request` is the framework's own object for the request, by which
 * `requireScope` finds the way back; `received` what is looked at. Ends with either `refuse` or `accept`.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function createGate(options: ResourceOptions) {
  const authenticator = createAuthenticator(options);
  return async <Refusal, Accepted>(
    request: object,
    received: NodeRequest,
    refuse: (failure: Failure) => Refusal,
    accept: (principal: Principal) => Accepted,
  ): Promise<Awaited<Refusal> | Awaited<Accepted>> => {
    const decision = await authenticator.authenticate(nodeRequest(received, authenticator));
    if (!decision.principal) return await refuse(decision);
    (request as Admitted)[ADMISSION] = { authenticator, refuse };
    return await accept(decision.principal);
  };
}

/**
 * The check behind every adapter's `requireScope`: undefined when `principal` has all of `scopes`, otherwise what sends
 * the 403 (RFC 6750 §3.1) in the way `authenticate` sends refusals.
 *
 * @throws AppError `invalid_argument` for a word that is not a scope; `internal`, per request, when it was not admitted.
 */
export function createScopeCheck<Sent>(
  scopes: readonly string[],
): (request: object, principal: Principal | undefined) => (() => Sent) | undefined {
  if (scopes.length === 0) throw new AppError('invalid_argument', 'requireScope needs at least one scope');
  checkScopeWords('requireScope', scopes);
  return (request, principal) => {
    const by = (request as Admitted)[ADMISSION];
    if (!principal || !by) throw new AppError('internal', 'requireScope was used without authenticate before it');
    const failure = by.authenticator.checkScope(principal, scopes);
    return failure && (() => by.refuse(failure) as Sent);
  };
}

/** The API's own metadata (RFC 9728), ready to be served. */
export interface ServedMetadata {
  paths: ReadonlySet<string>;
  headers: Readonly<Record<string, string>>;
  document: object;
  /** Whether this request asks for it. */
  isAsked(method: string | undefined, path: string): boolean;
}

/** @throws AppError `invalid_argument` naming the option that is wrong or missing. */
export function servedMetadata(options: ResourceOptions): ServedMetadata {
  const { metadata } = createAuthenticator(options);
  if (!metadata) throw new AppError('invalid_argument', 'resource must be set, because audience is not a URL');
  const { paths, document } = metadata;
  return {
    paths,
    document,
    headers: { 'Cache-Control': 'public, max-age=300' },
    isAsked: (method, path) => paths.has(path) && (method === 'GET' || method === 'HEAD'),
  };
}
