/**
 * The routes of the pages behind a login. What every page needs is done here, before any of them runs: who it is, whether
 * they may, whether the form is ours; so that no page can forget it.
 */
import Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import type { Audit } from '../../domain/audit.ts';
import { authorize, type OperationId } from '../../domain/authorization.ts';
import { withoutSecrets } from '../../domain/secret-text.ts';
import { AppError, type Kind } from '../../errors.ts';
import { bindingOf } from '../browser-session.ts';
import type { Csrf } from '../middleware/csrf.ts';
import { type Form, readForm } from '../middleware/form.ts';
import { noteRefusal } from '../refusals.ts';
import { type Problems, problemsIn } from './problems.ts';
import type { Visitor, Visitors } from './visitor.ts';

/** What a page needs: an operation of the permission table, or only that somebody is logged in. */
export type Need = OperationId | 'self';

export interface ConsoleRoutes {
  /** A page. */
  get(path: string, need: Need, show: (ctx: Context, visitor: Visitor) => Promise<void> | void): void;
  /** A form of a page: either gives the path to go on at, or has shown a page. */
  post(
    path: string,
    need: Need,
    submit: (ctx: Context, visitor: Visitor, form: Form) => Promise<string | undefined>,
  ): void;
  /**
   * Does what a form asks for; what is wrong with it is told to `again`, which shows the form with all that was typed.
   * @param again also gets the status of that answer
   */
  attempt<T>(
    ctx: Context,
    visitor: Visitor,
    work: () => Promise<T>,
    again: (problems: Problems, status: number) => Promise<void> | void,
  ): Promise<T | undefined>;
  /** Every page there is, to be walked through. */
  readonly pages: readonly { method: 'GET' | 'POST'; path: string; need: Need }[];
  readonly router: Router;
  /** After all of them: an address that has no page, told with the way around still there; a last slash too many is left out. */
  readonly unknown: Middleware;
}

export interface ConsoleRoutesOptions {
  visitors: Pick<Visitors, 'find'>;
  csrf: Pick<Csrf, 'check'>;
  audit: Pick<Audit, 'note'>;
  /** Shows a failure that is the person's to know. */
  showError(ctx: Context, visitor: Visitor, error: AppError): void;
  /** Resolves when what was just changed is no longer remembered otherwise by this process. */
  settle: () => Promise<void>;
}

/** Long lists of addresses and scopes fit, nothing more. */
const MOST_BYTES = 128 * 1_024;

const ROOMS = /^\/(?:console|account)(?:\/|$)/;

/** What the person can mend in the form. */
const MENDABLE: ReadonlySet<Kind> = new Set<Kind>([
  'invalid_argument',
  'already_exists',
  'failed_precondition',
  'precondition_failed',
  'permission_denied',
  'resource_exhausted',
]);

export function createConsoleRoutes({ visitors, csrf, audit, settle, showError }: ConsoleRoutesOptions): ConsoleRoutes {
  const router = new Router({ sensitive: true, strict: true });
  const pages: { method: 'GET' | 'POST'; path: string; need: Need }[] = [];
  // Of the page a request is for; what goes wrong in its form is told with it.
  const needs = new WeakMap<Context, Need>();

  function refuse(ctx: Context, { caller }: Visitor, error: unknown): void {
    if (!(error instanceof AppError) || error.kind !== 'permission_denied') return;
    noteRefusal(audit, ctx, caller, {
      operation: needs.get(ctx) ?? 'self',
      status: error.status,
      reason: error.message,
    });
  }

  function fail(ctx: Context, visitor: Visitor, error: unknown): void {
    refuse(ctx, visitor, error);
    if (!(error instanceof AppError) || !error.expected || ctx.accepts('json', 'html') !== 'html') throw error;
    if (error.kind === 'resource_exhausted') ctx.set('Retry-After', '60');
    showError(ctx, visitor, error);
  }

  function requireNeed(visitor: Visitor, need: Need): void {
    if (need !== 'self') authorize(visitor.caller, need);
  }

  return {
    pages,
    router,
    get(path, need, show) {
      pages.push({ method: 'GET', path, need });
      router.get(path, async (ctx) => {
        needs.set(ctx, need);
        const address = addressWithoutSecrets(ctx);
        if (address !== undefined) return redirect(ctx, address);
        const visitor = await visitors.find(ctx);
        if (visitor === undefined) return toLogin(ctx, ctx.url);
        try {
          requireNeed(visitor, need);
          await show(ctx, visitor);
        } catch (error) {
          fail(ctx, visitor, error);
        }
      });
    },
    post(path, need, submit) {
      pages.push({ method: 'POST', path, need });
      router.post(path, async (ctx) => {
        needs.set(ctx, need);
        const form = await readForm(ctx, MOST_BYTES);
        const visitor = await visitors.find(ctx);
        if (visitor === undefined) return toLogin(ctx, ctx.path);
        let acting = visitor;
        try {
          csrf.check(ctx, form, bindingOf(visitor));
          // The page was made for a team; another may have been chosen since.
          acting = visitor.actingIn(form.get('team') ?? '');
          requireNeed(acting, need);
          const next = await submit(ctx, acting, form);
          await settle();
          if (next !== undefined) redirect(ctx, next);
        } catch (error) {
          fail(ctx, acting, error);
        }
      });
    },
    async unknown(ctx, next) {
      const visitor = ROOMS.test(ctx.path) && ctx.method === 'GET' ? await visitors.find(ctx) : undefined;
      if (visitor === undefined) return next();
      if (ctx.path.endsWith('/')) return redirect(ctx, ctx.path.replace(/\/+$/, '') + ctx.search);
      fail(ctx, visitor, new AppError('not_found', 'There is no such page. It may have been moved or deleted.'));
    },
    async attempt(ctx, visitor, work, again) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof AppError) || !MENDABLE.has(error.kind)) throw error;
        refuse(ctx, visitor, error);
        await again(problemsIn(error), error.kind === 'invalid_argument' ? 422 : error.status);
        return undefined;
      }
    },
  };
}

/**
 * The address of the page without any secret that was pasted into a search: it would stay in the history of the browser.
 * What is left of it finds the same. Undefined when there is none.
 */
function addressWithoutSecrets({ path, querystring }: Context): string | undefined {
  const given = [...new URLSearchParams(querystring)];
  if (given.every(([, value]) => value === withoutSecrets(value))) return undefined;
  return `${path}?${new URLSearchParams(given.map(([name, value]): [string, string] => [name, withoutSecrets(value)]))}`;
}

/** RFC 9700 §4.12: 303, so that no browser sends a form on. */
export function redirect(ctx: Context, path: string): void {
  ctx.status = 303;
  ctx.set('Cache-Control', 'no-store');
  ctx.redirect(path);
}

function toLogin(ctx: Context, returnTo: string): void {
  redirect(ctx, `/login?${new URLSearchParams({ return_to: returnTo })}`);
}
