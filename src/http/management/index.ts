/**
 * The management room: what administrators, scripts and services do, as JSON under /api. It decodes, calls one domain
 * function, encodes. It owns no rule and no page; who may come in is decided by the same middleware other services use.
 */
import Router from '@koa/router';
import type { Middleware } from 'koa';
import { PERMISSIONS } from '../../domain/permissions.ts';
import type { Providers } from '../../domain/providers.ts';
import { protectedResourceMetadata } from '../../resource/index.ts';
import { type AuthenticationOptions, createAuthentication } from './authentication.ts';
import { createPaging } from './paging.ts';
import { createProviderRoutes } from './providers.ts';

export interface ManagementOptions extends Omit<AuthenticationOptions, 'scopesSupported'> {
  providers: Providers;
  /** Sign page tokens; newest first. */
  pageTokenKeys: Buffer[];
}

export interface Management {
  /** RFC 9728 metadata of this API; needs no credential. */
  metadata: Middleware;
  routes: Middleware;
}

export function createManagement(options: ManagementOptions): Management {
  const paging = createPaging(options.pageTokenKeys);
  const scopesSupported = Object.keys(PERMISSIONS);
  const router = new Router({ prefix: '/api/v1' });
  router.use(...createAuthentication({ ...options, scopesSupported }), (ctx, next) => {
    ctx.set('Cache-Control', 'no-store');
    return next();
  });
  const nouns = [createProviderRoutes({ providers: options.providers, paging })];
  for (const noun of nouns) router.use(noun.routes());
  return {
    metadata: protectedResourceMetadata({
      issuer: options.issuer,
      audience: options.audience,
      jwks: options.publishedKeys,
      scopesSupported,
    }),
    routes: router.routes() as Middleware,
  };
}
