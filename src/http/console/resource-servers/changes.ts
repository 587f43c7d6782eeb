/** Registering, changing and deleting resource servers. Scopes that would end are told before, with whoever has them. */
import type { Context } from 'koa';
import type { ResourceServer } from '../../../domain/resource-servers.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import type { Problems } from '../problems.ts';
import { type FormValues, textOf, whatItSaysNow } from '../registrations/index.ts';
import type { Visitor } from '../visitor.ts';
import { NEW_FIELDS, NEW_VALUES, SETTINGS, settingsIn, valuesOf } from './fields.ts';
import { backTo, findChangeable, holdersSection, pathOf, RESOURCE_SERVERS } from './subject.ts';

const PRECONDITION_FAILED = 412;

export function addResourceServerChanges(kit: Kit): void {
  const { domain, routes, show, once } = kit;
  const { resourceServers } = domain;

  const newForm = {
    title: 'Register an API',
    lead: 'Apps and clients can then get tokens for it, which it checks with the middleware.',
    back: { text: 'Resource servers', href: RESOURCE_SERVERS },
    action: `${RESOURCE_SERVERS}/new`,
    fields: NEW_FIELDS,
    submit: 'Register',
  };
  const newPage = () => ({ ...newForm, hidden: once.fields() });
  routes.get(newForm.action, 'resource_servers.create', (ctx, visitor) => {
    show.form(ctx, visitor, { ...newPage(), values: NEW_VALUES });
  });
  routes.post(newForm.action, 'resource_servers.create', async (ctx, visitor, form) => {
    const make = async () => {
      const settings = { identifier: textOf(form, 'identifier') ?? '', ...settingsIn(form) };
      return { href: pathOf(await resourceServers.create(settings, visitor.caller.actor)) };
    };
    return routes.attempt(
      ctx,
      visitor,
      () => once.run(ctx, visitor, form, make),
      (problems, status) => show.form(ctx, visitor, { ...newPage(), values: form, problems }, status),
    );
  });

  function editForm(server: ResourceServer) {
    return {
      title: `Edit ${server.name}`,
      back: backTo(server),
      action: `${pathOf(server)}/edit`,
      fields: SETTINGS,
      hidden: { version: server.version },
      submit: 'Save',
    };
  }

  /** What was typed, to be sent once more by somebody who knows what ends. */
  async function askWhetherToEnd(ctx: Context, visitor: Visitor, server: ResourceServer, { form, ended }: Ending) {
    const typed = Object.fromEntries([...form].filter(([name]) => !['csrf', 'team'].includes(name)));
    show.form(ctx, visitor, {
      title: `End ${ended.length === 1 ? 'a scope' : `${ended.length} scopes`} of ${server.name}`,
      back: { text: `Edit ${server.name}`, href: `${pathOf(server)}/edit` },
      ends: [
        `No longer there: ${ended.join(', ')}.`,
        'Apps, clients and keys that were allowed it lose it at once, and so do consents and tokens that have it. Registering the scope again does not give it back.',
      ],
      sections: [await holdersSection(kit, server, { words: ended, ...CONCERNED })],
      action: `${pathOf(server)}/edit`,
      fields: [],
      hidden: { ...typed, ended: ended.join(' ') },
      submit: 'Save, and end it',
      danger: true,
    });
  }

  routes.get(`${RESOURCE_SERVERS}/:id/edit`, 'resource_servers.update', async (ctx, visitor) => {
    const server = await findChangeable(kit, ctx.params.id);
    show.form(ctx, visitor, { ...editForm(server), values: valuesOf(server) });
  });
  routes.post(`${RESOURCE_SERVERS}/:id/edit`, 'resource_servers.update', async (ctx, visitor, form) => {
    const server = await findChangeable(kit, ctx.params.id);
    const settings = settingsIn(form);
    const kept = new Set(settings.scopes?.map(({ name }) => name));
    const ended = server.scopes.map(({ name }) => name).filter((name) => !kept.has(name));
    const isCurrent = textOf(form, 'version') === server.version;
    if (isCurrent && ended.length > 0 && form.get('ended') !== ended.join(' ')) {
      await askWhetherToEnd(ctx, visitor, server, { form, ended });
      return undefined;
    }
    const changed = await routes.attempt(
      ctx,
      visitor,
      () => resourceServers.update(server.id, settings, { version: textOf(form, 'version') }, visitor.caller.actor),
      (problems, status) => showAgain(ctx, visitor, { id: server.id, form, problems, status }),
    );
    return changed && noticed(pathOf(changed), 'changed');
  });

  async function showAgain(ctx: Context, visitor: Visitor, again: Again): Promise<void> {
    const { id, form, problems, status } = again;
    const server = await findChangeable(kit, id);
    const sections = status === PRECONDITION_FAILED ? [whatItSaysNow(SETTINGS, form, valuesOf(server))] : [];
    show.form(ctx, visitor, { ...editForm(server), values: form, problems, sections }, status);
  }

  async function showDelete(ctx: Context, visitor: Visitor, server: ResourceServer, more: object, status?: number) {
    const words = server.scopes.map(({ name }) => name);
    show.form(
      ctx,
      visitor,
      {
        title: `Delete ${server.name}`,
        back: backTo(server),
        ends: [
          'Nothing is issued for it any more, and every token for it ends, wherever it is checked with the middleware within five seconds.',
          ...(words.length === 0
            ? []
            : [`Its scopes end, for apps, clients, keys and in consents: ${words.join(', ')}.`]),
          'Registering it again under the same identifier brings none of that back.',
        ],
        sections: words.length === 0 ? [] : [await holdersSection(kit, server, { words, ...CONCERNED })],
        action: `${pathOf(server)}/delete`,
        fields: [],
        hidden: { version: server.version },
        submit: 'Delete this resource server',
        danger: true,
        ...more,
      },
      status,
    );
  }

  routes.get(`${RESOURCE_SERVERS}/:id/delete`, 'resource_servers.delete', async (ctx, visitor) => {
    await showDelete(ctx, visitor, await findChangeable(kit, ctx.params.id), {});
  });
  routes.post(`${RESOURCE_SERVERS}/:id/delete`, 'resource_servers.delete', async (ctx, visitor, form) => {
    const { id } = await findChangeable(kit, ctx.params.id);
    const deleted = await routes.attempt(
      ctx,
      visitor,
      () => resourceServers.delete(id, { version: textOf(form, 'version') }, visitor.caller.actor),
      async (problems, status) => showDelete(ctx, visitor, await findChangeable(kit, id), { problems }, status),
    );
    return deleted && noticed(RESOURCE_SERVERS, 'deleted');
  });
}

const CONCERNED = { title: 'Whom it concerns', none: 'No app, client or key was allowed it by name.' };

interface Ending {
  form: FormValues;
  ended: readonly string[];
}

interface Again {
  id: string;
  form: FormValues;
  problems: Problems;
  status: number;
}
