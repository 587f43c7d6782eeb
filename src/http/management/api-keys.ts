/** Personal API keys (wire contract): users manage their own; root administrators can end those of others. */
import { z } from 'zod';
import type { ApiKey, ApiKeys } from '../../domain/api-keys.ts';
import { type Caller, type OperationId, ownReach, requireTeamInReach } from '../../domain/authorization.ts';
import { AppError } from '../../errors.ts';
import { requireUnchanged } from './echo.ts';
import { filter } from './filter.ts';
import { createKeyOperations, keyFields, keyFilters, keyOrders, keyToWire } from './key-operations.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const API_KEY = z
  .object({
    ...keyFields,
    user_id: z.string(),
    owner_email: z.string(),
    scopes: z.array(z.string()).meta({ description: 'What it is narrowed to, if it is (`is_narrowed`)' }),
    is_narrowed: z.boolean().meta({
      description:
        'True: it may do only what `scopes` say, which is nothing once the last of them has ended. False: what its owner ' +
        'may, but for what only scopes can name',
    }),
  })
  .meta({ id: 'ApiKey' });
const TAG = 'Personal API keys';
const PATH = '/api/v1/apikeys';

export function createApiKeyOperations({ apiKeys }: { apiKeys: ApiKeys }): Noun {
  const reach = (caller: Caller, one: OperationId) => ({ kind: 'personal' as const, ...ownReach(caller, one) });

  return [
    list({
      id: 'api_keys.list',
      path: PATH,
      tag: TAG,
      summary: 'List your keys; for root administrators, those of everybody',
      item: API_KEY,
      filters: { ...keyFilters, user_id: filter.uuid },
      orders: keyOrders,
      search: `the name, how the key begins or ends, or with an @ the owner's email address`,
      async rows({ caller, page }) {
        const scope = reach(caller, 'api_keys.list');
        const others = page.conditions.some(({ field, value }) => field === 'user_id' && value !== scope.userId);
        if (others && scope.userId !== undefined) throw new AppError('not_found', 'There is no such user.');
        return apiKeys.list(scope, page);
      },
      toWire,
    }),
    operation({
      id: 'api_keys.create',
      method: 'POST',
      path: PATH,
      tag: TAG,
      summary: 'Create a key for yourself; its text is in this answer and never again',
      description:
        'Without scopes it may do what you may in that team, but for what only scopes can name: users:write, apikeys:write, ' +
        'teamkeys:write, oauth2apps:write, oauth2clients:write. Made with a token or a key, it never may do more than that.',
      body: z.strictObject({
        name: z.string(),
        team_id: z.string(),
        scopes: z.array(z.string()).max(100).optional().meta({
          description: 'Permissions you have yourself, and scopes of registered resource servers',
        }),
        expires_at: time.nullable().optional(),
      }),
      // Whose key it is comes from the credential, never from the body (checklist row 89).
      protectedFields: ['user_id'],
      answer: z.object({ value: API_KEY }),
      errors: ['not_found', 'failed_precondition'],
      async handle({ body, echoed, caller }) {
        const { userId } = ownReach(caller, 'api_keys.create');
        requireUnchanged({ user_id: userId }, echoed);
        requireTeamInReach(caller, body.team_id);
        const { key, text } = await apiKeys.createPersonal(
          {
            userId: userId!,
            teamId: body.team_id,
            name: body.name,
            ...(body.scopes && { scopes: body.scopes }),
            ...(body.expires_at && { expiresAt: new Date(body.expires_at) }),
          },
          caller.actor,
        );
        return { body: { value: { ...toWire(key), access_key: text } }, version: key.version };
      },
    }),
    ...createKeyOperations({ noun: 'api_keys', path: PATH, tag: TAG, item: API_KEY, toWire, reach }, apiKeys),
  ];
}

function toWire(key: ApiKey): z.input<typeof API_KEY> {
  return {
    ...keyToWire(key),
    // A personal key has an owner (a rule of the table).
    user_id: key.userId!,
    owner_email: key.ownerEmail!,
    scopes: key.scopes ?? [],
    is_narrowed: key.scopes !== null,
  };
}
