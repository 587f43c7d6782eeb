/**
 * Which scopes a request gets. Nothing is dropped in silence: a scope outside the client's set is `invalid_scope`
 * (RFC 6749 §3.3, §5.2), at the authorization endpoint as at the token endpoint.
 */
import { type Client, errors } from 'oidc-provider';
import { isIdentityScope } from '../domain/permissions.ts';
import { allowedScopes } from './client-metadata.ts';
import type { Step } from './internals.ts';
import type { Target, Targets } from './resource-servers.ts';

// RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
const SYNTAX = /^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$/;

/** The engine's step for authorization and pushed authorization requests. */
export function createCheckScope(targets: Targets): Step {
  return async (ctx, next) => {
    const { params, client } = ctx.oidc;
    const scope = params?.scope;
    if (scope === undefined || scope === '')
      throw new errors.InvalidScope('scope is required: name what the app needs', '');
    params!.scope = requireAllowed(client!, String(scope), await targets.named(params!.resource)).join(' ');
    await next();
  };
}

/** The words of a scope that is known to be well-formed; none for no scope. */
export function wordsOf(scope: string | undefined): string[] {
  return scope ? scope.split(' ') : [];
}

/** The words of a scope parameter, each once. @throws InvalidScope for bad syntax */
export function parseScope(scope: string): string[] {
  if (!SYNTAX.test(scope)) throw new errors.InvalidScope('scope contains invalid characters', '');
  return [...new Set(scope.split(' '))];
}

/**
 * The scopes asked for, each once.
 * @param targets the APIs the tokens are to be for
 * @throws InvalidScope for bad syntax, a scope the client is not allowed, or one that means nothing at those APIs
 */
export function requireAllowed(client: Client, scope: string, targets: readonly Target[]): string[] {
  const requested = parseScope(scope);
  const allowed = allowedScopes(client);
  refuse(
    'requested scope is not allowed to this client',
    requested.filter((one) => !allowed.has(one)),
  );
  refuse(
    'requested scope belongs to another resource: name it with the parameter resource',
    requested.filter((one) => !isIdentityScope(one) && !targets.some((target) => target.hasScope(one))),
  );
  return requested;
}

function refuse(description: string, refused: readonly string[]): void {
  if (refused.length > 0) throw new errors.InvalidScope(description, refused.slice(0, 10).join(' ').slice(0, 200));
}
