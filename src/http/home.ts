/** `GET /`: what this server is, for whoever opens its address. */
import Router from '@koa/router';
import type { Context } from 'koa';
import type { Pages } from './pages.ts';

export interface HomeDeps {
  pages: Pages;
  issuer: string;
  /** Whether there is no administrator yet. */
  isSetupOpen(): Promise<boolean>;
  /** Undefined when nobody is logged in. */
  sessionOf(req: Context['req'], res: Context['res']): Promise<object | undefined>;
}

interface HomeValues {
  issuer: string;
  discovery: string;
  setupOpen: boolean;
  loggedIn: boolean;
}

export function createHomeRoutes({ pages, issuer, isSetupOpen, sessionOf }: HomeDeps): Router {
  const page = pages.declare<HomeValues>('home', ['issuer', 'discovery', 'setupOpen', 'loggedIn']);
  const discovery = `${issuer}/.well-known/openid-configuration`;
  return new Router().get('/', async (ctx) => {
    const [setupOpen, session] = await Promise.all([isSetupOpen(), sessionOf(ctx.req, ctx.res)]);
    page(ctx, { issuer, discovery, setupOpen, loggedIn: session !== undefined }, 200);
  });
}
