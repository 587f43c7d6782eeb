/** `latchkey/resource/node`: the adapter for plain `node:http`, without a framework. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createGate, createScopeCheck, JSON_TYPE, servedMetadata } from './admission.ts';
import type { Failure } from './decision.ts';
import { pathOf } from './node-request.ts';
import type { Principal } from './principal.ts';
import type { ResourceOptions } from './settings.ts';

/** What only this adapter needs to know. */
export interface NodeOptions {
  /** Replaces the built-in answer, for instance to add a request id. Keep status and headers, and end the answer. */
  renderFailure?(req: IncomingMessage, res: ServerResponse, failure: Failure): void | Promise<void>;
}

/** Who sent `req`; undefined when it was refused with 400, 401 or 503, which then is answered already. */
export type Guard = (req: IncomingMessage, res: ServerResponse) => Promise<Principal | undefined>;

const PRINCIPAL = Symbol('principal');

interface Guarded {
  [PRINCIPAL]?: Principal;
}

/**
 * Makes the guard of an API. Create it once and use it for all requests, since each one has caches of its own.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function createGuard(options: ResourceOptions, { renderFailure = sendFailure }: NodeOptions = {}): Guard {
  const gate = createGate(options);
  return (req, res) =>
    gate(
      req,
      req,
      async (failure) => {
        await renderFailure(req, res, failure);
        return undefined;
      },
      (principal) => {
        (req as Guarded)[PRINCIPAL] = principal;
        for (const [name, value] of Object.entries({ ...principal.notice })) res.setHeader(name, value);
        return principal;
      },
    );
}

/**
 * Makes a check for requests that a guard let in: true when their principal has every one of `scopes`; otherwise it
 * answers 403 `insufficient_scope` (RFC 6750 §3.1) and is false.
 *
 * @throws AppError `invalid_argument` for a word that is not a scope; `internal`, per request, without a guard.
 */
export function requireScope(...scopes: string[]): (req: IncomingMessage, res: ServerResponse) => Promise<boolean> {
  const refusalOf = createScopeCheck<void | Promise<void>>(scopes);
  return async (req) => {
    const refuse = refusalOf(req, (req as Guarded)[PRINCIPAL]);
    await refuse?.();
    return !refuse;
  };
}

/**
 * Makes a function that answers requests for this API's metadata (RFC 9728 §3) and says whether it did. Ask it first.
 *
 * @throws AppError `invalid_argument` naming the option that is wrong.
 */
export function protectedResourceMetadata(
  options: ResourceOptions,
): (req: IncomingMessage, res: ServerResponse) => boolean {
  const metadata = servedMetadata(options);
  return (req, res) => {
    if (!metadata.isAsked(req.method, pathOf(req))) return false;
    sendJson(res, 200, metadata.headers, metadata.document);
    return true;
  };
}

/** The built-in answer to a refused request. */
export function sendFailure(_req: unknown, res: ServerResponse, { status, headers, body }: Failure): void {
  sendJson(res, status, headers, body);
}

function sendJson(res: ServerResponse, status: number, headers: Readonly<Record<string, string>>, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  res.writeHead(status, { ...headers, 'Content-Type': JSON_TYPE, 'Content-Length': bytes.length }).end(bytes);
}
