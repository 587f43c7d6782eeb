/** OAuth2 Clients: services that act for themselves in one team. The list, one of them, and its secrets. */
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import type { ClientSecret } from '../../../domain/client-secrets.ts';
import type { ClientEndings } from '../../../domain/endings.ts';
import type { OauthClient } from '../../../domain/oauth-clients.ts';
import { apiKeyGuide, apiKeyTabs } from '../api-keys/guide.ts';
import { auditLink } from '../audit-events/link.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { addClientSecretPages, secretCell, secretsSection } from '../registrations/client-secrets.ts';
import { enabledCell, snippetSection } from '../registrations/index.ts';
import { clientCommands } from '../registrations/token-commands.ts';
import { teamOptions } from '../teams/choice.ts';
import { type Action, cell, type Fact } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { addOauthClientEndings } from './endings.ts';
import { addOauthClientForms } from './forms.ts';
import { CLIENTS, findClient, pathOf } from './subject.ts';

const SECRETS = { add: 'oauth_client_secrets.create', end: 'oauth_client_secrets.delete' } as const;
const NEW: Action = { text: 'Create a client', href: `${CLIENTS}/new`, primary: true };

export function addOauthClients(kit: Kit): void {
  const { domain, routes, show, defineList, issuer } = kit;
  const commands = { issuer, resourceServers: domain.resourceServers };

  const list = defineList<OauthClient & { secrets: ClientSecret[] }, { teamId: string | undefined }>({
    columns: [
      { label: 'Name', sort: 'name', cell: (client) => cell.link(client.name, pathOf(client), client.clientId) },
      { label: 'Secret', cell: secretCell },
      { label: 'Team', cell: ({ teamName }) => cell.text(teamName) },
      { label: 'Scopes', cell: ({ allowedScopes }) => cell.words(allowedScopes, 'None') },
      { label: 'Status', cell: enabledCell },
      { label: 'Created', sort: 'created_at', cell: ({ createdAt }) => cell.date(createdAt, '') },
      { label: 'Last used', sort: 'last_used_at', cell: ({ lastUsedAt }) => cell.date(lastUsedAt, 'Never') },
    ],
    filters: async ({ caller }, { teamId }) => [
      ...(actsInRoot(caller)
        ? [{ name: 'team', label: 'Team', options: (await teamOptions(domain.teams, teamId)).options }]
        : []),
      {
        name: 'enabled',
        label: 'Status',
        options: [
          { value: 'true', text: 'Enabled' },
          { value: 'false', text: 'Disabled' },
        ],
      },
    ],
    search: 'Name or client ID',
    order: { field: 'created_at', descending: true },
    empty: {
      title: 'No client is here yet',
      text: 'Create a client for a service that calls APIs on its own: it fetches tokens that last minutes, so no long-lived key travels with each request.',
    },
    rows: async ({ limit, order, after, search }, { filters: { team, enabled }, visitor }) =>
      domain.clientSecrets.attach(
        'client',
        await domain.oauthClients.list(teamReach(visitor.caller), {
          ...{ limit, order, after, search },
          conditions: [
            ...(team === undefined ? [] : [{ field: 'team_id', operator: 'eq' as const, value: team }]),
            ...(enabled === undefined
              ? []
              : [{ field: 'enabled', operator: 'eq' as const, value: enabled === 'true' }]),
          ],
        }),
      ),
  });

  routes.get(CLIENTS, 'oauth_clients.list', async (ctx, visitor) => {
    const teamId = typeof ctx.query.team === 'string' ? ctx.query.team : undefined;
    const shown = await list(ctx, visitor, { teamId });
    const mayCreate = mayUse(visitor, 'oauth_clients.create');
    show.list(ctx, visitor, {
      title: 'OAuth2 Clients',
      lead: 'Services that act for themselves, each in one team, with tokens they fetch by client credentials.',
      tabs: apiKeyTabs(visitor, 'clients'),
      guide: apiKeyGuide(),
      ...(mayCreate && { actions: [NEW] }),
      list: mayCreate ? { ...shown, empty: { ...shown.empty, action: NEW } } : shown,
    });
  });

  addOauthClientForms(kit, commands);
  addOauthClientEndings(kit);
  addClientSecretPages<OauthClient>(kit, {
    kind: 'client',
    path: CLIENTS,
    operations: SECRETS,
    reach: ({ caller }) => teamReach(caller),
    find: (reference, visitor) => findClient(kit, reference, visitor),
    commands: (client, secret) => clientCommands(commands, client, secret),
  });

  // After the fixed paths, which would be ids otherwise.
  routes.get(`${CLIENTS}/:id`, 'oauth_clients.get', async (ctx, visitor) => {
    const client = await findClient(kit, ctx.params.id, visitor);
    const secrets = await domain.clientSecrets.list({ kind: 'client', id: client.id, ...teamReach(visitor.caller) });
    const snippets = await clientCommands(commands, client, undefined);
    show.detail(ctx, visitor, {
      title: client.name,
      ...(client.description !== '' && { lead: client.description }),
      back: { text: 'OAuth2 Clients', href: CLIENTS },
      badge: enabledCell(client),
      actions: actionsFor(client, visitor),
      facts: factsOf(client, await domain.endings.ofClient(client)),
      sections: [
        ...(client.tokenEndpointAuthMethod.startsWith('client_secret_')
          ? [secretsSection(visitor, pathOf(client), secrets, SECRETS)]
          : []),
        ...snippets.map(snippetSection),
      ],
    });
  });
}

function actionsFor(client: OauthClient, visitor: Visitor): Action[] {
  const at = pathOf(client);
  const { enabled, version } = client;
  const may = (verb: 'update' | 'enable' | 'disable' | 'delete') => mayUse(visitor, `oauth_clients.${verb}`);
  return [
    ...auditLink(visitor, 'target', client.id),
    ...(may('update') ? [{ text: 'Edit', href: `${at}/edit` }] : []),
    ...(may('enable') && !enabled ? [{ text: 'Enable', post: `${at}/enable`, fields: { version } }] : []),
    ...(may('disable') && enabled ? [{ text: 'Disable', href: `${at}/disable`, danger: true }] : []),
    ...(may('delete') ? [{ text: 'Delete', href: `${at}/delete`, danger: true }] : []),
  ];
}

function factsOf(client: OauthClient, { resourceServers }: ClientEndings): Fact[] {
  return [
    { label: 'Client ID', value: cell.copied(client.clientId) },
    { label: 'Team', value: cell.text(client.teamName) },
    { label: 'Allowed scopes', value: cell.words(client.allowedScopes, 'None') },
    { label: 'Proves who it is by', value: cell.code(client.tokenEndpointAuthMethod, client.jwksUri ?? undefined) },
    ...(resourceServers.length === 0
      ? []
      : [{ label: 'Checks credentials for', value: cell.text(resourceServers.map(({ name }) => name).join(', ')) }]),
    { label: 'Last used', value: cell.date(client.lastUsedAt, 'Never') },
    { label: 'Created', value: cell.date(client.createdAt, '') },
    { label: 'Id', value: cell.code(client.id) },
  ];
}
