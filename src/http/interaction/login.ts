/** The login page. Unknown user, wrong password, disabled: one answer. */
import type { Context } from 'koa';
import type { Login } from '../../domain/login.ts';
import { AppError } from '../../errors.ts';
import type { Csrf } from '../middleware/csrf.ts';
import type { Form } from '../middleware/form.ts';
import { requestInfoOf } from '../middleware/request-info.ts';
import type { Pages } from '../pages.ts';
import { appOf, hostOf, type Registrations } from './app.ts';
import type { PendingInteraction } from './engine.ts';
import type { Step } from './index.ts';

export interface LoginDeps {
  pages: Pages;
  csrf: Csrf;
  registrations: Registrations;
  login: Pick<Login, 'authenticate'>;
  engine: {
    finishLogin(
      req: Context['req'],
      res: Context['res'],
      result: { accountId: string; remember: boolean },
    ): Promise<string>;
  };
}

interface LoginValues {
  uid: string;
  csrf: string;
  appName: string;
  appHost: string;
  email: string;
  remember: boolean;
  /** Whether somebody is logged in already: the app wants proof, or the person to be somebody else. */
  again: boolean;
  /** Empty when there is none. */
  problem: string;
}

const LONGEST_HINT = 254;
const WRONG = 'Email or password is wrong.';

export function createLoginStep({ pages, csrf, registrations, login, engine }: LoginDeps): Step {
  const page = pages.declare<LoginValues>(
    'interaction/login',
    ['uid', 'csrf', 'appName', 'appHost', 'email', 'remember', 'again', 'problem'],
    { leadsToClient: true },
  );

  async function render(ctx: Context, pending: PendingInteraction, values: Partial<LoginValues>, status: number) {
    const app = await appOf(registrations, pending);
    const hint = pending.params.login_hint;
    page(
      ctx,
      {
        uid: pending.uid,
        csrf: csrf.token(pending.uid),
        appName: app.name,
        appHost: hostOf(app.baseUrl),
        email: typeof hint === 'string' ? hint.slice(0, LONGEST_HINT) : '',
        remember: false,
        again: pending.loginAgain,
        problem: '',
        ...values,
      },
      status,
    );
  }

  return {
    show: (ctx, pending) => render(ctx, pending, {}, 200),
    async submit(ctx, pending, form) {
      const { email, password, remember } = read(form);
      try {
        let next: string | undefined;
        await login.authenticate({ email, password }, requestInfoOf(ctx.req), async (accountId) => {
          next = await engine.finishLogin(ctx.req, ctx.res, { accountId, remember });
        });
        if (next !== undefined) return next;
      } catch (error) {
        if (!(error instanceof AppError) || error.kind !== 'resource_exhausted') throw error;
        await render(ctx, pending, { email, remember, problem: error.message }, error.status);
        return undefined;
      }
      await render(ctx, pending, { email, remember, problem: WRONG }, 422);
      return undefined;
    },
  };
}

function read(form: Form): { email: string; password: string; remember: boolean } {
  return {
    email: form.get('email') ?? '',
    password: form.get('password') ?? '',
    remember: form.get('remember') === 'yes',
  };
}
