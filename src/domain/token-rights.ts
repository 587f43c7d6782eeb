/** Who is behind an access token of this server at this moment, and what they may still do with it. */
import type { Authority } from './authority.ts';
import { scopesWithin } from './permissions.ts';
import type { Registrations } from './registrations.ts';

/** What a token says about whoever it was issued to and for. */
export interface TokenBearer {
  /** `sub`: a user's id, or the client itself. */
  subject: string;
  clientId: string;
  teamId: string;
}

export interface TokenRightsOptions {
  authority: Pick<Authority, 'permissionsIn' | 'isMember' | 'teamExists'>;
  registrations: Registrations;
}

/**
 * Every scope that still counts: what the app or client is allowed now, and of permissions of this server only those its
 * user has now. All of it is in memory, and follows each change.
 * @returns undefined when the app, client, user or team is gone, switched off, or they have nothing to do with each other
 *   any more
 */
export async function rightsBehind(
  { authority, registrations }: TokenRightsOptions,
  { subject, clientId, teamId }: TokenBearer,
): Promise<ReadonlySet<string> | undefined> {
  const registration = await registrations.findForProtocol(clientId);
  if (registration === undefined || !registration.record.enabled) return undefined;
  if (registration.kind === 'client') {
    const { record } = registration;
    const isSame = subject === clientId && teamId === record.teamId;
    return isSame && (await authority.teamExists(teamId)) ? new Set(record.allowedScopes) : undefined;
  }
  // A member's team exists.
  if (!(await authority.isMember(subject, teamId))) return undefined;
  const permissions = await authority.permissionsIn(subject, teamId);
  return permissions && new Set(scopesWithin(registration.record.allowedScopes, permissions));
}
