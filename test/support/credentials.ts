/** The credentials half of the domain on a fresh database, on top of the people half. */
import { createApiKeys } from '../../src/domain/api-keys.ts';
import { createClientSecrets } from '../../src/domain/client-secrets.ts';
import { createLastUsed } from '../../src/domain/last-used.ts';
import { createOauthApps } from '../../src/domain/oauth-apps.ts';
import { createOauthClients } from '../../src/domain/oauth-clients.ts';
import { createProviders } from '../../src/domain/providers.ts';
import { createRegistrations } from '../../src/domain/registrations.ts';
import { createRetirements } from '../../src/domain/retirements.ts';
import { openPeople } from './people.ts';

/** Opens everything; `close` drops the database. */
export async function openCredentials() {
  const people = await openPeople();
  const { db, audit, authority, notifications } = people;
  const lastUsed = createLastUsed({ db });
  const retirements = createRetirements({ db, audit, notifications });
  return {
    ...people,
    lastUsed,
    retirements,
    apiKeys: createApiKeys({ db, audit, authority, notifications, lastUsed, retirements }),
    apps: createOauthApps({ db, audit }),
    clients: createOauthClients({ db, audit, authority }),
    secrets: createClientSecrets({ db, audit, authority }),
    registrations: createRegistrations({ db, notifications }),
    providers: createProviders({ db, audit }),
    /** Every row of a table by its id, as text, without the columns named. */
    async rows(table: string, ...without: string[]): Promise<Record<string, string>> {
      const { rows } = await db.query<{ id: string; row: string }>(
        `SELECT id::text, (to_jsonb(t) - $1::text[])::text AS row FROM ${table} AS t`,
        [without],
      );
      return Object.fromEntries(rows.map(({ id, row }) => [id, row]));
    },
    async close() {
      await lastUsed.close();
      await people.close();
    },
  };
}

export type Credentials = Awaited<ReturnType<typeof openCredentials>>;
