/** The resource server a page is about, and who was allowed its scopes. */

import type { ResourceServer, ScopeHolder } from '../../../domain/resource-servers.ts';
import { AppError } from '../../../errors.ts';
import { found } from '../../found.ts';
import type { Kit } from '../index.ts';
import type { Back } from '../show.ts';
import { type Cell, cell, type Section } from '../view.ts';

export const RESOURCE_SERVERS = '/console/resource-servers';

/** Of apps, of clients and of keys: enough to know whom to ask. */
const MOST_HOLDERS = 20;
const MOST_WORDS = 8;
const FEW_WORDS = 3;

export function pathOf({ id }: Pick<ResourceServer, 'id'>): string {
  return `${RESOURCE_SERVERS}/${id}`;
}

export function backTo(server: ResourceServer): Back {
  return { text: server.name, href: pathOf(server) };
}

/** @throws AppError `not_found` */
export async function findResourceServer({ domain }: Pick<Kit, 'domain'>, id: unknown): Promise<ResourceServer> {
  return found(await domain.resourceServers.find(String(id)), 'resource server');
}

/** @throws AppError `failed_precondition` for the server's own API, which is as the configuration says */
export async function findChangeable(kit: Pick<Kit, 'domain'>, id: unknown): Promise<ResourceServer> {
  const server = await findResourceServer(kit, id);
  if (server.isBuiltIn) {
    throw new AppError('failed_precondition', "The server's own API cannot be changed or deleted.");
  }
  return server;
}

const KINDS: Record<ScopeHolder['kind'], { text: string; path: string }> = {
  oauth_app: { text: 'OAuth2 App', path: '/console/api-keys/apps' },
  oauth_client: { text: 'OAuth2 Client', path: '/console/api-keys/clients' },
  personal_key: { text: 'Personal key', path: '/console/api-keys/personal' },
  team_key: { text: 'Team key', path: '/console/api-keys/team' },
};

/** Scope words in a table, cut to what its row can hold: an API can have 200 of them. */
export function wordsCell(words: readonly string[], none: string): Cell {
  if (words.length <= MOST_WORDS) return cell.words(words, none);
  return cell.text(words.slice(0, FEW_WORDS).join(', '), `and ${words.length - FEW_WORDS} more`);
}

/** The apps, clients and keys that were allowed these scopes of the server by name. */
export async function holdersSection(
  { domain }: Pick<Kit, 'domain'>,
  server: ResourceServer,
  { words, title, none }: { words: readonly string[]; title: string; none: string },
): Promise<Section> {
  const found = await domain.resourceServers.holdersOf(server, words, MOST_HOLDERS + 1);
  const groups = [
    found.filter(({ kind }) => kind === 'oauth_app'),
    found.filter(({ kind }) => kind === 'oauth_client'),
    found.filter(({ kind }) => kind.endsWith('_key')),
  ];
  const isMore = groups.some(({ length }) => length > MOST_HOLDERS);
  return {
    title,
    ...(isMore && { lead: `There are more: of apps, of clients and of keys at most ${MOST_HOLDERS} each are shown.` }),
    table: {
      columns: ['Name', 'Kind', 'Team', 'Scopes'],
      rows: groups
        .flatMap((group) => group.slice(0, MOST_HOLDERS))
        .map(({ kind, id, name, teamName, scopes }) => [
          cell.link(name, `${KINDS[kind].path}/${id}`),
          cell.text(KINDS[kind].text),
          cell.text(teamName ?? 'Every team'),
          wordsCell(scopes, ''),
        ]),
      none,
    },
  };
}
