/** The inventory: everything that can act for a team, of all kinds in one list, to be looked through and ended. */
import { actsInRoot, ownReach, teamReach } from '../../../domain/authorization.ts';
import { CREDENTIAL_KINDS, type Credential, type CredentialQuery } from '../../../domain/credentials.ts';
import type { Kit } from '../index.ts';
import type { ListFilter } from '../list.ts';
import { mayUse } from '../navigation.ts';
import { teamOptions } from '../teams/choice.ts';
import { type Cell, cell } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { CREDENTIALS, KIND, shownAs, statusCell } from './cells.ts';
import { addBulkRevoke } from './revoke.ts';

const DAY_MS = 24 * 3600 * 1000;

export function addCredentials(kit: Kit): void {
  const { domain, routes, show, defineList } = kit;

  const list = defineList<Credential, { teamId: string | undefined }>({
    columns: [
      { label: 'Name', cell: (one, visitor) => nameCell(one, visitor) },
      { label: 'Kind', cell: ({ kind }) => cell.text(KIND[kind]) },
      { label: 'Acts for', cell: ({ ownerEmail, teamName }) => cell.text(teamName, ownerEmail ?? undefined) },
      { label: 'Status', cell: statusCell },
      { label: 'Created', sort: 'created_at', cell: ({ createdAt }) => cell.date(createdAt, '') },
      { label: 'Last used', cell: ({ lastUsedAt }) => cell.date(lastUsedAt, 'Never') },
      { label: 'Expires', cell: expiryCell },
    ],
    filters: async (visitor, { teamId }) => [
      { name: 'kind', label: 'Kind', options: CREDENTIAL_KINDS.map((value) => ({ value, text: KIND[value] })) },
      ...(actsInRoot(visitor.caller)
        ? [{ name: 'team', label: 'Team', options: (await teamOptions(domain.teams, teamId)).options }]
        : []),
      ...FILTERS,
    ],
    search: 'Name, key or owner’s email',
    order: { field: 'created_at', descending: true },
    empty: {
      title: 'Nothing can act yet',
      text: 'API keys, OAuth2 Clients and the apps people let in are listed here as soon as there are any.',
      action: { text: 'API Keys', href: '/console/api-keys', primary: true },
    },
    pick: ({ kind, id }) => `${kind}.${id}`,
    rows: ({ limit, order, after, search }, { filters, visitor }) =>
      domain.credentials.list({ ...queryFrom(filters), ...teamReach(visitor.caller) }, { limit, order, after, search }),
  });

  routes.get(CREDENTIALS, 'credentials.list', async (ctx, visitor) => {
    const teamId = typeof ctx.query.team === 'string' ? ctx.query.team : undefined;
    show.list(ctx, visitor, {
      title: 'Credentials',
      lead: actsInRoot(visitor.caller)
        ? 'Everything that can act for any team. An app is here once for each consent that lets it act.'
        : 'Everything that can act for your team. An app is here once for each consent that lets it act.',
      list: await list(ctx, visitor, { teamId }),
      bulk: { action: `${CREDENTIALS}/revoke`, text: 'Revoke selected' },
    });
  });

  addBulkRevoke(kit);
}

const FILTERS: readonly ListFilter[] = [
  {
    name: 'status',
    label: 'Status',
    options: [
      { value: 'active', text: 'Active' },
      { value: 'inactive', text: 'Inactive' },
    ],
  },
  {
    name: 'use',
    label: 'Last used',
    options: [
      { value: 'never', text: 'Never' },
      { value: 'never-30', text: 'Never, made over 30 days ago' },
      { value: 'unused-30', text: 'Over 30 days ago' },
      { value: 'unused-90', text: 'Over 90 days ago' },
      { value: 'unused-180', text: 'Over 180 days ago' },
    ],
  },
  {
    name: 'expires',
    label: 'Expires',
    options: [7, 14, 30].map((days) => ({ value: String(days), text: `Within ${days} days` })),
  },
];

/** @param filters as `FILTERS` has them, with `kind` and `team` */
function queryFrom({ kind, team, status, use = '', expires }: Readonly<Record<string, string>>): CredentialQuery {
  const [, how, days] = /^(never|unused)-?(\d*)$/.exec(use) ?? [];
  return {
    kind: CREDENTIAL_KINDS.find((one) => one === kind),
    teamId: team,
    isActive: status === undefined ? undefined : status === 'active',
    ...(how !== undefined && { neverUsed: how === 'never' }),
    ...(days && { unusedSince: new Date(Date.now() - Number(days) * DAY_MS) }),
    ...(expires !== undefined && { expiresBefore: new Date(Date.now() + Number(expires) * DAY_MS) }),
  };
}

/** A link to where it can be changed, for whoever has a page for it. */
function nameCell(one: Credential, visitor: Visitor): Cell {
  const href = hrefOf(one, visitor);
  return href === undefined ? cell.text(one.name, shownAs(one)) : cell.link(one.name, href, shownAs(one));
}

function hrefOf({ kind, id, clientId, userId }: Credential, visitor: Visitor): string | undefined {
  const isOwn = userId === visitor.user.id;
  if (kind === 'oauth2_app') {
    if (isOwn) return '/account/apps';
    return clientId !== null && mayUse(visitor, 'oauth_apps.get') ? `/console/api-keys/apps/${clientId}` : undefined;
  }
  if (kind === 'team_key') return mayUse(visitor, 'team_keys.get') ? `/console/api-keys/team/${id}` : undefined;
  if (kind === 'oauth2_client')
    return mayUse(visitor, 'oauth_clients.get') ? `/console/api-keys/clients/${id}` : undefined;
  const reachesOthers = ownReach(visitor.caller, 'api_keys.get').userId === undefined;
  const isInReach = mayUse(visitor, 'api_keys.get') && (isOwn || reachesOthers);
  return isInReach ? `/console/api-keys/personal/${id}` : undefined;
}

function expiryCell({ expiresAt, retiresAt }: Credential): Cell {
  if (retiresAt !== null && (expiresAt === null || retiresAt < expiresAt)) return cell.date(retiresAt, '', 'Retires');
  return cell.date(expiresAt, 'Never');
}
