/** Connected apps: what a user let act in their name, as the user looks at it. Each is the consents of one app in one team. */
import { AppError } from '../errors.ts';
import { type ConnectedAppRecord, deleteGrantsOfUser, type GrantScope, listConnectedApps } from '../storage/grants.ts';
import type { Page } from '../storage/listing.ts';
import type { Database } from '../storage/pool.ts';
import type { Actor, Audit } from './audit.ts';
import { kindOfClientId } from './client-id.ts';

export type ConnectedApp = ConnectedAppRecord;

export interface ConnectedApps {
  /** Whether or not a token is live: the app may ask for one. In the order of the first consent. */
  list(scope: GrantScope, page: Page): Promise<ConnectedApp[]>;
  /**
   * Ends every consent the user gave the app, and with them its codes, refresh tokens and access tokens. Answers how many.
   * @throws AppError `not_found` when there is none within the scope
   */
  disconnect(clientId: string, scope: GrantScope, actor: Actor): Promise<number>;
}

export function createConnectedApps({ db, audit }: { db: Database; audit: Audit }): ConnectedApps {
  return {
    list: (scope, page) => listConnectedApps(db, scope, page),
    disconnect: (clientId, scope, actor) =>
      db.transaction(async (tx) => {
        const ended = kindOfClientId(clientId) === 'app' ? await deleteGrantsOfUser(tx, clientId, scope) : [];
        if (ended.length === 0) throw new AppError('not_found', 'There is no such connected app.');
        const teamIds = ended.map(({ teamId }) => teamId);
        for (const teamId of new Set(teamIds)) {
          const grants = teamIds.filter((one) => one === teamId).length;
          await audit.record(tx, {
            action: 'consent.ended',
            actor,
            teamId,
            target: { kind: 'app', id: clientId },
            details: { user_id: scope.userId, ended_grants: grants },
          });
        }
        return ended.length;
      }),
  };
}
