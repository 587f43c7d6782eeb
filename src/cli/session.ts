/** One command's stay at the database: the configured one, or the embedded one, started for it when no server runs. */
import { type Config, readConfig } from '../config.ts';
import { createDomain, type Domain } from '../domain/index.ts';
import { isUuid } from '../domain/names.ts';
import type { Team } from '../domain/teams.ts';
import type { User } from '../domain/users.ts';
import { AppError } from '../errors.ts';
import { instanceSecrets } from '../storage/instance-secret.ts';
import { migrate, requireCurrentSchema } from '../storage/migrator.ts';
import { type Database, openDatabase } from '../storage/pool.ts';

export interface Session {
  config: Config;
  domain: Domain;
  /** The team a person means by its id or name. @throws AppError `not_found` */
  team(word: string): Promise<Team>;
  /** The user a person means by id or email. @throws AppError `not_found` */
  user(word: string): Promise<User>;
  close(): Promise<void>;
}

interface Store {
  config: Config;
  db: Database;
  close(): Promise<void>;
}

/**
 * Opens the database and builds the domain over it.
 * @throws AppError `invalid_argument` for a bad configuration; `failed_precondition` when the schema is not this
 *   build's (the embedded database is migrated instead, as the server does); `unavailable`
 */
export async function openSession(): Promise<Session> {
  const store = await openStore();
  const { config, db } = store;
  try {
    await (config.databaseUrl === undefined ? migrate(db) : requireCurrentSchema(db));
    const secrets = await instanceSecrets(config);
    // Notifications are not started: a process that lives for one command has nothing to forget.
    const { lifetimes, importPeppers: peppers } = config;
    const domain = createDomain({ db, secrets, lifetimes, peppers, onError: () => {} });
    return {
      config,
      domain,
      team: (word) => domain.teams.resolve(word),
      async user(word) {
        const found = await (isUuid(word) ? domain.users.find(word) : domain.users.findByEmail(word));
        if (found === undefined) throw new AppError('not_found', 'There is no such user.');
        return found;
      },
      async close() {
        await domain.close();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Brings the schema up and answers the names of the migrations applied. */
export async function migrateSchema(): Promise<string[]> {
  const store = await openStore();
  return migrate(store.db).finally(() => store.close());
}

async function openStore(): Promise<Store> {
  const config = readConfig();
  if (config.databaseUrl !== undefined) {
    const db = openDatabase({ connectionString: config.databaseUrl, max: 2 });
    return { config, db, close: () => db.close() };
  }
  const { openEmbeddedPostgres } = await import('../storage/embedded/index.ts');
  const embedded = await openEmbeddedPostgres({ dataDir: config.dataDir, role: 'command' });
  const db = openDatabase({ connectionString: embedded.connectionString, max: 2 });
  return {
    config,
    db,
    async close() {
      await db.close();
      await embedded.close();
    },
  };
}
