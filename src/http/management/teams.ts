/** Teams (wire contract): what credentials, providers and memberships belong to. */
import { z } from 'zod';
import { type Caller, teamReach } from '../../domain/authorization.ts';
import { PROVIDER_TYPES } from '../../domain/providers.ts';
import { POLICY_TYPES, type Team, type TeamInput, type Teams } from '../../domain/teams.ts';
import { found } from '../found.ts';
import { movingCount, requireUnchanged } from './echo.ts';
import { enumeration } from './enumeration.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import { PROVIDER_TYPE } from './providers.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

export const POLICY_TYPE = enumeration(POLICY_TYPES);

const TEAM = z
  .object({
    id: z.string(),
    name: z.string(),
    policy_type: POLICY_TYPE.output.meta({
      description: 'UNBOUND sees every provider; PROVIDER_ID_SET those listed, and what the team made itself',
    }),
    providers: z.array(z.object({ id: z.string(), name: z.string(), type: PROVIDER_TYPE.output })),
    created_at: time,
    updated_at: time,
    description: z.string(),
    user_count: z.number().meta({ description: 'How many members it has' }),
    sso_alias: z.string(),
    provider_types: z
      .array(PROVIDER_TYPE.output)
      .meta({ description: 'When there are any, the team sees no provider of another type' }),
  })
  .meta({ id: 'Team' });

const SETTINGS = {
  policy_type: POLICY_TYPE.input.optional(),
  providers: z
    .array(
      z.strictObject({
        id: z.string(),
        name: z.string().optional().meta({ description: 'May be echoed as it is' }),
        type: PROVIDER_TYPE.input.optional(),
      }),
    )
    .max(1_000)
    .optional(),
  description: z.string().optional(),
  sso_alias: z.string().optional(),
  provider_types: z.array(PROVIDER_TYPE.input).max(20).optional(),
};
const WHOLE = z.strictObject({ name: z.string(), ...SETTINGS });
const CHANGES = z.strictObject({ name: z.string().optional(), ...SETTINGS });

// What a PUT leaves out.
const DEFAULTS = {
  policyType: POLICY_TYPES.UNBOUND,
  providers: [],
  description: '',
  ssoAlias: '',
  providerTypes: [],
};

const TAG = 'Teams';
const PATH = '/api/v1/teams';
const VALUE = z.object({ value: TEAM });
const CHANGE = {
  path: `${PATH}/{id}`,
  tag: TAG,
  description:
    "A team's own administrators may change its name and description; the rest needs a credential of the root team.",
  versioned: true,
  protectedFields: ['id', 'created_at', 'updated_at', 'user_count'],
  answer: VALUE,
  errors: ['not_found', 'already_exists', 'failed_precondition'],
} as const;

export function createTeamOperations({ teams }: { teams: Teams }): Noun {
  async function change(
    { params, echoed, caller, version }: Change,
    changes: Partial<TeamInput>,
  ): Promise<{ body: z.input<typeof VALUE>; version: string }> {
    const reach = teamReach(caller);
    const before = found(await teams.find(params.id, reach), 'team');
    requireUnchanged(toWire(before), echoed, { user_count: movingCount });
    const team = await teams.update(params.id, changes, caller.actor, { ...reach, version });
    return { body: { value: toWire(team) }, version: team.version };
  }

  return [
    list({
      id: 'teams.list',
      path: PATH,
      tag: TAG,
      summary: "List your team; with the root team's credential, all teams",
      item: TEAM,
      filters: { name: filter.text, policy_type: filter.enumeration(POLICY_TYPE), sso_alias: filter.text },
      orders: ['created_at', 'name'],
      search: 'the name',
      rows: ({ caller, page }) => teams.list(teamReach(caller), page),
      toWire,
    }),
    operation({
      id: 'teams.create',
      method: 'POST',
      path: PATH,
      tag: TAG,
      summary: 'Create a team',
      body: WHOLE,
      answer: VALUE,
      errors: ['not_found', 'already_exists'],
      async handle({ body, caller }) {
        const team = await teams.create({ name: body.name, ...fromWire(body) }, caller.actor);
        return { body: { value: toWire(team) }, version: team.version };
      },
    }),
    operation({
      id: 'teams.get',
      method: 'GET',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Read a team',
      versioned: true,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params, caller }) {
        const team = found(await teams.find(params.id, teamReach(caller)), 'team');
        return { body: { value: toWire(team) }, version: team.version };
      },
    }),
    operation({
      ...CHANGE,
      id: 'teams.replace',
      method: 'PUT',
      summary: 'Replace what can be set about a team; what is left out becomes its default',
      body: WHOLE,
      handle: (input) => change(input, { name: input.body.name, ...DEFAULTS, ...fromWire(input.body) }),
    }),
    operation({
      ...CHANGE,
      id: 'teams.update',
      method: 'PATCH',
      summary: 'Change what is sent of a team',
      body: CHANGES,
      handle: (input) => change(input, fromWire(input.body)),
    }),
    operation({
      id: 'teams.delete',
      method: 'DELETE',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Delete a team with its memberships, keys, clients, consents and providers',
      versioned: true,
      answer: z.object({}),
      errors: ['not_found', 'failed_precondition'],
      async handle({ params, caller, version }) {
        await teams.delete(params.id, caller.actor, { ...teamReach(caller), version });
        return { body: {} };
      },
    }),
  ];
}

interface Change {
  params: { id: string };
  echoed: Record<string, unknown>;
  caller: Caller;
  version: string | undefined;
}

/** Only what was sent. */
function fromWire({ name, description, providers, ...body }: z.output<typeof CHANGES>): Partial<TeamInput> {
  return {
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    ...(providers !== undefined && { providers }),
    ...(body.policy_type !== undefined && { policyType: body.policy_type }),
    ...(body.sso_alias !== undefined && { ssoAlias: body.sso_alias }),
    ...(body.provider_types !== undefined && { providerTypes: body.provider_types }),
  };
}

function toWire(team: Team) {
  const custom = PROVIDER_TYPE.nameOf(PROVIDER_TYPES.CUSTOM);
  return {
    id: team.id,
    name: team.name,
    policy_type: POLICY_TYPE.nameOf(team.policyType),
    providers: team.providers.map(({ id, name }) => ({ id, name, type: custom })),
    created_at: team.createdAt.toISOString(),
    updated_at: team.updatedAt.toISOString(),
    description: team.description,
    user_count: team.userCount,
    sso_alias: team.ssoAlias,
    provider_types: team.providerTypes.map((type) => PROVIDER_TYPE.nameOf(type)),
  };
}
