/** Registering apps and changing them, with redirect URIs looked at while they are typed. */
import type { Context } from 'koa';
import type { OauthApp } from '../../../domain/oauth-apps.ts';
import { requireAppUris, reviewBaseUrl, reviewRedirectUris } from '../../../domain/redirect-uri-hints.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import type { Problems } from '../problems.ts';
import { type FormValues, linesOf, scopeGroups, textOf, typed, whatItSaysNow } from '../registrations/index.ts';
import { appCommands, type Snippet, type TokenCommandsOptions } from '../registrations/token-commands.ts';
import type { Visitor } from '../visitor.ts';
import { appFields, appInput, appValues, NEW_APP, typeIn } from './fields.ts';
import { APPS, backTo, findApp, pathOf } from './subject.ts';

export function addOauthAppForms(kit: Kit, commands: TokenCommandsOptions): void {
  const { domain, routes, show, once } = kit;
  const { oauthApps, resourceServers } = domain;

  async function fieldsFor(app?: OauthApp) {
    const groups = await scopeGroups(resourceServers, {
      own: () => true,
      identity: true,
      held: app?.allowedScopes ?? [],
    });
    return appFields(groups, app);
  }

  /** What was typed, when the app would have these addresses. @throws AppError `invalid_argument` */
  function inputFrom(form: FormValues, type: OauthApp['type']) {
    const input = appInput(form);
    requireAppUris({ ...input, type, postLogoutRedirectUris: input.postLogoutRedirectUris ?? [] });
    return input;
  }

  async function newForm() {
    return {
      title: 'Create an app',
      lead: 'An app sends people here to log in and to allow it to act for them. It gets an ID, and a secret if it can keep one.',
      back: { text: 'OAuth2 Apps', href: APPS },
      action: `${APPS}/new`,
      fields: await fieldsFor(),
      hidden: once.fields(),
      submit: 'Create app',
    };
  }

  routes.get(`${APPS}/new`, 'oauth_apps.create', async (ctx, visitor) => {
    show.form(ctx, visitor, { ...(await newForm()), values: NEW_APP });
  });

  routes.post(`${APPS}/new`, 'oauth_apps.create', (ctx, visitor, form) =>
    routes.attempt(
      ctx,
      visitor,
      () =>
        once.run(ctx, visitor, form, async () => {
          const type = typeIn(form);
          const { app, secret } = await oauthApps.create({ ...inputFrom(form, type), type }, visitor.caller.actor);
          const snippets = await appCommands(commands, app, secret);
          return { href: pathOf(app), show: () => made(ctx, visitor, app, { secret, snippets }) };
        }),
      async (problems, status) =>
        show.form(ctx, visitor, { ...(await newForm()), values: typed(form), problems }, status),
    ),
  );

  function made(
    ctx: Context,
    visitor: Visitor,
    app: OauthApp,
    { secret, snippets }: { secret: string | undefined; snippets: readonly Snippet[] },
  ): void {
    show.secret(ctx, visitor, {
      title: `${app.name} is created`,
      lead:
        secret === undefined
          ? 'It has no secret. What its code needs is below, and on its page.'
          : 'Copy the secret now: it is not shown again.',
      secrets: [
        { label: 'Client ID', value: app.clientId },
        ...(secret === undefined ? [] : [{ label: 'Client secret', value: secret }]),
      ],
      snippets,
      next: { text: `Go to ${app.name}`, href: pathOf(app) },
    });
  }

  async function editForm(app: OauthApp, version = app.version) {
    return {
      title: `Edit ${app.name}`,
      back: backTo(app),
      action: `${pathOf(app)}/edit`,
      fields: await fieldsFor(app),
      hidden: { version, app: app.id },
      submit: 'Save',
    };
  }

  routes.get(`${APPS}/:id/edit`, 'oauth_apps.update', async (ctx, visitor) => {
    const app = await findApp(kit, ctx.params.id);
    show.form(ctx, visitor, { ...(await editForm(app)), values: appValues(app) });
  });

  routes.post(`${APPS}/:id/edit`, 'oauth_apps.update', async (ctx, visitor, form) => {
    const { id, type } = await findApp(kit, ctx.params.id);
    const version = textOf(form, 'version');
    const changed = await routes.attempt(
      ctx,
      visitor,
      () => oauthApps.update(id, inputFrom(form, type), visitor.caller.actor, { version }),
      (problems, status) => againEdit(ctx, visitor, form, { id, problems, status }),
    );
    return changed && noticed(pathOf(changed), 'changed');
  });

  async function againEdit(
    ctx: Context,
    visitor: Visitor,
    form: FormValues,
    { id, problems, status }: { id: string; problems: Problems; status: number },
  ): Promise<void> {
    const app = await findApp(kit, id);
    if (status !== 412) {
      const page = await editForm(app, textOf(form, 'version'));
      return show.form(ctx, visitor, { ...page, values: typed(form), problems }, status);
    }
    const page = await editForm(app);
    const lead =
      'Somebody changed this app while you did. Nothing of yours is lost: save again to put it in place of theirs.';
    const sections = [whatItSaysNow(page.fields, form, appValues(app))];
    show.form(ctx, visitor, { ...page, lead, sections, values: typed(form) }, status);
  }

  // For the script of the form: the same look as when it is sent, a little earlier. It changes nothing.
  routes.post(`${APPS}/check`, 'oauth_apps.create', async (ctx, _visitor, form) => {
    const id = textOf(form, 'app');
    const known = id === undefined ? undefined : await oauthApps.find(id);
    const baseUrl = textOf(form, 'base_url') ?? '';
    const type = known?.type ?? typeIn(form);
    const review = (name: string, registered: readonly string[] = []) =>
      reviewRedirectUris(linesOf(form, name), { type, baseUrl, registered });
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      base_url: baseUrl === '' ? [] : [reviewBaseUrl(baseUrl)],
      redirect_uris: review('redirect_uris', known?.redirectUris),
      post_logout_redirect_uris: review('post_logout_redirect_uris', known?.postLogoutRedirectUris),
    };
    return undefined;
  });
}
