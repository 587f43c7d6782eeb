import type { Context, Middleware, Next } from 'koa';
import { AppError } from '../errors.ts';
import { type Authenticator, createAuthenticator } from './authenticator.ts';
import type { ResourceRequest } from './credential.ts';
import type { Failure } from './decision.ts';
import type { Principal } from './principal.ts';
import { checkScopeWords, type ResourceOptions } from './settings.ts';

/** Sends a refusal. Keep its status and headers; the body is yours to shape. */
export type RenderFailure = (ctx: Context, failure: Failure) => void | Promise<void>;

/** What only the Koa adapter needs to know. */
export interface KoaOptions {
  /** Replaces the built-in answer, for instance to add a request id. */
  renderFailure?: RenderFailure;
}

/** Who authenticated which request: what `requireScope` needs to answer in the same way. */
const authenticated = new WeakMap<Context, { authenticator: Authenticator; render: RenderFailure }>();

/**
 * Koa middleware: puts the caller into `ctx.state.principal` and goes on, or answers 400, 401 or 503 itself.
 * Create it once and use it for all routes of the API, since each one has caches of its own.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function authenticate(options: ResourceOptions, { renderFailure = renderJson }: KoaOptions = {}): Middleware {
  const authenticator = createAuthenticator(options);
  return async (ctx: Context, next: Next) => {
    const decision = await authenticator.authenticate(requestOf(ctx, authenticator));
    if (!decision.principal) return renderFailure(ctx, decision);
    ctx.state.principal = decision.principal;
    authenticated.set(ctx, { authenticator, render: renderFailure });
    return next();
  };
}

/**
 * Koa middleware: goes on when `ctx.state.principal` has every one of `scopes`, otherwise answers 403
 * `insufficient_scope` (RFC 6750 §3.1). Belongs behind `authenticate`.
 *
 * @throws AppError `invalid_argument` for a word that is not a scope; `internal`, per request, without `authenticate`.
 */
export function requireScope(...scopes: string[]): Middleware {
  if (scopes.length === 0) throw new AppError('invalid_argument', 'requireScope needs at least one scope');
  checkScopeWords('requireScope', scopes);
  return async (ctx: Context, next: Next) => {
    const principal: Principal | undefined = ctx.state.principal;
    const by = authenticated.get(ctx);
    if (!principal || !by) throw new AppError('internal', 'requireScope was used without authenticate before it');
    const refusal = by.authenticator.checkScope(principal, scopes);
    return refusal ? by.render(ctx, refusal) : next();
  };
}

/**
 * Koa middleware that serves this API's metadata (RFC 9728 §3) at `/.well-known/oauth-protected-resource` and, for a
 * `resource` with a path, at the form with that path appended. Everything else goes on. Put it before `authenticate`.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function protectedResourceMetadata(options: ResourceOptions): Middleware {
  const { metadata } = createAuthenticator(options);
  if (!metadata) throw new AppError('invalid_argument', 'resource must be set, because audience is not a URL');
  return async (ctx: Context, next: Next) => {
    if (!metadata.paths.has(ctx.path) || (ctx.method !== 'GET' && ctx.method !== 'HEAD')) return next();
    ctx.set('Cache-Control', 'public, max-age=300');
    ctx.body = metadata.document;
  };
}

function requestOf(ctx: Context, authenticator: Authenticator): ResourceRequest {
  const { body } = ctx.request as { body?: unknown };
  const form = typeof body === 'object' && body !== null && ctx.is('urlencoded') ? body : undefined;
  return {
    method: ctx.method,
    url: authenticator.externalUrl(ctx.originalUrl),
    query: ctx.querystring,
    headers: isRepeated(ctx.req.rawHeaders, 'authorization')
      ? { ...ctx.headers, authorization: ['', ''] }
      : ctx.headers,
    form: form as Record<string, unknown> | undefined,
  };
}

/** Node keeps the first of several Authorization headers and drops the rest; only the raw list shows them. */
function isRepeated(rawHeaders: readonly string[], name: string): boolean {
  let times = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i] as string;
    if (header.length === name.length && header.toLowerCase() === name) times++;
  }
  return times > 1;
}

function renderJson(ctx: Context, failure: Failure): void {
  ctx.status = failure.status;
  ctx.set(failure.headers);
  ctx.body = failure.body;
}
