/**
 * Logging in to the console and the account pages, and out. It is the protocol's own session: whoever is logged in here is logged
 * in for every app in this browser, and logs out of all of them.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import Router from '@koa/router';
import type { Context } from 'koa';
import type { Login } from '../domain/login.ts';
import { AppError } from '../errors.ts';
import { bindingOf } from './browser-session.ts';
import type { Csrf } from './middleware/csrf.ts';
import { type Form, readForm } from './middleware/form.ts';
import { requestInfoOf } from './middleware/request-info.ts';
import type { Pages } from './pages.ts';
import { returnPath } from './return-path.ts';

export interface LoginDeps {
  pages: Pages;
  csrf: Csrf;
  issuer: string;
  login: Pick<Login, 'authenticate'>;
  /** The browser's session; the protocol room has it. */
  browserSessions: {
    sessionOf(req: IncomingMessage, res: ServerResponse): Promise<{ uid: string } | undefined>;
    logIn(
      req: IncomingMessage,
      res: ServerResponse,
      given: { accountId: string; remember: boolean },
    ): Promise<{ uid: string }>;
    logOut(req: IncomingMessage, res: ServerResponse): Promise<void>;
  };
}

interface LoginValues {
  csrf: string;
  returnTo: string;
  email: string;
  remember: boolean;
  /** What was just done; empty when nothing was. */
  notice: string;
  /** Empty when there is none. */
  problem: string;
}

const WRONG = 'Email or password is wrong.';
const LOGGED_OUT = 'You are logged out, here and in every app you used in this browser.';

/** GET and POST /login, POST /logout. */
export function createLoginRoutes({ pages, csrf, issuer, login, browserSessions }: LoginDeps): Router {
  const page = pages.declare<LoginValues>('login', ['csrf', 'returnTo', 'email', 'remember', 'notice', 'problem']);
  const nonces = createNonces(issuer);

  function show(ctx: Context, values: Partial<LoginValues> & { returnTo: string }, status: number): void {
    const token = csrf.token(loginBindingOf(nonces.give(ctx)));
    page(ctx, { csrf: token, email: '', remember: false, notice: '', problem: '', ...values }, status);
  }

  const router = new Router({ sensitive: true, strict: true });
  router.get('/login', async (ctx) => {
    const returnTo = returnPath(ctx.query.return_to);
    if ((await browserSessions.sessionOf(ctx.req, ctx.res)) !== undefined) return goOn(ctx, returnTo);
    show(ctx, { returnTo, notice: ctx.query.done === 'logged-out' ? LOGGED_OUT : '' }, 200);
  });

  router.post('/login', async (ctx) => {
    const form = await readForm(ctx);
    csrf.check(ctx, form, loginBindingOf(nonces.take(ctx)));
    const { email, password, remember, returnTo } = read(form);
    try {
      const accountId = await login.authenticate({ email, password }, requestInfoOf(ctx.req), (accountId) =>
        browserSessions.logIn(ctx.req, ctx.res, { accountId, remember }),
      );
      if (accountId === undefined) return show(ctx, { email, remember, returnTo, problem: WRONG }, 422);
      nonces.forget(ctx);
      goOn(ctx, returnTo);
    } catch (error) {
      if (!(error instanceof AppError) || error.kind !== 'resource_exhausted') throw error;
      show(ctx, { email, remember, returnTo, problem: error.message }, error.status);
    }
  });

  router.post('/logout', async (ctx) => {
    const form = await readForm(ctx);
    const session = await browserSessions.sessionOf(ctx.req, ctx.res);
    // A session nobody is let in with ends without a proof: it is worth nothing to a stranger's form.
    if (session !== undefined) csrf.check(ctx, form, bindingOf(session));
    await browserSessions.logOut(ctx.req, ctx.res);
    goOn(ctx, '/login?done=logged-out');
  });
  return router;
}

function goOn(ctx: Context, path: string): void {
  // RFC 9700 §4.12: 303, so that no browser sends the password on.
  ctx.status = 303;
  ctx.set('Cache-Control', 'no-store');
  ctx.redirect(path);
}

function read(form: Form) {
  return {
    email: form.get('email') ?? '',
    password: form.get('password') ?? '',
    remember: form.get('remember') === 'yes',
    returnTo: returnPath(form.get('return_to')),
  };
}

/** Before there is a session the form is bound to a cookie of this browser, so that nobody logs others in as themselves. */
function createNonces(issuer: string) {
  const secure = issuer.startsWith('https:');
  const name = secure ? '__Host-latchkey_login' : 'latchkey_login';
  // Not signed: the form's token is the proof that we made it, under the keys all instances share.
  const settings = { httpOnly: true, sameSite: 'lax', secure, overwrite: true, signed: false } as const;
  const known = (ctx: Context) => {
    const nonce = ctx.cookies.get(name, { signed: false }) ?? '';
    return /^[\w-]{22}$/.test(nonce) ? nonce : undefined;
  };
  const set = (ctx: Context, nonce: string | null) => {
    // TLS ends at the proxy; whether the cookie may be sent is the issuer's matter.
    ctx.cookies.secure = secure;
    ctx.cookies.set(name, nonce, settings);
  };
  return {
    /** The one this browser has, so that two open pages both work, or a new one. */
    give(ctx: Context): string {
      const nonce = known(ctx) ?? randomBytes(16).toString('base64url');
      set(ctx, nonce);
      return nonce;
    },
    /** What is bound to no cookie is proven by nothing. */
    take: (ctx: Context): string => known(ctx) ?? randomBytes(16).toString('base64url'),
    forget: (ctx: Context) => set(ctx, null),
  };
}

function loginBindingOf(nonce: string): string {
  return `login ${nonce}`;
}
