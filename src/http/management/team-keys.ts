/** Team API keys (wire contract): keys of a team's service account. */
import { z } from 'zod';
import type { ApiKey, ApiKeys } from '../../domain/api-keys.ts';
import { type Caller, requireTeamInReach, teamReach } from '../../domain/authorization.ts';
import { createKeyOperations, keyFields, keyFilters, keyOrders, keyToWire } from './key-operations.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const TEAM_KEY = z.object(keyFields).meta({ id: 'TeamKey' });
const TAG = 'Team API keys';
const PATH = '/api/preview/teamkeys';

export function createTeamKeyOperations({ apiKeys }: { apiKeys: ApiKeys }): Noun {
  const reach = (caller: Caller) => ({ kind: 'team' as const, ...teamReach(caller) });
  const toWire = (key: ApiKey) => keyToWire(key);

  return [
    list({
      id: 'team_keys.list',
      path: PATH,
      tag: TAG,
      summary: 'List the keys of your team, or of all teams within your reach',
      item: TEAM_KEY,
      filters: keyFilters,
      orders: keyOrders,
      search: 'the name, or how the key begins or ends',
      rows: ({ caller, page }) => apiKeys.list(reach(caller), page),
      toWire,
    }),
    operation({
      id: 'team_keys.create',
      method: 'POST',
      path: PATH,
      tag: TAG,
      summary: 'Create a key; its text is in this answer and never again',
      body: z.strictObject({ name: z.string(), team_id: z.string(), expires_at: time.nullable().optional() }),
      answer: z.object({ value: TEAM_KEY }),
      errors: ['not_found'],
      async handle({ body, caller }) {
        requireTeamInReach(caller, body.team_id);
        const { key, text } = await apiKeys.createTeam(
          { name: body.name, teamId: body.team_id, ...(body.expires_at && { expiresAt: new Date(body.expires_at) }) },
          caller.actor,
        );
        return { body: { value: { ...toWire(key), access_key: text } }, version: key.version };
      },
    }),
    ...createKeyOperations({ noun: 'team_keys', path: PATH, tag: TAG, item: TEAM_KEY, toWire, reach }, apiKeys),
  ];
}
