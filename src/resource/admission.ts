import { AppError } from '../errors.ts';
import { type Authenticator, createAuthenticator } from './authenticator.ts';
import type { Failure } from './decision.ts';
import type { Principal } from './principal.ts';
import { checkScopeWords, type ResourceOptions } from './settings.ts';

/** What the adapters send JSON as, in the one spelling that all frameworks can be brought to. */
export const JSON_TYPE = 'application/json; charset=utf-8';

/** Who let a request in, and how a refusal of that request is sent. */
interface Admission {
  authenticator: Authenticator;
  refuse: (failure: Failure) => unknown;
}

const admissions = new WeakMap<object, Admission>();

/** Notes that `request`, the framework's own object for it, was authenticated: what `requireScope` relies on. */
export function admit(request: object, authenticator: Authenticator, refuse: Admission['refuse']): void {
  admissions.set(request, { authenticator, refuse });
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
    const by = admissions.get(request);
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
  const headers = { 'Cache-Control': 'public, max-age=300' };
  return {
    ...{ paths, headers, document },
    isAsked: (method, path) => paths.has(path) && (method === 'GET' || method === 'HEAD'),
  };
}
