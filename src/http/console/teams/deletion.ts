/** Deleting a team: what ends with it, said before. */
import type { Context } from 'koa';
import { teamReach } from '../../../domain/authorization.ts';
import type { TeamContents } from '../../../domain/teams.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import type { Problems } from '../problems.ts';
import type { Visitor } from '../visitor.ts';
import { pathOf, TEAMS, teamOf } from './subject.ts';

/** As many of each kind are counted (domain/teams.ts). */
export const MOST_COUNTED = 1_000;

export function addTeamDeletion(kit: Kit): void {
  const { domain, routes, show } = kit;
  const { teams } = domain;

  async function askDelete(ctx: Context, visitor: Visitor, problems?: Problems, status = 200): Promise<void> {
    const team = await teamOf(kit, ctx, visitor);
    const contents = await teams.contentsOf(team.id, teamReach(visitor.caller));
    show.form(
      ctx,
      visitor,
      {
        title: `Delete ${team.name}`,
        back: { text: team.name, href: pathOf(team) },
        ends: [...endsOf(contents), 'This cannot be undone.'],
        action: `${pathOf(team)}/delete`,
        fields: [],
        hidden: { version: team.version },
        submit: 'Delete team',
        danger: true,
        ...(problems && { problems }),
      },
      status,
    );
  }

  routes.get(`${TEAMS}/:id/delete`, 'teams.delete', (ctx, visitor) => askDelete(ctx, visitor));
  routes.post(`${TEAMS}/:id/delete`, 'teams.delete', async (ctx, visitor, form) => {
    const { caller } = visitor;
    const team = await teamOf(kit, ctx, visitor);
    return routes.attempt(
      ctx,
      visitor,
      async () => {
        await teams.delete(team.id, caller.actor, { ...teamReach(caller), version: form.get('version') });
        return noticed(TEAMS, 'deleted');
      },
      (problems, status) => askDelete(ctx, visitor, problems, status),
    );
  });
}

/** In the words of who may miss it. */
function endsOf(contents: TeamContents): string[] {
  const many = (count: number, one: string, more: string) =>
    count === 0 ? [] : [`${count >= MOST_COUNTED ? `${MOST_COUNTED} or more` : count} ${count === 1 ? one : more}`];
  const ended = [
    ...many(contents.personalKeys, 'personal key', 'personal keys'),
    ...many(contents.teamKeys, 'team key', 'team keys'),
    ...many(contents.clients, 'OAuth2 Client', 'OAuth2 Clients'),
    ...many(contents.consents, 'connected app', 'connected apps'),
    ...many(contents.providers, 'provider', 'providers'),
  ];
  return [
    ended.length === 0
      ? 'No key, client, connected app or provider is in it.'
      : `At once and for good end: ${ended.join(', ')}, with all their tokens.`,
    contents.members === 0
      ? 'It has no members.'
      : `${many(contents.members, 'member leaves', 'members leave').join('')} it; the users themselves stay.`,
    ...contents.resourceServers.map(
      ({ name, identifier }) =>
        `${name} (${identifier}) checks API keys as a client of this team: it can check none until it has another one.`,
    ),
  ];
}
