/**
 * The pages the engine sends people to while it waits: log in, consent. Each ends by handing the answer back to the
 * engine, which decides what comes next; no page leads to another. What every step needs is done here, before any of
 * them runs: reading the form, the CSRF check, finding the interaction of this very browser.
 */
import Router from '@koa/router';
import type { Context } from 'koa';
import { AppError } from '../../errors.ts';
import { type Form, readForm } from '../middleware/form.ts';
import type { Pages } from '../pages.ts';
import { type ConsentDeps, createConsentStep } from './consent.ts';
import type { InteractionEngine, PendingInteraction } from './engine.ts';
import { createErrorPages, type ErrorPages } from './error.ts';
import { createLoginStep, type LoginDeps } from './login.ts';
import { createLogoutPages, type LogoutPages } from './logout.ts';

export type { InteractionEngine, PendingInteraction } from './engine.ts';

/** One prompt: its page, and what happens when its form comes back. */
export interface Step {
  show(ctx: Context, pending: PendingInteraction): Promise<void>;
  /** Answers with a page again, or gives the address to continue at. */
  submit(ctx: Context, pending: PendingInteraction, form: Form): Promise<string | undefined>;
}

export type InteractionDeps = LoginDeps & ConsentDeps & { engine: InteractionEngine };

/** Mounted at the root: GET /interaction/:uid; POST /interaction/:uid/login, /consent, /abort and /switch. */
export function createInteractionRoutes(deps: InteractionDeps): Router {
  const { engine, csrf } = deps;
  const steps: Record<PendingInteraction['prompt'], Step> = {
    login: createLoginStep(deps),
    consent: createConsentStep(deps),
  };
  const router = new Router({ prefix: '/interaction/:uid' });

  async function pendingOf(ctx: Context): Promise<PendingInteraction> {
    const pending = await engine.details(ctx.req, ctx.res);
    if (pending.uid !== ctx.params.uid) throw stale();
    return pending;
  }

  /** A POST route: checked, and afterwards the browser is sent on, so that reloading sends nothing twice. */
  function post(
    path: string,
    handle: (ctx: Context, pending: PendingInteraction, form: Form) => Promise<string | undefined>,
  ) {
    router.post(path, async (ctx) => {
      const form = await readForm(ctx);
      csrf.check(ctx, form, ctx.params.uid!);
      const next = await handle(ctx, await pendingOf(ctx), form);
      if (next === undefined) return;
      // RFC 9700 §4.12: 303, so that no browser sends the password on.
      ctx.status = 303;
      ctx.set('Cache-Control', 'no-store');
      ctx.redirect(next);
    });
  }

  router.get('/', async (ctx) => {
    const pending = await pendingOf(ctx);
    await steps[pending.prompt].show(ctx, pending);
  });
  for (const prompt of ['login', 'consent'] as const) {
    post(`/${prompt}`, (ctx, pending, form) => {
      if (pending.prompt !== prompt) throw stale();
      return steps[prompt].submit(ctx, pending, form);
    });
  }
  // The engine announces the refusal to the audit trail itself.
  post('/abort', (ctx, pending) => {
    const description = pending.prompt === 'login' ? 'the user did not log in' : 'the user denied the request';
    return engine.abort(ctx.req, ctx.res, { error: 'access_denied', description });
  });
  post('/switch', (ctx) => engine.loginAsSomeoneElse(ctx.req, ctx.res));
  return router;
}

function stale(): AppError {
  return new AppError(
    'failed_precondition',
    'This page is no longer waiting for an answer. Go back to the app and start again.',
  );
}

/** The pages the engine's configuration asks for. */
export function createEnginePages(pages: Pages): LogoutPages & ErrorPages {
  return { ...createLogoutPages(pages), ...createErrorPages(pages) };
}
