/**
 * Whoever takes part in a measurement: Latchkey itself and the yardsticks. Starts each as a process of its own on a free
 * port, waits until it answers, knows which processes do its work, and stops it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EmbeddedPostgres, openEmbeddedPostgres } from '../src/storage/embedded/index.ts';
import { seedApp, seedClients } from './seed.ts';

const ROOT = join(import.meta.dirname, '..');

export type ContenderName = 'latchkey' | 'bare' | 'naive' | 'ceiling' | 'hello';
export const CONTENDERS: ContenderName[] = ['latchkey', 'bare', 'naive', 'ceiling', 'hello'];

/** Ids and secrets of service clients. */
export type Clients = [id: string, secret: string][];

export interface StartOptions {
  clients: Clients;
  algorithm: 'ES256' | 'RS256';
  /** How many users that can log in (W2), and how dear their password hash is. */
  users?: { count: number; hash: 'full' | 'cheap' };
  /** Life of Latchkey's access tokens, seconds; default 600, as everybody's. */
  accessTokenTtl?: number;
}

export interface Contender {
  name: ContenderName;
  port: number;
  origin: string;
  /** The process whose descendants, and the database's, do the work. */
  roots(): number[];
  /** Where the embedded database keeps its files, for those that have one. */
  dataDir?: string;
  /** The one app W2 goes through. */
  app: { id: string; secret: string };
  stop(): Promise<void>;
}

/** Runs `work` with the embedded database of a contender that has one. */
export async function withDatabase<T>(
  { dataDir }: Pick<Contender, 'dataDir'>,
  work: (connectionString: string) => Promise<T>,
): Promise<T> {
  const database = await openEmbeddedPostgres({ dataDir: dataDir!, role: 'command' });
  try {
    return await work(database.connectionString);
  } finally {
    await database.close();
  }
}

/** What is running now: how to stop each. */
const running = new Set<() => Promise<void>>();

/** Stops everything still running, for a measurement that is broken off: databases outlive their starter otherwise. */
export async function stopEverything(): Promise<void> {
  for (const stop of [...running].reverse()) await stop().catch(() => {});
}

/** Remembers `stop` until it has run once. */
export function stopLater(stop: () => Promise<void>): () => Promise<void> {
  const once = () => {
    running.delete(once);
    return stop();
  };
  running.add(once);
  return once;
}

/** Starts one contender; what it keeps is under a temporary directory that `stop` removes. */
export async function startContender(name: ContenderName, options: StartOptions): Promise<Contender> {
  const home = await mkdtemp(join(tmpdir(), `latchkey-bench-${name}-`));
  await chmod(home, 0o711); // as root the embedded database runs as another user
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const dataDir = name === 'latchkey' || name === 'naive' ? join(home, 'data') : undefined;
  let database: EmbeddedPostgres | undefined;
  let child: ChildProcess | undefined;

  const stop = stopLater(async () => {
    if (child) await stopProcess(child);
    await database?.close();
    await rm(home, { recursive: true, force: true });
  });

  try {
    const clientsFile = join(home, 'clients.json');
    await writeFile(clientsFile, JSON.stringify(options.clients), { mode: 0o600 });
    const env = { PORT: String(port), CLIENTS_FILE: clientsFile, ALGORITHM: options.algorithm };
    let app = { id: 'app_bench', secret: 'bench-secret-bench-secret-bench-secret' };
    if (name === 'latchkey') {
      await mkdir(dataDir!, { mode: 0o711 });
      const { algorithm, accessTokenTtl } = options;
      child = await startLatchkey({ port, dataDir: dataDir!, algorithm, accessTokenTtl, log: join(home, 'log') });
      database = await openEmbeddedPostgres({ dataDir: dataDir!, role: 'command' });
      await seedClients(database.connectionString, options.clients);
      app = await seedApp(database.connectionString, options.users ?? { count: 0, hash: 'cheap' });
    } else {
      if (dataDir) database = await openEmbeddedPostgres({ dataDir, role: 'server' });
      child = await startReady(`yardsticks/${name}.ts`, join(home, 'log'), {
        ...env,
        DATABASE_URL: database?.connectionString,
      });
    }
    const { pid } = child;
    const roots = () => [pid!, ...(dataDir ? [postmasterPid(dataDir)] : [])];
    return { name, port, origin, roots, dataDir, app, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export interface LatchkeyOptions {
  port: number;
  dataDir: string;
  log: string;
  algorithm?: string;
  accessTokenTtl?: number | undefined;
  databaseUrl?: string;
  /** Default: where it listens. */
  issuer?: string;
  /** Do not wait for /readyz. */
  eager?: boolean;
}

/** Starts Latchkey with its defaults and waits until it is ready. */
export async function startLatchkey(options: LatchkeyOptions): Promise<ChildProcess> {
  const child = await startProcess(join(ROOT, 'src/main.ts'), options.log, {
    PORT: String(options.port),
    DATA_DIR: options.dataDir,
    ACCESS_TOKEN_ALG: options.algorithm,
    ACCESS_TOKEN_TTL: options.accessTokenTtl?.toString(),
    ISSUER: options.issuer,
    ...(options.databaseUrl && { DATABASE_URL: options.databaseUrl, SECRET: 'bench'.repeat(10) }),
  });
  if (!options.eager) {
    await waitFor(child, options.log, () => answers(`http://127.0.0.1:${options.port}/readyz`)).catch(async (error) => {
      await stopProcess(child);
      throw error;
    });
  }
  return child;
}

/** Whether this URL answers 200 right now. */
export async function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    async (response) => {
      await response.body?.cancel();
      return response.status === 200;
    },
    () => false,
  );
}

/** Starts one of our programs with these variables; what it prints goes to `log`. */
export async function startProcess(
  file: string,
  log: string,
  env: Record<string, string | undefined>,
): Promise<ChildProcess> {
  const output = await open(log, 'w');
  // Of our own environment only what a program needs to run: a DATABASE_URL of the user's must not be measured by accident.
  const { PATH, HOME, NODE_OPTIONS } = process.env;
  const child = spawn(process.execPath, [file], {
    cwd: ROOT,
    env: { PATH, HOME, NODE_OPTIONS, NODE_ENV: 'production', ...env },
    stdio: ['ignore', output.fd, output.fd],
    // Out of the terminal's reach: Ctrl-C is ours to pass on.
    detached: true,
  });
  const stop = () => stopProcess(child);
  running.add(stop);
  child.once('exit', () => {
    running.delete(stop);
    output.close().catch(() => {});
  });
  return child;
}

/** Starts one of the programs in this folder and waits until it says `ready`. */
async function startReady(file: string, log: string, env: Record<string, string | undefined>): Promise<ChildProcess> {
  const child = await startProcess(join(ROOT, 'bench', file), log, env);
  await waitFor(child, log, async () => /^ready$/m.test(readFileSync(log, 'utf8'))).catch(async (error) => {
    await stopProcess(child);
    throw error;
  });
  return child;
}

/** A program of this folder that listens on `PORT`. */
export type Program = Pick<Contender, 'port' | 'origin' | 'roots' | 'stop'>;

/** Starts a program that needs nothing but variables. */
export async function startProgram(file: string, env: Record<string, string>): Promise<Program> {
  const home = await mkdtemp(join(tmpdir(), 'latchkey-bench-program-'));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const stop = stopLater(async () => {
    if (child) await stopProcess(child);
    await rm(home, { recursive: true, force: true });
  });
  try {
    child = await startReady(file, join(home, 'log'), { ...env, PORT: String(port) });
    const { pid } = child;
    return { port, origin: `http://localhost:${port}`, roots: () => [pid!], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function waitFor(child: ChildProcess, log: string, ready: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(20)) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    if (await ready()) return;
  }
  throw new Error(`a contender did not start:\n${readFileSync(log, 'utf8').slice(-2_000)}`);
}

/** Asks the process to end, and ends it after ten seconds. */
export async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}

/** A port nobody listens on at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** The embedded database's own process (https://www.postgresql.org/docs/18/storage-file-layout.html). */
export function postmasterPid(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n')[0]);
}
