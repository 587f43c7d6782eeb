/** Who is behind an access token of this server at this moment, and what they may still do with it. */
import type { ApiKeys } from './api-keys.ts';
import type { Authority } from './authority.ts';
import { derivationOf } from './derivation.ts';
import { scopesWithin } from './permissions.ts';
import type { Registration, Registrations } from './registrations.ts';

/** The claims of a token that say whoever it was issued to and for, and what it was made from. */
export interface TokenBearer {
  /** A user's id, `team:<id>`, or the client itself. */
  sub?: unknown;
  client_id?: unknown;
  team_id?: unknown;
  /** See `derivation.ts`. */
  derived_from?: unknown;
}

export interface TokenRightsOptions {
  authority: Pick<Authority, 'permissionsIn' | 'isMember' | 'teamExists'>;
  registrations: Registrations;
  apiKeys: Pick<ApiKeys, 'rightsOfKey'>;
}

type Rights = ReadonlySet<string> | undefined;

/**
 * Every scope that still counts: what the app or client is allowed now, and of permissions of this server only those its
 * user has now; for a token that was got for an API key, what that key may do now. All of it is in memory, and follows each
 * change. That the consent behind a token stands is not asked here, nor whether the token was revoked.
 * @returns undefined when the app, client, user, key or team is gone, switched off, or they have nothing to do with each
 *   other any more
 */
export async function rightsBehind(options: TokenRightsOptions, claims: TokenBearer): Promise<Rights> {
  const derivation = derivationOf(claims);
  const bearer = { sub: String(claims.sub), clientId: String(claims.client_id), teamId: String(claims.team_id) };
  if (derivation?.keyId !== undefined) return rightsOfKey(options, derivation.keyId, bearer);
  const registration = await enabled(options, bearer.clientId);
  if (registration === undefined) return undefined;
  if (derivation !== undefined) return rightsOfActor(options, registration, derivation.clientIds, bearer);
  if (registration.kind === 'app') return rightsOfApp(options, registration, bearer);
  const { record } = registration;
  const isItself = bearer.sub === bearer.clientId && bearer.teamId === record.teamId;
  return isItself && (await options.authority.teamExists(bearer.teamId)) ? new Set(record.allowedScopes) : undefined;
}

interface Bearer {
  sub: string;
  clientId: string;
  teamId: string;
}

async function enabled({ registrations }: TokenRightsOptions, clientId: string): Promise<Registration | undefined> {
  const registration = await registrations.findForProtocol(clientId);
  return registration?.record.enabled ? registration : undefined;
}

/** What an app may do for a member of the team: what both of them may. */
async function rightsOfApp(
  { authority }: TokenRightsOptions,
  { record }: Registration,
  { sub, teamId }: Bearer,
): Promise<Rights> {
  // A member's team exists.
  if (!(await authority.isMember(sub, teamId))) return undefined;
  const permissions = await authority.permissionsIn(sub, teamId);
  return permissions && new Set(scopesWithin(record.allowedScopes, permissions));
}

/** As the key, whoever asked for the token: it holds the key, which opens more than its token. */
async function rightsOfKey(options: TokenRightsOptions, keyId: string, bearer: Bearer): Promise<Rights> {
  const key = await options.apiKeys.rightsOfKey(keyId);
  if (key === undefined || key.subject !== bearer.sub || key.teamId !== bearer.teamId) return undefined;
  const isWithoutClient = bearer.clientId === `key:${keyId}`;
  return isWithoutClient || (await enabled(options, bearer.clientId)) ? key.scopes : undefined;
}

/** What is left of the app's rights in the hands of whoever it reached: everybody it went through must still be there. */
async function rightsOfActor(
  options: TokenRightsOptions,
  actor: Registration,
  formerIds: readonly string[],
  bearer: Bearer,
): Promise<Rights> {
  const [app, ...others] = await Promise.all(formerIds.map((clientId) => enabled(options, clientId)));
  if (app?.kind !== 'app' || others.includes(undefined)) return undefined;
  const rights = await rightsOfApp(options, app, bearer);
  const allowed = new Set(actor.record.allowedScopes);
  return rights && new Set([...rights].filter((scope) => allowed.has(scope)));
}
