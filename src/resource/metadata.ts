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

/**
 * The document, and the paths it is served at: the one above, and the bare one for whoever only knows the host.
 * Undefined when the settings have no `resource`.
 */
export function metadataOf({ resource, metadataUrl, issuer, scopesSupported, algorithms }: Settings) {
  if (!resource || !metadataUrl) return undefined;
  const document: ProtectedResourceMetadata = {
    resource,
    authorization_servers: [issuer],
    bearer_methods_supported: ['header'],
    ...(scopesSupported && { scopes_supported: scopesSupported }),
    dpop_signing_alg_values_supported: algorithms,
  };
  return { document, paths: new Set([WELL_KNOWN, new URL(metadataUrl).pathname]) };
}
