/**
 * Turns templates of `views/` into answers. All of them are read and compiled at the start, and every page module declares
 * its template and exactly the values it shows, so that a missing template, partial or value stops the start and not a
 * visitor. What a page may show, and to whom, is the page module's business.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Eta } from 'eta/core';
import type { Context } from 'koa';
import type { Assets } from './assets.ts';
import { type PagePolicy, setPageHeaders } from './middleware/security-headers.ts';

const VIEWS = fileURLToPath(new URL('../../views/', import.meta.url));

/** Answers with the page; the status is the one set before, unless given. */
export type Page<Values> = (ctx: Context, values: Values, status?: number) => void;

/** What went wrong, for the person in front of the browser. */
export interface ErrorPage {
  status: number;
  title?: string;
  message: string;
  requestId: string;
  /** For the developer of the app that sent the browser here: what the protocol calls it. */
  detail?: string;
}

export interface Pages {
  /**
   * @param template path in `views/`, without its ending
   * @param names the values the template shows
   * @param policy see `setPageHeaders`
   * @throws TypeError when the template is missing, or shows anything else than `names`
   */
  declare<Values extends object>(
    template: string,
    names: readonly (keyof Values & string)[],
    policy?: PagePolicy,
  ): Page<Values>;
  renderError(ctx: Context, error: ErrorPage): void;
}

export interface PagesOptions {
  issuer: string;
  assets: Omit<Assets, 'routes'>;
}

/** @throws TypeError, or the template engine's error, when a template cannot work */
export function createPages({ issuer, assets }: PagesOptions): Pages {
  const templates = readTemplates();
  const eta = new Eta({ autoEscape: true, escapeFunction: escapeText });
  for (const [name, text] of templates) eta.loadTemplate(`@${name}`, text);
  const shell = { ...assets, host: new URL(issuer).host };

  const declare: Pages['declare'] = (template, names, policy = {}) => {
    const text = templates.get(template);
    if (text === undefined) throw new TypeError(`views/${template}.eta is missing`);
    const [declared, shown] = [new Set<string>(names), namesIn(text)];
    const wrong = [...declared, ...shown].filter((name) => !declared.has(name) || !shown.has(name));
    if (wrong.length > 0) throw new TypeError(`views/${template}.eta and its page disagree about: ${wrong.join(', ')}`);
    return (ctx, values, status) => {
      const body = eta.render(`@${template}`, { ...values, shell });
      if (status !== undefined) ctx.status = status;
      setPageHeaders(ctx, policy);
      ctx.type = 'html';
      ctx.body = body;
    };
  };

  const errorPage = declare<Required<Omit<ErrorPage, 'status'>>>('error', ['title', 'message', 'requestId', 'detail']);
  return {
    declare,
    renderError(ctx, { status, title = titleOf(status), message, requestId, detail = '' }) {
      errorPage(ctx, { title, message, requestId, detail }, status);
    },
  };
}

function readTemplates(): Map<string, string> {
  const files = readdirSync(VIEWS, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.eta'));
  const templates = new Map(
    files.map((file) => [file.slice(0, -'.eta'.length).replaceAll('\\', '/'), readFileSync(join(VIEWS, file), 'utf8')]),
  );
  for (const [name, text] of templates) {
    for (const [, used] of text.matchAll(/(?:include|layout)\('@([^']+)'/g)) {
      if (!templates.has(used!)) throw new TypeError(`views/${name}.eta uses views/${used}.eta, which is missing`);
    }
  }
  return templates;
}

function namesIn(text: string): Set<string> {
  return new Set([...text.matchAll(/\bit\.(\w+)/g)].map(([, name]) => name!));
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** For text and quoted attributes. A value that is not there is our mistake: better no page than one saying "undefined". */
function escapeText(value: unknown): string {
  if (value === undefined || value === null) throw new TypeError('a template shows a value that is not there');
  return String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

/** What an error page is called when nothing better is known. */
export function titleOf(status: number): string {
  if (status === 404) return 'Page not found';
  if (status === 429) return 'Too many attempts';
  if (status === 503) return 'Not available right now';
  return status >= 500 ? 'Something went wrong' : 'This did not work';
}
