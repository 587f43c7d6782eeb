/** What a user may do in a team: given, changed. Taking all of it away is leaving (leavers.ts). */
import type { Context } from 'koa';
import { requireTeamInReach } from '../../../domain/authorization.ts';
import type { Team } from '../../../domain/teams.ts';
import type { User } from '../../../domain/users.ts';
import { AppError, invalidField } from '../../../errors.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import { roleField, rolesChecked, rolesIn } from '../roles/choice.ts';
import { teamField, teamNamed } from '../teams/choice.ts';
import type { Visitor } from '../visitor.ts';
import { backTo, nameOf, pathOf, requireRoot, USERS, userOf } from './subject.ts';

export function addUserRoles(kit: Kit): void {
  const { domain, routes, show } = kit;
  const { teams, roles, memberships } = domain;

  async function addForm(user: User, chosen: string | undefined) {
    return {
      title: `Add ${nameOf(user)} to a team`,
      back: backTo(user),
      action: `${pathOf(user)}/teams/new`,
      fields: [await teamField(teams, { chosen }), await roleField(roles, undefined)],
      submit: 'Add to team',
    };
  }

  routes.get(`${USERS}/:id/teams/new`, 'users.update', async (ctx, visitor) => {
    const user = await userOf(kit, ctx, visitor);
    requireRoot(visitor);
    show.form(ctx, visitor, await addForm(user, undefined));
  });

  routes.post(`${USERS}/:id/teams/new`, 'users.update', async (ctx, visitor, form) => {
    const user = await userOf(kit, ctx, visitor);
    requireRoot(visitor);
    return routes.attempt(
      ctx,
      visitor,
      async () => {
        const team = await teamNamed(teams, form.get('team_id'));
        if (team === undefined) throw invalidField('team_id', 'must be chosen');
        if (user.teamRoles.some(({ teamId }) => teamId === team.id)) {
          throw invalidField('team_id', 'has this user as a member already: change the roles there');
        }
        await giveRoles(team.id, user, rolesIn(form), visitor, undefined);
        return noticed(pathOf(user), 'changed');
      },
      async (problems, status) =>
        show.form(ctx, visitor, { ...(await addForm(user, form.get('team_id'))), values: form, problems }, status),
    );
  });

  /** A membership the visitor reaches. */
  async function membershipOf(ctx: Context, visitor: Visitor): Promise<{ user: User; team: Team }> {
    const teamId = String(ctx.params.team);
    requireTeamInReach(visitor.caller, teamId);
    const user = await userOf(kit, ctx, visitor);
    const team = await teams.find(teamId);
    if (team === undefined || !user.teamRoles.some((role) => role.teamId === teamId)) {
      throw new AppError('not_found', 'The user is not a member of this team.');
    }
    return { user, team };
  }

  async function giveRoles(
    teamId: string,
    { id: userId }: User,
    roleIds: string[],
    { caller }: Visitor,
    version: string | undefined,
  ) {
    if (roleIds.length === 0) throw invalidField('team_roles', 'must be one at least');
    await memberships.setRoles({ userId, teamId, roles: roleIds, version }, caller.actor);
  }

  async function rolesForm(user: User, team: Team) {
    const at = `${pathOf(user)}/teams/${team.id}`;
    return {
      title: `Roles of ${nameOf(user)} in ${team.name}`,
      lead: 'What was taken away counts at once, for keys and connected apps, too. To take all of it away, remove the user from the team.',
      back: backTo(user),
      action: at,
      fields: [await roleField(roles, team.isRoot)],
      hidden: { version: user.version },
      submit: 'Save roles',
    };
  }

  routes.get(`${USERS}/:id/teams/:team`, 'users.update', async (ctx, visitor) => {
    const { user, team } = await membershipOf(ctx, visitor);
    const held = user.teamRoles.filter(({ teamId }) => teamId === team.id).map(({ roleId }) => roleId);
    show.form(ctx, visitor, { ...(await rolesForm(user, team)), values: new Map(rolesChecked(held)) });
  });

  routes.post(`${USERS}/:id/teams/:team`, 'users.update', async (ctx, visitor, form) => {
    const { user, team } = await membershipOf(ctx, visitor);
    return routes.attempt(
      ctx,
      visitor,
      async () => {
        await giveRoles(team.id, user, rolesIn(form), visitor, form.get('version'));
        return noticed(pathOf(user), 'changed');
      },
      async (problems, status) =>
        show.form(ctx, visitor, { ...(await rolesForm(user, team)), values: form, problems }, status),
    );
  });
}
