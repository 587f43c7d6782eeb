/**
 * Revocation (RFC 7009) of what the engine does not store: JWT access tokens, which only their client may end, and API
 * keys with the tokens they were exchanged for, which whoever holds them may. Refresh tokens go on to the engine's own
 * step, which ends the whole grant (§2.1). What was revoked opens nothing here once the answer is sent.
 */
import { decodeJwt } from 'jose';
import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { ApiKeys } from '../domain/api-keys.ts';
import type { Actor, Audit } from '../domain/audit.ts';
import { keyIdIn } from '../domain/derivation.ts';
import type { KeyGuesses } from '../domain/key-guesses.ts';
import type { Revocations } from '../domain/revocations.ts';
import { AppError } from '../errors.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database } from '../storage/pool.ts';
import { type AccessTokenClaims, isJwt, type VerifyAccessToken } from './access-tokens.ts';
import type { ActorOf } from './audit-trail.ts';
import { bringsClient } from './client-authentication.ts';
import { engineError } from './errors.ts';
import type { Step } from './internals.ts';

export interface RevocationOptions {
  db: Database;
  audit: Pick<Audit, 'record'>;
  actorOf: ActorOf;
  apiKeys: Pick<ApiKeys, 'mayBeImported' | 'revokeByText'>;
  keyGuesses: Pick<KeyGuesses, 'check'>;
  revocations: Pick<Revocations, 'revoke'>;
  notifications: Pick<Notifications, 'settle'>;
  verifyAccessToken: VerifyAccessToken;
}

/**
 * What is unknown, ended or another client's: 200 and nothing happens (§2.2).
 * @returns `withClient` the step before the engine's own revocation, `withoutClient` the one before it asks for a
 *   client: it answers what needs none, and leaves everything else alone
 */
export function createRevocation(options: RevocationOptions): { withClient: Step; withoutClient: Step } {
  const { apiKeys, keyGuesses, actorOf, notifications } = options;

  async function withClient(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
    const token = String(ctx.oidc.params!.token);
    const { clientId } = ctx.oidc.client!;
    if ((await revokeKey(ctx, token)) === undefined) {
      if (!isJwt(token)) await next();
      else await revokeToken(ctx, token, (claims) => claims.client_id === clientId || isOfKey(claims));
    }
    done(ctx);
    await notifications.settle();
  }

  async function withoutClient(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
    const { token, token_type_hint: hint } = ctx.oidc.params as Record<string, unknown>;
    if (ctx.oidc.route !== 'revocation' || bringsClient(ctx)) return next();
    if (Array.isArray(token) || Array.isArray(hint)) throw new errors.InvalidRequest('a parameter is given twice');
    if (token === undefined) return next();
    const text = String(token);
    const isKey = /^lk[pt]_/.test(text) || (await apiKeys.mayBeImported(text));
    if (!isKey && !isOfKey(peek(text))) return next();
    const { ip } = actorOf(ctx);
    await keyGuesses.check(text, ip, () => (isKey ? revokeKey(ctx, text) : revokeToken(ctx, text, isOfKey)));
    // Which origins may read an answer is up to the client, and there is none.
    ctx.remove('Access-Control-Allow-Origin');
    done(ctx);
    await notifications.settle();
  }

  function revokeKey(ctx: KoaContextWithOIDC, text: string): Promise<object | undefined> {
    return apiKeys.revokeByText(text, (key) => holder(ctx, key), { endpoint: ctx.oidc.route });
  }

  /** The client; without one, the key itself. */
  function holder(ctx: KoaContextWithOIDC, key: { id: string; userId: string | null }): Actor {
    const actor = actorOf(ctx);
    if (ctx.oidc.client !== undefined) return actor;
    const kind = key.userId === null ? 'team_key' : 'personal_key';
    return { ...actor, kind, id: key.id, userId: key.userId ?? undefined };
  }

  async function revokeToken(
    ctx: KoaContextWithOIDC,
    token: string,
    mayEnd: (claims: AccessTokenClaims) => boolean,
  ): Promise<object | undefined> {
    const claims = await options.verifyAccessToken(token);
    if (claims === undefined || !mayEnd(claims)) return undefined;
    const { jti, team_id: teamId } = claims;
    const key = { id: keyIdIn(claims.client_id) ?? '', userId: claims.sub.startsWith('team:') ? null : claims.sub };
    const actor = holder(ctx, key);
    await options.db
      .transaction(async (tx) => {
        const outcome = await options.revocations.revoke(tx, claims);
        if (outcome === 'known') return;
        const target = { kind: 'access_token', id: jti };
        const details = outcome === 'earlier' ? { earlier_tokens_too: true } : {};
        await options.audit.record(tx, { action: 'token.revoked', actor, teamId, target, details });
      })
      .catch((error: unknown) => {
        // Room comes as tokens expire, not at once.
        if (error instanceof AppError && error.kind === 'resource_exhausted') ctx.set('Retry-After', '60');
        throw error;
      });
    return claims;
  }

  return { withClient: inEngineWords(withClient), withoutClient: inEngineWords(withoutClient) };
}

function done(ctx: KoaContextWithOIDC): void {
  ctx.status = 200;
  ctx.body = {};
}

/** A token that stands for a key alone: no client was there when it was issued. */
function isOfKey({ client_id: clientId }: { client_id?: unknown }): boolean {
  return typeof clientId === 'string' && keyIdIn(clientId) !== undefined;
}

/** What a token says about itself, which nobody has checked. */
function peek(token: string): { client_id?: unknown } {
  try {
    return decodeJwt(token);
  } catch {
    return {};
  }
}

function inEngineWords(step: Step): Step {
  return (ctx, next) => step(ctx, next).catch((error: unknown) => Promise.reject(engineError(error)));
}
