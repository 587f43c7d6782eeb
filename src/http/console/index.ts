/**
 * The console room: what administrators see and do with a browser, at /console. It decodes, calls domain functions, and shows;
 * it owns no rule. Who may see what is the permission table's, as for the management API.
 */
import type { Middleware } from 'koa';
import type { Domain } from '../../domain/index.ts';
import type { SessionOf } from '../browser-session.ts';
import type { Csrf } from '../middleware/csrf.ts';
import { createPageTokens } from '../page-tokens.ts';
import type { Pages } from '../pages.ts';
import { addActingTeam } from './acting-team.ts';
import { addApiKeys } from './api-keys/index.ts';
import { addAuditEvents } from './audit-events/index.ts';
import { addCredentials } from './credentials/index.ts';
import { addLeavers } from './leavers/index.ts';
import { createLists, type DefineList } from './list.ts';
import { addOauthApps } from './oauth-apps/index.ts';
import { addOauthClients } from './oauth-clients/index.ts';
import { createOnce, type Once } from './once.ts';
import { addOverview } from './overview/index.ts';
import { addResourceServers } from './resource-servers/index.ts';
import { addRetirements } from './retirements/index.ts';
import { addRoles } from './roles/index.ts';
import { type ConsoleRoutes, createConsoleRoutes } from './routes.ts';
import { createShow, type Show } from './show.ts';
import { addSignInSettings } from './sign-in-settings.ts';
import { addSigningKeys } from './signing-keys.ts';
import { addTeams } from './teams/index.ts';
import { addUsers } from './users/index.ts';
import { createVisitors, type Visitors } from './visitor.ts';

export interface ConsoleOptions {
  domain: Domain;
  issuer: string;
  pages: Pages;
  csrf: Csrf;
  sessionOf: SessionOf;
  /** Sign page tokens; newest first. */
  pageTokenKeys: readonly Buffer[];
}

/** What every page module is built with. */
export interface Kit {
  domain: Domain;
  issuer: string;
  pages: Pages;
  csrf: Csrf;
  routes: ConsoleRoutes;
  show: Show;
  defineList: DefineList;
  once: Once;
  visitors: Visitors;
}

export interface Console {
  kit: Kit;
  middleware: Middleware;
  /** For the addresses of no page; goes last. */
  unknown: Middleware;
}

/** All pages behind a login but those of the account room, which are added to `kit`. */
export function createConsole({ domain, issuer, pages, csrf, sessionOf, pageTokenKeys }: ConsoleOptions): Console {
  const visitors = createVisitors({ issuer, sessionOf, csrf, authority: domain.authority });
  const show = createShow(pages);
  const kit: Kit = {
    domain,
    issuer,
    pages,
    csrf,
    visitors,
    routes: createConsoleRoutes({
      visitors,
      csrf,
      audit: domain.audit,
      settle: () => domain.notifications.settle(),
      showError: show.error,
    }),
    show,
    defineList: createLists(createPageTokens(pageTokenKeys)),
    once: createOnce(domain.idempotency),
  };
  addActingTeam(kit);
  addOverview(kit);
  addApiKeys(kit);
  addOauthApps(kit);
  addOauthClients(kit);
  addCredentials(kit);
  addRetirements(kit);
  addAuditEvents(kit);
  addUsers(kit);
  addLeavers(kit);
  addTeams(kit);
  addRoles(kit);
  addResourceServers(kit);
  addSignInSettings(kit);
  addSigningKeys(kit);
  return { kit, middleware: kit.routes.router.routes() as Middleware, unknown: kit.routes.unknown };
}
