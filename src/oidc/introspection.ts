/**
 * Introspection (RFC 7662) of what the engine does not store: JWT access tokens and API keys. The engine has
 * authenticated the caller; refresh tokens go on to its own step, under the same policy.
 */
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { ApiKeys } from '../domain/api-keys.ts';
import { ROOT_TEAM_ID } from '../domain/permissions.ts';
import { rightsBehind, type TokenRightsOptions } from '../domain/token-rights.ts';
import { findGrant } from '../storage/grants.ts';
import type { Queryable } from '../storage/pool.ts';
import { type AccessTokenClaims, isJwt, type VerifyAccessToken } from './access-tokens.ts';
import type { GrantPayload } from './adapter.ts';
import { registrationFor } from './client-metadata.ts';
import { engineError } from './errors.ts';
import type { Step } from './internals.ts';
import type { Targets } from './resource-servers.ts';

export interface IntrospectionOptions extends TokenRightsOptions {
  db: Queryable;
  issuer: string;
  apiKeys: Pick<ApiKeys, 'verify' | 'mayBeImported'>;
  verifyAccessToken: VerifyAccessToken;
  targets: Pick<Targets, 'find'>;
}

/** RFC 7662 §2.2: nothing more is said about what is not active, or not the caller's business. */
const INACTIVE = { active: false };

/**
 * Whether `caller` may be told about a credential: one issued to itself, or, for a machine client allowed
 * `credentials:introspect`, one that acts in its team (in any team, for a client of the root team).
 */
export function mayIntrospect(
  caller: Client,
  credential: { clientId?: string | undefined; teamId?: string | undefined },
): boolean {
  if (credential.clientId === caller.clientId) return true;
  const registration = registrationFor(caller);
  if (registration.kind !== 'client' || !registration.record.allowedScopes.includes('credentials:introspect'))
    return false;
  return registration.record.teamId === ROOT_TEAM_ID || registration.record.teamId === credential.teamId;
}

/** The engine's step before its own introspection. */
export function createIntrospectStep(options: IntrospectionOptions): Step {
  return async (ctx, next) => {
    const token = String(ctx.oidc.params!.token);
    // RFC 7662 §2.1: whoever found a token must not be able to try it here, and a client_id is no secret.
    if (ctx.oidc.client!.clientAuthMethod === 'none')
      throw new errors.InvalidClientAuth('a public client has no proof');
    try {
      if (await options.apiKeys.mayBeImported(token)) {
        const answer = await introspectApiKey(options, ctx.oidc.client!, token);
        // It can look like a refresh token, and may be one.
        if (answer === INACTIVE && !isJwt(token)) await next();
        else ctx.body = answer;
      } else if (isJwt(token)) ctx.body = await introspectJwt(options, ctx.oidc.client!, token);
      else if (/^lk[pt]_/.test(token)) ctx.body = await introspectApiKey(options, ctx.oidc.client!, token);
      else await next();
    } catch (error) {
      throw engineError(error);
    }
  };
}

/** The engine's `allowedPolicy` for what it does store (refresh tokens). */
export async function allowedPolicy(
  ctx: KoaContextWithOIDC,
  caller: Client,
  token: { clientId?: string },
): Promise<boolean> {
  const grant = ctx.oidc.entities.Grant as GrantPayload | undefined;
  return mayIntrospect(caller, { clientId: token.clientId, teamId: grant?.teamId });
}

async function introspectJwt(options: IntrospectionOptions, caller: Client, token: string): Promise<object> {
  const claims = await options.verifyAccessToken(token);
  if (claims === undefined || !mayIntrospect(caller, { clientId: claims.client_id, teamId: claims.team_id }))
    return INACTIVE;
  const scopes = await liveScopes(options, claims);
  if (scopes === undefined) return INACTIVE;
  const { cnf, ...rest } = claims;
  return {
    active: true,
    token_type: cnf?.jkt ? 'DPoP' : 'Bearer',
    ...rest,
    scope: scopes.join(' '),
    ...(cnf && { cnf }),
  };
}

/** What the token may do now; undefined when its grant, user, client or resource server has ended since it was issued. */
async function liveScopes(options: IntrospectionOptions, claims: AccessTokenClaims): Promise<string[] | undefined> {
  const target = await options.targets.find(claims.aud);
  if (target === undefined || claims.iat < target.since) return undefined;
  const { sub, client_id, team_id, grant_id } = claims;
  const rights = await rightsBehind(options, { subject: sub, clientId: client_id, teamId: String(team_id) });
  if (rights === undefined) return undefined;
  // Whoever acts for itself needs no consent; whoever acts for a user has one.
  const grant = grant_id === undefined ? undefined : await findGrant(options.db, grant_id);
  const isGranted = sub === client_id || (grant?.userId === sub && grant.teamId === team_id);
  if (!isGranted) return undefined;
  return (claims.scope?.split(' ') ?? []).filter((scope) => target.hasScope(scope) && rights.has(scope));
}

async function introspectApiKey(options: IntrospectionOptions, caller: Client, text: string): Promise<object> {
  const key = await options.apiKeys.verify(text);
  if (key === undefined || !mayIntrospect(caller, { teamId: key.teamId })) return INACTIVE;
  return {
    active: true,
    token_type: 'api_key',
    iss: options.issuer,
    kind: key.kind,
    key_id: key.id,
    sub: key.kind === 'personal' ? key.userId : `team:${key.teamId}`,
    team_id: key.teamId,
    scope: [...key.scopes].join(' '),
    iat: Math.floor(key.createdAt.getTime() / 1000),
    ...(key.expiresAt && { exp: Math.floor(key.expiresAt.getTime() / 1000) }),
  };
}
