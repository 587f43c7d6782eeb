/** Our failures in the engine's words, so that its own renderers and redirects treat them like every other OAuth error. */
import { errors } from 'oidc-provider';
import { AppError } from '../errors.ts';

/** RFC 6749 §4.1.2.1 names the error; the status tells clients and load balancers to come back. Never sent as a redirect. */
function temporarilyUnavailable(error: AppError): Error {
  const out = new errors.CustomOIDCProviderError('temporarily_unavailable', error.message);
  return Object.assign(out, { status: 503, statusCode: 503, expose: true, allow_redirect: false, cause: error.cause });
}

/** What the engine should see instead of `error`. */
export function engineError(error: unknown): unknown {
  return error instanceof AppError && error.kind === 'unavailable' ? temporarilyUnavailable(error) : error;
}
