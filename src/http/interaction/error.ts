/** The page for requests the engine refuses and cannot send back to the app, because it is not sure whose they are. */
import type { Context } from 'koa';
import { requestInfoOf } from '../middleware/request-info.ts';
import type { Pages } from '../pages.ts';

/** As the protocol names it (RFC 6749 §4.1.2.1). */
export interface EngineError {
  error: string;
  error_description?: string;
}

export interface ErrorPages {
  renderEngineError(ctx: Context, out: EngineError, error?: unknown): void;
}

const START_AGAIN = 'Go back to the app and start again.';
const ASK_DEVELOPER = 'This is a mistake in the app, not yours: tell its developer what it says below.';

const KNOWN: Record<string, { title: string; message: string }> = {
  invalid_client: { title: 'This app is not known here', message: ASK_DEVELOPER },
  invalid_redirect_uri: {
    title: 'This app may not send you back where it wants to',
    message: ASK_DEVELOPER,
  },
  server_error: {
    title: 'Something went wrong',
    message: `The mistake is on our side. ${START_AGAIN} If it happens again, tell the operator the request id.`,
  },
  temporarily_unavailable: {
    title: 'Not available right now',
    message: 'Try again later. If it does not get better, ask an administrator here.',
  },
  access_denied: { title: 'Access was denied', message: START_AGAIN },
};

export function createErrorPages(pages: Pages): ErrorPages {
  return {
    renderEngineError(ctx, { error, error_description: description = '' }) {
      const known = Object.hasOwn(KNOWN, error) ? KNOWN[error] : undefined;
      const { title, message } = known ?? {
        title: 'This did not work',
        message: `${START_AGAIN} If it happens again, tell the developer of the app what it says below.`,
      };
      const detail = error === 'server_error' ? '' : [error, description].filter(Boolean).join(': ');
      pages.renderError(ctx, {
        status: ctx.status,
        title,
        message,
        requestId: requestInfoOf(ctx.req).requestId,
        detail,
      });
    },
  };
}
