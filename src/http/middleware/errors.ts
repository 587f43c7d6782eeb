/** The one place where a failure becomes an answer: an OAuth error, a google.rpc.Status, or a page, by who asked. */
import type { Context, Middleware } from 'koa';
import { AppError, asAppError, KINDS, type Kind } from '../../errors.ts';
import { requestInfoOf } from './request-info.ts';

export interface ErrorPage {
  status: number;
  message: string;
  requestId: string;
}

export interface ErrorOptions {
  renderPage: (ctx: Context, page: ErrorPage) => void | Promise<void>;
  onError: (error: unknown, ctx: Context) => void;
}

/** Catches everything below it, and answers what nobody answered. */
export function handleErrors({ renderPage, onError }: ErrorOptions): Middleware {
  return async (ctx, next) => {
    try {
      await next();
      if (ctx.status === 404 && ctx.body === undefined && ctx.respond !== false)
        throw new AppError('not_found', 'There is nothing here.');
    } catch (thrown) {
      const error = asAppError(
        isClientError(thrown)
          ? new AppError('invalid_argument', 'The request is not well-formed.', { cause: thrown })
          : thrown,
      );
      // What is unavailable without a cause was switched off, or is known to be away: nobody has to look into it.
      if (!error.expected && !(error.kind === 'unavailable' && error.cause === undefined)) onError(error, ctx);
      if (ctx.headerSent || !ctx.writable) return;
      ctx.status = statusOf(thrown) ?? error.status;
      if (error.kind === 'unavailable') ctx.set('Retry-After', '5');
      if (error.kind === 'resource_exhausted') ctx.set('Retry-After', '60');
      ctx.set('Cache-Control', 'no-store');
      await render(ctx, error, renderPage);
    }
  };
}

/** The body of a failed request to the management API or `/oauth2/verify`: google.rpc.Status (wire contract). */
export function rpcStatus(error: AppError): object {
  const details =
    error.fields.length === 0
      ? []
      : [{ '@type': 'type.googleapis.com/google.rpc.BadRequest', field_violations: error.fields }];
  return { code: KINDS[error.kind].rpc, message: error.message, details };
}

/** Where every failure is a google.rpc.Status, whatever is accepted. */
const OF_API = /^\/(?:api\/|oauth2\/verify$)/;

async function render(ctx: Context, error: AppError, renderPage: ErrorOptions['renderPage']): Promise<void> {
  if (OF_API.test(ctx.path)) {
    ctx.body = rpcStatus(error);
  } else if (ctx.accepts('json', 'html') === 'html') {
    await renderPage(ctx, { status: ctx.status, message: error.message, requestId: requestInfoOf(ctx.req).requestId });
  } else {
    ctx.body = { error: OAUTH_ERRORS[error.kind] ?? 'invalid_request', error_description: error.message };
  }
}

/** RFC 6749 §4.1.2.1, §5.2. */
const OAUTH_ERRORS: Partial<Record<Kind, string>> = {
  internal: 'server_error',
  unavailable: 'temporarily_unavailable',
  resource_exhausted: 'temporarily_unavailable',
  not_found: 'not_found',
  permission_denied: 'access_denied',
};

/** What Koa and its body parsers throw about the request itself (too long, bad encoding) carries its own 4xx. */
function statusOf(thrown: unknown): number | undefined {
  return isClientError(thrown) ? (thrown as { status: number }).status : undefined;
}

function isClientError(thrown: unknown): boolean {
  const { status, expose } = (thrown ?? {}) as { status?: unknown; expose?: unknown };
  if (thrown instanceof AppError) return false;
  if (thrown instanceof URIError) return true;
  return expose === true && typeof status === 'number' && status >= 400 && status < 500;
}
