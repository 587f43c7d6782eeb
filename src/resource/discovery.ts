import { AppError } from '../errors.ts';
import type { FetchJson } from './outbound.ts';

/** How long a metadata document is used before it is asked for again. */
const FRESH_MS = 3_600_000;

/** Finds an endpoint of the authorization server by its metadata name. */
export type FindEndpoint = (name: 'jwks_uri' | 'introspection_endpoint') => Promise<string>;

/** Where an issuer publishes its metadata: the well-known part goes before the issuer's path (RFC 8414 §3.1). */
export function metadataUrlOf(issuer: string): string {
  const { origin, pathname } = new URL(issuer);
  return `${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`;
}

/**
 * The authorization server's metadata (RFC 8414), fetched on first need and kept for an hour. When it cannot be
 * renewed the last known endpoints serve on: they are addresses, not permissions.
 *
 * @returns a function that throws AppError `unavailable` when there is no metadata, its `issuer` is not exactly ours
 * (RFC 8414 §3.3), or it lacks the endpoint.
 */
export function createDiscovery(
  issuer: string,
  fetchJson: FetchJson,
  allowed: (url: string) => boolean,
  clock: () => number,
): FindEndpoint {
  let known: { metadata: Record<string, unknown>; until: number } | undefined;
  let pending: Promise<Record<string, unknown>> | undefined;

  async function load(): Promise<Record<string, unknown>> {
    const { status, body } = await fetchJson(metadataUrlOf(issuer));
    if (status !== 200) throw new AppError('unavailable', `The issuer's metadata answered ${status}`);
    if (body.issuer !== issuer) throw new AppError('unavailable', "The issuer in the issuer's metadata is another one");
    known = { metadata: body, until: clock() + FRESH_MS };
    return body;
  }

  async function metadata(): Promise<Record<string, unknown>> {
    if (known && clock() < known.until) return known.metadata;
    pending ??= load().finally(() => {
      pending = undefined;
    });
    try {
      return await pending;
    } catch (error) {
      if (known) return known.metadata;
      throw error;
    }
  }

  return async (name) => {
    const endpoint = (await metadata())[name];
    if (typeof endpoint !== 'string' || !allowed(endpoint)) {
      throw new AppError('unavailable', `The issuer's metadata has no usable ${name}`);
    }
    return endpoint;
  };
}
