/** The composition root: builds every room from configuration and database, in that order, once. The only file that wires rooms together. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Router from '@koa/router';
import Koa, { type Context, type Middleware } from 'koa';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { createDomain, type Domain } from './domain/index.ts';
import { addAccount } from './http/account/index.ts';
import { createAssets } from './http/assets.ts';
import { createConsole, type Kit } from './http/console/index.ts';
import { createDocsRoutes, type OpenapiDocument } from './http/docs.ts';
import { createForwardAuth } from './http/forward-auth.ts';
import { health } from './http/health.ts';
import { createHomeRoutes } from './http/home.ts';
import { createEnginePages, createInteractionRoutes } from './http/interaction/index.ts';
import { createLoginRoutes } from './http/login.ts';
import { createManagement } from './http/management/index.ts';
import { accessLog, loggedPath } from './http/middleware/access-log.ts';
import { requireDatabase } from './http/middleware/availability.ts';
import { createCsrf } from './http/middleware/csrf.ts';
import { createDraining } from './http/middleware/draining.ts';
import { handleErrors } from './http/middleware/errors.ts';
import { requireHost } from './http/middleware/host.ts';
import { requestInfo, requestInfoOf } from './http/middleware/request-info.ts';
import { securityHeaders } from './http/middleware/security-headers.ts';
import { createPages } from './http/pages.ts';
import { createSetupRoutes } from './http/setup.ts';
import { createEngine } from './oidc/index.ts';
import type { Database } from './storage/pool.ts';

export interface App {
  /** The request listener for `node:http`. */
  callback: (req: IncomingMessage, res: ServerResponse) => void;
  domain: Domain;
  /** Every page behind a login and every form, to be walked through. */
  pages: Kit['routes']['pages'];
  /** Connects, creates missing keys, starts the housekeeping. */
  start(): Promise<void>;
  /** Makes `/readyz` answer 503 and ends connections after their answers, so that no new request is sent here. */
  drain(): void;
  /** Writes what is buffered and lets go of the database; the pool itself is the caller's. */
  close(): Promise<void>;
}

export interface AppOptions {
  config: Config;
  /** The instance secrets, newest first. */
  secrets: string[];
  db: Database;
  logger: Logger;
}

export function createApp({ config, secrets, db, logger }: AppOptions): App {
  const { issuer } = config;
  const onError = (error: unknown) => logger.error({ err: error }, 'background failure');
  const { lifetimes, importPeppers: peppers } = config;
  const domain = createDomain({ db, secrets, lifetimes, peppers, onError, onAvailability });
  const { notifications, sealing } = domain;
  const draining = createDraining();

  function onAvailability(available: boolean): void {
    if (available) logger.info('database connected');
    else logger.warn('database lost');
  }

  const assets = createAssets();
  const pages = createPages({ issuer, assets });
  const csrf = createCsrf({ issuer, keys: sealing.keysFor('csrf') });
  // Every API token is for this audience unless it asked for another (RFC 8707).
  const audience = `${issuer}/api`;
  const engine = createEngine({
    ...domain,
    config,
    db,
    pages: createEnginePages(pages),
    requestInfo: requestInfoOf,
    defaultResource: audience,
    onError: (error, req) =>
      logger.error({ err: error, requestId: req && requestInfoOf(req).requestId }, 'engine failure'),
    onLongRevocationList: (entries) =>
      logger.warn({ entries }, 'the revocation feed has become long: see who revokes that many tokens one by one'),
  });
  const local = {
    ...domain,
    issuer,
    audience,
    publishedKeys: engine.publishedKeys,
    isRevoked: domain.revocations.isRevoked,
    onError,
  };
  const isAvailable = () => notifications.available;
  const forwardAuth = createForwardAuth({ ...local, isAvailable });
  const management = createManagement({
    ...local,
    sessionOf: engine.sessionOf,
    csrf,
    pageTokenKeys: sealing.keysFor('page tokens'),
    onUndeclared: (operation, status) => logger.error({ operation, status }, 'undeclared answer'),
  });
  const console = createConsole({
    domain,
    issuer,
    pages,
    csrf,
    sessionOf: engine.sessionOf,
    pageTokenKeys: sealing.keysFor('page tokens'),
  });

  addAccount(console.kit, { renewSession: engine.browserSessions.renew });

  const koa = new Koa({ proxy: config.trustProxy > 0, maxIpsCount: config.trustProxy });
  koa.silent = true;
  const engineRequest: Middleware = async (ctx, next) => {
    if (!belongsToEngine(ctx.path)) return next();
    ctx.respond = false;
    await engine.handle(ctx.req, ctx.res);
  };
  koa
    .use(draining.middleware)
    .use(requestInfo())
    .use(accessLog(logger))
    .use(securityHeaders({ https: issuer.startsWith('https:') }))
    .use(
      handleErrors({
        renderPage: (ctx, page) => pages.renderError(ctx, page),
        onError: (error, ctx: Context) =>
          logger.error(
            { err: error, requestId: requestInfoOf(ctx.req).requestId, path: loggedPath(ctx.path) },
            'request failed',
          ),
      }),
    )
    .use(health({ available: isAvailable, draining: () => draining.active }))
    // Some proxies ask with the Host of the request they ask about; nothing in the answer depends on it.
    .use(forwardAuth)
    .use(requireHost(issuer))
    .use(mount(assets.routes))
    .use(management.metadata)
    .use(mount(createDocsRoutes({ pages, issuer, document: management.openapi as () => Promise<OpenapiDocument> })))
    .use((ctx, next) => (isPublicDocument(ctx.path) ? next() : requireDatabase(isAvailable)(ctx, next)))
    .use(engine.revocationFeed.middleware)
    .use(engineRequest)
    .use(management.routes)
    .use(console.middleware)
    .use(console.unknown)
    .use(mount(createLoginRoutes({ ...domain, ...engine, csrf, pages, issuer })))
    .use(mount(createInteractionRoutes({ ...domain, engine: engine.interactions, csrf, pages })))
    .use(mount(createSetupRoutes({ ...domain, csrf, pages, issuer, logIn: engine.browserSessions.logIn })))
    .use(mount(createHomeRoutes({ pages, issuer, isSetupOpen: domain.setup.isOpen, sessionOf: engine.sessionOf })));

  return {
    callback: koa.callback(),
    domain,
    pages: console.kit.routes.pages,
    async start() {
      await domain.signingKeys.ensure();
      const { accessTokenAlg: alg, lifetimes } = config;
      await domain.resourceServers.ensureBuiltIn({ identifier: audience, ttl: lifetimes.accessToken, alg });
      await notifications.start();
      const peppers = await domain.keyImport.missingPeppers();
      if (peppers.length > 0) logger.warn({ peppers }, 'imported keys need secrets that IMPORT_PEPPERS does not have');
    },
    drain() {
      draining.start();
      engine.revocationFeed.drain();
    },
    async close() {
      engine.close();
      await domain.close();
    },
  };
}

function mount(router: Router): Middleware {
  return router.routes() as Middleware;
}

function belongsToEngine(path: string): boolean {
  return path.startsWith('/oauth2/') || isDiscovery(path);
}

function isDiscovery(path: string): boolean {
  return path === '/.well-known/openid-configuration' || path === '/.well-known/oauth-authorization-server';
}

/** What may be read while the database is away: it is public, and comes from memory. */
function isPublicDocument(path: string): boolean {
  return isDiscovery(path) || path === '/oauth2/jwks';
}
