/** Switching clients off and on, and deleting them: what ends with one is told before. */
import { teamReach } from '../../../domain/authorization.ts';
import type { ClientEndings } from '../../../domain/endings.ts';
import type { Form } from '../../middleware/form.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import { lastUseSection, textOf } from '../registrations/index.ts';
import type { Visitor } from '../visitor.ts';
import { backTo, CLIENTS, findClient, pathOf } from './subject.ts';

export function addOauthClientEndings(kit: Kit): void {
  const { domain, routes, show } = kit;
  const { oauthClients, endings } = domain;
  const scopeOf = ({ caller }: Visitor, form: Form) => ({ ...teamReach(caller), version: textOf(form, 'version') });

  for (const verb of ['disable', 'delete'] as const) {
    const does = verb === 'delete' ? 'Delete' : 'Disable';
    routes.get(`${CLIENTS}/:id/${verb}`, `oauth_clients.${verb}`, async (ctx, visitor) => {
      const client = await findClient(kit, ctx.params.id, visitor);
      const ends = await endings.ofClient(client);
      show.form(ctx, visitor, {
        title: `${does} ${client.name}`,
        back: backTo(client),
        ends: [...sentencesFor(ends), ...(verb === 'delete' ? forGood(ends) : UNTIL_ENABLED)],
        sections: [lastUseSection(client)],
        action: `${pathOf(client)}/${verb}`,
        fields: [],
        hidden: { version: client.version },
        submit: `${does} this client${verb === 'delete' && ends.secrets > 0 ? ` (${secretsOf(ends)})` : ''}`,
        danger: true,
      });
    });
  }

  for (const verb of ['disable', 'enable'] as const) {
    routes.post(`${CLIENTS}/:id/${verb}`, `oauth_clients.${verb}`, async (ctx, visitor, form) => {
      const { id } = await findClient(kit, ctx.params.id, visitor);
      const client = await oauthClients[verb](id, scopeOf(visitor, form), visitor.caller.actor);
      return noticed(pathOf(client), `${verb}d`);
    });
  }

  routes.post(`${CLIENTS}/:id/delete`, 'oauth_clients.delete', async (ctx, visitor, form) => {
    const { id } = await findClient(kit, ctx.params.id, visitor);
    await oauthClients.delete(id, scopeOf(visitor, form), visitor.caller.actor);
    return noticed(CLIENTS, 'deleted');
  });
}

const UNTIL_ENABLED = ['It gets no tokens until you enable it again.', 'Its settings and secrets stay.'];

function forGood(ends: ClientEndings): string[] {
  return [
    ...(ends.secrets === 0 ? [] : [`${secretsOf(ends)} ${ends.secrets === 1 ? 'ends' : 'end'} with it.`]),
    'It cannot be brought back: a client made anew has another client ID.',
  ];
}

function sentencesFor({ mayHaveTokens, resourceServers }: ClientEndings): string[] {
  return [
    mayHaveTokens
      ? 'It got a token lately: its access tokens are refused within five seconds.'
      : 'None of its access tokens is good any more, so no request in progress fails.',
    ...resourceServers.map(
      ({ name, identifier }) =>
        `${name} (${identifier}) checks API keys as this client: it can check none until it has another one.`,
    ),
  ];
}

function secretsOf({ secrets }: ClientEndings): string {
  return secrets === 1 ? '1 secret' : `${secrets} secrets`;
}
