/** Gives every request an id and the caller's address, to this room's middleware and, by the raw request, to the engine's. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';

export interface RequestInfo {
  requestId: string;
  ip: string;
}

const infos = new WeakMap<IncomingMessage, RequestInfo>();

/** What is known of a request; empty for one that did not come through `requestInfo`. */
export function requestInfoOf(req: IncomingMessage): RequestInfo {
  return infos.get(req) ?? { requestId: '', ip: '' };
}

/** Sets `x-request-id`: the proxy's, when it looks like an id, otherwise a new one. */
export function requestInfo(): Middleware {
  return (ctx, next) => {
    const given = ctx.get('x-request-id');
    const requestId = /^[\w-]{8,64}$/.test(given) ? given : randomUUID();
    infos.set(ctx.req, { requestId, ip: ctx.ip });
    ctx.set('x-request-id', requestId);
    return next();
  };
}
