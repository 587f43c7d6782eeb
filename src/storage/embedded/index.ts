/**
 * The PostgreSQL that Latchkey brings along and keeps in its data directory when no DATABASE_URL is set: creating the
 * cluster, starting and stopping its server, and seeing to it that one Latchkey server uses it at a time. What is in
 * the database, and the pool that talks to it, belong to others.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import { type Cluster, type ClusterOptions, prepareCluster } from './cluster.ts';
import { DataDirectoryTaken, join, leave, type Role, type Session } from './session.ts';
import { PORT } from './socket-directory.ts';

const DATABASE = 'latchkey';

// Milliseconds between attempts to get back to a server that died: doubled after each, up to the longest.
const RETRY = 500;
const LONGEST_RETRY = 30_000;

export interface EmbeddedPostgresOptions extends ClusterOptions {
  /** Where the cluster lives; made when missing. */
  dataDir: string;
  /** `server`: the only one in this data directory. `command`: beside a server or without one. */
  role: Role;
  /** Told when another server took over the data directory while our connection was broken; we should stop then. */
  onTakenOver?: (error: AppError) => void;
}

/** A running embedded database that this process uses. */
export interface EmbeddedPostgres {
  /** `postgresql://` URL of the database, with the password: as secret as that. */
  connectionString: string;
  /** Stops using it; stops the server when nobody else uses it. Close all other connections first. */
  close(): Promise<void>;
}

/**
 * Opens the database in `dataDir`, creating and starting what is missing. Whatever it starts survives a crash of this
 * process, and the next caller attaches to it. A server that dies is started again.
 *
 * @throws AppError `failed_precondition` with what to do about it: another Latchkey server is using the directory, or
 *   PostgreSQL cannot run here
 */
export async function openEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, role } = options;
  const cluster = await prepareCluster(dataDir, options);
  let session = await join(cluster, role, dataDir);
  try {
    await createDatabase(session);
  } catch (error) {
    await leave(cluster, session);
    throw error;
  }
  const ending = new AbortController();

  async function stay(): Promise<void> {
    let pause = RETRY;
    while (!ending.signal.aborted) {
      await session.lost;
      if (ending.signal.aborted) return;
      try {
        session = await join(cluster, role, dataDir);
        pause = RETRY;
        if (ending.signal.aborted) await leave(cluster, session);
      } catch (error) {
        if (error instanceof DataDirectoryTaken) return options.onTakenOver?.(error);
        await sleep(pause, undefined, { signal: ending.signal, ref: false }).catch(() => {});
        pause = Math.min(pause * 2, LONGEST_RETRY);
      }
    }
  }
  const staying = stay();

  let closing: Promise<void> | undefined;
  async function close(): Promise<void> {
    ending.abort();
    await leave(cluster, session).catch((error) => {
      if (error instanceof AppError) throw error;
    });
    await staying;
  }
  return {
    connectionString: connectionString(cluster, session.socketDir),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function connectionString({ password }: Cluster, socketDir: string): string {
  return `postgresql://postgres:${password}@localhost:${PORT}/${DATABASE}?host=${encodeURIComponent(socketDir)}`;
}

async function createDatabase({ client }: Session): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
  if (rowCount) return;
  await client.query(`CREATE DATABASE ${DATABASE}`).catch((error) => {
    // duplicate_database, or unique_violation: somebody else's first start was quicker.
    if (error.code !== '42P04' && error.code !== '23505') throw error;
  });
}
