/**
 * Which scopes a request gets. Nothing is dropped in silence: a scope outside the client's set is `invalid_scope`
 * (RFC 6749 §3.3, §5.2), at the authorization endpoint as at the token endpoint.
 */
import { type Client, errors } from 'oidc-provider';
import { allowedScopes } from './client-metadata.ts';
import type { Step } from './internals.ts';

// RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
const SYNTAX = /^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$/;

/** The engine's step for authorization and pushed authorization requests. */
export const checkScope: Step = async (ctx, next) => {
  const { params, client } = ctx.oidc;
  const scope = params?.scope;
  if (scope === undefined || scope === '')
    throw new errors.InvalidScope('scope is required: name what the app needs', '');
  params!.scope = requireAllowed(client!, String(scope)).join(' ');
  await next();
};

/**
 * The scopes asked for, each once.
 * @throws InvalidScope for bad syntax or a scope the client is not allowed
 */
export function requireAllowed(client: Client, scope: string): string[] {
  if (!SYNTAX.test(scope)) throw new errors.InvalidScope('scope contains invalid characters', '');
  const requested = [...new Set(scope.split(' '))];
  const allowed = allowedScopes(client);
  const refused = requested.filter((one) => !allowed.has(one));
  if (refused.length > 0) {
    throw new errors.InvalidScope(
      'requested scope is not allowed to this client',
      refused.slice(0, 10).join(' ').slice(0, 200),
    );
  }
  return requested;
}
