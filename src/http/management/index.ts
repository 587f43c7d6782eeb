/**
 * The management room: what administrators, scripts and services do, as JSON under /api. It decodes, calls one domain
 * function, encodes. It owns no rule and no page; who may come in is decided by the same middleware other services use.
 */
import type { Middleware } from 'koa';
import type { Domain } from '../../domain/index.ts';
import { PERMISSIONS } from '../../domain/permissions.ts';
import { protectedResourceMetadata } from '../../resource/index.ts';
import { createPageTokens } from '../page-tokens.ts';
import { createApiKeyOperations } from './api-keys.ts';
import { createAuditEventOperations } from './audit-events.ts';
import { type AuthenticationOptions, createAuthentication } from './authentication.ts';
import { createClientSecretOperations } from './client-secrets.ts';
import { createConnectedAppOperations } from './connected-apps.ts';
import { createCredentialUsageOperations } from './credential-usage.ts';
import { createCredentialOperations } from './credentials.ts';
import { createKeyImportOperations } from './key-imports.ts';
import { createKeyRetirementOperations } from './key-retirements.ts';
import { createOauthAppOperations } from './oauth-apps.ts';
import { createOauthClientOperations } from './oauth-clients.ts';
import type { Operation } from './operation.ts';
import { createProviderOperations } from './providers.ts';
import { createResourceServerOperations } from './resource-servers.ts';
import { createRoleOperations } from './roles.ts';
import { createRoutes, type RoutesOptions } from './routes.ts';
import { createSettingsOperations } from './settings.ts';
import { createSigningKeyOperations } from './signing-keys.ts';
import { createTeamKeyOperations } from './team-keys.ts';
import { createTeamOperations } from './teams.ts';
import { createUserOperations } from './users.ts';

export interface ManagementOptions
  extends Omit<AuthenticationOptions, 'scopesSupported' | keyof Domain>,
    Pick<RoutesOptions, 'onUndeclared'>,
    Domain {
  /** Sign page tokens; newest first. */
  pageTokenKeys: Buffer[];
}

export interface Management {
  /** RFC 9728 metadata of this API, and its OpenAPI description; they need no credential. */
  metadata: Middleware;
  routes: Middleware;
  /** The OpenAPI description, as `/openapi.json` answers it; made when it is first asked for. */
  openapi(): Promise<object>;
}

export function createManagement(options: ManagementOptions): Management {
  const pageTokens = createPageTokens(options.pageTokenKeys);
  const scopesSupported = Object.keys(PERMISSIONS);
  // In the order of the documentation.
  const operations = [
    ...createTeamKeyOperations(options),
    ...createApiKeyOperations(options),
    ...createKeyImportOperations(options),
    ...createTeamOperations(options),
    ...createUserOperations(options),
    ...createRoleOperations(options),
    ...createProviderOperations(options),
    ...createOauthAppOperations(options),
    ...createOauthClientOperations(options),
    ...createClientSecretOperations(options),
    ...createResourceServerOperations(options),
    ...createSettingsOperations(options),
    ...createSigningKeyOperations(options),
    ...createConnectedAppOperations(options),
    ...createCredentialOperations(options),
    ...createCredentialUsageOperations(options),
    ...createKeyRetirementOperations(options),
    ...createAuditEventOperations(options),
  ].map((one): Operation => (typeof one === 'function' ? one(pageTokens) : one));
  let document: Promise<object> | undefined;
  // Most processes never show it, and none should wait for it at the start.
  const openapi = () => {
    document ??= import('./openapi.ts').then(({ createOpenapi }) => createOpenapi(operations, options));
    return document;
  };
  const metadata = protectedResourceMetadata({
    issuer: options.issuer,
    audience: options.audience,
    jwks: options.publishedKeys,
    scopesSupported,
  });
  return {
    openapi,
    metadata: async (ctx, next) => {
      if (ctx.path !== '/openapi.json' || !['GET', 'HEAD'].includes(ctx.method)) return metadata(ctx, next);
      ctx.set('Cache-Control', 'public, max-age=300');
      ctx.body = await openapi();
    },
    routes: createRoutes(operations, {
      ...options,
      authentication: createAuthentication({ ...options, scopesSupported }),
      settle: () => options.notifications.settle(),
    }).routes() as Middleware,
  };
}
