/**
 * What a personal key may do: never more than its owner may do now, and never more than whoever made it could give.
 * A key without scopes stands for its owner in everything but what only scopes can name (`NAMED_ONLY`).
 */
import { AppError, invalidField } from '../errors.ts';
import type { Actor } from './audit.ts';
import type { Authority } from './authority.ts';
import { grantable } from './authorization.ts';
import { isPermission, NAMED_ONLY } from './permissions.ts';

/** What a key may do at this moment, of all its owner may: `scopes` null for a key without. */
export function withinScopes(scopes: readonly string[] | null, owners: ReadonlySet<string>): ReadonlySet<string> {
  return new Set(
    scopes === null
      ? [...owners].filter((permission) => !NAMED_ONLY.has(permission))
      : scopes.filter((scope) => owners.has(scope)),
  );
}

/**
 * The scopes a new key gets: what is asked for; without that none (null), or, when the maker's own credential is
 * narrower than its owner, what that credential may do.
 * @throws AppError `invalid_argument` for a word that is no permission or an empty list; `permission_denied` for what
 *   the maker may not do
 */
export async function scopesToGive(
  asked: readonly string[] | undefined,
  maker: { authority: Pick<Authority, 'permissionsIn'>; actor: Actor; teamId: string },
): Promise<string[] | null> {
  const { authority, actor, teamId } = maker;
  if (asked === undefined) {
    if (!isNarrowed(actor)) return null;
    const own = [...(actor.permissions ?? [])].filter((one) => isPermission(one) && !NAMED_ONLY.has(one));
    return checkScopes(own);
  }
  const scopes = checkScopes(asked);
  const mayGive = await grantable(authority, actor, teamId);
  requireGrantable(scopes.filter((scope) => !mayGive(scope)));
  return scopes;
}

/**
 * For handing out a new text of a key: it opens all the key opens.
 * @param owners what the owner of the key may do now
 * @throws AppError `permission_denied` when that is more than the actor's credential
 */
export function requireCovers(actor: Actor, scopes: readonly string[] | null, owners: ReadonlySet<string>): void {
  if (!isNarrowed(actor)) return;
  const needed = scopes ?? [...withinScopes(null, owners)];
  requireGrantable(needed.filter((one) => !actor.permissions?.has(one)));
}

/** Whether the actor may do less than whoever is behind it: it came with a token or a key. */
function isNarrowed({ kind, permissions }: Actor): boolean {
  return permissions !== undefined || !['user', 'operator', 'system'].includes(kind);
}

function checkScopes(scopes: readonly string[]): string[] {
  if (scopes.length === 0) throw invalidField('scopes', 'name at least one');
  const unknown = scopes.find((scope) => !isPermission(scope));
  if (unknown !== undefined) throw invalidField('scopes', `${JSON.stringify(unknown)} is not a permission`);
  return [...new Set(scopes)];
}

function requireGrantable(lacking: readonly string[]): void {
  if (lacking.length === 0) return;
  const list = lacking.join(', ');
  throw new AppError('permission_denied', `You cannot give a key what you may not do yourself: ${list}.`, {
    fields: [{ field: 'scopes', description: `more than you may do: ${list}` }],
  });
}
