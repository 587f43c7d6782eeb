/** Which scopes an app or client may ask for. */
import { invalidField } from '../errors.ts';
import { isPermission, isScope } from './permissions.ts';

/** What an app gets that names none: enough to log its users in and stay connected. */
export const DEFAULT_APP_SCOPES: readonly string[] = ['openid', 'profile', 'email', 'offline_access'];

/**
 * The scopes an app acting for users may have: permissions and identity scopes.
 * @throws AppError `invalid_argument` for an empty list or a word that means nothing here
 */
export function checkAppScopes(scopes: readonly string[]): string[] {
  return checkWords(scopes, isScope, 'is not a scope');
}

/**
 * The scopes a client acting for itself may have: permissions only, for there is no user to identify.
 * @throws AppError `invalid_argument` for an empty list or a word that is not a permission
 */
export function checkClientScopes(scopes: readonly string[]): string[] {
  return checkWords(scopes, isPermission, 'is not a permission a client can have');
}

function checkWords(scopes: readonly string[], isKnown: (word: string) => boolean, complaint: string): string[] {
  if (scopes.length === 0) throw invalidField('allowed_scopes', 'name at least one');
  const unknown = scopes.find((scope) => !isKnown(scope));
  if (unknown !== undefined) throw invalidField('allowed_scopes', `${JSON.stringify(unknown)} ${complaint}`);
  return [...new Set(scopes)];
}
