/** One line for each request: no query, no header, no body, because each of them can hold a secret. */
import type { Middleware } from 'koa';
import type { Logger } from 'pino';
import { requestInfoOf } from './request-info.ts';

export function accessLog(logger: Logger): Middleware {
  return async (ctx, next) => {
    const start = performance.now();
    ctx.res.once('close', () => {
      const { requestId, ip } = requestInfoOf(ctx.req);
      const ms = Math.round((performance.now() - start) * 10) / 10;
      const { statusCode: status } = ctx.res;
      // Whoever follows the revocation feed asks every few seconds, and mostly hears that nothing is new.
      const level = status === 304 ? 'debug' : 'info';
      logger[level]({ requestId, ip, method: ctx.method, path: loggedPath(ctx.path), status, ms }, 'request');
    });
    await next();
  };
}

/**
 * A path as it may be written down: an interaction's id opens it together with the browser's cookie, and half a secret
 * does not belong in a log either.
 */
export function loggedPath(path: string): string {
  return path.replace(/^(\/interaction\/|\/oauth2\/authorize\/)[^/]{8,}/, '$1…').slice(0, 200);
}
