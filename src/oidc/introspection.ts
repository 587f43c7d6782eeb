/**
 * Introspection (RFC 7662) of what the engine does not store: JWT access tokens and API keys. The engine has
 * authenticated the caller; refresh tokens go on to its own step, under the same policy.
 */
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider';
import { type ApiKeys, subjectOf } from '../domain/api-keys.ts';
import type { CredentialUses } from '../domain/credential-uses.ts';
import { derivationOf } from '../domain/derivation.ts';
import type { LastUsed } from '../domain/last-used.ts';
import { noticeOf } from '../domain/retirements.ts';
import { rightsBehind, type TokenRightsOptions } from '../domain/token-rights.ts';
import { findGrant } from '../storage/grants.ts';
import type { Queryable } from '../storage/pool.ts';
import { type AccessTokenClaims, isJwt, type VerifyAccessToken } from './access-tokens.ts';
import { type GrantPayload, namedBy } from './adapter.ts';
import { engineError } from './errors.ts';
import type { Step } from './internals.ts';
import { concernOf, meaningAt, type Presented } from './introspection-policy.ts';
import type { Target, Targets } from './resource-servers.ts';
import { wordsOf } from './scopes.ts';

export interface IntrospectionOptions extends TokenRightsOptions {
  db: Queryable;
  issuer: string;
  defaultResource: string;
  apiKeys: TokenRightsOptions['apiKeys'] & Pick<ApiKeys, 'check' | 'mayBeImported'>;
  verifyAccessToken: VerifyAccessToken;
  targets: Pick<Targets, 'find' | 'ofClient'>;
  lastUsed: Pick<LastUsed, 'touch'>;
  credentialUses: Pick<CredentialUses, 'count'>;
}

/** RFC 7662 §2.2: nothing more is said about what is not active, or not the caller's business. */
const INACTIVE = { active: false };

/** The engine's step before its own introspection. */
export function createIntrospectStep(options: IntrospectionOptions): Step {
  return async (ctx, next) => {
    const token = String(ctx.oidc.params!.token);
    // RFC 7662 §2.1: whoever found a token must not be able to try it here, and a client_id is no secret.
    if (ctx.oidc.client!.clientAuthMethod === 'none')
      throw new errors.InvalidClientAuth('a public client has no proof');
    try {
      if (await options.apiKeys.mayBeImported(token)) {
        const answer = await introspectApiKey(options, ctx, token);
        // It can look like a refresh token, and may be one.
        if (answer === INACTIVE && !isJwt(token)) await introspectStored(options, ctx, next);
        else ctx.body = answer;
      } else if (isJwt(token)) ctx.body = await introspectJwt(options, ctx.oidc.client!, token);
      else if (/^lk[pt]_/.test(token)) ctx.body = await introspectApiKey(options, ctx, token);
      else await introspectStored(options, ctx, next);
    } catch (error) {
      throw engineError(error);
    }
  };
}

/** The engine's `allowedPolicy` for what it does store (refresh tokens). */
export function createAllowedPolicy({
  targets,
  defaultResource,
}: Pick<IntrospectionOptions, 'targets' | 'defaultResource'>) {
  return async (ctx: KoaContextWithOIDC, caller: Client, token: { clientId?: string }): Promise<boolean> => {
    const presented = await presentedBy(ctx, token, { targets, defaultResource });
    return token.clientId === caller.clientId || concernOf(caller, presented).length > 0;
  };
}

/** A refresh token by the consent it hangs on, which the engine has found. */
async function presentedBy(
  { oidc }: KoaContextWithOIDC,
  { clientId }: { clientId?: string },
  { targets, defaultResource }: Pick<IntrospectionOptions, 'targets' | 'defaultResource'>,
): Promise<Presented> {
  const grant = oidc.entities.Grant as GrantPayload | undefined;
  const named = await Promise.all(namedBy(grant ?? {}, defaultResource).map(targets.find));
  return { clientId, teamId: grant?.teamId, targets: named.filter((one) => one !== undefined) };
}

/** As the engine does it, and then no more than the user and the app may do now, and than concerns the caller. */
async function introspectStored(
  options: IntrospectionOptions,
  ctx: KoaContextWithOIDC,
  next: () => Promise<void>,
): Promise<void> {
  await next();
  const { RefreshToken: token, Grant: grant } = ctx.oidc.entities;
  const answer = ctx.body as { active: boolean; scope?: string };
  if (!answer.active || token === undefined) return;
  const caller = ctx.oidc.client!;
  const bearer = {
    sub: token.accountId,
    client_id: token.clientId,
    team_id: (grant as GrantPayload | undefined)?.teamId,
  };
  const rights = await rightsBehind(options, bearer);
  if (rights === undefined) {
    ctx.body = INACTIVE;
    return;
  }
  const scopes = wordsOf(answer.scope).filter((scope) => rights.has(scope));
  const isIts = token.clientId === caller.clientId;
  const concern = isIts ? [] : concernOf(caller, await presentedBy(ctx, token, options));
  ctx.body = { ...answer, scope: (isIts ? scopes : meaningAt(concern, scopes)).join(' ') };
}

async function introspectJwt(options: IntrospectionOptions, caller: Client, token: string): Promise<object> {
  const claims = await options.verifyAccessToken(token);
  const target = claims && (await options.targets.find(claims.aud));
  if (claims === undefined || target === undefined) return INACTIVE;
  const { client_id: clientId, team_id: teamId } = claims;
  if (concernOf(caller, { clientId, teamId, targets: [target] }).length === 0) return INACTIVE;
  const scopes = await liveScopes(options, claims, target);
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

/** What the token may do now; undefined when its grant, user, client, key or resource server has ended since it was issued. */
async function liveScopes(
  options: IntrospectionOptions,
  claims: AccessTokenClaims,
  target: Target,
): Promise<string[] | undefined> {
  if (claims.iat < target.since) return undefined;
  const isOfKey = derivationOf(claims)?.keyId !== undefined;
  if (isOfKey && !target.acceptsApiKeys) return undefined;
  const rights = await rightsBehind(options, claims);
  if (rights === undefined) return undefined;
  const { sub, client_id, team_id, grant_id } = claims;
  // Whoever acts for itself needs no consent, nor does a key; whoever acts for a user otherwise has one.
  const grant = grant_id === undefined ? undefined : await findGrant(options.db, grant_id);
  const isGranted = sub === client_id || isOfKey || (grant?.userId === sub && grant.teamId === team_id);
  if (!isGranted) return undefined;
  return wordsOf(claims.scope).filter((scope) => target.hasScope(scope) && rights.has(scope));
}

async function introspectApiKey(
  { apiKeys, targets, issuer, lastUsed, credentialUses }: IntrospectionOptions,
  ctx: KoaContextWithOIDC,
  text: string,
): Promise<object> {
  const caller = ctx.oidc.client!;
  // Only what is told to whoever it concerns is a use.
  const key = await apiKeys.check(text, { touch: false });
  if (key === undefined) return INACTIVE;
  const takingKeys = (await targets.ofClient(caller.clientId)).filter(({ acceptsApiKeys }) => acceptsApiKeys);
  const concern = concernOf(caller, { teamId: key.teamId, targets: takingKeys });
  if (concern.length === 0) return INACTIVE;
  const retirement = 'retired' in key ? key.retired : key.retirement;
  if (retirement !== undefined) ctx.set({ ...noticeOf(retirement) });
  if ('retired' in key) {
    // Whoever asks counts what it lets in; that somebody still calls with this one is known here alone.
    credentialUses.count({ teamId: key.teamId, kind: `${key.kind}_key`, credential: key.id });
    return INACTIVE;
  }
  lastUsed.touch('api_keys', key.id);
  const [aud, ...more] = concern.map(({ resource }) => resource);
  return {
    active: true,
    token_type: 'api_key',
    iss: issuer,
    aud: more.length === 0 ? aud : [aud, ...more],
    kind: key.kind,
    key_id: key.id,
    sub: subjectOf(key),
    team_id: key.teamId,
    scope: meaningAt(concern, key.scopes).join(' '),
    iat: Math.floor(key.createdAt.getTime() / 1000),
    ...(key.expiresAt && { exp: Math.floor(key.expiresAt.getTime() / 1000) }),
  };
}
