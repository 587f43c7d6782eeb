/**
 * Answers only for the issuer's host. The Host header chooses what absolute URLs say and what caches keep, so a foreign one
 * is refused before anything reads it (checklist row 2). Forwarded hosts are never looked at.
 */
import type { Middleware } from 'koa';
import { AppError } from '../../errors.ts';

export function requireHost(issuer: string): Middleware {
  const { host } = new URL(issuer);
  return (ctx, next) => {
    if (ctx.req.headers.host?.toLowerCase() === host) return next();
    throw new AppError(
      'invalid_argument',
      `This server answers for ${host} only. If that is wrong, set ISSUER to the origin you use.`,
    );
  };
}
