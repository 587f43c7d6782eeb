/** Resource servers: the APIs tokens are for. */
import type { ResourceServer } from '../../../domain/resource-servers.ts';
import { inWords } from '../durations.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { type Action, type Cell, cell, type Fact } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { addResourceServerChanges } from './changes.ts';
import { middlewareFor } from './middleware.ts';
import { findResourceServer, holdersSection, pathOf, RESOURCE_SERVERS, wordsCell } from './subject.ts';

const NEW: Action = { text: 'Register an API', href: `${RESOURCE_SERVERS}/new`, primary: true };

/** Of the longest words and sentences there can be, as many as a page of 100 KB holds. */
const MOST_SCOPES = 100;

export function addResourceServers(kit: Kit): void {
  const { domain, issuer, routes, show, defineList } = kit;
  const { resourceServers } = domain;

  const list = defineList<ResourceServer>({
    columns: [
      { label: 'Name', sort: 'name', cell: (server) => cell.link(server.name, pathOf(server)) },
      { label: 'Identifier', sort: 'identifier', cell: ({ identifier }) => cell.code(identifier) },
      { label: 'Scopes', cell: ({ scopes }) => wordsCell(wordsOf(scopes), 'None') },
      { label: 'Tokens live', cell: ({ accessTokenTtlSeconds }) => cell.text(inWords(accessTokenTtlSeconds)) },
      { label: 'API keys', cell: keysCell },
      { label: 'Created', sort: 'created_at', cell: ({ createdAt }) => cell.date(createdAt, '') },
    ],
    search: 'Name or identifier',
    order: { field: 'name', descending: false },
    empty: {
      title: 'No API is registered yet',
      text: 'Register an API of yours, and apps and clients can get tokens for it with scopes of its own.',
      action: NEW,
    },
    rows: (query) => resourceServers.list(query),
  });

  routes.get(RESOURCE_SERVERS, 'resource_servers.list', async (ctx, visitor) => {
    show.list(ctx, visitor, {
      title: 'Resource servers',
      lead: 'The APIs tokens are for, each with scopes, a token lifetime and a signing algorithm of its own.',
      ...(mayUse(visitor, 'resource_servers.create') && { actions: [NEW] }),
      list: await list(ctx, visitor, undefined),
    });
  });

  addResourceServerChanges(kit);

  // After the fixed paths, which would be ids otherwise.
  routes.get(`${RESOURCE_SERVERS}/:id`, 'resource_servers.get', async (ctx, visitor) => {
    const server = await findResourceServer(kit, ctx.params.id);
    const holders = { words: wordsOf(server.scopes), title: 'Who was allowed its scopes', none: 'Nobody yet.' };
    show.detail(ctx, visitor, {
      title: server.name,
      back: { text: 'Resource servers', href: RESOURCE_SERVERS },
      ...(server.isBuiltIn && {
        badge: cell.badge('Built in', 'quiet'),
        lead: "The server's own API. It is as the server's configuration says, and cannot be changed here.",
      }),
      actions: actionsFor(server, visitor),
      facts: factsOf(server),
      sections: [
        {
          title: 'Scopes',
          ...(server.scopes.length > MOST_SCOPES && {
            lead: `The first ${MOST_SCOPES} of ${server.scopes.length}. The form to edit it has them all.`,
          }),
          table: {
            columns: ['Scope', 'What it lets a program do'],
            rows: server.scopes
              .slice(0, MOST_SCOPES)
              .map(({ name, description }) => [cell.code(name), cell.text(description)]),
            none: 'None: its tokens only say who calls, and every app and client may ask for them.',
          },
        },
        ...(server.isBuiltIn ? [] : [await holdersSection(kit, server, holders)]),
        ...middlewareFor(issuer, server),
      ],
    });
  });
}

function actionsFor(server: ResourceServer, visitor: Visitor): Action[] {
  if (server.isBuiltIn) return [];
  return [
    ...(mayUse(visitor, 'resource_servers.update') ? [{ text: 'Edit', href: `${pathOf(server)}/edit` }] : []),
    ...(mayUse(visitor, 'resource_servers.delete')
      ? [{ text: 'Delete', href: `${pathOf(server)}/delete`, danger: true }]
      : []),
  ];
}

function factsOf(server: ResourceServer): Fact[] {
  return [
    {
      label: 'Identifier',
      value: cell.code(
        server.identifier,
        server.isBuiltIn
          ? 'Tokens are for it when no resource is asked for.'
          : 'Callers name it as resource when they ask for a token.',
      ),
    },
    { label: 'Access tokens live', value: cell.text(inWords(server.accessTokenTtlSeconds)) },
    { label: 'Signed with', value: cell.text(server.signingAlg) },
    { label: 'API keys', value: keysCell(server) },
    {
      label: 'Clients the API uses',
      value: cell.words(server.clientIds, 'None'),
    },
    { label: 'Created', value: cell.date(server.createdAt, '') },
    { label: 'Changed', value: cell.date(server.updatedAt, '') },
  ];
}

function keysCell({ acceptsApiKeys }: ResourceServer): Cell {
  return acceptsApiKeys ? cell.badge('Accepted', 'good') : cell.badge('Refused', 'quiet');
}

function wordsOf(scopes: ResourceServer['scopes']): string[] {
  return scopes.map(({ name }) => name);
}
