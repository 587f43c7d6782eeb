/** Retirements of API keys: until when keys are to be given up, and what replaces them. */
import { z } from 'zod';
import { teamReach } from '../../domain/authorization.ts';
import type { RetirementDetails, Retirements } from '../../domain/retirements.ts';
import { found } from '../found.ts';
import { requireUnchanged } from './echo.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const RETIRES_AT = time.meta({ description: 'From then on the keys open nothing; answers to them tell it before' });
const REPLACEMENT_URL = z
  .string()
  .nullable()
  .meta({ description: 'Where what replaces the keys is described; answers to the keys link to it' });

const KEY_RETIREMENT = z
  .object({
    id: z.string(),
    key_id: z.string().nullable().meta({ description: 'The one key it is for; null: all that are meant by the rest' }),
    key_name: z.string().nullable(),
    team_id: z.string().nullable().meta({ description: 'Whose keys; null: those of every team' }),
    team_name: z.string().nullable(),
    prefix: z.string().nullable().meta({ description: 'How the keys begin; null: however they do' }),
    retires_at: RETIRES_AT,
    replacement_url: REPLACEMENT_URL,
    set_by_root: z.boolean().meta({ description: 'The root team made or changed it, and it alone can change it' }),
    created_by: z.string().nullable(),
    created_at: time.meta({ description: 'Since when the keys are deprecated' }),
    updated_at: time,
  })
  .meta({ id: 'KeyRetirement' });

const TAG = 'Key retirements';
const PATH = '/api/v1/key_retirements';
const VALUE = z.object({ value: KEY_RETIREMENT });
const WHAT = 'retirement';
const CHANGEABLE = ['retires_at', 'replacement_url'];
const PROTECTED = Object.keys(KEY_RETIREMENT.shape).filter((name) => !CHANGEABLE.includes(name));

export function createKeyRetirementOperations({ retirements }: { retirements: Retirements }): Noun {
  return [
    list({
      id: 'key_retirements.list',
      path: PATH,
      tag: TAG,
      summary: 'List the retirements of keys of your team, or of any team within your reach',
      description:
        'Those of a prefix in every team are shown to the root team alone; `retires_at` of a key takes them into account.',
      item: KEY_RETIREMENT,
      filters: { key_id: filter.uuid, team_id: filter.uuid, prefix: filter.text },
      orders: ['created_at', 'retires_at'],
      rows: ({ caller, page }) => retirements.list(teamReach(caller), page),
      toWire,
    }),
    operation({
      id: 'key_retirements.create',
      method: 'POST',
      path: PATH,
      tag: TAG,
      summary: 'Say until when keys are to be given up',
      description:
        'For one key, all keys of a team, or all that begin alike, of one team or (from the root team) of every team. ' +
        'The prefixes `lkp_` and `lkt_` are all personal and all team keys made here. ' +
        'Of several retirements of a key the earliest counts.',
      body: z.strictObject({
        key_id: z.string().optional(),
        team_id: z.string().optional(),
        prefix: z.string().optional().meta({ description: '4 to 24 characters' }),
        retires_at: RETIRES_AT,
        replacement_url: REPLACEMENT_URL.optional(),
      }),
      answer: VALUE,
      errors: ['not_found', 'already_exists', 'failed_precondition'],
      async handle({ body, caller }) {
        const one = await retirements.create(
          {
            keyId: body.key_id,
            teamId: body.team_id,
            prefix: body.prefix,
            retiresAt: new Date(body.retires_at),
            replacementUrl: body.replacement_url,
          },
          teamReach(caller),
          caller.actor,
        );
        return { body: { value: toWire(one) }, version: one.version };
      },
    }),
    operation({
      id: 'key_retirements.get',
      method: 'GET',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Read a retirement',
      versioned: true,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params, caller }) {
        const one = found(await retirements.find(params.id, teamReach(caller)), WHAT);
        return { body: { value: toWire(one) }, version: one.version };
      },
    }),
    operation({
      id: 'key_retirements.update',
      method: 'PATCH',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Change the day or the link',
      description: 'A later day makes keys good again whose day had come.',
      versioned: true,
      body: z.strictObject({ retires_at: RETIRES_AT.optional(), replacement_url: REPLACEMENT_URL.optional() }),
      protectedFields: PROTECTED,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params, body, echoed, caller, version }) {
        const scope = teamReach(caller);
        requireUnchanged(toWire(found(await retirements.find(params.id, scope), WHAT)), echoed);
        const changes = {
          retiresAt: body.retires_at === undefined ? undefined : new Date(body.retires_at),
          replacementUrl: body.replacement_url,
        };
        const one = await retirements.update(params.id, changes, { ...scope, version }, caller.actor);
        return { body: { value: toWire(one) }, version: one.version };
      },
    }),
    operation({
      id: 'key_retirements.delete',
      method: 'DELETE',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Take a retirement back: the keys are as before, also when their day had come',
      versioned: true,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params, caller, version }) {
        const one = await retirements.delete(params.id, { ...teamReach(caller), version }, caller.actor);
        return { body: { value: toWire(one) } };
      },
    }),
  ];
}

function toWire(one: RetirementDetails) {
  return {
    id: one.id,
    key_id: one.keyId,
    key_name: one.keyName,
    team_id: one.teamId,
    team_name: one.teamName,
    prefix: one.prefix,
    retires_at: one.retiresAt.toISOString(),
    replacement_url: one.replacementUrl,
    set_by_root: one.setByRoot,
    created_by: one.createdBy,
    created_at: one.createdAt.toISOString(),
    updated_at: one.updatedAt.toISOString(),
  };
}
