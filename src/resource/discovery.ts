import { fetchJson, unusable } from './outbound.ts';

/** How long a metadata document is used before it is asked for again. */
const FRESH_MS = 3_600_000;

/** Finds an endpoint of the authorization server by its metadata name. */
export interface FindEndpoint {
  (name: 'jwks_uri' | 'introspection_endpoint'): Promise<string>;
  /** Undefined for an issuer that has none. */
  (name: 'revocation_feed_endpoint' | 'usage_endpoint', optional: true): Promise<string | undefined>;
}

/** Where an issuer publishes its metadata: the well-known part goes before the issuer's path (RFC 8414 §3.1). */
export function metadataUrlOf(issuer: string): string {
  const { origin, pathname } = new URL(issuer);
  return `${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`;
}

/**
 * The authorization server's metadata (RFC 8414), fetched on first need and renewed in the background after an hour.
 * Until that succeeds the last known endpoints serve on: they are addresses, not permissions.
 *
 * @returns a function that throws AppError `unavailable` when there is no metadata, its `issuer` is not exactly ours
 * (RFC 8414 §3.3), or the endpoint is not usable.
 */
export function createDiscovery(issuer: string, allowed: (url: string) => boolean, clock: () => number): FindEndpoint {
  let known: Record<string, unknown> | undefined;
  let loadedAt = 0;
  let pending: Promise<Record<string, unknown>> | undefined;

  async function load(): Promise<Record<string, unknown>> {
    const { status, body } = await fetchJson(metadataUrlOf(issuer));
    if (status !== 200) throw unusable(`The issuer's metadata answered ${status}`);
    if (body.issuer !== issuer) throw unusable("The issuer in the issuer's metadata is another one");
    loadedAt = clock();
    known = body;
    return body;
  }

  function metadata(): Record<string, unknown> | Promise<Record<string, unknown>> {
    if (known && Math.abs(clock() - loadedAt) < FRESH_MS) return known;
    pending ??= load().finally(() => {
      pending = undefined;
    });
    if (!known) return pending;
    pending.catch(() => {});
    return known;
  }

  return async (name: string, optional?: true) => {
    const endpoint = (await metadata())[name];
    if (optional && endpoint === undefined) return undefined as never;
    if (typeof endpoint === 'string' && allowed(endpoint)) return endpoint;
    throw unusable(`The issuer's metadata has no usable ${name}`);
  };
}
