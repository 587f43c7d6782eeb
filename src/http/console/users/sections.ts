/** What a page about a user shows below the facts: where they belong, and what acts for them. */
import { actsInRoot } from '../../../domain/authorization.ts';
import { MOST_LISTED, RECENT_DAYS } from '../../../domain/leavers.ts';
import type { UserOptions } from '../../../domain/user-options.ts';
import type { User } from '../../../domain/users.ts';
import { PERSONAL } from '../api-keys/place.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { type Cell, cell, type Section } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { pathOf } from './subject.ts';

const MOST_TEAMS = 100;

export async function userSections(kit: Kit, visitor: Visitor, user: User, options: UserOptions): Promise<Section[]> {
  const mayAdd = options.canChangeRoles && actsInRoot(visitor.caller);
  return [
    {
      title: 'Teams and roles',
      ...teamsOf(user, options),
      ...(mayAdd && { actions: [{ text: 'Add to a team', href: `${pathOf(user)}/teams/new` }] }),
    },
    // Whoever may not end it need not know what there is.
    ...(mayUse(visitor, 'users.update') ? [await whatActs(kit, visitor, user)] : []),
  ];
}

function teamsOf(user: User, options: UserOptions): Pick<Section, 'table' | 'lead'> {
  const teams = [...Map.groupBy(user.teamRoles, ({ teamId }) => teamId).values()];
  const rows = teams.slice(0, MOST_TEAMS).map((roles): Cell[] => {
    const { teamId, teamName } = roles[0]!;
    const at = `${pathOf(user)}/teams/${teamId}`;
    return [
      cell.link(teamName, `/console/teams/${teamId}`),
      cell.text(roles.map(({ roleName }) => roleName).join(', ')),
      cell.actions(
        ...(options.canChangeRoles ? [{ text: 'Change roles', href: at }] : []),
        ...(options.canRemoveFromTeams ? [{ text: 'Remove', href: `${at}/remove`, danger: true }] : []),
      ),
    ];
  });
  return {
    table: { columns: ['Team', 'Roles', ''], rows, none: 'In no team: may do nothing, and can own no key.' },
    ...(teams.length > MOST_TEAMS && { lead: `These are ${MOST_TEAMS} of ${teams.length} teams.` }),
  };
}

async function whatActs({ domain }: Kit, visitor: Visitor, user: User): Promise<Section> {
  const isWhole = actsInRoot(visitor.caller);
  const teamId = isWhole ? undefined : visitor.caller.teamId;
  const { keys, hasMoreKeys, apps, hasMoreApps, sessions } = await domain.leavers.preview(
    { userId: user.id, teamId },
    visitor.caller,
  );
  const recent = keys.filter(({ isRecent }) => isRecent).length;
  const keysHref = `${PERSONAL.path}?${new URLSearchParams({ q: user.email })}`;
  const number = (count: number, isMore: boolean) => (isMore ? `more than ${MOST_LISTED}` : String(count));
  return {
    title: isWhole ? 'What acts for this user' : 'What acts for this user in your team',
    facts: [
      {
        label: 'Personal keys',
        value:
          keys.length === 0
            ? cell.text('None')
            : cell.link(
                number(keys.length, hasMoreKeys),
                keysHref,
                `${recent === 0 ? 'None' : recent} used in the last ${RECENT_DAYS} days`,
              ),
      },
      { label: 'Connected apps', value: cell.text(apps.length === 0 ? 'None' : number(apps.length, hasMoreApps)) },
      ...(isWhole ? [{ label: 'Browser sessions', value: cell.text(sessions === 0 ? 'None' : String(sessions)) }] : []),
    ],
  };
}
