/** Who may be told about a credential (RFC 7662 §4): whoever got it, and the resource servers it is for. */
import type { Client } from 'oidc-provider';
import { ROOT_TEAM_ID } from '../domain/permissions.ts';
import { registrationFor } from './client-metadata.ts';
import type { Target } from './resource-servers.ts';

/** Any credential, as far as it decides who has to do with it. */
export interface Presented {
  /** Whom it was issued to; none for an API key. */
  clientId?: string | undefined;
  /** The team it acts in. */
  teamId: string | undefined;
  /** The APIs it is for: the `aud` of a token, what a consent names, all that take API keys. */
  targets: readonly Target[];
}

/**
 * The APIs as which `caller` may be told about a credential; none for a caller whose business it is not. A client is the
 * resource servers that name it, whatever team a credential acts in. One that is allowed `credentials:introspect` is the
 * server's own API too, for what acts in its team; a client of the root team, for every team. Whom a credential was issued
 * to may know all about it.
 */
export function concernOf(caller: Client, { clientId, teamId, targets }: Presented): readonly Target[] {
  if (clientId === caller.clientId) return targets;
  const registration = registrationFor(caller);
  if (registration.kind !== 'client') return [];
  const { record } = registration;
  const isGuard = record.allowedScopes.includes('credentials:introspect');
  const isOwn = isGuard && (record.teamId === ROOT_TEAM_ID || record.teamId === teamId);
  return targets.filter((target) => (target.isOwn ? isOwn : target.clientIds.includes(record.clientId)));
}

/** Scopes that mean something at one of these APIs. */
export function meaningAt(targets: readonly Target[], scopes: Iterable<string>): string[] {
  return [...scopes].filter((scope) => targets.some((target) => target.hasScope(scope)));
}
