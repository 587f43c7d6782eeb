/** Who is in a team, with which roles. */
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import type { Team } from '../../../domain/teams.ts';
import type { User } from '../../../domain/users.ts';
import { invalidField } from '../../../errors.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { noticed } from '../notices.ts';
import { roleField, rolesChecked, rolesIn } from '../roles/choice.ts';
import * as userPages from '../users/subject.ts';
import { type Action, cell } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { pathOf, TEAMS, tabsOf, teamOf } from './subject.ts';

export function addTeamMembers(kit: Kit): void {
  const { domain, routes, show, defineList } = kit;
  const { users, roles, memberships } = domain;

  const list = defineList<User, Team>({
    columns: [
      {
        label: 'Name',
        sort: 'name',
        cell: (user) => cell.link(userPages.nameOf(user), userPages.pathOf(user)),
      },
      { label: 'Email', sort: 'email', cell: ({ email }) => cell.text(email) },
      { label: 'Roles', cell: ({ teamRoles, ...user }) => cell.text(rolesOf({ ...user, teamRoles })) },
      { label: 'Last login', sort: 'last_login_at', cell: ({ lastLoginAt }) => cell.date(lastLoginAt, 'Never') },
      { label: '', cell: (user, visitor) => cell.actions(...actionsFor(user, visitor)) },
    ],
    search: 'Name or email',
    order: { field: 'name', descending: false },
    empty: {
      title: 'Nobody is in this team',
      text: 'Team keys and clients work without members. Only members can own personal keys here, or let apps act for the team.',
    },
    rows: ({ limit, order, after, search }, { visitor, subject }) =>
      users
        .list(teamReach(visitor.caller), {
          ...{ limit, order, after, search },
          conditions: [{ field: 'team_id', operator: 'eq', value: subject.id }],
        })
        .then((found) => found.map((user) => inTeam(user, subject))),
  });

  routes.get(`${TEAMS}/:id/members`, 'users.list', async (ctx, visitor) => {
    const team = await teamOf(kit, ctx, visitor);
    show.list(ctx, visitor, {
      title: team.name,
      lead: team.isRoot
        ? 'What these people may do here, they may do in every team.'
        : 'Who is in the team. People with roles in the root team reach it, too, without being members.',
      back: { text: 'Teams', href: TEAMS },
      tabs: tabsOf(visitor, team, 'members'),
      actions: addActions(visitor, team),
      list: await list(ctx, visitor, team),
    });
  });

  async function addForm(team: Team) {
    return {
      title: `Add a member to ${team.name}`,
      lead: 'Somebody who has an account already. If they have none, create one under Users.',
      back: { text: team.name, href: `${pathOf(team)}/members` },
      action: `${pathOf(team)}/members/new`,
      fields: [
        { type: 'email', name: 'email', label: 'Email', required: true } as const,
        await roleField(roles, team.isRoot),
      ],
      submit: 'Add member',
    };
  }

  routes.get(`${TEAMS}/:id/members/new`, 'users.update', async (ctx, visitor) => {
    const team = await teamOf(kit, ctx, visitor);
    userPages.requireRoot(visitor);
    const viewer = (await roles.list()).filter(({ name }) => name === 'Viewer').map(({ id }) => id);
    show.form(ctx, visitor, { ...(await addForm(team)), values: new Map(rolesChecked(viewer)) });
  });

  routes.post(`${TEAMS}/:id/members/new`, 'users.update', async (ctx, visitor, form) => {
    const team = await teamOf(kit, ctx, visitor);
    userPages.requireRoot(visitor);
    return routes.attempt(
      ctx,
      visitor,
      async () => {
        const user = await users.findByEmail(form.get('email') ?? '');
        if (user === undefined)
          throw invalidField('email', 'belongs to nobody here. Create the user first, under Users');
        if (user.teamRoles.some(({ teamId }) => teamId === team.id)) {
          throw invalidField('email', 'belongs to a member already: change the roles there');
        }
        const chosen = rolesIn(form);
        if (chosen.length === 0) throw invalidField('team_roles', 'must be one at least');
        await memberships.setRoles({ userId: user.id, teamId: team.id, roles: chosen }, visitor.caller.actor);
        return noticed(`${pathOf(team)}/members`, 'changed');
      },
      async (problems, status) => show.form(ctx, visitor, { ...(await addForm(team)), values: form, problems }, status),
    );
  });
}

/** From within a team, who is added is new; from the root team, anybody can be. */
function addActions(visitor: Visitor, team: Team): Action[] {
  if (!mayUse(visitor, 'users.create')) return [];
  const create = { text: 'Create a user', href: `${userPages.USERS}/new?${new URLSearchParams({ team: team.id })}` };
  if (!actsInRoot(visitor.caller)) return [{ ...create, primary: true }];
  return [{ text: 'Add a member', href: `${pathOf(team)}/members/new`, primary: true }, create];
}

/** Of all their roles those in this team. */
function inTeam<One extends User>(user: One, { id }: Team): One {
  return { ...user, teamRoles: user.teamRoles.filter(({ teamId }) => teamId === id) };
}

function rolesOf({ teamRoles }: User): string {
  return teamRoles.map(({ roleName }) => roleName).join(', ');
}

function actionsFor(user: User, visitor: Visitor): Action[] {
  if (!mayUse(visitor, 'users.update')) return [];
  const at = `${userPages.pathOf(user)}/teams/${user.teamRoles[0]!.teamId}`;
  return [
    { text: 'Change roles', href: at },
    { text: 'Remove', href: `${at}/remove`, danger: true },
  ];
}
