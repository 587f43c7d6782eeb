/** The app a page is about. */
import type { OauthApp } from '../../../domain/oauth-apps.ts';
import { AppError } from '../../../errors.ts';
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
  const app = await domain.oauthApps.find(String(reference));
  if (app === undefined) throw new AppError('not_found', 'There is no such OAuth2 app.');
  return app;
}
