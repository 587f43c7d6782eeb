/** `latchkey/resource/hono`: the adapter for Hono, on Node or wherever `node:crypto` and `node:zlib` are. */
import type { Context, MiddlewareHandler } from 'hono';
import { createGate, createScopeCheck, JSON_TYPE, servedMetadata } from './admission.ts';
import type { Failure } from './decision.ts';
import { isForm, type NodeRequest } from './node-request.ts';
import type { Principal } from './principal.ts';
import type { ResourceOptions } from './settings.ts';

declare module 'hono' {
  interface ContextVariableMap {
    /** Who is calling, behind `authenticate`. */
    principal: Principal;
  }
}

/** What only the Hono adapter needs to know. */
export interface HonoOptions {
  /** Replaces the built-in answer, for instance to add a request id. Keep status and headers. */
  renderFailure?(c: Context, failure: Failure): Response | Promise<Response>;
}

/**
 * Hono middleware: puts the caller into `c.get('principal')` and goes on, or answers 400, 401 or 503 itself.
 * Create it once and use it for all routes of the API, since each one has caches of its own.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function authenticate(
  options: ResourceOptions,
  { renderFailure = sendFailure }: HonoOptions = {},
): MiddlewareHandler {
  const gate = createGate(options);
  return async (c, next) =>
    gate(
      c,
      await received(c),
      (failure) => renderFailure(c, failure),
      async (principal) => {
        c.set('principal', principal);
        await next();
        // Only now, since a handler may answer with a Response of its own.
        for (const [name, value] of Object.entries({ ...principal.notice })) c.header(name, value, { append: true });
        return undefined;
      },
    );
}

/**
 * Hono middleware: goes on when `c.get('principal')` has every one of `scopes`, otherwise answers 403
 * `insufficient_scope` (RFC 6750 §3.1). Belongs behind `authenticate`.
 *
 * @throws AppError `invalid_argument` for a word that is not a scope; `internal`, per request, without `authenticate`.
 */
export function requireScope(...scopes: string[]): MiddlewareHandler {
  const refusalOf = createScopeCheck<Response | Promise<Response>>(scopes);
  return async (c, next) => {
    const refuse = refusalOf(c, c.get('principal'));
    return refuse ? refuse() : next();
  };
}

/**
 * Hono middleware that serves this API's metadata (RFC 9728 §3) at `/.well-known/oauth-protected-resource` and, for a
 * `resource` with a path, at the form with that path appended. Everything else goes on. Put it before `authenticate`.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function protectedResourceMetadata(options: ResourceOptions): MiddlewareHandler {
  const metadata = servedMetadata(options);
  return async (c, next) =>
    metadata.isAsked(c.req.method, new URL(c.req.url).pathname)
      ? json(c, 200, metadata.headers, metadata.document)
      : next();
}

async function received(c: Context): Promise<NodeRequest> {
  const { method, url, bodyCache } = c.req;
  const headers = c.req.header();
  // A body that something read before us is kept by Hono, and only then may we look into it.
  const wasRead = Object.keys(bodyCache ?? {}).length > 0;
  return {
    method,
    // The host in it is the caller's word; only what follows it is used.
    url: url.replace(/^[^/]+\/\/[^/?#]*/, '').replace(/#.*$/s, ''),
    headers,
    rawHeaders: isJoined(headers.authorization) ? ['authorization', '', 'authorization', ''] : [],
    body: wasRead && isForm(headers) ? await c.req.parseBody() : undefined,
  };
}

/** Fetch joins several Authorization headers by commas. No scheme's parameters look like a scheme and a credential. */
function isJoined(authorization = ''): boolean {
  return /,\s*[\w-]+(\s+[^\s=,]|\s*$)/.test(authorization);
}

function sendFailure(c: Context, { status, headers, body }: Failure): Response {
  return json(c, status, headers, body);
}

function json(c: Context, status: number, headers: Readonly<Record<string, string>>, body: object): Response {
  return c.body(JSON.stringify(body), status as 200, { ...headers, 'Content-Type': JSON_TYPE });
}
