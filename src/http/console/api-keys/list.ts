/** Lists of API keys: what stands in them, what they can be narrowed to, and what an empty one says. */
import type { ApiKey, KeyState } from '../../../domain/api-keys.ts';
import { actsInRoot } from '../../../domain/authorization.ts';
import { TEAM_KEY_PERMISSIONS } from '../../../domain/permissions.ts';
import type { Kit } from '../index.ts';
import type { ListColumn, ListFilter } from '../list.ts';
import { teamOptions } from '../teams/choice.ts';
import { type Action, type Cell, cell, shortOf, type Tone } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { type KeyPlace, pathOf, scopeOf } from './place.ts';

const STATES: Record<KeyState, { text: string; tone: Tone }> = {
  active: { text: 'Active', tone: 'good' },
  revoked: { text: 'Revoked', tone: 'bad' },
  expired: { text: 'Expired', tone: 'warn' },
  given_up: { text: 'Retired', tone: 'warn' },
};
const STATE_OPTIONS = Object.entries(STATES).map(([value, { text }]) => ({ value, text }));

const EMPTY: Record<KeyPlace['kind'], { title: string; text: string }> = {
  personal: {
    title: 'No personal key yet',
    text: 'A personal key lets your own script call an API as you: what you may do in the team at that moment, or less. Make one for each script, so that you can end one without the others.',
  },
  team: {
    title: 'No team key yet',
    text: 'A team key lets an integration read and write the providers of its team. It belongs to the team, so it goes on when whoever made it leaves.',
  },
};

export function newKey({ path }: KeyPlace): Action {
  return { text: 'Create a key', href: `${path}/new`, primary: true };
}

/**
 * @param mayCreate whether it is for people who may make keys there
 * @returns what shows the list of the place; the subject is the team it is narrowed to, as the address has it
 */
export function createKeyList({ domain, defineList }: Kit, place: KeyPlace, mayCreate: boolean) {
  const isPersonal = place.kind === 'personal';

  const columns: ListColumn<ApiKey>[] = [
    { label: 'Name', sort: 'name', cell: (key) => cell.link(key.name, pathOf(place, key), shortOf(key)) },
    isPersonal && !place.isAccount
      ? { label: 'Owner and team', cell: ({ ownerEmail, teamName }) => cell.text(ownerEmail ?? '', teamName) }
      : { label: 'Team', cell: ({ teamName }) => cell.text(teamName) },
    { label: 'Scopes', cell: scopesCell },
    { label: 'Status', cell: stateCell },
    { label: 'Created', sort: 'created_at', cell: ({ createdAt }) => cell.date(createdAt, '') },
    { label: 'Last used', sort: 'last_access_at', cell: (key) => cell.date(lastUse(key), 'Never') },
    { label: 'Expires', sort: 'expires_at', cell: ({ expiresAt }) => cell.date(expiresAt, 'Never') },
  ];

  return defineList<ApiKey, { teamId: string | undefined }>({
    columns,
    filters: async (visitor, { teamId }) => [
      ...(await teamFilter(visitor, teamId)),
      ...(isPersonal && !place.isAccount && actsInRoot(visitor.caller)
        ? [{ name: 'owner', label: 'Owner', options: [{ value: 'me', text: 'Me' }] }]
        : []),
      { name: 'status', label: 'Status', options: STATE_OPTIONS },
    ],
    search: isPersonal && !place.isAccount ? 'Name, key or owner’s email' : 'Name or key',
    order: { field: 'created_at', descending: true },
    empty: { ...EMPTY[place.kind], ...(mayCreate && { action: newKey(place) }) },
    rows: (query, { filters: { team, owner, status }, visitor }) =>
      domain.apiKeys.list(scopeOf(place, visitor, 'list'), {
        ...query,
        conditions: [
          ...(team === undefined ? [] : [{ field: 'team_id', operator: 'eq' as const, value: team }]),
          ...(owner === undefined ? [] : [{ field: 'user_id', operator: 'eq' as const, value: visitor.user.id }]),
          ...(status === undefined ? [] : [{ field: 'state', operator: 'eq' as const, value: status }]),
        ],
      }),
  });

  /** Whoever reaches one team has nothing to choose. */
  async function teamFilter(visitor: Visitor, teamId: string | undefined): Promise<ListFilter[]> {
    const filter = { name: 'team', label: 'Team' };
    if (place.isAccount) {
      const options = visitor.teams.slice(0, MOST_TEAMS).map(({ id, name }) => ({ value: id, text: name }));
      return options.length > 1 ? [{ ...filter, options }] : [];
    }
    return actsInRoot(visitor.caller)
      ? [{ ...filter, options: (await teamOptions(domain.teams, teamId)).options }]
      : [];
  }
}

const MOST_TEAMS = 200;

/** Null: never. */
export function lastUse({ createdAt, lastAccessAt }: ApiKey): Date | null {
  return lastAccessAt > createdAt ? lastAccessAt : null;
}

export function scopesCell({ kind, scopes }: ApiKey): Cell {
  if (kind === 'team') return cell.words(TEAM_KEY_PERMISSIONS, '');
  return scopes === null ? cell.text('All its owner may do') : cell.words(scopes, 'None left: it may do nothing');
}

export function stateCell({ state, retiresAt }: ApiKey): Cell {
  const { text, tone } = STATES[state];
  if (state !== 'active' || retiresAt === null) return cell.badge(text, tone);
  return cell.badge(text, 'warn', `Retires on ${retiresAt.toISOString().slice(0, 10)}`);
}
