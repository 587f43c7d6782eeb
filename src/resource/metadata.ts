import type { Settings } from './settings.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/** A protected resource's description of itself (RFC 9728 §2). */
export interface ProtectedResourceMetadata {
  resource: string;
  authorization_servers: string[];
  bearer_methods_supported: string[];
  scopes_supported?: readonly string[];
  dpop_signing_alg_values_supported: readonly string[];
}

/** Where `resource` publishes its metadata: the well-known part goes before its path (RFC 9728 §3.1). */
export function metadataUrlFor(resource: string): string {
  const { origin, pathname, search } = new URL(resource);
  return `${origin}${WELL_KNOWN}${pathname === '/' ? '' : pathname}${search}`;
}

/** The paths the metadata is served at: the one above, and the bare one for whoever only knows the host. */
export function metadataPaths(settings: Pick<Settings, 'metadataUrl'>): ReadonlySet<string> {
  return new Set(settings.metadataUrl ? [WELL_KNOWN, new URL(settings.metadataUrl).pathname] : []);
}

/** The document itself, or undefined when the settings have no `resource`. */
export function metadataOf(settings: Settings): ProtectedResourceMetadata | undefined {
  if (settings.resource === undefined) return undefined;
  return {
    resource: settings.resource,
    authorization_servers: [settings.issuer],
    bearer_methods_supported: ['header'],
    ...(settings.scopesSupported && { scopes_supported: settings.scopesSupported }),
    dpop_signing_alg_values_supported: settings.algorithms,
  };
}
