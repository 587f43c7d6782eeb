import type { ChildProcess } from 'node:child_process';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import { type Cluster, isRunning } from './cluster.ts';
import { PORT } from './socket-directory.ts';

/** The server process of a cluster, as `postmaster.pid` describes it. */
export interface Postmaster {
  pid: number;
  socketDir: string;
  /** `starting`, `ready`, `stopping`, or empty while the file is being written. */
  status: string;
}

const LOG_LIMIT = 10 * 1024 * 1024;

/** The cluster's running server, or undefined when there is none. Clears away a pid file that names a stranger. */
export async function findPostmaster(cluster: Cluster): Promise<Postmaster | undefined> {
  const file = path.join(cluster.dir, 'postmaster.pid');
  const content = await readFile(file, 'utf8').catch(() => undefined);
  if (content === undefined) return undefined;
  // https://www.postgresql.org/docs/18/storage-file-layout.html: pid, data directory, start time, port, socket
  // directory, listen address, shared memory key, status.
  const lines = content.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (!isRunning(pid)) return undefined;
  if (!(await isPostgres(pid))) {
    await removeStale(file, content);
    return undefined;
  }
  return { pid, socketDir: lines[4] || cluster.socketDir, status: lines[7]?.trim() ?? '' };
}

// After a power cut or in a restarted container the pid may be another program's, or a dead child nobody collected.
// PostgreSQL itself asks only whether the pid is in use, and would refuse to start.
async function isPostgres(pid: number): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  return command === undefined || path.basename(command.split('\0')[0] ?? '') === 'postgres';
}

// Moved aside and compared first: by now another start may have put its own file there.
async function removeStale(file: string, content: string): Promise<void> {
  const aside = `${file}.${process.pid}`;
  try {
    await rename(file, aside);
    if ((await readFile(aside, 'utf8')) === content) await rm(aside);
    else await rename(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Starts the cluster's server without waiting for it; of two started at once PostgreSQL lets one live. */
export async function startPostmaster(cluster: Cluster): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '',
    unix_socket_directories: quoteList(cluster.socketDir),
    unix_socket_permissions: '0700',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_checkpoints: 'off',
    // Row values, an e-mail address say, stay out of the log.
    log_error_verbosity: 'terse',
    ...cluster.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const log = await openLog(cluster.log);
  try {
    const child = cluster.runner.spawn(
      cluster.binaries.postgres,
      ['-D', cluster.dir, '-p', String(PORT), ...flags],
      ['ignore', log.fd, log.fd],
    );
    child.unref();
    child.on('error', () => {}); // has no pid then, which the caller sees
    return child;
  } finally {
    await log.close();
  }
}

async function openLog(file: string) {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  return open(file, size > LOG_LIMIT ? 'w' : 'a', 0o600);
}

function quoteList(directory: string): string {
  return `"${directory.replaceAll('"', '""')}"`;
}

/** Why the server process `pid` gave up, in its own words, or undefined when it gave no reason. */
export async function complaintOf(cluster: Cluster, pid: number | undefined): Promise<string | undefined> {
  const lines = (await readFile(cluster.log, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-200);
  const own = lines.findLast((line) => line.includes(`[${pid}] FATAL`) || line.includes(`[${pid}] PANIC`));
  // What fails before PostgreSQL's own code runs has no time and no pid.
  const said = own ?? lines.findLast((line) => /^setpriv:|^postgres:|shared libraries/.test(line));
  return said?.replace(/^.*?(FATAL|PANIC):\s*/, '');
}

/**
 * Asks the server to disconnect everybody and shut down cleanly, and waits until it has.
 *
 * @throws AppError `internal` when it has not after 30 seconds
 */
export async function stopPostmaster(cluster: Cluster): Promise<void> {
  const running = await findPostmaster(cluster);
  if (!running) return;
  process.kill(running.pid, 'SIGINT'); // "fast": https://www.postgresql.org/docs/18/server-shutdown.html
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(5)) {
    // The pid file goes a moment before the process does.
    const named = (await findPostmaster(cluster))?.pid === running.pid;
    if (!named && !(isRunning(running.pid) && (await isPostgres(running.pid)))) return;
  }
  throw new AppError('internal', `The embedded PostgreSQL did not stop within 30 seconds; see ${cluster.log}.`);
}
