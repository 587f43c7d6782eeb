/** The user a page is about. */

import type { Context } from 'koa';
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import type { User } from '../../../domain/users.ts';
import { AppError } from '../../../errors.ts';
import { found } from '../../found.ts';
import type { Kit } from '../index.ts';
import type { Back } from '../show.ts';
import type { Visitor } from '../visitor.ts';

export const USERS = '/console/users';

/** What a person is called on pages. */
export function nameOf({ displayName, name, email }: Pick<User, 'displayName' | 'name' | 'email'>): string {
  return displayName || name || email;
}

export function pathOf({ id }: Pick<User, 'id'>): string {
  return `${USERS}/${id}`;
}

export function backTo(user: User): Back {
  return { text: nameOf(user), href: pathOf(user) };
}

/** As far as the visitor reaches. @throws AppError `not_found` */
export async function userOf({ domain }: Kit, ctx: Context, { caller }: Visitor): Promise<User> {
  return found(await domain.users.find(String(ctx.params.id), teamReach(caller)), 'user');
}

/** @throws AppError `permission_denied` for whoever acts within a team: to them users are their roles there */
export function requireRoot({ caller }: Visitor): void {
  if (actsInRoot(caller)) return;
  throw new AppError(
    'permission_denied',
    'This can only be done from the root team. From within a team, only roles in that team can be given and taken.',
  );
}
