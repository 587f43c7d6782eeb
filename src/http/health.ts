/** For load balancers and orchestrators: is the process alive, and should it get requests. Any Host may ask. */
import type { Middleware } from 'koa';

export interface HealthOptions {
  /** Whether the database answered the last heartbeat. */
  available: () => boolean;
  /** Whether the server has been told to stop. */
  draining: () => boolean;
}

/** `/livez` ignores the database: a restart would not bring it back. `/readyz` follows it. */
export function health({ available, draining }: HealthOptions): Middleware {
  return (ctx, next) => {
    if (ctx.path !== '/livez' && ctx.path !== '/readyz') return next();
    const ready = ctx.path === '/livez' || (available() && !draining());
    ctx.status = ready ? 200 : 503;
    ctx.set('Cache-Control', 'no-store');
    if (!ready) ctx.set('Retry-After', '1');
    ctx.body = { status: ready ? 'ok' : 'unavailable' };
  };
}
