import { type ChallengeSettings, type Failure, failure, Refused } from './decision.ts';
import type { Principal } from './principal.ts';

/** Undefined when `principal` has all of `scopes`, otherwise the 403 `insufficient_scope` of RFC 6750 §3.1. */
export function checkScope(
  principal: Principal,
  scopes: readonly string[],
  settings: ChallengeSettings,
): Failure | undefined {
  const missing = scopes.filter((scope) => !principal.scopes.includes(scope));
  if (missing.length === 0) return undefined;
  const reason = `needs ${missing.join(' ')}`;
  const refused = new Refused(
    'insufficient_scope',
    `This credential lacks the scope the request needs: ${scopes.join(' ')}`,
    reason,
  );
  return failure(refused, settings, principal.claims?.cnf ? 'DPoP' : 'Bearer', scopes);
}
