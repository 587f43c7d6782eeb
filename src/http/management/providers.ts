/** Providers (wire contract): the resource that scripts and services call first with their credential. */
import { z } from 'zod';
import { requireTeamInReach, teamReach } from '../../domain/authorization.ts';
import { PROVIDER_TYPES, type Provider, type Providers } from '../../domain/providers.ts';
import { found } from '../found.ts';
import { byNumber, requireUnchanged } from './echo.ts';
import { enumeration } from './enumeration.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

export const PROVIDER_TYPE = enumeration(PROVIDER_TYPES);

const PROVIDER = z
  .object({
    id: z.string(),
    name: z.string(),
    type: PROVIDER_TYPE.output,
    custom_template: z.string(),
    team_id: z.string().meta({ description: 'The team that made it and may change it' }),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Provider' });

const TAG = 'Providers';
const CUSTOM = '/api/v1/providers/custom';
const VALUE = z.object({ value: PROVIDER });
const LIST = {
  tag: TAG,
  item: PROVIDER,
  filters: { name: filter.text, team_id: filter.uuid },
  orders: ['created_at', 'name'],
};

export function createProviderOperations({ providers }: { providers: Providers }): Noun {
  return [
    list({
      ...LIST,
      id: 'providers.list',
      path: '/api/v1/providers',
      summary: "List the providers your team sees under its policy; with the root team's credential, all",
      rows: ({ caller, page }) => providers.list(teamReach(caller), page),
      toWire,
    }),
    list({
      ...LIST,
      id: 'custom_providers.list',
      path: CUSTOM,
      summary: 'List the custom providers you may change',
      rows: ({ caller, page }) => providers.listCustom(teamReach(caller), page),
      toWire,
    }),
    operation({
      id: 'custom_providers.create',
      method: 'POST',
      path: CUSTOM,
      tag: TAG,
      summary: 'Create a custom provider',
      body: z.strictObject({
        name: z.string(),
        custom_template: z.string().optional(),
        team_id: z.string().optional().meta({ description: 'Your team, when left out' }),
      }),
      answer: VALUE,
      errors: ['not_found'],
      async handle({ body: { name, custom_template: customTemplate, team_id: teamId }, caller }) {
        if (teamId !== undefined) requireTeamInReach(caller, teamId);
        const provider = await providers.createCustom(
          { name, customTemplate, teamId: teamId ?? caller.teamId },
          caller.actor,
        );
        return { body: { value: toWire(provider) }, version: provider.version };
      },
    }),
    operation({
      id: 'custom_providers.get',
      method: 'GET',
      path: `${CUSTOM}/{id}`,
      tag: TAG,
      summary: 'Read a custom provider',
      versioned: true,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params, caller }) {
        const provider = found(await providers.findCustom(params.id, teamReach(caller)), 'provider');
        return { body: { value: toWire(provider) }, version: provider.version };
      },
    }),
    operation({
      id: 'custom_providers.update',
      method: 'PATCH',
      path: `${CUSTOM}/{id}`,
      tag: TAG,
      summary: 'Change what is sent of a custom provider',
      versioned: true,
      body: z.strictObject({ name: z.string().optional(), custom_template: z.string().optional() }),
      protectedFields: ['id', 'type', 'team_id', 'created_at', 'updated_at'],
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params, body, echoed, caller, version }) {
        const reach = teamReach(caller);
        const before = found(await providers.findCustom(params.id, reach), 'provider');
        requireUnchanged(toWire(before), echoed, { type: byNumber(PROVIDER_TYPE) });
        const changes = { name: body.name, customTemplate: body.custom_template };
        const provider = await providers.updateCustom(params.id, changes, { ...reach, version }, caller.actor);
        return { body: { value: toWire(provider) }, version: provider.version };
      },
    }),
    operation({
      id: 'custom_providers.delete',
      method: 'DELETE',
      path: `${CUSTOM}/{id}`,
      tag: TAG,
      summary: 'Delete a custom provider; it leaves the policy of every team that names it',
      versioned: true,
      answer: z.object({}),
      errors: ['not_found'],
      async handle({ params, caller, version }) {
        await providers.deleteCustom(params.id, { ...teamReach(caller), version }, caller.actor);
        return { body: {} };
      },
    }),
  ];
}

function toWire({ id, name, customTemplate, teamId, createdAt, updatedAt }: Provider) {
  return {
    id,
    name,
    type: PROVIDER_TYPE.nameOf(PROVIDER_TYPES.CUSTOM),
    custom_template: customTemplate,
    team_id: teamId,
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
  };
}
