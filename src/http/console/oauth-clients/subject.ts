/** The client a page is about. */
import { teamReach } from '../../../domain/authorization.ts';
import type { OauthClient } from '../../../domain/oauth-clients.ts';
import { found } from '../../found.ts';
import type { Kit } from '../index.ts';
import type { Back } from '../show.ts';
import type { Visitor } from '../visitor.ts';

export const CLIENTS = '/console/api-keys/clients';

export function pathOf({ id }: Pick<OauthClient, 'id'>): string {
  return `${CLIENTS}/${id}`;
}

export function backTo(client: OauthClient): Back {
  return { text: client.name, href: pathOf(client) };
}

/** By id or client_id, as far as the visitor reaches. @throws AppError `not_found` */
export async function findClient(
  { domain }: Pick<Kit, 'domain'>,
  reference: unknown,
  { caller }: Pick<Visitor, 'caller'>,
): Promise<OauthClient> {
  return found(await domain.oauthClients.find(String(reference), teamReach(caller)), 'OAuth2 client');
}
