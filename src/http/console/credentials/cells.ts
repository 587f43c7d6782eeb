/** How a credential of any kind is shown. */
import type { Credential } from '../../../domain/credentials.ts';
import { type Cell, cell } from '../view.ts';

export const CREDENTIALS = '/console/credentials';

/** What a kind is called when there is one of it. */
export const KIND: Record<Credential['kind'], string> = {
  personal_key: 'Personal key',
  team_key: 'Team key',
  oauth2_client: 'OAuth2 Client',
  oauth2_app: 'OAuth2 App',
};

/** What people recognise it by beside its name. */
export function shownAs({ prefix, clientId }: Credential): string | undefined {
  return prefix === null ? (clientId ?? undefined) : `${prefix}…`;
}

export function statusCell({ isActive, retiresAt }: Credential): Cell {
  if (!isActive) return cell.badge('Inactive', 'quiet');
  return retiresAt === null ? cell.badge('Active', 'good') : cell.badge('Retiring', 'warn');
}

export function namesOf(one: Credential): Cell[] {
  return [
    cell.text(one.name, shownAs(one)),
    cell.text(KIND[one.kind]),
    cell.text(one.teamName, one.ownerEmail ?? undefined),
  ];
}
