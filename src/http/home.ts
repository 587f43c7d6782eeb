/** `GET /`: what this server is, for whoever opens its address. */
import Router from '@koa/router';
import type { Pages } from './pages.ts';

export interface HomeDeps {
  pages: Pages;
  issuer: string;
  /** Whether there is no administrator yet. */
  isSetupOpen(): Promise<boolean>;
}

interface HomeValues {
  issuer: string;
  discovery: string;
  setupOpen: boolean;
}

export function createHomeRoutes({ pages, issuer, isSetupOpen }: HomeDeps): Router {
  const page = pages.declare<HomeValues>('home', ['issuer', 'discovery', 'setupOpen']);
  const discovery = `${issuer}/.well-known/openid-configuration`;
  return new Router().get('/', async (ctx) => {
    page(ctx, { issuer, discovery, setupOpen: await isSetupOpen() }, 200);
  });
}
