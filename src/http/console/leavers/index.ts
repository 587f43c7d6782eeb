/**
 * Before a user is disabled or deleted, or leaves a team: what will stop, what goes on, and a way to hand keys over first.
 * None of the three happens from any other page.
 */
import type { Context } from 'koa';
import type { Actor } from '../../../domain/audit.ts';
import { requireTeamInReach, teamReach } from '../../../domain/authorization.ts';
import type { LeaverPreview } from '../../../domain/leavers.ts';
import type { User, UserScope } from '../../../domain/users.ts';
import { AppError } from '../../../errors.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import type { Problems } from '../problems.ts';
import { backTo, nameOf, pathOf, USERS, userOf } from '../users/subject.ts';
import type { Visitor } from '../visitor.ts';
import { addHandOvers } from './hand-overs.ts';
import { leaverSections } from './sections.ts';

/** A way to leave: what it is called, and what is true of it alone. */
interface Way {
  /** Behind the path of the user; also tells a key's hand-over where to come back to. */
  path: string;
  title(user: User, team: string): string;
  submit: string;
  /** Sentences, before the lists. */
  ends(preview: LeaverPreview): string[];
}

const DISABLE: Way = {
  path: 'disable',
  title: (user) => `Disable ${nameOf(user)}`,
  submit: 'Disable user',
  ends: () => [
    'They cannot log in any more, and their sessions and connected apps end for good.',
    'Their personal keys are refused until you enable them again.',
  ],
};

const DELETE: Way = {
  path: 'delete',
  title: (user) => `Delete ${nameOf(user)}`,
  submit: 'Delete user',
  ends: () => ['The account, its personal keys, connected apps and sessions end for good. This cannot be undone.'],
};

const REMOVE: Way = {
  path: 'remove',
  title: (user, team) => `Remove ${nameOf(user)} from ${team}`,
  submit: 'Remove from team',
  ends: ({ user, team, roles }) => [
    `Their personal keys and connected apps in ${team!.name} end for good. The account and its sessions stay.`,
    `They lose the ${roles.length === 1 ? 'role' : 'roles'} ${roles.map(({ roleName }) => roleName).join(', ')}.`,
    ...(team!.isRoot && user.teamRoles.length > roles.length
      ? ['Roles of the root team reach every team: their keys and apps in other teams can do less from then on.']
      : []),
  ],
};

export function addLeavers(kit: Kit): void {
  const { domain, routes, show } = kit;
  const { users, memberships, leavers } = domain;

  /** Shows what stops, with the button that does it. */
  async function ask(ctx: Context, visitor: Visitor, way: Way, problems?: Problems, status = 200): Promise<void> {
    const teamId = way === REMOVE ? String(ctx.params.team) : undefined;
    const preview = await leavers.preview({ userId: String(ctx.params.id), teamId }, visitor.caller);
    const { user, team } = preview;
    const isSelf = user.id === visitor.user.id;
    show.form(
      ctx,
      visitor,
      {
        title: way.title(user, team?.name ?? ''),
        back: backTo(user),
        ends: [...(isSelf ? ['This is you.'] : []), ...way.ends(preview)],
        sections: leaverSections(visitor, preview, { from: team?.id ?? way.path, isPaused: way === DISABLE }),
        action: ctx.path,
        fields: [],
        hidden: { version: user.version },
        submit: way.submit,
        danger: true,
        ...(problems && { problems }),
      },
      status,
    );
  }

  /** @param end does it to the user as they were read, and says where to go on */
  function addWay(
    way: Way,
    need: 'users.update' | 'users.delete',
    end: (user: User, scope: UserScope, actor: Actor) => Promise<string>,
  ): void {
    const path = `${USERS}/:id/${way.path}`;
    routes.get(path, need, (ctx, visitor) => ask(ctx, visitor, way));
    routes.post(path, need, async (ctx, visitor, form) => {
      const { caller } = visitor;
      const user = await userOf(kit, ctx, visitor);
      const scope = { ...teamReach(caller), version: form.get('version') };
      return routes.attempt(
        ctx,
        visitor,
        () => end(user, scope, caller.actor),
        (problems, status) => ask(ctx, visitor, way, problems, status),
      );
    });
  }

  addWay(DISABLE, 'users.update', async (user, scope, actor) => {
    await users.update(user.id, { enabled: false }, scope, actor);
    return noticed(pathOf(user), 'disabled');
  });
  addWay(DELETE, 'users.delete', async (user, scope, actor) => {
    await users.delete(user.id, actor, scope);
    return noticed(USERS, 'deleted');
  });

  const remove = `${USERS}/:id/teams/:team/remove`;
  routes.get(remove, 'users.update', (ctx, visitor) => ask(ctx, visitor, REMOVE));
  routes.post(remove, 'users.update', async (ctx, visitor, form) => {
    const { caller } = visitor;
    const teamId = String(ctx.params.team);
    requireTeamInReach(caller, teamId);
    const user = await userOf(kit, ctx, visitor);
    if (!user.teamRoles.some((role) => role.teamId === teamId)) {
      throw new AppError('not_found', 'The user is not a member of this team.');
    }
    return routes.attempt(
      ctx,
      visitor,
      async () => {
        await memberships.remove({ userId: user.id, teamId, version: form.get('version') }, caller.actor);
        // From within the team the user is not there any more.
        return noticed(teamReach(caller).teamId === undefined ? pathOf(user) : USERS, 'removed');
      },
      (problems, status) => ask(ctx, visitor, REMOVE, problems, status),
    );
  });

  addHandOvers(kit);
}
