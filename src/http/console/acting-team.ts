/** The page on which a person says in which of their teams they act. */
import { AppError } from '../../errors.ts';
import type { Kit } from './index.ts';
import type { ListQuery } from './list.ts';
import { noticed } from './notices.ts';
import { cell } from './view.ts';
import type { Visitor } from './visitor.ts';

const PATH = '/console/team';

export function addActingTeam({ routes, show, visitors, defineList }: Kit): void {
  const teams = defineList<{ id: string; name: string; isRoot: boolean }>({
    columns: [
      {
        label: 'Team',
        cell: ({ name, isRoot }) =>
          cell.text(name, isRoot ? 'The root team: what you may do here, you may do in every team' : undefined),
      },
      {
        label: '',
        cell: ({ id }, visitor) =>
          id === visitor.team?.id
            ? cell.badge('You act here', 'good')
            : cell.actions({ text: 'Act in this team', post: PATH, fields: { team_id: id } }),
      },
    ],
    search: 'A part of the name',
    order: { field: 'name', descending: false },
    empty: { title: 'You are in no team', text: 'Ask an administrator to add you to one.' },
    rows: async (query, { visitor }) => within(visitor, query),
  });

  routes.get(PATH, 'self', async (ctx, visitor) => {
    show.list(ctx, visitor, {
      title: 'Your teams',
      lead: 'What you see and do in Administration belongs to the team you act in.',
      list: await teams(ctx, visitor, undefined),
    });
  });
  routes.post(PATH, 'self', async (ctx, visitor, form) => {
    const wanted = visitor.teams.find(({ id }) => id === form.get('team_id'));
    if (wanted === undefined) throw new AppError('not_found', 'You are not a member of this team.');
    visitors.remember(ctx, wanted.id);
    return noticed('/console', 'acting');
  });
}

/** They are in memory, by name. */
function within({ teams }: Visitor, { limit, after, search = '' }: ListQuery) {
  const matching = teams.filter(({ name }) => name.toLowerCase().includes(search.toLowerCase()));
  const start = after === undefined ? 0 : matching.findIndex(({ id }) => id === after.id) + 1;
  return matching.slice(start, start + limit).map((team) => ({ ...team, sortKey: team.name }));
}
