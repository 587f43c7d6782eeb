/** OAuth2 Apps: what acts for users by their consent. The list, one of them, and its secrets. */
import type { ClientSecret } from '../../../domain/client-secrets.ts';
import type { AppEndings } from '../../../domain/endings.ts';
import type { OauthApp } from '../../../domain/oauth-apps.ts';
import { reviewRedirectUris } from '../../../domain/redirect-uri-hints.ts';
import { apiKeyGuide, apiKeyTabs } from '../api-keys/guide.ts';
import { auditLink } from '../audit-events/link.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { addClientSecretPages, secretCell, secretsSection } from '../registrations/client-secrets.ts';
import { enabledCell, snippetSection } from '../registrations/index.ts';
import { appCommands } from '../registrations/token-commands.ts';
import { type Action, cell, type Fact, type Section } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { addOauthAppEndings, countedIn } from './endings.ts';
import { addOauthAppForms } from './forms.ts';
import { APPS, findApp, pathOf } from './subject.ts';

const SECRETS = { add: 'oauth_app_secrets.create', end: 'oauth_app_secrets.delete' } as const;
const NEW: Action = { text: 'Create an app', href: `${APPS}/new`, primary: true };
const TYPES = { confidential: 'Web app with a server', public: 'App on people’s devices' };

export function addOauthApps(kit: Kit): void {
  const { domain, routes, show, defineList, issuer } = kit;
  const commands = { issuer, resourceServers: domain.resourceServers };

  const list = defineList<OauthApp & { secrets: ClientSecret[] }>({
    columns: [
      { label: 'Name', sort: 'name', cell: (app) => cell.link(app.name, pathOf(app), app.clientId) },
      { label: 'Secret', cell: secretCell },
      { label: 'Type', cell: ({ type }) => cell.text(type === 'public' ? 'Public' : 'Confidential') },
      { label: 'Scopes', cell: ({ allowedScopes }) => cell.words(allowedScopes, 'None') },
      { label: 'Status', cell: enabledCell },
      { label: 'Created', sort: 'created_at', cell: ({ createdAt }) => cell.date(createdAt, '') },
      { label: 'Last used', sort: 'last_used_at', cell: ({ lastUsedAt }) => cell.date(lastUsedAt, 'Never') },
    ],
    filters: () => [
      {
        name: 'enabled',
        label: 'Status',
        options: [
          { value: 'true', text: 'Enabled' },
          { value: 'false', text: 'Disabled' },
        ],
      },
      {
        name: 'type',
        label: 'Type',
        options: [
          { value: 'confidential', text: 'Confidential' },
          { value: 'public', text: 'Public' },
        ],
      },
    ],
    search: 'Name or client ID',
    order: { field: 'created_at', descending: true },
    empty: {
      title: 'No app is registered yet',
      text: 'Register an app to let people log in to it with their account here, or let it act for them: they are asked first, choose the team, and can disconnect it at any time.',
    },
    rows: async (query, { filters }) =>
      domain.clientSecrets.attach(
        'app',
        await domain.oauthApps.list({
          ...query,
          conditions: Object.entries(filters).map(([field, value]) => ({
            field,
            operator: 'eq' as const,
            value: field === 'enabled' ? value === 'true' : value,
          })),
        }),
      ),
  });

  routes.get(APPS, 'oauth_apps.list', async (ctx, visitor) => {
    const shown = await list(ctx, visitor, undefined);
    const mayCreate = mayUse(visitor, 'oauth_apps.create');
    show.list(ctx, visitor, {
      title: 'OAuth2 Apps',
      lead: 'Apps that act for a user, with the user’s consent. They belong to no team: the user chooses one.',
      tabs: apiKeyTabs(visitor, 'apps'),
      guide: apiKeyGuide(),
      ...(mayCreate && { actions: [NEW] }),
      list: mayCreate ? { ...shown, empty: { ...shown.empty, action: NEW } } : shown,
    });
  });

  addOauthAppForms(kit, commands);
  addOauthAppEndings(kit);
  addClientSecretPages<OauthApp>(kit, {
    kind: 'app',
    path: APPS,
    operations: SECRETS,
    reach: () => ({}),
    find: (reference) => findApp(kit, reference),
    commands: (app, secret) => appCommands(commands, app, secret),
  });

  // After the fixed paths, which would be ids otherwise.
  routes.get(`${APPS}/:id`, 'oauth_apps.get', async (ctx, visitor) => {
    const app = await findApp(kit, ctx.params.id);
    const secrets = await domain.clientSecrets.list({ kind: 'app', id: app.id });
    const endings = await domain.endings.ofApp(app);
    show.detail(ctx, visitor, {
      title: app.name,
      back: { text: 'OAuth2 Apps', href: APPS },
      badge: enabledCell(app),
      actions: [...auditLink(visitor, 'target', app.id), ...actionsFor(app, visitor)],
      facts: factsOf(app, endings),
      sections: [
        uriSection('Redirect URIs', app, app.redirectUris),
        ...(app.postLogoutRedirectUris.length === 0
          ? []
          : [uriSection('Post-logout redirect URIs', app, app.postLogoutRedirectUris)]),
        ...(app.tokenEndpointAuthMethod.startsWith('client_secret_')
          ? [secretsSection(visitor, pathOf(app), secrets, SECRETS)]
          : []),
        ...(await appCommands(commands, app, undefined)).map(snippetSection),
      ],
    });
  });
}

function actionsFor(app: OauthApp, visitor: Visitor): Action[] {
  const at = pathOf(app);
  const may = (verb: 'update' | 'enable' | 'disable' | 'delete') => mayUse(visitor, `oauth_apps.${verb}`);
  return [
    ...(may('update') ? [{ text: 'Edit', href: `${at}/edit` }] : []),
    ...(may('enable') && !app.enabled
      ? [{ text: 'Enable', post: `${at}/enable`, fields: { version: app.version } }]
      : []),
    ...(may('disable') && app.enabled ? [{ text: 'Disable', href: `${at}/disable`, danger: true }] : []),
    ...(may('delete') ? [{ text: 'Delete', href: `${at}/delete`, danger: true }] : []),
  ];
}

function factsOf(app: OauthApp, endings: AppEndings): Fact[] {
  return [
    { label: 'Client ID', value: cell.copied(app.clientId) },
    { label: 'Type', value: cell.text(TYPES[app.type], app.type) },
    { label: 'Base URL', value: cell.code(app.baseUrl) },
    { label: 'Allowed scopes', value: cell.words(app.allowedScopes, 'None') },
    { label: 'Proves who it is by', value: cell.code(app.tokenEndpointAuthMethod, app.jwksUri ?? undefined) },
    { label: 'ID tokens are signed with', value: cell.code(app.idTokenSignedResponseAlg) },
    ...(app.logoUrl === null ? [] : [{ label: 'Logo', value: cell.code(app.logoUrl) }]),
    { label: 'Who connected it', value: cell.text(endings.users === 0 ? 'Nobody' : countedIn(endings)) },
    { label: 'Last used', value: cell.date(app.lastUsedAt, 'Never') },
    { label: 'Created', value: cell.date(app.createdAt, '') },
    { label: 'Id', value: cell.code(app.id) },
  ];
}

function uriSection(title: string, app: OauthApp, uris: readonly string[]): Section {
  return {
    title,
    table: {
      columns: ['Address'],
      // As a text: code is cut to a line in tables, and these count to the last character.
      rows: reviewRedirectUris(uris, app).map(({ uri, hint }) => [cell.text(uri, hint)]),
      none: 'There is none.',
    },
  };
}
