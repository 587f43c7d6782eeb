import { createGate, createScopeCheck, servedMetadata } from './admission.ts';
import type { Failure } from './decision.ts';
import type { Principal } from './principal.ts';
import type { ResourceOptions } from './settings.ts';

/** The part of Koa's context that is used. Described here, so that the types of `latchkey/resource` need no Koa. */
export interface KoaContext {
  method: string;
  path: string;
  originalUrl: string;
  headers: Record<string, string | string[] | undefined>;
  req: { rawHeaders: string[] };
  request: object;
  state: object;
  status: number;
  body: unknown;
  set(fields: Record<string, string>): void;
}

/** Middleware as `app.use` and the routes of `@koa/router` take it. */
export type KoaMiddleware = (ctx: KoaContext, next: () => Promise<unknown>) => Promise<unknown>;

/** What only the Koa adapter needs to know. */
export interface KoaOptions {
  /** Replaces the built-in answer, for instance to add a request id. Declare `ctx` as `Koa.Context` to use all of it. */
  renderFailure?(ctx: KoaContext, failure: Failure): void | Promise<void>;
}

/** Sends a refusal. Keep its status and headers; the body is yours to shape. */
export type RenderFailure = NonNullable<KoaOptions['renderFailure']>;

interface State {
  principal?: Principal;
}

/**
 * Koa middleware: puts the caller into `ctx.state.principal` and goes on, or answers 400, 401 or 503 itself.
 * Create it once and use it for all routes of the API, since each one has caches of its own.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function authenticate(options: ResourceOptions, { renderFailure = sendJson }: KoaOptions = {}): KoaMiddleware {
  const gate = createGate(options);
  return (ctx, next) => {
    const { method, originalUrl, headers, req } = ctx;
    const { body } = ctx.request as { body?: unknown };
    return gate(
      ctx,
      { method, originalUrl, headers, rawHeaders: req.rawHeaders, body },
      (failure) => renderFailure(ctx, failure),
      (principal) => {
        (ctx.state as State).principal = principal;
        ctx.set({ ...principal.notice });
        return next();
      },
    );
  };
}

/**
 * Koa middleware: goes on when `ctx.state.principal` has every one of `scopes`, otherwise answers 403
 * `insufficient_scope` (RFC 6750 §3.1). Belongs behind `authenticate`.
 *
 * @throws AppError `invalid_argument` for a word that is not a scope; `internal`, per request, without `authenticate`.
 */
export function requireScope(...scopes: string[]): KoaMiddleware {
  const refusalOf = createScopeCheck<void>(scopes);
  return async (ctx, next) => {
    const refuse = refusalOf(ctx, (ctx.state as State).principal);
    return refuse ? refuse() : next();
  };
}

/**
 * Koa middleware that serves this API's metadata (RFC 9728 §3) at `/.well-known/oauth-protected-resource` and, for a
 * `resource` with a path, at the form with that path appended. Everything else goes on. Put it before `authenticate`.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function protectedResourceMetadata(options: ResourceOptions): KoaMiddleware {
  const metadata = servedMetadata(options);
  return async (ctx, next) => {
    if (!metadata.isAsked(ctx.method, ctx.path)) return next();
    ctx.set({ ...metadata.headers });
    ctx.body = metadata.document;
  };
}

function sendJson(ctx: KoaContext, failure: Failure): void {
  ctx.status = failure.status;
  ctx.set({ ...failure.headers });
  ctx.body = failure.body;
}
