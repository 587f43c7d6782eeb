/** Apps and clients as the protocol sees them on every request: from memory, forgotten the moment one changes. */
import type { Notifications } from '../storage/notifications.ts';
import type { OauthAppRecord } from '../storage/oauth-apps.ts';
import type { OauthClientRecord } from '../storage/oauth-clients.ts';
import type { Queryable } from '../storage/pool.ts';
import { findAppRegistration, findClientRegistration, type SecretDigest } from '../storage/registrations.ts';
import { createCache } from './cache.ts';
import { kindOfClientId } from './client-id.ts';

/** `secrets` were live when they were read: whoever compares one still has to look at when it ends. */
export type Registration = { secrets: readonly SecretDigest[] } & (
  | { kind: 'app'; record: OauthAppRecord }
  | { kind: 'client'; record: OauthClientRecord }
);

export interface Registrations {
  /** The app or client with this client_id, enabled or not. What does not look like a client_id costs no query. */
  findForProtocol(clientId: string): Promise<Registration | undefined>;
}

export interface RegistrationsOptions {
  db: Queryable;
  notifications: Notifications;
}

export function createRegistrations({ db, notifications }: RegistrationsOptions): Registrations {
  const cache = createCache<Registration>({
    notifications,
    keyedBy: ['oauth_apps', 'oauth_clients'],
    clearedBy: ['client_secrets'],
  });

  async function load(kind: 'app' | 'client', clientId: string): Promise<Registration | undefined> {
    if (kind === 'app') {
      const found = await findAppRegistration(db, clientId);
      return found && { kind, ...found };
    }
    const found = await findClientRegistration(db, clientId);
    return found && { kind, ...found };
  }

  return {
    async findForProtocol(clientId) {
      const kind = kindOfClientId(clientId);
      return kind && cache.get(clientId, () => load(kind, clientId));
    },
  };
}
