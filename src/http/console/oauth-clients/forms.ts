/** Making clients and changing them. Nobody can give one more than they may do in its team. */
import type { Context } from 'koa';
import { actsInRoot, requireTeamInReach, teamReach } from '../../../domain/authorization.ts';
import type { OauthClient } from '../../../domain/oauth-clients.ts';
import { invalidField } from '../../../errors.ts';
import type { Form } from '../../middleware/form.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import type { Problems } from '../problems.ts';
import {
  proofFields,
  proofIn,
  proofValues,
  scopeGroups,
  textOf,
  typed,
  whatItSaysNow,
} from '../registrations/index.ts';
import { clientCommands, type Snippet, type TokenCommandsOptions } from '../registrations/token-commands.ts';
import { checked, checkedIn } from '../show.ts';
import { teamField, teamNamed } from '../teams/choice.ts';
import type { Field } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { backTo, CLIENTS, findClient, pathOf } from './subject.ts';

/** What a service most often needs; a look is all it gives. */
const USUAL_SCOPES = ['providers:read'];

export function addOauthClientForms(kit: Kit, commands: TokenCommandsOptions): void {
  const { domain, routes, show, once } = kit;
  const { oauthClients, resourceServers, teams } = domain;

  async function fieldsFor({ caller, team }: Visitor, { client, teamId }: { client?: OauthClient; teamId?: string }) {
    const groups = await scopeGroups(resourceServers, {
      own: (permission) => caller.permissions.has(permission),
      identity: false,
      held: client?.allowedScopes ?? [],
    });
    const scopes: Field = {
      type: 'scopes',
      name: 'allowed_scopes',
      label: 'Allowed scopes',
      hint: `Choose at least one. They are the most its tokens can do${client === undefined ? '' : ` in ${client.teamName}`}. You can give what you may do yourself.`,
      groups,
    };
    return [
      { type: 'text', name: 'name', label: 'Name', hint: 'What the service is called.', required: true },
      {
        type: 'text',
        name: 'description',
        label: 'Description',
        hint: 'What it does, and who to ask about it.',
      },
      ...(client === undefined && actsInRoot(caller) ? [await teamField(teams, { chosen: teamId ?? team?.id })] : []),
      scopes,
      { type: 'more', name: 'advanced', label: 'Advanced', fields: proofFields() },
    ] satisfies Field[];
  }

  async function newForm(visitor: Visitor, teamId?: string) {
    const isChosen = actsInRoot(visitor.caller);
    return {
      title: 'Create a client',
      lead: `A client is a service that acts for itself in one team${isChosen ? '' : `: ${visitor.team?.name}`}. It gets an ID and a secret, and fetches tokens with them.`,
      back: { text: 'OAuth2 Clients', href: CLIENTS },
      action: `${CLIENTS}/new`,
      fields: await fieldsFor(visitor, teamId === undefined ? {} : { teamId }),
      hidden: once.fields(),
      submit: 'Create client',
    };
  }

  routes.get(`${CLIENTS}/new`, 'oauth_clients.create', async (ctx, visitor) => {
    const page = await newForm(visitor);
    const team = page.fields.find(({ name }) => name === 'team_id');
    // A choice of one is none.
    const only = team?.type === 'select' && team.options.length === 2 ? team.options[1] : undefined;
    const scopes = USUAL_SCOPES.filter((scope) => visitor.caller.permissions.has(scope));
    const values = new Map([
      ...checked('allowed_scopes', scopes),
      ...(only === undefined ? [] : [['team_id', only.value] as const]),
    ]);
    show.form(ctx, visitor, { ...page, values });
  });

  routes.post(`${CLIENTS}/new`, 'oauth_clients.create', (ctx, visitor, form) =>
    routes.attempt(
      ctx,
      visitor,
      () =>
        once.run(ctx, visitor, form, async () => {
          const input = { ...inputFrom(form), teamId: await teamIn(form, visitor) };
          const { client, secret } = await oauthClients.create(input, visitor.caller.actor);
          const snippets = await clientCommands(commands, client, secret);
          return { href: pathOf(client), show: () => made(ctx, visitor, client, { secret, snippets }) };
        }),
      async (problems, status) => {
        const page = await newForm(visitor, textOf(form, 'team_id'));
        show.form(ctx, visitor, { ...page, values: typed(form), problems }, status);
      },
    ),
  );

  /** In the root team any may be named; elsewhere it is the one the person acts in. */
  async function teamIn(form: Form, { caller }: Visitor): Promise<string> {
    const named = textOf(form, 'team_id');
    if (!actsInRoot(caller)) {
      if (named !== undefined) requireTeamInReach(caller, named);
      return caller.teamId;
    }
    const team = await teamNamed(teams, named);
    if (team === undefined) throw invalidField('team_id', 'must be chosen');
    return team.id;
  }

  function made(
    ctx: Context,
    visitor: Visitor,
    client: OauthClient,
    { secret, snippets }: { secret: string | undefined; snippets: readonly Snippet[] },
  ): void {
    show.secret(ctx, visitor, {
      title: `${client.name} is created`,
      lead:
        secret === undefined
          ? 'It has no secret: it proves who it is with its own keys.'
          : 'Copy the secret now: it is not shown again.',
      secrets: [
        { label: 'Client ID', value: client.clientId },
        ...(secret === undefined ? [] : [{ label: 'Client secret', value: secret }]),
      ],
      snippets,
      next: { text: `Go to ${client.name}`, href: pathOf(client) },
    });
  }

  async function editForm(visitor: Visitor, client: OauthClient, version = client.version) {
    return {
      title: `Edit ${client.name}`,
      back: backTo(client),
      action: `${pathOf(client)}/edit`,
      fields: await fieldsFor(visitor, { client }),
      hidden: { version },
      submit: 'Save',
    };
  }

  routes.get(`${CLIENTS}/:id/edit`, 'oauth_clients.update', async (ctx, visitor) => {
    const client = await findClient(kit, ctx.params.id, visitor);
    show.form(ctx, visitor, { ...(await editForm(visitor, client)), values: valuesOf(client) });
  });

  routes.post(`${CLIENTS}/:id/edit`, 'oauth_clients.update', async (ctx, visitor, form) => {
    const { id } = await findClient(kit, ctx.params.id, visitor);
    const scope = { ...teamReach(visitor.caller), version: textOf(form, 'version') };
    const changed = await routes.attempt(
      ctx,
      visitor,
      async () => oauthClients.update(id, inputFrom(form), scope, visitor.caller.actor),
      (problems, status) => againEdit(ctx, visitor, form, { id, problems, status }),
    );
    return changed && noticed(pathOf(changed), 'changed');
  });

  async function againEdit(
    ctx: Context,
    visitor: Visitor,
    form: Form,
    { id, problems, status }: { id: string; problems: Problems; status: number },
  ): Promise<void> {
    const client = await findClient(kit, id, visitor);
    if (status !== 412) {
      const page = await editForm(visitor, client, textOf(form, 'version'));
      return show.form(ctx, visitor, { ...page, values: typed(form), problems }, status);
    }
    const page = await editForm(visitor, client);
    const lead =
      'Somebody changed this client while you did. Nothing of yours is lost: save again to put it in place of theirs.';
    const sections = [whatItSaysNow(page.fields, form, valuesOf(client))];
    show.form(ctx, visitor, { ...page, lead, sections, values: typed(form) }, status);
  }
}

function valuesOf(client: OauthClient): Map<string, string> {
  return new Map([
    ['name', client.name],
    ['description', client.description],
    ...checked('allowed_scopes', client.allowedScopes),
    ...proofValues(client),
  ]);
}

/** @throws AppError `invalid_argument` for keys that are no JSON */
function inputFrom(form: Form) {
  return {
    name: form.get('name') ?? '',
    description: (form.get('description') ?? '').trim(),
    allowedScopes: checkedIn(form, 'allowed_scopes'),
    ...proofIn(form),
  };
}
