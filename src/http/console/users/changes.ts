/** Changing who users are: names, email, expiry, password. */
import type { Context } from 'koa';
import { teamReach } from '../../../domain/authorization.ts';
import type { User } from '../../../domain/users.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import { redirect } from '../routes.ts';
import type { Field } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { EMAIL, EXPIRES, emailTaken, expiryIn, lastDayOf, NAME, NAMES, namesIn } from './fields.ts';
import { backTo, nameOf, pathOf, requireRoot, USERS, userOf } from './subject.ts';

const OWN_PASSWORD = '/account/password';

export function addUserChanges(kit: Kit): void {
  const { domain, routes, show } = kit;
  const { users } = domain;

  /** From within a team a user is no more than the roles there. */
  async function wholeUserOf(ctx: Context, visitor: Visitor): Promise<User> {
    const user = await userOf(kit, ctx, visitor);
    requireRoot(visitor);
    return user;
  }

  const editForm = (user: User) => ({
    title: `Edit ${nameOf(user)}`,
    back: backTo(user),
    action: `${pathOf(user)}/edit`,
    fields: [EMAIL, NAME, ...NAMES, EXPIRES],
    hidden: { version: user.version },
    submit: 'Save',
  });

  routes.get(`${USERS}/:id/edit`, 'users.update', async (ctx, visitor) => {
    const user = await wholeUserOf(ctx, visitor);
    const values = new Map([
      ['email', user.email],
      ['name', user.name],
      ['display_name', user.displayName],
      ['given_name', user.givenName],
      ['family_name', user.familyName],
      ['expires_at', lastDayOf(user.expiresAt)],
    ]);
    show.form(ctx, visitor, { ...editForm(user), values });
  });

  routes.post(`${USERS}/:id/edit`, 'users.update', async (ctx, visitor, form) => {
    const { caller } = visitor;
    const user = await wholeUserOf(ctx, visitor);
    const changed = await routes.attempt(
      ctx,
      visitor,
      () =>
        users
          .update(
            user.id,
            { email: form.get('email') ?? '', ...namesIn(form), expiresAt: expiryIn(form, user.expiresAt) },
            { ...teamReach(caller), version: form.get('version') },
            caller.actor,
          )
          .catch((error: unknown) => emailTaken(error, true)),
      (problems, status) => show.form(ctx, visitor, { ...editForm(user), values: form, problems }, status),
    );
    return changed && noticed(pathOf(user), 'changed');
  });

  const passwordForm = (user: User) => ({
    title: `Set the password of ${nameOf(user)}`,
    back: backTo(user),
    ends: [
      'Every session of theirs ends: whoever is logged in as them is out.',
      'The apps they connected are disconnected, with all their tokens.',
      'Their API keys go on.',
    ],
    action: `${pathOf(user)}/password`,
    fields: [
      {
        ...{ type: 'password', name: 'password', label: 'New password' },
        required: true,
        autocomplete: 'new-password',
      },
    ] as const satisfies Field[],
    submit: 'Set password',
    danger: true,
  });

  // One's own is changed by whoever knows it, not by whoever finds a browser that is logged in.
  const isOwn = (ctx: Context, { user }: Visitor) => ctx.params.id === user.id;

  routes.get(`${USERS}/:id/password`, 'users.update', async (ctx, visitor) => {
    if (isOwn(ctx, visitor)) return redirect(ctx, OWN_PASSWORD);
    show.form(ctx, visitor, passwordForm(await wholeUserOf(ctx, visitor)));
  });

  routes.post(`${USERS}/:id/password`, 'users.update', async (ctx, visitor, form) => {
    if (isOwn(ctx, visitor)) return OWN_PASSWORD;
    const { caller } = visitor;
    const user = await wholeUserOf(ctx, visitor);
    const password = form.get('password') ?? '';
    const changed = await routes.attempt(
      ctx,
      visitor,
      () => users.update(user.id, { password }, teamReach(caller), caller.actor),
      (problems, status) => show.form(ctx, visitor, { ...passwordForm(user), problems }, status),
    );
    return changed && noticed(pathOf(user), 'changed');
  });
}
