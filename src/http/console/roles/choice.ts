/** Roles to choose from, for a person in a team: boxes named by the role's id. */
import type { Role, Roles } from '../../../domain/roles.ts';
import type { Form } from '../../middleware/form.ts';
import { checked, checkedIn } from '../show.ts';
import type { Field } from '../view.ts';

/** The wire's name for it, so that what the domain complains of is said at these boxes. */
const NAME = 'team_roles';

/** @param isRoot which kind of team it is for; undefined: it is not known yet */
export async function roleField(roles: Pick<Roles, 'list'>, isRoot: boolean | undefined): Promise<Field> {
  const all = await roles.list();
  const given = all.filter(
    (role) => isRoot === undefined || (isRoot ? role.isAvailableInRootTeam : role.isAvailableInNonRootTeam),
  );
  return {
    type: 'checks',
    name: NAME,
    label: 'Roles',
    options: given.map((role) => ({ value: role.id, text: role.name, hint: hintOf(role, isRoot) })),
  };
}

export function rolesIn(form: Form): string[] {
  return checkedIn(form, NAME);
}

/** The values of a form in which these roles are checked. */
export function rolesChecked(ids: Iterable<string>): [string, string][] {
  return checked(NAME, ids);
}

function hintOf({ description, isAvailableInRootTeam, isAvailableInNonRootTeam }: Role, isRoot: boolean | undefined) {
  if (isRoot !== undefined || (isAvailableInRootTeam && isAvailableInNonRootTeam)) return description;
  return `${description} (${isAvailableInRootTeam ? 'in the root team only' : 'not in the root team'})`;
}
