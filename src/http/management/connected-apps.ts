/** What the calling user let act in their name, and the way to end it. */
import { z } from 'zod';
import { type Caller, ownReach, requireTeamInReach } from '../../domain/authorization.ts';
import type { ConnectedApp, ConnectedApps } from '../../domain/connected-apps.ts';
import { isUuid } from '../../domain/names.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const CONNECTED_APP = z
  .object({
    client_id: z.string(),
    name: z.string(),
    logo_url: z.string().nullable(),
    team_id: z.string(),
    team_name: z.string(),
    scopes: z.array(z.string()).meta({ description: 'All that was consented to in this team' }),
    created_at: time.meta({ description: 'The first consent' }),
    last_used_at: time.nullable().meta({ description: 'Null: never' }),
    expires_at: time.meta({ description: 'When you would be asked again' }),
  })
  .meta({ id: 'ConnectedApp' });

const TAG = 'Connected apps';
const PATH = '/api/v1/users/self/connected_apps';

export function createConnectedAppOperations({ connectedApps }: { connectedApps: ConnectedApps }): Noun {
  return [
    list({
      id: 'connected_apps.list',
      path: PATH,
      tag: TAG,
      summary: 'List the apps you let act for you, one for each team, whether or not they have a live token',
      item: CONNECTED_APP,
      filters: { team_id: filter.uuid, client_id: filter.text },
      orders: ['created_at'],
      rows: ({ caller, page }) => connectedApps.list(scopeOf(caller, 'connected_apps.list'), page),
      toWire,
    }),
    operation({
      id: 'connected_apps.delete',
      method: 'DELETE',
      path: `${PATH}/{client_id}`,
      tag: TAG,
      summary: 'Disconnect an app: ends your consents to it, and every token it got by them',
      query: z.strictObject({
        team_id: z
          .string()
          .refine(isUuid, { error: 'must be a UUID in lower case' })
          .optional()
          .meta({ description: 'Only in this team (default: every team within your reach)' }),
      }),
      answer: z.object({ ended_grants: z.int() }),
      errors: ['not_found'],
      async handle({ params, query: { team_id: teamId }, caller }) {
        if (teamId !== undefined) requireTeamInReach(caller, teamId);
        const scope = scopeOf(caller, 'connected_apps.delete');
        const ended = await connectedApps.disconnect(
          params.client_id,
          { ...scope, ...(teamId !== undefined && { teamId }) },
          caller.actor,
        );
        return { body: { ended_grants: ended } };
      },
    }),
  ];
}

/** Consents are a user's own, whatever the caller may do to other users. */
function scopeOf(caller: Caller, operation: 'connected_apps.list' | 'connected_apps.delete') {
  const { teamId, userId = '' } = ownReach(caller, operation);
  return { teamId, userId };
}

function toWire(app: ConnectedApp): z.input<typeof CONNECTED_APP> {
  return {
    client_id: app.clientId,
    name: app.name,
    logo_url: app.logoUrl,
    team_id: app.teamId,
    team_name: app.teamName,
    scopes: app.scopes,
    created_at: app.createdAt.toISOString(),
    last_used_at: app.lastUsedAt?.toISOString() ?? null,
    expires_at: app.expiresAt.toISOString(),
  };
}
