/** Who did something, and what it was done to, in words, with a way to the page of it where there is one. */
import type { RecordedAuditEvent } from '../../../domain/audit-events.ts';
import { actsInRoot, type OperationId } from '../../../domain/authorization.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { type Cell, cell } from '../view.ts';
import type { Visitor } from '../visitor.ts';

const ACTORS: Record<string, string> = {
  user: 'A user',
  personal_key: 'A personal key',
  team_key: 'A team key',
  client: 'An OAuth2 Client',
  app: 'An OAuth2 App',
  operator: 'The command line',
  system: 'The server',
  anonymous: 'Nobody known',
};

/** Where a thing of a kind is looked at. What is gone by now is told there. */
const PLACES: Record<string, { path: string; needs: OperationId; inRoot?: true }> = {
  user: { path: '/console/users/', needs: 'users.get' },
  team: { path: '/console/teams/', needs: 'teams.get' },
  // Apps and clients are found by their id and by their client_id, which is what is known of who did something.
  oauth_app: { path: '/console/api-keys/apps/', needs: 'oauth_apps.get' },
  app: { path: '/console/api-keys/apps/', needs: 'oauth_apps.get' },
  oauth_client: { path: '/console/api-keys/clients/', needs: 'oauth_clients.get' },
  client: { path: '/console/api-keys/clients/', needs: 'oauth_clients.get' },
  resource_server: { path: '/console/resource-servers/', needs: 'resource_servers.get' },
  key_retirement: { path: '/console/retirements/', needs: 'key_retirements.get' },
  'api_key team': { path: '/console/api-keys/team/', needs: 'team_keys.get' },
  team_key: { path: '/console/api-keys/team/', needs: 'team_keys.get' },
  // From within a team personal keys of others are nobody's to look at.
  'api_key personal': { path: '/console/api-keys/personal/', needs: 'api_keys.get', inRoot: true },
  personal_key: { path: '/console/api-keys/personal/', needs: 'api_keys.get', inRoot: true },
};

export async function actorCell(kit: Kit, visitor: Visitor, { actorKind, actorId }: RecordedAuditEvent): Promise<Cell> {
  const name = ACTORS[actorKind] ?? actorKind;
  if (actorId === '') return cell.text(name);
  if (actorKind !== 'user') return linked(visitor, actorKind, actorId, name);
  const email = await emailOf(kit, visitor, actorId);
  return linked(visitor, 'user', actorId, email ?? name);
}

export async function targetCell(kit: Kit, visitor: Visitor, event: RecordedAuditEvent): Promise<Cell> {
  const { targetKind, targetId, details } = event;
  if (targetKind === '') return cell.text('');
  const known = [details.name, details.email].find((one) => typeof one === 'string' && one !== '');
  const name = targetKind === 'user' ? ((await emailOf(kit, visitor, targetId)) ?? known) : known;
  const kind = targetKind === 'api_key' ? `api_key ${String(details.kind)}` : targetKind;
  return linked(visitor, kind, targetId, typeof name === 'string' ? name : targetKind.replaceAll('_', ' '));
}

function linked(visitor: Visitor, kind: string, id: string, text: string): Cell {
  const place = Object.hasOwn(PLACES, kind) ? PLACES[kind] : undefined;
  if (place === undefined || !mayUse(visitor, place.needs)) return cell.text(text, id);
  if (place.inRoot && !actsInRoot(visitor.caller)) return cell.text(text, id);
  return cell.link(text, `${place.path}${encodeURIComponent(id)}`, id);
}

/** From memory, of whoever is let in; people of other teams are told by their id alone. */
async function emailOf({ domain }: Kit, visitor: Visitor, userId: string): Promise<string | undefined> {
  if (!mayUse(visitor, 'users.get')) return undefined;
  const user = await domain.authority.user(userId);
  const isInReach = actsInRoot(visitor.caller) || user?.teams.some(({ id }) => id === visitor.caller.teamId);
  return isInReach ? user?.email : undefined;
}
