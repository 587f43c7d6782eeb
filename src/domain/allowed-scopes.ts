/** Which scopes an app or client may ask for, and who may give them. */
import { AppError, invalidField } from '../errors.ts';
import { isPermission, isScope } from './permissions.ts';

/** What an app gets that names none: enough to log its users in and stay connected. */
export const DEFAULT_APP_SCOPES: readonly string[] = ['openid', 'profile', 'email', 'offline_access'];

const NO_MORE: ReadonlySet<string> = new Set();

/**
 * The scopes an app acting for users may have: permissions and identity scopes.
 * @param more words that are scopes of other resource servers
 * @throws AppError `invalid_argument` for an empty list or a word that means nothing here
 */
export function checkAppScopes(scopes: readonly string[], more: ReadonlySet<string> = NO_MORE): string[] {
  return checkWords(scopes, (word) => isScope(word) || more.has(word), 'is not a scope');
}

/**
 * The scopes a client acting for itself may have: permissions only, for there is no user to identify.
 * @param more words that are scopes of other resource servers
 * @throws AppError `invalid_argument` for an empty list or a word that is not a permission
 */
export function checkClientScopes(scopes: readonly string[], more: ReadonlySet<string> = NO_MORE): string[] {
  return checkWords(scopes, (word) => isPermission(word) || more.has(word), 'is not a permission a client can have');
}

/**
 * Whoever gives a client scopes, or the means to act as it, must be able to do the same in its team. Scopes of other
 * resource servers are no permissions here: nobody has or lacks them.
 * @param mayGive as `grantable` says it
 * @throws AppError `permission_denied` naming what the actor lacks
 */
export function requireGrantable(scopes: readonly string[], mayGive: (scope: string) => boolean): void {
  const lacking = scopes.filter((scope) => isPermission(scope) && !mayGive(scope));
  if (lacking.length === 0) return;
  throw new AppError('permission_denied', `You cannot give what you may not do in this team: ${lacking.join(', ')}.`);
}

function checkWords(scopes: readonly string[], isKnown: (word: string) => boolean, complaint: string): string[] {
  if (scopes.length === 0) throw invalidField('allowed_scopes', 'name at least one');
  const unknown = scopes.find((scope) => !isKnown(scope));
  if (unknown !== undefined) throw invalidField('allowed_scopes', `${JSON.stringify(unknown)} ${complaint}`);
  return [...new Set(scopes)];
}
