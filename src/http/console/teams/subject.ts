/** The team a page is about. */
import type { Context } from 'koa';
import { teamReach } from '../../../domain/authorization.ts';
import type { Team } from '../../../domain/teams.ts';
import { found } from '../../found.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import type { Tab } from '../show.ts';
import type { Visitor } from '../visitor.ts';

export const TEAMS = '/console/teams';

export function pathOf({ id }: Pick<Team, 'id'>): string {
  return `${TEAMS}/${id}`;
}

export function tabsOf(visitor: Visitor, team: Team, current: 'team' | 'members'): Tab[] {
  if (!mayUse(visitor, 'users.list')) return [];
  return [
    { text: 'Team', href: pathOf(team), current: current === 'team' },
    { text: 'Members', href: `${pathOf(team)}/members`, current: current === 'members' },
  ];
}

/** As far as the visitor reaches. @throws AppError `not_found` */
export async function teamOf({ domain }: Kit, ctx: Context, { caller }: Visitor): Promise<Team> {
  return found(await domain.teams.find(String(ctx.params.id), teamReach(caller)), 'team');
}
