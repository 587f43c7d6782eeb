/** The app a page is about. */
import type { OauthApp } from '../../../domain/oauth-apps.ts';
import { found } from '../../found.ts';
import type { Kit } from '../index.ts';
import type { Back } from '../show.ts';

export const APPS = '/console/api-keys/apps';

export function pathOf({ id }: Pick<OauthApp, 'id'>): string {
  return `${APPS}/${id}`;
}

export function backTo(app: OauthApp): Back {
  return { text: app.name, href: pathOf(app) };
}

/** By id or client_id. @throws AppError `not_found` */
export async function findApp({ domain }: Pick<Kit, 'domain'>, reference: unknown): Promise<OauthApp> {
  return found(await domain.oauthApps.find(String(reference)), 'OAuth2 app');
}
