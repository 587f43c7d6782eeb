/** Making users. */
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import { invalidField } from '../../../errors.ts';
import type { Kit } from '../index.ts';
import type { Problems } from '../problems.ts';
import { roleField, rolesChecked, rolesIn } from '../roles/choice.ts';
import { teamField, teamNamed } from '../teams/choice.ts';
import type { Field } from '../view.ts';
import { EMAIL, EXPIRES, emailTaken, expiryIn, NAME, NAMES, namesIn } from './fields.ts';
import { pathOf, USERS } from './subject.ts';

const PASSWORD: Field = {
  ...{ type: 'password', name: 'password', label: 'Password', autocomplete: 'new-password' },
  hint: 'You tell it to them. Leave it empty for somebody who is not to log in yet.',
};

export function addUserCreation(kit: Kit): void {
  const { domain, routes, show, once } = kit;
  const { users, teams, roles } = domain;

  routes.get(`${USERS}/new`, 'users.create', async (ctx, visitor) => {
    const { caller } = visitor;
    const chosen = typeof ctx.query.team === 'string' ? ctx.query.team : undefined;
    const viewer = (await roles.list()).filter(({ name }) => name === 'Viewer').map(({ id }) => id);
    show.form(ctx, visitor, {
      ...(await newUserForm(actsInRoot(caller), chosen)),
      values: new Map([...rolesChecked(viewer), ['team_id', chosen ?? '']]),
    });
  });

  routes.post(`${USERS}/new`, 'users.create', async (ctx, visitor, form) => {
    const { caller } = visitor;
    const isRoot = actsInRoot(caller);
    const again = async (problems: Problems, status: number) =>
      show.form(ctx, visitor, { ...(await newUserForm(isRoot, form.get('team_id'))), values: form, problems }, status);
    const make = async () => {
      const teamId = isRoot ? (await teamNamed(teams, form.get('team_id')))?.id : caller.teamId;
      const roleIds = rolesIn(form);
      if (teamId !== undefined && roleIds.length === 0) throw invalidField('team_roles', 'must be one at least');
      const made = await users
        .create(
          {
            email: form.get('email') ?? '',
            ...namesIn(form),
            expiresAt: expiryIn(form, undefined),
            ...(form.get('password') && { password: form.get('password')! }),
            teamRoles: teamId === undefined ? [] : [{ teamId, roles: roleIds }],
          },
          caller.actor,
          teamReach(caller),
        )
        .catch((error: unknown) => emailTaken(error, isRoot));
      return { href: pathOf(made) };
    };
    return routes.attempt(ctx, visitor, () => once.run(ctx, visitor, form, make), again);
  });

  async function newUserForm(isRoot: boolean, teamId: string | undefined) {
    return {
      title: 'Create a user',
      lead: isRoot
        ? 'Without a password they can own keys, but not log in until you set one.'
        : 'They become a member of your team, with the roles you choose.',
      back: { text: 'Users', href: USERS },
      action: `${USERS}/new`,
      fields: [
        EMAIL,
        NAME,
        ...(isRoot ? [await teamField(teams, { chosen: teamId, none: 'No team yet' })] : []),
        await roleField(roles, isRoot ? undefined : false),
        PASSWORD,
        { type: 'more', name: 'more', label: 'More about them', fields: [...NAMES, EXPIRES] },
      ] satisfies Field[],
      hidden: once.fields(),
      submit: 'Create user',
    };
  }
}
