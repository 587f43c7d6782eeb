/**
 * Who calls the management API: the published resource middleware, with the parts that live in this process in place of
 * its remote ones. On top of what the credential says stands what its owner may do at this moment.
 */

import type { JSONWebKeySet } from 'jose';
import type { Context, Middleware } from 'koa';
import type { ApiKeys } from '../../domain/api-keys.ts';
import type { Authority } from '../../domain/authority.ts';
import type { Registrations } from '../../domain/registrations.ts';
import { AppError } from '../../errors.ts';
import { authenticate, type Failure, type Principal } from '../../resource/index.ts';

export interface AuthenticationOptions {
  issuer: string;
  audience: string;
  publishedKeys: () => JSONWebKeySet;
  isRevoked: (jti: string) => boolean;
  apiKeys: Pick<ApiKeys, 'verify'>;
  authority: Pick<Authority, 'permissionsIn' | 'isMember' | 'teamExists'>;
  registrations: Registrations;
  scopesSupported: string[];
}

export interface Authentication {
  middleware: Middleware;
}

/** Puts a `Principal` whose scopes are effective (the owner's permissions now ∩ the credential's scopes) into `ctx.state.principal`. */
export function createAuthentication(options: AuthenticationOptions): Middleware[] {
  const { issuer, audience, apiKeys } = options;
  const fromCredential = authenticate(
    {
      issuer,
      audience,
      jwks: options.publishedKeys,
      isRevoked: (claims) => options.isRevoked(String(claims.jti)),
      scopesSupported: options.scopesSupported,
      async verifyApiKey(text) {
        const key = await apiKeys.verify(text);
        if (key === undefined) return undefined;
        return {
          kind: key.kind === 'personal' ? 'user' : 'team',
          credential: { kind: key.kind === 'personal' ? 'personal_key' : 'team_key', id: key.id },
          subject: key.userId ?? `team:${key.teamId}`,
          teamId: key.teamId,
          scopes: [...key.scopes],
          ...(key.expiresAt && { expiresAt: Math.floor(key.expiresAt.getTime() / 1000) }),
        };
      },
    },
    { renderFailure },
  );

  async function narrow(ctx: Context, next: () => Promise<void>): Promise<void> {
    const principal = ctx.state.principal as Principal;
    // A key's scopes are its owner's permissions already.
    if (principal.credential.kind === 'access_token') {
      const rights = await rightsBehind(options, principal);
      if (rights === undefined) {
        ctx.set('WWW-Authenticate', 'Bearer error="invalid_token"');
        throw new AppError('unauthenticated', 'Invalid access token');
      }
      ctx.state.principal = { ...principal, scopes: principal.scopes.filter((scope) => rights.has(scope)) };
    }
    await next();
  }

  return [fromCredential, narrow];
}

/** What the user or client behind an access token may do now; undefined when they are gone, disabled, or out of the team. */
async function rightsBehind(
  { authority, registrations }: AuthenticationOptions,
  principal: Principal,
): Promise<ReadonlySet<string> | undefined> {
  const registration = await registrations.findForProtocol(principal.clientId ?? '');
  if (registration === undefined || !registration.record.enabled) return undefined;
  if (principal.kind === 'client') {
    const { teamId, allowedScopes } = registration.record as { teamId?: string; allowedScopes: string[] };
    return teamId === principal.teamId ? new Set(allowedScopes) : undefined;
  }
  if (!(await authority.isMember(principal.subject, principal.teamId))) return undefined;
  return authority.permissionsIn(principal.subject, principal.teamId);
}

function renderFailure(ctx: Context, failure: Failure): void {
  ctx.status = failure.status;
  ctx.set(failure.headers);
  ctx.set('Cache-Control', 'no-store');
  ctx.body = failure.body;
}
