/** What team and personal API keys have in common (wire contract): their fields, and what can be done with one key. */
import { z } from 'zod';
import { ACTIVE, type ApiKey, type ApiKeys, INACTIVE, type KeyScope, LONGEST_OVERLAP } from '../../domain/api-keys.ts';
import type { Caller, OperationId } from '../../domain/authorization.ts';
import { found } from '../found.ts';
import { byNumber, movingTime, requireUnchanged } from './echo.ts';
import { enumeration } from './enumeration.ts';
import { filter } from './filter.ts';
import { type Operation, operation } from './operation.ts';
import { time } from './schemas.ts';

/** Of keys. */
export const STATUS = enumeration({ ACTIVE, INACTIVE });
export const RETIRES_AT = time.nullable().meta({
  description:
    'When a key is to be given up (key retirements), or may be: of a key that was imported with less of its prefix ' +
    'than a retirement names. Null: it is not',
});

export const keyFilters = { team_id: filter.uuid, status: filter.enumeration(STATUS), name: filter.text };
/** By last use: by the hour. Keys that were never used come before the others, those that never expire behind them. */
export const keyOrders = ['created_at', 'name', 'last_access_at', 'expires_at'] as const;

export const keyFields = {
  id: z.string(),
  access_key: z
    .string()
    .meta({ description: 'The key itself, in the answer that made or rotated it; otherwise empty' }),
  name: z.string(),
  created_at: time,
  last_access_at: time.meta({ description: 'Equal to created_at until its first use' }),
  status: STATUS.output,
  team_id: z.string(),
  team_name: z.string(),
  prefix: z.string().meta({ description: 'How the key begins, to recognise it by' }),
  last_four: z.string().meta({ description: 'How it ends' }),
  expires_at: time.nullable(),
  retires_at: RETIRES_AT,
  created_by: z.string().nullable().meta({ description: 'The user who made it' }),
};

const ECHO = { status: byNumber(STATUS), last_access_at: movingTime };

export function keyToWire(key: ApiKey) {
  return {
    id: key.id,
    access_key: '',
    name: key.name,
    created_at: key.createdAt.toISOString(),
    last_access_at: key.lastAccessAt.toISOString(),
    status: STATUS.nameOf(key.status),
    team_id: key.teamId,
    team_name: key.teamName,
    prefix: key.prefix,
    last_four: key.lastFour,
    expires_at: key.expiresAt?.toISOString() ?? null,
    retires_at: key.retiresAt?.toISOString() ?? null,
    created_by: key.createdBy,
  };
}

/** One of the two kinds of keys, as the operations see it. */
export interface KeyNoun<Item extends z.ZodObject> {
  noun: 'team_keys' | 'api_keys';
  path: string;
  tag: string;
  item: Item;
  toWire(key: ApiKey): z.input<Item>;
  /** Which keys an operation reaches. @throws AppError `permission_denied` */
  reach(caller: Caller, operation: OperationId): KeyScope;
}

/** Everything on one key that exists. */
export function createKeyOperations<Item extends z.ZodObject>(
  { noun, path, tag, item, toWire, reach }: KeyNoun<Item>,
  apiKeys: ApiKeys,
): Operation[] {
  const answer = z.object({ value: item });
  const one = `${path}/{id}` as const;
  // What a generic schema takes is more than the compiler can see.
  const value = (key: ApiKey, more: { access_key?: string } = {}) =>
    ({ value: { ...toWire(key), ...more } }) as z.input<typeof answer>;

  return [
    operation({
      id: `${noun}.get`,
      method: 'GET',
      path: one,
      tag,
      summary: 'Read a key',
      versioned: true,
      answer,
      errors: ['not_found'],
      async handle({ params, caller }) {
        const key = found(await apiKeys.find(params.id, reach(caller, `${noun}.get`)), 'API key');
        return { body: value(key), version: key.version };
      },
    }),
    operation({
      id: `${noun}.update`,
      method: 'PATCH',
      path: one,
      tag,
      summary: 'Rename a key',
      versioned: true,
      body: z.strictObject({ name: z.string().optional() }),
      protectedFields: Object.keys(item.shape).filter((name) => name !== 'name'),
      answer,
      errors: ['not_found'],
      async handle({ params, body, echoed, caller, version }) {
        const scope = reach(caller, `${noun}.update`);
        const before = found(await apiKeys.find(params.id, scope), 'API key');
        requireUnchanged(toWire(before), echoed, ECHO);
        const key = await apiKeys.rename(params.id, body.name, { ...scope, version }, caller.actor);
        return { body: value(key), version: key.version };
      },
    }),
    ...(['revoke', 'reinstate'] as const).map((verb) =>
      operation({
        id: `${noun}.${verb}`,
        method: 'POST',
        path: `${one}:${verb}`,
        tag,
        summary: verb === 'revoke' ? 'Switch a key off until it is reinstated' : 'Switch a revoked key on again',
        versioned: true,
        answer: z.object({}),
        errors: ['not_found'],
        async handle({ params, caller, version }) {
          await apiKeys[verb](params.id, { ...reach(caller, `${noun}.${verb}`), version }, caller.actor);
          return { body: {} };
        },
      }),
    ),
    operation({
      id: `${noun}.rotate`,
      method: 'POST',
      path: `${one}:rotate`,
      tag,
      summary: 'Give a key another text; it is in this answer and never again',
      versioned: true,
      body: z.strictObject({
        overlap_seconds: z
          .number()
          .optional()
          .meta({ description: `How long the text it had stays good: 0 (default) to ${LONGEST_OVERLAP} (30 days)` }),
      }),
      answer,
      errors: ['not_found', 'failed_precondition'],
      async handle({ params, body, caller, version }) {
        const scope = { ...reach(caller, `${noun}.rotate`), version };
        const overlap = body.overlap_seconds === undefined ? {} : { overlapSeconds: body.overlap_seconds };
        const { key, text } = await apiKeys.rotate(params.id, overlap, scope, caller.actor);
        return { body: value(key, { access_key: text }), version: key.version };
      },
    }),
    operation({
      id: `${noun}.delete`,
      method: 'DELETE',
      path: one,
      tag,
      summary: 'Delete a key for good',
      versioned: true,
      answer,
      errors: ['not_found'],
      async handle({ params, caller, version }) {
        const scope = { ...reach(caller, `${noun}.delete`), version };
        return { body: value(await apiKeys.delete(params.id, scope, caller.actor)) };
      },
    }),
  ];
}
