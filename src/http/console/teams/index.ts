/** Teams: what keys, clients, providers and memberships belong to. */
import { teamReach } from '../../../domain/authorization.ts';
import type { CredentialKind } from '../../../domain/credentials.ts';
import { POLICY_TYPES, type Team, type TeamContents } from '../../../domain/teams.ts';
import { auditLink } from '../audit-events/link.ts';
import { CREDENTIALS } from '../credentials/cells.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { type Action, cell, type Fact, type Section } from '../view.ts';
import { addTeamChanges } from './changes.ts';
import { addTeamDeletion, MOST_COUNTED } from './deletion.ts';
import { addTeamMembers } from './members.ts';
import { pathOf, TEAMS, tabsOf, teamOf } from './subject.ts';

const NEW: Action = { text: 'Create a team', href: `${TEAMS}/new`, primary: true };
const POLICIES = { [POLICY_TYPES.UNBOUND]: 'Every provider', [POLICY_TYPES.PROVIDER_ID_SET]: 'Chosen providers' };
const MOST_PROVIDERS = 100;

export function addTeams(kit: Kit): void {
  const { domain, routes, show, defineList } = kit;
  const { teams } = domain;

  const list = defineList<Team, undefined>({
    columns: [
      {
        label: 'Name',
        sort: 'name',
        cell: (team) => cell.link(team.name, pathOf(team), team.isRoot ? 'Its roles reach every team' : undefined),
      },
      { label: 'Providers', cell: ({ policyType }) => cell.text(POLICIES[policyType]) },
      { label: 'Members', cell: ({ userCount }) => cell.text(String(userCount)) },
      { label: 'SSO alias', cell: ({ ssoAlias }) => cell.text(ssoAlias) },
      { label: 'Created', sort: 'created_at', cell: ({ createdAt }) => cell.date(createdAt, '') },
    ],
    filters: () => [
      {
        ...{ name: 'policy_type', label: 'Providers' },
        options: Object.entries(POLICIES).map(([value, text]) => ({ value, text })),
      },
    ],
    search: 'Name',
    order: { field: 'created_at', descending: true },
    empty: {
      title: 'There is no team yet',
      text: 'Every key, client and consent acts for one team. Make a team for each group that should not see what another one does.',
      action: NEW,
    },
    rows: ({ limit, order, after, search }, { filters, visitor }) =>
      teams.list(teamReach(visitor.caller), {
        ...{ limit, order, after, search },
        conditions: Object.entries(filters).map(([field, value]) => ({ field, operator: 'eq', value: Number(value) })),
      }),
  });

  routes.get(TEAMS, 'teams.list', async (ctx, visitor) => {
    show.list(ctx, visitor, {
      title: 'Teams',
      lead: 'Every key, client, consent and provider belongs to one team, and people have roles in teams.',
      ...(mayUse(visitor, 'teams.create') && { actions: [NEW] }),
      list: await list(ctx, visitor, undefined),
    });
  });

  addTeamChanges(kit);
  addTeamMembers(kit);
  addTeamDeletion(kit);

  // After the fixed paths, which would be ids otherwise.
  routes.get(`${TEAMS}/:id`, 'teams.get', async (ctx, visitor) => {
    const team = await teamOf(kit, ctx, visitor);
    show.detail(ctx, visitor, {
      title: team.name,
      ...(team.description !== '' && { lead: team.description }),
      back: { text: 'Teams', href: TEAMS },
      ...(team.isRoot && { badge: cell.badge('Root team', 'quiet') }),
      tabs: tabsOf(visitor, team, 'team'),
      actions: [
        ...auditLink(visitor, 'target', team.id),
        ...(mayUse(visitor, 'teams.update') ? [{ text: 'Edit', href: `${pathOf(team)}/edit` }] : []),
        ...(mayUse(visitor, 'teams.delete') && !team.isRoot
          ? [{ text: 'Delete', href: `${pathOf(team)}/delete`, danger: true }]
          : []),
      ],
      facts: factsOf(team),
      sections: [
        ...(mayUse(visitor, 'credentials.list') ? [actsFor(team, await teams.contentsOf(team.id))] : []),
        ...(team.policyType === POLICY_TYPES.PROVIDER_ID_SET || team.providers.length > 0 ? [providersOf(team)] : []),
      ],
    });
  });
}

function factsOf(team: Team): Fact[] {
  return [
    { label: 'Providers', value: cell.text(POLICIES[team.policyType], whatItSees(team)) },
    { label: 'Members', value: cell.link(String(team.userCount), `${pathOf(team)}/members`) },
    { label: 'SSO alias', value: cell.text(team.ssoAlias || 'None') },
    { label: 'Created', value: cell.date(team.createdAt, '') },
    { label: 'Changed', value: cell.date(team.updatedAt, '') },
    { label: 'Id', value: cell.code(team.id) },
  ];
}

function actsFor(team: Team, contents: TeamContents): Section {
  const value = (count: number, kind: CredentialKind) => {
    if (count === 0) return cell.text('None');
    const href = `${CREDENTIALS}?${new URLSearchParams({ team: team.id, kind })}`;
    return cell.link(count >= MOST_COUNTED ? `${MOST_COUNTED} or more` : String(count), href);
  };
  return {
    title: 'What acts for this team',
    facts: [
      { label: 'Personal keys', value: value(contents.personalKeys, 'personal_key') },
      { label: 'Team keys', value: value(contents.teamKeys, 'team_key') },
      { label: 'OAuth2 Clients', value: value(contents.clients, 'oauth2_client') },
      { label: 'Connected apps', value: value(contents.consents, 'oauth2_app') },
    ],
  };
}

function whatItSees({ policyType, providerTypes, isRoot }: Team): string {
  if (isRoot) return 'The root team cannot be bound';
  const types = providerTypes.length > 0 ? ' Of these only custom ones.' : '';
  return policyType === POLICY_TYPES.UNBOUND
    ? `Whatever providers there are.${types}`
    : `Those chosen below, and what it made itself.${types}`;
}

function providersOf({ policyType, providers }: Team): Section {
  const isBound = policyType === POLICY_TYPES.PROVIDER_ID_SET;
  const lead = [
    ...(isBound ? [] : ['They are chosen, but limit nothing while the team sees every provider.']),
    ...(providers.length > MOST_PROVIDERS ? [`These are ${MOST_PROVIDERS} of ${providers.length}.`] : []),
  ].join(' ');
  return {
    title: 'Chosen providers',
    ...(lead !== '' && { lead }),
    table: {
      columns: ['Name', 'Id'],
      rows: providers.slice(0, MOST_PROVIDERS).map(({ id, name }) => [cell.text(name), cell.code(id)]),
      none: 'None: the team sees only what it makes itself.',
    },
  };
}
