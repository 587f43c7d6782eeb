/** The logout pages. The engine decides whether to ask, and does it. */
import type { Context } from 'koa';
import type { Pages } from '../pages.ts';

export interface LogoutPages {
  /** @param form the engine's form, complete but for its buttons; its id is `op.logoutForm` */
  renderLogout(ctx: Context, form: string): void;
  renderLoggedOut(ctx: Context): void;
}

export function createLogoutPages(pages: Pages): LogoutPages {
  const ask = pages.declare<{ appName: string; form: string }>('interaction/logout', ['appName', 'form'], {
    leadsToClient: true,
  });
  const done = pages.declare<{ appName: string }>('interaction/logged-out', ['appName']);
  return {
    renderLogout: (ctx, form) => ask(ctx, { appName: appNameOf(ctx), form }, 200),
    renderLoggedOut: (ctx) => done(ctx, { appName: appNameOf(ctx) }, 200),
  };
}

/** The engine hangs the client on its own part of the context, when it knows one. */
function appNameOf(ctx: Context): string {
  const { oidc } = ctx as { oidc?: { client?: { clientName?: string } } };
  return oidc?.client?.clientName ?? '';
}
