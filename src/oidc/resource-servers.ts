/**
 * Resource indicators (RFC 8707): which API a token is for, and what its tokens look like (RFC 9068 JWTs).
 * Today there is one resource server, the server's own API; a request that names none gets it.
 */
import { errors, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { Authority } from '../domain/authority.ts';
import { scopesWithin } from '../domain/permissions.ts';
import type { GrantPayload } from './adapter.ts';
import { allowedScopes, registrationFor } from './client-metadata.ts';
import { engineError } from './errors.ts';
import { requireAllowed } from './scopes.ts';

export interface ResourceServersOptions {
  /** The identifier (`aud`) of the server's own API. */
  defaultResource: string;
  accessTokenAlg: 'ES256' | 'RS256' | 'EdDSA';
  accessTokenTtl: number;
  authority: Pick<Authority, 'permissionsIn'>;
}

/** The `features.resourceIndicators` part of the engine's configuration. */
export function createResourceServers(options: ResourceServersOptions) {
  const { defaultResource, accessTokenAlg, accessTokenTtl, authority } = options;

  async function scopesFor(ctx: KoaContextWithOIDC): Promise<string[]> {
    const client = ctx.oidc.client!;
    const grant = ctx.oidc.entities.Grant as GrantPayload | undefined;
    const allowed = [...allowedScopes(client)];
    if (registrationFor(client).kind === 'client') {
      // No scope asked for: everything the client is allowed, as machine clients expect.
      ctx.oidc.params!.scope = requireAllowed(client, String(ctx.oidc.params!.scope ?? allowed.join(' '))).join(' ');
      return allowed;
    }
    if (ctx.oidc.route !== 'token' || !grant?.teamId || !grant.accountId) return allowed;
    // A resource server sees only the token, so the token never says more than its user may do at this moment.
    const permissions = await authority.permissionsIn(grant.accountId, grant.teamId);
    return scopesWithin(allowed, permissions ?? new Set());
  }

  return {
    enabled: true,
    defaultResource: () => defaultResource,
    useGrantedResource: () => true,
    async getResourceServerInfo(ctx: KoaContextWithOIDC, resource: string): Promise<ResourceServer> {
      if (resource !== defaultResource) throw new errors.InvalidTarget();
      const scopes = await scopesFor(ctx).catch((error: unknown) => Promise.reject(engineError(error)));
      return {
        scope: scopes.join(' '),
        audience: defaultResource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: accessTokenTtl,
        jwt: { sign: { alg: accessTokenAlg } },
      } as ResourceServer;
    },
  };
}
