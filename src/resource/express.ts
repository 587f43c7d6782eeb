/** `latchkey/resource/express`: the adapter for Express 5. */
import type { Request, RequestHandler, Response } from 'express';
import { createGate, createScopeCheck } from './admission.ts';
import type { Failure } from './decision.ts';
import * as node from './node.ts';
import type { Principal } from './principal.ts';
import type { ResourceOptions } from './settings.ts';

declare global {
  namespace Express {
    interface Request {
      /** Who is calling, behind `authenticate`. */
      principal?: Principal;
    }
  }
}

/** What only the Express adapter needs to know. */
export interface ExpressOptions {
  /** Replaces the built-in answer, for instance to add a request id. Keep status and headers, and end the answer. */
  renderFailure?(req: Request, res: Response, failure: Failure): void | Promise<void>;
}

/**
 * Express middleware: puts the caller into `req.principal` and goes on, or answers 400, 401 or 503 itself.
 * Create it once and use it for all routes of the API, since each one has caches of its own.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function authenticate(
  options: ResourceOptions,
  { renderFailure = node.sendFailure }: ExpressOptions = {},
): RequestHandler {
  const gate = createGate(options);
  return (req, res, next) =>
    gate(
      req,
      req,
      (failure) => renderFailure(req, res, failure),
      (principal) => {
        req.principal = principal;
        res.set({ ...principal.notice });
        next();
      },
    );
}

/**
 * Express middleware: goes on when `req.principal` has every one of `scopes`, otherwise answers 403
 * `insufficient_scope` (RFC 6750 §3.1). Belongs behind `authenticate`.
 *
 * @throws AppError `invalid_argument` for a word that is not a scope; `internal`, per request, without `authenticate`.
 */
export function requireScope(...scopes: string[]): RequestHandler {
  const refusalOf = createScopeCheck<void | Promise<void>>(scopes);
  return async (req, _res, next) => {
    const refuse = refusalOf(req, req.principal);
    return refuse ? refuse() : next();
  };
}

/**
 * Express middleware that serves this API's metadata (RFC 9728 §3) at `/.well-known/oauth-protected-resource` and, for
 * a `resource` with a path, at the form with that path appended. Everything else goes on. Put it before `authenticate`.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function protectedResourceMetadata(options: ResourceOptions): RequestHandler {
  const answer = node.protectedResourceMetadata(options);
  return (req, res, next) => {
    if (!answer(req, res)) next();
  };
}
