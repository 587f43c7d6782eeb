/**
 * Who calls the management API: the published resource middleware, with the parts that live in this process in place of
 * its remote ones, or a person's session. On top of what a credential says stands what its owner may do at this moment.
 */
import type { JSONWebKeySet } from 'jose';
import type { Context, Middleware, Next } from 'koa';
import type { ApiKeys } from '../../domain/api-keys.ts';
import type { Audit } from '../../domain/audit.ts';
import type { Authority } from '../../domain/authority.ts';
import type { Caller } from '../../domain/authorization.ts';
import type { LastUsed } from '../../domain/last-used.ts';
import { isPermission } from '../../domain/permissions.ts';
import { rightsBehind, type TokenRightsOptions } from '../../domain/token-rights.ts';
import { authenticate, type Failure, type Principal } from '../../resource/index.ts';
import { requestInfoOf } from '../middleware/request-info.ts';
import { callerFrom } from './actor.ts';
import { noteRefusal } from './refusals.ts';
import { createCallerOfSession, type SessionOptions } from './session.ts';

export interface AuthenticationOptions
  extends Pick<SessionOptions, 'sessionOf' | 'csrf'>,
    Pick<TokenRightsOptions, 'registrations'> {
  issuer: string;
  audience: string;
  publishedKeys: () => JSONWebKeySet;
  isRevoked: (token: { jti?: unknown; grant_id?: unknown }) => boolean;
  apiKeys: Pick<ApiKeys, 'verify' | 'mayBeImported'>;
  audit: Pick<Audit, 'note'>;
  authority: TokenRightsOptions['authority'] & Pick<Authority, 'teamsOf'>;
  lastUsed: Pick<LastUsed, 'touch'>;
  scopesSupported: string[];
  /** Told what kept credentials from being checked. */
  onError: (error: unknown) => void;
}

/**
 * Puts a `Caller` into `ctx.state.caller` whose permissions are effective: the owner's now ∩ the credential's scopes (∩ what its
 * app is allowed now). For a credential there is its `Principal` too, narrowed alike, in `ctx.state.principal`; for a
 * session there is none.
 */
export function createAuthentication(options: AuthenticationOptions): Middleware[] {
  const { issuer, audience, apiKeys } = options;
  const callerOfSession = createCallerOfSession(options);
  // What was found behind a token when it was checked, for what follows a moment later in the same request.
  const rightsOf = new WeakMap<object, ReadonlySet<string>>();
  const fromCredential = authenticate(
    {
      issuer,
      audience,
      jwks: options.publishedKeys,
      onError: options.onError,
      // Ended before its time: the token itself, its consent, or whoever it was issued to or for.
      async isRevoked(claims) {
        if (options.isRevoked(claims)) return true;
        const { sub, client_id, team_id } = claims;
        const bearer = { subject: String(sub), clientId: String(client_id), teamId: String(team_id) };
        const rights = await rightsBehind(options, bearer);
        if (rights !== undefined) rightsOf.set(claims, rights);
        return rights === undefined;
      },
      scopesSupported: options.scopesSupported,
      legacyKeys: apiKeys.mayBeImported,
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
    {
      renderFailure(ctx: Context, failure) {
        noteFailure(options.audit, ctx, failure);
        renderFailure(ctx, failure);
      },
    },
  );

  function narrow(ctx: Context, next: Next): Promise<void> {
    let principal = ctx.state.principal as Principal;
    // A key's scopes are its owner's permissions already.
    if (principal.credential.kind === 'access_token') {
      const grantId = principal.claims?.grant_id;
      if (typeof grantId === 'string') options.lastUsed.touch('grants', grantId);
      const rights = rightsOf.get(principal.claims ?? {});
      principal = {
        ...principal,
        scopes: principal.scopes.filter((scope) => isPermission(scope) && rights?.has(scope)),
      };
    }
    ctx.state.principal = principal;
    ctx.state.caller = callerFrom(principal, requestInfoOf(ctx.req));
    return next();
  }

  return [
    async (ctx, next) => {
      ctx.state.caller = await callerOfSession(ctx);
      return ctx.state.caller ? next() : fromCredential(ctx, () => narrow(ctx, next));
    },
  ];
}

/** A credential that opens nothing, and a right that is lacking. Coming without any credential is neither. */
function noteFailure(audit: Pick<Audit, 'note'>, ctx: Context, { status, reason }: Failure): void {
  if (status === 503 || ctx.get('authorization') === '') return;
  const caller = ctx.state.caller as Caller | undefined;
  const nobody = { actor: { kind: 'anonymous' as const, id: '', ...requestInfoOf(ctx.req) } };
  noteRefusal(audit, ctx, caller ?? nobody, { status, reason });
}

function renderFailure(ctx: Context, failure: Failure): void {
  ctx.status = failure.status;
  ctx.set(failure.headers);
  ctx.set('Cache-Control', 'no-store');
  ctx.body = failure.body;
}
