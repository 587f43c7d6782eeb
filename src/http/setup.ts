/** The setup pages: the first administrator and team, made once, by whoever has the link from the server's log. */
import Router from '@koa/router';
import type { Context } from 'koa';
import type { Actor } from '../domain/audit.ts';
import type { Login } from '../domain/login.ts';
import { AppError } from '../errors.ts';
import { type IntegrationCommands, integrationCommands } from './integration-commands.ts';
import type { Csrf } from './middleware/csrf.ts';
import { type Form, readForm } from './middleware/form.ts';
import { requestInfoOf } from './middleware/request-info.ts';
import type { Pages } from './pages.ts';

export interface SetupDeps {
  pages: Pages;
  csrf: Csrf;
  issuer: string;
  login: Pick<Login, 'authenticate'>;
  /** Logs the new administrator in, in this browser. */
  logIn(req: Context['req'], res: Context['res'], given: { accountId: string; remember: boolean }): Promise<unknown>;
  setup: {
    check(token: string): Promise<boolean>;
    complete(
      input: { token: string; email: string; password: string; name: string; teamName: string },
      actor: Actor,
    ): Promise<{ user: { id: string; email: string }; team: { name: string } }>;
  };
}

interface SetupValues {
  csrf: string;
  token: string;
  email: string;
  name: string;
  teamName: string;
  /** By field, in words; empty when fine. `form` is for what concerns no field. */
  problems: Record<'email' | 'name' | 'password' | 'team_name' | 'form', string>;
}

interface DoneValues {
  issuer: string;
  email: string;
  teamName: string;
  loggedIn: boolean;
  /** For each kind of caller, to be pasted. */
  commands: IntegrationCommands;
}

/** GET /setup?token=… and POST /setup. */
export function createSetupRoutes({ pages, csrf, issuer, login, logIn, setup }: SetupDeps): Router {
  const page = pages.declare<SetupValues>('setup', ['csrf', 'token', 'email', 'name', 'teamName', 'problems']);
  const donePage = pages.declare<DoneValues>('setup-done', ['issuer', 'email', 'teamName', 'loggedIn', 'commands'], {
    scripted: true,
  });

  function refuseLink(ctx: Context): void {
    pages.renderError(ctx, {
      status: 404,
      title: 'This setup link does not work',
      message:
        'It was used already, is older than a day, or is incomplete. Take the whole link from the newest lines of the ' +
        "server's log, or restart the server to get a new one. Once there is an administrator, nobody needs it.",
      requestId: requestInfoOf(ctx.req).requestId,
    });
  }

  function show(ctx: Context, values: Omit<SetupValues, 'csrf'>, status: number): void {
    page(ctx, { ...values, csrf: csrf.token(values.token) }, status);
  }

  const router = new Router();
  router.get('/setup', async (ctx) => {
    const { token = '' } = ctx.query;
    if (typeof token !== 'string' || !(await setup.check(token))) return refuseLink(ctx);
    show(ctx, { token, email: '', name: '', teamName: '', problems: problemsIn() }, 200);
  });

  router.post('/setup', async (ctx) => {
    const form = await readForm(ctx);
    const input = read(form);
    csrf.check(ctx, form, input.token);
    if (!(await setup.check(input.token))) return refuseLink(ctx);
    try {
      const actor: Actor = { kind: 'anonymous', id: 'setup link', ...requestInfoOf(ctx.req) };
      const { user, team } = await setup.complete(input, actor);
      const commands = integrationCommands(issuer, team.name);
      // What is done is done, and said: at worst the person logs in by hand.
      const admit = (accountId: string) => logIn(ctx.req, ctx.res, { accountId, remember: false });
      const loggedIn = await login.authenticate(input, requestInfoOf(ctx.req), admit).then(
        (accountId) => accountId === user.id,
        () => false,
      );
      donePage(ctx, { issuer, email: user.email, teamName: team.name, loggedIn, commands }, 200);
    } catch (error) {
      if (!(error instanceof AppError) || !['invalid_argument', 'already_exists'].includes(error.kind)) throw error;
      const { password: _, ...typed } = input;
      show(ctx, { ...typed, problems: problemsIn(error) }, 422);
    }
  });
  return router;
}

function read(form: Form) {
  const field = (name: string) => form.get(name) ?? '';
  return {
    token: field('token'),
    email: field('email'),
    password: field('password'),
    name: field('name'),
    teamName: field('team_name'),
  };
}

function problemsIn(error?: AppError): SetupValues['problems'] {
  const problems = { email: '', name: '', password: '', team_name: '', form: '' };
  for (const { field, description } of error?.fields ?? []) {
    if (Object.hasOwn(problems, field)) problems[field as keyof typeof problems] = description;
  }
  if (error && Object.values(problems).every((problem) => problem === '')) problems.form = error.message;
  return problems;
}
