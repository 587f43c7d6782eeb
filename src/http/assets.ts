/** The files pages load, from memory, under names that change with their content, so that browsers keep them for good. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Router from '@koa/router';

const FOLDER = new URL('../../views/assets/', import.meta.url);

export interface Assets {
  /** Paths to link to. */
  stylesheet: string;
  logo: string;
  /** On top of the first, and the one script there is: for the pages behind a login. */
  consoleStylesheet: string;
  consoleScript: string;
  routes: Router;
}

/** @throws Error when a file is missing */
export function createAssets(): Assets {
  const routes = new Router();

  function serve(name: string, extension: string): string {
    const content = readFileSync(new URL(`${name}.${extension}`, FOLDER));
    const hash = createHash('sha256').update(content).digest('base64url').slice(0, 16);
    const path = `/assets/${name}.${hash}.${extension}`;
    routes.get(path, (ctx) => {
      ctx.set('Cache-Control', 'public, max-age=31536000, immutable');
      ctx.etag = hash;
      ctx.status = 200;
      ctx.type = extension;
      if (ctx.fresh) ctx.status = 304;
      else ctx.body = content;
    });
    return path;
  }

  return {
    stylesheet: serve('latchkey', 'css'),
    logo: serve('logo', 'svg'),
    consoleStylesheet: serve('console', 'css'),
    consoleScript: serve('console', 'js'),
    routes,
  };
}
