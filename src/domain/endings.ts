/**
 * What ends with an app or client, told before somebody switches it off or deletes it. It is what the tables say at that
 * moment; the act itself answers with what it ended.
 */
import { type AppEndingsRecord, countAppEndings, isClientInUse } from '../storage/endings.ts';
import type { Queryable } from '../storage/pool.ts';
import type { ClientSecrets } from './client-secrets.ts';
import type { LastUsed } from './last-used.ts';
import type { OauthApp } from './oauth-apps.ts';
import type { OauthClient } from './oauth-clients.ts';
import type { ResourceServers } from './resource-servers.ts';

// More than this says no more to anybody, and would keep the page waiting.
const MOST_CONSENTS = 1_000;

/** All of it ends when the app is disabled, too: its secrets are what a disabled app keeps. */
export interface AppEndings extends AppEndingsRecord {
  /** Live ones, which end with the app for good only. */
  secrets: number;
}

export interface ClientEndings {
  /** Live ones, which end with the client for good only. */
  secrets: number;
  /** Used so lately that an access token may still be good; it is refused then. */
  mayHaveTokens: boolean;
  /** Resource servers that check what is presented to them as this client alone, and cannot any more. */
  resourceServers: { name: string; identifier: string }[];
}

export interface Endings {
  /** Counts 1,000 consents at most; `isMore` says that there are others. */
  ofApp(app: Pick<OauthApp, 'id' | 'clientId'>): Promise<AppEndings>;
  ofClient(client: Pick<OauthClient, 'id' | 'clientId'>): Promise<ClientEndings>;
}

export interface EndingsOptions {
  db: Queryable;
  clientSecrets: Pick<ClientSecrets, 'list'>;
  resourceServers: Pick<ResourceServers, 'listOfClient'>;
  lastUsed: Pick<LastUsed, 'flush'>;
}

export function createEndings({ db, clientSecrets, resourceServers, lastUsed }: EndingsOptions): Endings {
  const countSecrets = async (kind: 'app' | 'client', id: string) => (await clientSecrets.list({ kind, id })).length;

  return {
    async ofApp({ id, clientId }) {
      // What got a token a moment ago must not be said to have none.
      await lastUsed.flush();
      const hanging = await countAppEndings(db, clientId, MOST_CONSENTS);
      return { ...hanging, secrets: await countSecrets('app', id) };
    },
    async ofClient({ id, clientId }) {
      await lastUsed.flush();
      const servers = await resourceServers.listOfClient(clientId);
      return {
        secrets: await countSecrets('client', id),
        mayHaveTokens: await isClientInUse(db, id),
        resourceServers: servers
          .filter(({ clientIds }) => clientIds.every((one) => one === clientId))
          .map(({ name, identifier }) => ({ name, identifier })),
      };
    },
  };
}
