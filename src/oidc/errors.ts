/** Our failures in the engine's words, so that its own renderers and redirects treat them like every other OAuth error. */
import { errors } from 'oidc-provider';
import { AppError } from '../errors.ts';

/** RFC 6749 §4.1.2.1 names the error; the status tells clients and load balancers to come back. Never sent as a redirect. */
function temporarilyUnavailable(error: AppError): Error {
  const out = new errors.CustomOIDCProviderError('temporarily_unavailable', error.message);
  const { status, cause } = error;
  return Object.assign(out, { status, statusCode: status, expose: true, allow_redirect: false, cause });
}

/** What the engine should see instead of `error`. */
export function engineError(error: unknown): unknown {
  const isPassing = error instanceof AppError && (error.kind === 'unavailable' || error.kind === 'resource_exhausted');
  return isPassing ? temporarilyUnavailable(error) : error;
}

/** The way back: what the engine throws for a failure of storage, as ours. */
export function ourError(error: unknown): unknown {
  const { statusCode, error_description } = (error ?? {}) as { statusCode?: number; error_description?: string };
  if (statusCode !== 503) return error;
  return new AppError('unavailable', error_description ?? 'Try again in a few seconds.', { cause: error });
}
