/** Users: who they are, what they may do where, and whether they are let in. */
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import type { User } from '../../../domain/users.ts';
import { auditLink } from '../audit-events/link.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { noticed } from '../notices.ts';
import { teamOptions } from '../teams/choice.ts';
import { type Action, type Cell, cell, type Fact } from '../view.ts';
import { addUserChanges } from './changes.ts';
import { addUserCreation } from './creation.ts';
import { addUserRoles } from './roles.ts';
import { userSections } from './sections.ts';
import { nameOf, pathOf, USERS, userOf } from './subject.ts';

const NEW: Action = { text: 'Create a user', href: `${USERS}/new`, primary: true };

export function addUsers(kit: Kit): void {
  const { domain, routes, show, defineList } = kit;
  const { users } = domain;

  const list = defineList<User, { teamId: string | undefined }>({
    columns: [
      { label: 'Name', sort: 'name', cell: (user) => cell.link(nameOf(user), pathOf(user)) },
      { label: 'Email', sort: 'email', cell: ({ email }) => cell.text(email) },
      { label: 'Teams and roles', cell: ({ teamRoles }) => rolesCell(teamRoles) },
      { label: 'Status', cell: statusCell },
      { label: 'Created', sort: 'created_at', cell: ({ createdAt }) => cell.date(createdAt, '') },
      { label: 'Last login', sort: 'last_login_at', cell: ({ lastLoginAt }) => cell.date(lastLoginAt, 'Never') },
    ],
    filters: async ({ caller }, { teamId }) => [
      ...(actsInRoot(caller)
        ? [{ name: 'team', label: 'Team', options: (await teamOptions(domain.teams, teamId)).options }]
        : []),
      {
        name: 'status',
        label: 'Status',
        options: [
          { value: 'active', text: 'Active' },
          { value: 'disabled', text: 'Disabled' },
          { value: 'expired', text: 'Expired' },
        ],
      },
    ],
    search: 'Name or email',
    order: { field: 'created_at', descending: true },
    empty: {
      title: 'Nobody is here yet',
      text: 'A user logs in, owns personal keys and connects apps. What they may do comes from their roles in each team.',
      action: NEW,
    },
    rows: ({ limit, order, after, search }, { filters, visitor }) =>
      users.list(teamReach(visitor.caller), {
        ...{ limit, order, after, search },
        conditions: Object.entries(filters).map(([name, value]) => ({
          ...{ field: name === 'team' ? 'team_id' : name, operator: 'eq' as const, value },
        })),
      }),
  });

  routes.get(USERS, 'users.list', async (ctx, visitor) => {
    const teamId = typeof ctx.query.team === 'string' ? ctx.query.team : undefined;
    show.list(ctx, visitor, {
      title: 'Users',
      lead: actsInRoot(visitor.caller)
        ? 'Everybody who can log in or own keys, in whatever team.'
        : 'The members of your team, with what they may do in it.',
      ...(mayUse(visitor, 'users.create') && { actions: [NEW] }),
      list: await list(ctx, visitor, { teamId }),
    });
  });

  addUserCreation(kit);
  addUserChanges(kit);
  addUserRoles(kit);

  // After the fixed paths, which would be ids otherwise.
  routes.get(`${USERS}/:id`, 'users.get', async (ctx, visitor) => {
    const user = await userOf(kit, ctx, visitor);
    const [{ options }] = (await users.withOptions([user], visitor.caller)) as [
      Awaited<ReturnType<typeof users.withOptions>>[0],
    ];
    const at = pathOf(user);
    const live = user.enabled && !isExpired(user);
    show.detail(ctx, visitor, {
      title: nameOf(user),
      back: { text: 'Users', href: USERS },
      badge: statusCell(user),
      actions: [
        ...auditLink(visitor, 'actor', user.id),
        ...(options.canEditName ? [{ text: 'Edit', href: `${at}/edit` }] : []),
        ...(options.canChangePassword ? [{ text: 'Set password', href: `${at}/password` }] : []),
        ...(options.canChangePassword && !user.enabled ? [{ text: 'Enable', post: `${at}/enable` }] : []),
        ...(options.canDisable && user.enabled ? [{ text: 'Disable', href: `${at}/disable`, danger: true }] : []),
        ...(options.canDelete && mayUse(visitor, 'users.delete')
          ? [{ text: 'Delete', href: `${at}/delete`, danger: true }]
          : []),
      ],
      facts: factsOf(user, { isLast: options.canEditName && !options.canDelete, live }),
      sections: await userSections(kit, visitor, user, options),
    });
  });

  routes.post(`${USERS}/:id/enable`, 'users.update', async (ctx, visitor) => {
    const user = await userOf(kit, ctx, visitor);
    await users.update(user.id, { enabled: true }, teamReach(visitor.caller), visitor.caller.actor);
    return noticed(pathOf(user), 'enabled');
  });
}

function factsOf(user: User, { isLast, live }: { isLast: boolean; live: boolean }): Fact[] {
  const logins = user.loginsLifetime === '1' ? '1 login' : `${user.loginsLifetime} logins`;
  const names = [user.name, user.givenName, user.familyName].filter((one) => one !== '' && one !== nameOf(user));
  return [
    { label: 'Email', value: cell.text(user.email) },
    ...(names.length > 0 ? [{ label: 'Also called', value: cell.text([...new Set(names)].join(', ')) }] : []),
    {
      label: 'Login',
      value: user.hasPassword
        ? cell.text('With a password', live ? undefined : 'Not at the moment: the user is switched off.')
        : cell.text('Cannot log in', 'There is no password yet. Personal keys work without one.'),
    },
    {
      label: 'Last login',
      value: cell.date(user.lastLoginAt, 'Never', user.lastLoginAt === null ? undefined : logins),
    },
    {
      label: 'Expires',
      value: cell.date(user.expiresAt, 'Never', user.expiresAt === null ? undefined : 'From then on as if disabled'),
    },
    { label: 'Created', value: cell.date(user.createdAt, '') },
    { label: 'Id', value: cell.code(user.id) },
    ...(isLast
      ? [
          {
            label: 'Last root administrator',
            value: cell.text(
              'Cannot be disabled or deleted',
              'Give another user, who has a password and no expiry, the role Admin in the root team first.',
            ),
          },
        ]
      : []),
  ];
}

function isExpired({ expiresAt }: User): boolean {
  return expiresAt !== null && expiresAt.getTime() <= Date.now();
}

function statusCell(user: User): Cell {
  if (!user.enabled) return cell.badge('Disabled', 'bad');
  return isExpired(user) ? cell.badge('Expired', 'warn') : cell.badge('Active', 'good');
}

const MOST_TEAMS = 2;

/** The first teams; some people are in hundreds of them. */
function rolesCell(teamRoles: User['teamRoles']): Cell {
  const teams = Map.groupBy(teamRoles, ({ teamId }) => teamId);
  if (teams.size === 0) return cell.text('None', 'In no team: may do nothing');
  const shown = [...teams.values()]
    .slice(0, MOST_TEAMS)
    .map((roles) => `${roles[0]!.teamName}: ${roles.map(({ roleName }) => roleName).join(', ')}`);
  return cell.text(shown.join(' · '), teams.size > MOST_TEAMS ? `and ${teams.size - MOST_TEAMS} more` : undefined);
}
