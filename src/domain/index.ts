/**
 * The domain room: what is allowed and what happens, in the field's words. It knows no HTTP, no SQL text and no engine.
 * This file builds all of it over one database; each surface takes from it exactly what it uses.
 */
import type { Lifetimes } from '../config.ts';
import { createNotifications } from '../storage/notifications.ts';
import type { Database } from '../storage/pool.ts';
import { createAccount } from './account.ts';
import { createApiKeys } from './api-keys.ts';
import { createAudit } from './audit.ts';
import { createAuditEvents } from './audit-events.ts';
import { createAuthority } from './authority.ts';
import { createBulkRevoke } from './bulk-revoke.ts';
import { createClientSecrets } from './client-secrets.ts';
import { createConnectedApps } from './connected-apps.ts';
import { createCredentialUses } from './credential-uses.ts';
import { createCredentials } from './credentials.ts';
import { createEndings } from './endings.ts';
import { createIdempotency } from './idempotency.ts';
import type { Peppers } from './imported-digests.ts';
import { createKeyGuesses } from './key-guesses.ts';
import { createKeyImport } from './key-import.ts';
import { createLastUsed } from './last-used.ts';
import { createLeavers } from './leavers.ts';
import { createLogin } from './login.ts';
import { createMemberships } from './memberships.ts';
import { createOauthApps } from './oauth-apps.ts';
import { createOauthClients } from './oauth-clients.ts';
import { createOverview } from './overview.ts';
import { createPasswords } from './passwords.ts';
import { createProviders } from './providers.ts';
import { createPurge } from './purge.ts';
import { createRegistrations } from './registrations.ts';
import { LONGEST_ACCESS_TOKEN } from './resource-server-input.ts';
import { createResourceServers } from './resource-servers.ts';
import { createRetirements } from './retirements.ts';
import { createRevocations } from './revocations.ts';
import { createRoles } from './roles.ts';
import { createSealing } from './sealing.ts';
import { createSessions } from './sessions.ts';
import { createSettings } from './settings.ts';
import { createSetup } from './setup.ts';
import { createSigningKeys } from './signing-keys.ts';
import { createTeams } from './teams.ts';
import { createUsers } from './users.ts';

export interface DomainOptions {
  db: Database;
  /** The instance secrets, newest first. */
  secrets: readonly string[];
  lifetimes: Pick<Lifetimes, 'idToken' | 'session' | 'sessionIdle'>;
  /** Secrets of imported keys by name (default none). */
  peppers?: Peppers;
  /** Told of failures nobody waits for. */
  onError: (error: unknown) => void;
  /** Told when the database goes away and comes back. */
  onAvailability?: (available: boolean) => void;
}

export type Domain = ReturnType<typeof createDomain>;

export function createDomain({ db, secrets, lifetimes, peppers, onError, onAvailability }: DomainOptions) {
  const notifications = createNotifications({ db, onError, ...(onAvailability && { onAvailability }) });
  const sealing = createSealing(secrets);
  const audit = createAudit({ db, onError });
  const lastUsed = createLastUsed({ db, onError });
  const passwords = createPasswords();
  const authority = createAuthority({ db, notifications });
  const memberships = createMemberships({ db, audit, authority });
  const teams = createTeams({ db, audit });
  const users = createUsers({ db, audit, passwords, memberships });
  const retirements = createRetirements({ db, audit, notifications });
  const credentialUses = createCredentialUses({ db, retirements, onError });
  const apiKeys = createApiKeys({ db, audit, authority, notifications, lastUsed, retirements, peppers });
  const oauthClients = createOauthClients({ db, audit, authority });
  const login = createLogin({ db, audit, passwords });
  const settings = createSettings({ db, audit, notifications, lifetimes });
  const sessions = createSessions({ db, audit, settings });
  const purge = createPurge({ db, onError });
  const connectedApps = createConnectedApps({ db, audit });
  const credentials = createCredentials({ db, retirements });
  const clientSecrets = createClientSecrets({ db, audit, authority });
  const resourceServers = createResourceServers({ db, audit, notifications });
  return {
    notifications,
    sealing,
    audit,
    auditEvents: createAuditEvents({ db }),
    lastUsed,
    idempotency: createIdempotency({ db, sealing }),
    authority,
    memberships,
    teams,
    users,
    roles: createRoles({ db }),
    login,
    account: createAccount({ db, audit, passwords, login, users }),
    setup: createSetup({ db, audit, users, teams, memberships }),
    settings,
    sessions,
    apiKeys,
    keyGuesses: createKeyGuesses(),
    keyImport: createKeyImport({ db, audit, authority, peppers }),
    clientSecrets,
    connectedApps,
    credentials,
    bulkRevoke: createBulkRevoke({ apiKeys, oauthClients, connectedApps, credentials }),
    overview: createOverview({ db }),
    credentialUses,
    oauthApps: createOauthApps({ db, audit }),
    oauthClients,
    leavers: createLeavers({ db, audit, authority, lastUsed, sessions, apiKeys, oauthClients }),
    registrations: createRegistrations({ db, notifications }),
    providers: createProviders({ db, audit }),
    retirements,
    resourceServers,
    endings: createEndings({ db, clientSecrets, resourceServers, lastUsed }),
    revocations: createRevocations({ db, notifications }),
    signingKeys: createSigningKeys({
      db,
      audit,
      sealing,
      longestTokenLife: Math.max(LONGEST_ACCESS_TOKEN, lifetimes.idToken),
    }),
    purge,
    /** Writes what is buffered, stops timers and connections of its own; not the pool. */
    async close(): Promise<void> {
      purge.close();
      await audit.close();
      await lastUsed.close();
      await credentialUses.close();
      await notifications.close();
    },
  };
}
