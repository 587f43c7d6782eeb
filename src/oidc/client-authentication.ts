/** Two refusals of the token endpoint in the words of RFC 6749 §5.2, where the engine says `invalid_request`. */
import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { Step } from './internals.ts';

/** Whether the request says which client it comes from, in whatever way. */
function namesClient(ctx: KoaContextWithOIDC): boolean {
  const { client_id, client_assertion } = ctx.oidc.params as Record<string, unknown>;
  return [ctx.headers.authorization, client_id, client_assertion].some((one) => one !== undefined);
}

/** Whether anything in the request is a client's. One that does not say which one is a client's that went wrong. */
export function bringsClient(ctx: KoaContextWithOIDC): boolean {
  const { client_secret, client_assertion_type } = ctx.oidc.params as Record<string, unknown>;
  return namesClient(ctx) || [client_secret, client_assertion_type].some((one) => one !== undefined);
}

/** Before the engine authenticates the client: no authentication included at all is `invalid_client`. */
export const requireAuthentication: Step = async (ctx, next) => {
  if (!namesClient(ctx)) {
    // RFC 9110 §15.5.2: a 401 names a scheme; the engine does so only when one was tried.
    ctx.set('WWW-Authenticate', `Basic realm="${ctx.oidc.provider.issuer}"`);
    throw new errors.InvalidClientAuth('no client authentication mechanism provided');
  }
  await next();
};

/** A grant that exists but is not for this client is `unauthorized_client`. */
export const checkGrantType: Step = async (ctx, next) => {
  if (!ctx.oidc.client!.grantTypeAllowed(String(ctx.oidc.params!.grant_type))) {
    throw new errors.UnauthorizedClient('requested grant type is not allowed for this client');
  }
  await next();
};
