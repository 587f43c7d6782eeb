/** `latchkey/resource/fastify`: the adapter for Fastify 5. */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';
import { createGate, createScopeCheck, JSON_TYPE, servedMetadata } from './admission.ts';
import type { Failure } from './decision.ts';
import { isForm } from './node-request.ts';
import type { Principal } from './principal.ts';
import type { ResourceOptions } from './settings.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling, behind `authenticate`. */
    principal: Principal;
  }
}

/** What only the Fastify adapter needs to know. */
export interface FastifyOptions {
  /** Replaces the built-in answer, for instance to add a request id. Keep status and headers, and send the answer. */
  renderFailure?(request: FastifyRequest, reply: FastifyReply, failure: Failure): unknown;
}

/** Marks the routes that `authenticate` leaves alone, in their `config`. */
const OPEN = Symbol('open');

/**
 * Fastify plugin for the scope it is registered in and all below: puts the caller into `request.principal`, or answers
 * 400, 401 or 503 itself, before the body is read (a form's body first, since a token may be hidden in it).
 * Create it once and use it for all routes of the API, since each one has caches of its own.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function authenticate(
  options: ResourceOptions,
  { renderFailure = sendFailure }: FastifyOptions = {},
): FastifyPluginAsync {
  const gate = createGate(options);

  async function check(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    if (OPEN in (request.routeOptions.config ?? {})) return undefined;
    const { method, originalUrl, headers, raw, body } = request;
    return gate(
      request,
      { method, originalUrl, headers, rawHeaders: raw.rawHeaders, body },
      async (failure) => {
        await renderFailure(request, reply, failure);
        return reply;
      },
      (principal) => {
        request.principal = principal;
        reply.headers({ ...principal.notice });
        return undefined;
      },
    );
  }

  return inThisScope(async (app) => {
    if (!app.hasRequestDecorator('principal')) app.decorateRequest('principal');
    app.addHook('onRequest', async (request, reply) => (isForm(request.headers) ? undefined : check(request, reply)));
    app.addHook('preValidation', async (request, reply) =>
      isForm(request.headers) ? check(request, reply) : undefined,
    );
  });
}

/**
 * A `preHandler` hook: goes on when `request.principal` has every one of `scopes`, otherwise answers 403
 * `insufficient_scope` (RFC 6750 §3.1). Needs `authenticate` in the same scope or above.
 *
 * @throws AppError `invalid_argument` for a word that is not a scope; `internal`, per request, without `authenticate`.
 */
export function requireScope(...scopes: string[]): preHandlerAsyncHookHandler {
  const refusalOf = createScopeCheck<unknown>(scopes);
  return async (request, reply) => {
    const refuse = refusalOf(request, request.principal);
    if (!refuse) return undefined;
    await refuse();
    return reply;
  };
}

/**
 * Fastify plugin that serves this API's metadata (RFC 9728 §3) at `/.well-known/oauth-protected-resource` and, for a
 * `resource` with a path, at the form with that path appended. Its routes need no credential, wherever `authenticate` is.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function protectedResourceMetadata(options: ResourceOptions): FastifyPluginAsync {
  const { paths, headers, document } = servedMetadata(options);
  return inThisScope(async (app) => {
    for (const path of paths) {
      app.get(path, { config: { [OPEN]: true } }, (_request, reply) => sendJson(reply, 200, headers, document));
    }
  });
}

/** Without this mark a plugin's hooks and decorators stay within the plugin. */
function inThisScope(plugin: FastifyPluginAsync): FastifyPluginAsync {
  return Object.assign(plugin, { [Symbol.for('skip-override')]: true });
}

function sendFailure(_request: FastifyRequest, reply: FastifyReply, { status, headers, body }: Failure): FastifyReply {
  return sendJson(reply, status, headers, body);
}

// As text, so that neither a response schema nor another serialiser changes it.
function sendJson(
  reply: FastifyReply,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: object,
): FastifyReply {
  return reply.code(status).headers(headers).type(JSON_TYPE).send(JSON.stringify(body));
}
