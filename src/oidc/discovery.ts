/** What the engine leaves out of its public documents (RFC 8414, RFC 7517) and answers: lifetimes, scopes, plain 404s. */
import type { KoaContextWithOIDC } from 'oidc-provider';
import { IDENTITY_SCOPES, PERMISSIONS } from '../domain/permissions.ts';
import { JWKS_MAX_AGE } from '../domain/signing-keys.ts';
import { CLIENT_AUTH_METHODS, CLIENT_AUTH_SIGNING_ALGS } from './configuration.ts';
import { REVOCATION_FEED_PATH } from './revocation-feed.ts';
import { USAGE_PATH } from './usage.ts';

/** A middleware around the engine's own. */
export function completeDiscovery(issuer: string) {
  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    await next();
    const route = ctx.oidc?.route;
    if (route === 'discovery' && ctx.status === 200) {
      Object.assign(ctx.body as object, {
        scopes_supported: [...Object.keys(IDENTITY_SCOPES), ...Object.keys(PERMISSIONS)],
        introspection_endpoint_auth_methods_supported: CLIENT_AUTH_METHODS.filter((method) => method !== 'none'),
        introspection_endpoint_auth_signing_alg_values_supported: CLIENT_AUTH_SIGNING_ALGS,
        revocation_endpoint_auth_methods_supported: CLIENT_AUTH_METHODS,
        revocation_feed_endpoint: issuer + REVOCATION_FEED_PATH,
        revocation_endpoint_auth_signing_alg_values_supported: CLIENT_AUTH_SIGNING_ALGS,
        usage_endpoint: issuer + USAGE_PATH,
        service_documentation: issuer,
      });
    }
    if ((route === 'discovery' || route === 'jwks') && ctx.status === 200) {
      ctx.set('Cache-Control', `public, max-age=${JWKS_MAX_AGE}`);
    }
    if (route === 'revocation') {
      // RFC 7009 has no body; several client libraries parse one all the same.
      if (ctx.status === 200) ctx.body = {};
      ctx.set('Cache-Control', 'no-store');
    }
    if (ctx.status === 503) ctx.set('Retry-After', '5');
    // RFC 6585 §4: a second is enough where requests only wait for one another.
    if (ctx.status === 429 && !ctx.response.get('Retry-After')) ctx.set('Retry-After', '1');
    if (ctx.status === 404 && ctx.body === undefined) {
      ctx.status = 404;
      ctx.set('Cache-Control', 'no-store');
      ctx.body = {
        error: 'not_found',
        error_description: 'There is no such endpoint. The discovery document lists them.',
      };
    }
  };
}
