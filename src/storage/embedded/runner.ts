import { type ChildProcess, execFile, type StdioOptions, spawn } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../../errors.ts';
import type { Binaries } from './binaries.ts';

/** A numeric user and group. */
export interface Owner {
  uid: number;
  gid: number;
}

/** Starts the PostgreSQL programs as a user PostgreSQL agrees to run as. */
export interface Runner {
  /** Who must own the cluster; undefined when that is simply us. */
  owner: Owner | undefined;
  /** Starts `command` in a session of its own, so a terminal's Ctrl-C does not reach it. */
  spawn(command: string, args: string[], stdio: StdioOptions): ChildProcess;
}

// Nothing of our own environment: it may hold secrets, and PG* variables would change what the programs do.
const ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/**
 * Decides as whom to run PostgreSQL, which refuses to run as root. As an ordinary user: as that user. As root: as the
 * owner of the existing cluster, else `postgres`, else `nobody`, which must be able to reach the programs and the data;
 * when a directory above them is closed to that user, the programs get the one capability that opens it.
 *
 * @param dataDir absolute; exists
 * @throws AppError `failed_precondition` when no such user exists, or it cannot reach the files
 */
export async function chooseRunner(binaries: Binaries, dataDir: string): Promise<Runner> {
  const cluster = path.join(dataDir, 'postgres');
  const existing = await stat(cluster).catch(() => undefined);
  const uid = process.getuid?.();
  if (uid !== 0) {
    if (existing && existing.uid !== uid) throw foreignOwner(cluster, existing.uid);
    return { owner: undefined, spawn: (command, args, stdio) => start(command, args, { stdio }) };
  }
  if (existing?.uid === 0) throw foreignOwner(cluster, 0);
  const owner = existing ? { uid: existing.uid, gid: existing.gid } : await unprivilegedUser();
  const needed = [binaries.initdb, binaries.postgres, binaries.share, path.join(dataDir, 'postgres')];
  const open = await Promise.all(needed.map((file) => canReach(owner, file)));
  if (open.every(Boolean)) {
    return { owner, spawn: (command, args, stdio) => start(command, args, { stdio, ...owner }) };
  }
  const prefix = setprivArguments(owner);
  await probe(prefix, binaries, dataDir);
  return { owner, spawn: (command, args, stdio) => start('setpriv', [...prefix, command, ...args], { stdio }) };
}

function start(command: string, args: string[], options: { stdio: StdioOptions; uid?: number; gid?: number }) {
  return spawn(command, args, { ...options, cwd: '/', env: ENV, detached: true });
}

// dac_override, not the narrower dac_read_search, because containers get the first by default and not the second.
// Without no_setuid_fixup, access(2), which PostgreSQL asks about its programs, leaves the capability out.
function setprivArguments({ uid, gid }: Owner): string[] {
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--securebits=+no_setuid_fixup'];
  return [...ids, '--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--'];
}

// "initdb --show" looks for its programs and files as the real run does, and writes nothing.
async function probe(prefix: string[], { initdb }: Binaries, dataDir: string): Promise<void> {
  const show = [...prefix, initdb, '--show', `--pgdata=${dataDir}/none`];
  try {
    await promisify(execFile)('setpriv', show, { cwd: '/', env: ENV, timeout: 10_000 });
  } catch (cause) {
    throw new AppError(
      'failed_precondition',
      'PostgreSQL cannot run as root, and the user it would run as may not enter the directory of this program ' +
        `(${path.dirname(initdb)}) or of its data (${dataDir}). Move both to a directory that other users can ` +
        'enter (chmod o+x), or start Latchkey as an ordinary user, or set DATABASE_URL to a PostgreSQL server.',
      { cause },
    );
  }
}

async function unprivilegedUser(): Promise<Owner> {
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
  for (const name of ['postgres', 'nobody']) {
    const [, uid, gid] = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(users) ?? [];
    if (uid !== undefined && gid !== undefined && Number(uid) !== 0) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new AppError(
    'failed_precondition',
    'PostgreSQL cannot run as root, and this system has neither a user postgres nor a user nobody. ' +
      'Start Latchkey as an ordinary user, or set DATABASE_URL to a PostgreSQL server.',
  );
}

function foreignOwner(cluster: string, uid: number): AppError {
  const advice =
    uid === 0
      ? `PostgreSQL cannot run as root. Give the directory to another user (chown -R nobody ${cluster})`
      : 'Start Latchkey as that user';
  return new AppError(
    'failed_precondition',
    `The database in ${cluster} belongs to user id ${uid}. ${advice}, or set DATA_DIR to another directory.`,
  );
}

// Whether every directory above an existing file may be searched, and the file read, judged by the permission bits.
async function canReach(owner: Owner, file: string): Promise<boolean> {
  for (let at = path.dirname(file); ; at = path.dirname(at)) {
    if (!(await allows(owner, at, 0o1))) return false;
    if (at === path.dirname(at)) break;
  }
  return allows(owner, file, 0o4);
}

async function allows(owner: Owner, file: string, wanted: number): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (!found) return true; // not made yet: its maker decides
  const shift = found.uid === owner.uid ? 6 : found.gid === owner.gid ? 3 : 0;
  return ((found.mode >> shift) & wanted) === wanted;
}
