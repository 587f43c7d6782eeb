/**
 * Revocation (RFC 7009) of JWT access tokens, which the engine refuses. The engine has authenticated the caller;
 * refresh tokens go on to its own step, which ends the whole grant (§2.1).
 */
import type { Audit } from '../domain/audit.ts';
import type { RevokedTokens } from '../domain/revoked-tokens.ts';
import type { Database } from '../storage/pool.ts';
import { isJwt, type VerifyAccessToken } from './access-tokens.ts';
import type { ActorOf } from './audit-trail.ts';
import { engineError } from './errors.ts';
import type { Step } from './internals.ts';

export interface RevocationOptions {
  db: Database;
  audit: Audit;
  actorOf: ActorOf;
  revokedTokens: RevokedTokens;
  verifyAccessToken: VerifyAccessToken;
}

/** The engine's step before its own revocation. A token that is unknown, ended or another client's: 200 and nothing happens (§2.2). */
export function createRevokeStep({ db, audit, actorOf, revokedTokens, verifyAccessToken }: RevocationOptions): Step {
  return async (ctx, next) => {
    const token = String(ctx.oidc.params!.token);
    if (!isJwt(token)) return next();
    ctx.status = 200;
    ctx.body = {};
    try {
      const claims = await verifyAccessToken(token);
      if (claims === undefined || claims.client_id !== ctx.oidc.client!.clientId) return;
      await db.transaction(async (tx) => {
        if (!(await revokedTokens.revoke(tx, claims.jti, new Date(claims.exp * 1000)))) return;
        await audit.record(tx, {
          action: 'token.revoked',
          actor: actorOf(ctx),
          teamId: claims.team_id,
          target: { kind: 'access_token', id: claims.jti },
        });
      });
    } catch (error) {
      throw engineError(error);
    }
  };
}
