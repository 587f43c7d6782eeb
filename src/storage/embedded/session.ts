import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { AppError } from '../../errors.ts';
import type { Cluster } from './cluster.ts';
import { complaintOf, findPostmaster, startPostmaster, stopPostmaster } from './postmaster.ts';
import { PORT } from './socket-directory.ts';

export type Role = 'server' | 'command';

/**
 * One process's stay in the cluster: an open connection to its maintenance database that holds our advisory locks, so
 * that the operating system releases them however the process ends.
 */
export interface Session {
  client: Client;
  socketDir: string;
  /** Resolves when the connection is gone, for whatever reason. */
  lost: Promise<void>;
}

/** Another Latchkey server is there already. */
export class DataDirectoryTaken extends AppError {
  constructor(dataDir: string) {
    super(
      'failed_precondition',
      `Another Latchkey server is already using the data directory ${dataDir}. ` +
        'Stop it, or set DATA_DIR to another directory.',
    );
  }
}

// Advisory lock keys in the maintenance database. Everybody shares USERS; who gets it alone may stop the server.
const USERS = [0x6c6b, 1];
const SERVER = [0x6c6b, 2];

const PAUSE = 10;
const UNRESPONSIVE = 10_000;
const RECOVERY = 300_000;
const LAST_OWNER = 500;

/**
 * Joins the cluster's running server, or starts it first. Waits out one that is shutting down (10 s at most) or still
 * recovering from a crash (5 minutes at most).
 *
 * @throws DataDirectoryTaken when `role` is `server` and another one is there already
 * @throws AppError `failed_precondition` when the server does not start or answer
 */
export async function join(cluster: Cluster, role: Role, dataDir: string): Promise<Session> {
  let started: ChildProcess | undefined;
  let failure: unknown;
  for (const began = Date.now(); ; await sleep(PAUSE)) {
    const running = await findPostmaster(cluster);
    if (running?.status === 'ready') {
      const session = await connect(cluster, running.socketDir).catch((error) => {
        failure = error;
      });
      if (session) {
        if (role === 'server') await becomeServer(cluster, session, dataDir);
        return session;
      }
    } else if (!running && (!started || hasEnded(started))) {
      if (started) await considerFailure(cluster, started);
      started = await startPostmaster(cluster);
    }
    const patience = running?.status === 'starting' ? RECOVERY : UNRESPONSIVE;
    if (Date.now() - began > patience) throw notAnswering(cluster, failure);
  }
}

/**
 * Ends a stay; the last one to leave stops the server.
 *
 * @throws AppError `internal` when the server does not stop
 */
export async function leave(cluster: Cluster, session: Session): Promise<void> {
  try {
    // First let go, then ask: of several who leave at once, the last to ask finds nobody else.
    await session.client.query('SELECT pg_advisory_unlock_all()');
    if (await tryLock(session.client, 'pg_try_advisory_lock', USERS)) await stopPostmaster(cluster);
  } finally {
    await session.client.end().catch(() => {});
  }
}

// Undefined when somebody who leaves is about to stop the server.
async function connect(cluster: Cluster, socketDir: string): Promise<Session | undefined> {
  const client = new Client({
    host: socketDir,
    port: PORT,
    user: 'postgres',
    password: cluster.password,
    database: 'postgres',
    ssl: false,
    application_name: 'latchkey (data directory in use)',
    options: '-c idle_session_timeout=0 -c client_connection_check_interval=0',
    connectionTimeoutMillis: UNRESPONSIVE,
  });
  const lost = new Promise<void>((resolve) => client.once('end', resolve));
  client.on('error', () => {}); // "end" follows
  await client.connect();
  if (await tryLock(client, 'pg_try_advisory_lock_shared', USERS)) return { client, socketDir, lost };
  await client.end();
  return undefined;
}

// A killed server's connection lives on for a moment, until the database notices; so ask for a while.
async function becomeServer(cluster: Cluster, session: Session, dataDir: string): Promise<void> {
  for (const deadline = Date.now() + LAST_OWNER; ; await sleep(50)) {
    if (await tryLock(session.client, 'pg_try_advisory_lock', SERVER)) return;
    if (Date.now() > deadline) break;
  }
  await leave(cluster, session);
  throw new DataDirectoryTaken(dataDir);
}

async function tryLock(client: Client, lock: string, key: number[]): Promise<boolean> {
  const { rows } = await client.query(`SELECT ${lock}($1, $2) AS taken`, key);
  return rows[0].taken;
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

// A start may fail because somebody else is starting it too, or because the last server's processes are not quite gone.
async function considerFailure(cluster: Cluster, started: ChildProcess): Promise<void> {
  const why = (await complaintOf(cluster, started.pid)) ?? 'it gave no reason';
  if (!/lock file|still in use/.test(why) && started.exitCode !== 0) {
    throw new AppError('failed_precondition', `The embedded PostgreSQL did not start: ${why} (see ${cluster.log})`);
  }
  await sleep(50);
}

function notAnswering(cluster: Cluster, cause: unknown): AppError {
  const what = `The embedded PostgreSQL in ${cluster.dir} does not answer`;
  return new AppError('failed_precondition', `${what}; see ${cluster.log}.`, { cause });
}
