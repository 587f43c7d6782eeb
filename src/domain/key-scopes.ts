/**
 * What a personal key may do: never more than its owner may do now, and never more than whoever made it could give.
 * A key without scopes stands for its owner in everything but what only scopes can name (`NAMED_ONLY`).
 */
import { AppError, invalidField } from '../errors.ts';
import type { Actor } from './audit.ts';
import type { Authority } from './authority.ts';
import { grantable } from './authorization.ts';
import { isPermission, NAMED_ONLY } from './permissions.ts';

const NO_WORDS: ReadonlySet<string> = new Set();

/**
 * What a key may do at this moment, of all its owner may: `scopes` null for a key without. A word that is no permission is
 * a scope of a registered resource server: it is taken out of the key when it ends there, and no permission of its owner's.
 */
export function withinScopes(scopes: readonly string[] | null, owners: ReadonlySet<string>): ReadonlySet<string> {
  return new Set(
    scopes === null
      ? [...owners].filter((permission) => !NAMED_ONLY.has(permission))
      : scopes.filter((scope) => owners.has(scope) || !isPermission(scope)),
  );
}

/** Whether one of these words can only be a scope of a registered resource server. */
export function nameOthers(words: readonly string[] | undefined): boolean {
  return words?.some((word) => !isPermission(word)) ?? false;
}

/**
 * Says what scopes a new key of a team gets from this actor: what is asked for; without that none (null), or, when the
 * actor's own credential is narrower than its owner, the permissions of that credential. Scopes of other resource servers
 * are a person's to give, or a credential's that has them itself.
 * @returns a function of the words asked for and of those that are scopes of registered resource servers. It throws
 *   AppError `invalid_argument` for a word that is neither or an empty list; `permission_denied` for what the actor may
 *   not do
 */
export async function createScopesToGive(
  authority: Pick<Authority, 'permissionsIn'>,
  actor: Actor,
  teamId: string,
): Promise<(asked: readonly string[] | undefined, others?: ReadonlySet<string>) => string[] | null> {
  const mayGive = await grantable(authority, actor, teamId);
  return (asked, others = NO_WORDS) => {
    if (asked === undefined) {
      if (!isNarrowed(actor)) return null;
      return checkScopes([...(actor.permissions ?? [])].filter((one) => isPermission(one) && !NAMED_ONLY.has(one)));
    }
    const scopes = checkScopes(asked, others);
    requireGrantable(scopes.filter((scope) => !(mayGive(scope) || (others.has(scope) && !isNarrowed(actor)))));
    return scopes;
  };
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

function checkScopes(scopes: readonly string[], others = NO_WORDS): string[] {
  if (scopes.length === 0) throw invalidField('scopes', 'name at least one');
  const unknown = scopes.find((scope) => !isPermission(scope) && !others.has(scope));
  if (unknown !== undefined) {
    throw invalidField('scopes', `${JSON.stringify(unknown)} is not a permission or a scope of a resource server`);
  }
  return [...new Set(scopes)];
}

function requireGrantable(lacking: readonly string[]): void {
  if (lacking.length === 0) return;
  const list = lacking.join(', ');
  throw new AppError('permission_denied', `You cannot give a key what you may not do yourself: ${list}.`, {
    fields: [{ field: 'scopes', description: `more than you may do: ${list}` }],
  });
}
