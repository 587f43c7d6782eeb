/** Latchkey as a process of its own: `node src/main.ts`, on a free port, with no environment but what it is given. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { send } from './request.ts';

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Process {
  pid: number;
  port: number;
  /** The default issuer: `http://localhost:<port>`. */
  origin: string;
  /** Every log line so far, parsed. */
  log(): Record<string, unknown>[];
  stderr(): string;
  /** Sends the signal and waits for the end, ten seconds at most. */
  stop(signal?: NodeJS.Signals): Promise<Finished>;
  exited: Promise<Finished>;
}

export interface ProcessOptions {
  env?: Record<string, string>;
  /** Default: one that is free now. */
  port?: number;
  args?: string[];
}

const LONGEST_START_MS = 20_000;
const running = new Set<Process>();

/** Starts a server and waits until `/readyz` says 200. @throws Error with its stderr when it ends before that */
export async function startProcess(options: ProcessOptions = {}): Promise<Process> {
  const child = await spawnMain(options);
  const deadline = Date.now() + LONGEST_START_MS;
  let ended: Finished | undefined;
  void child.exited.then((finished) => {
    ended = finished;
  });
  while (ended === undefined && Date.now() < deadline) {
    const ready = await send(child.port, { path: '/readyz' }).catch(() => undefined);
    if (ready?.status === 200) return child;
    await sleep(20);
  }
  throw new Error(`src/main.ts did not get ready\n${child.stderr()}`);
}

/** Runs `src/main.ts` until it ends by itself. */
export async function runToEnd(options: ProcessOptions = {}): Promise<Finished> {
  const child = await spawnMain(options);
  return within(child.exited, LONGEST_START_MS, child);
}

/** Ends, by force, whatever a test left running. */
export async function killRemaining(): Promise<void> {
  await Promise.all([...running].map((child) => child.stop('SIGKILL')));
}

/** Starts `src/main.ts` and does not wait for anything. */
export async function spawnMain({ env = {}, port, args = [] }: ProcessOptions = {}): Promise<Process> {
  const chosen = port ?? (await freePort());
  const child = spawn(process.execPath, ['src/main.ts', ...args], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, PORT: String(chosen), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err] = [collect(child.stdout), collect(child.stderr)];
  const exited = once(child, 'close').then(([code, signal]) => {
    running.delete(handle);
    return { code, signal, stdout: out.text, stderr: err.text };
  });
  const handle: Process = {
    pid: child.pid!,
    port: chosen,
    origin: `http://localhost:${chosen}`,
    log: () =>
      out.text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
    stderr: () => err.text,
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return within(exited, 15_000, handle);
    },
    exited,
  };
  running.add(handle);
  return handle;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function collect(stream: NodeJS.ReadableStream): { text: string } {
  const collected = { text: '' };
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    collected.text += chunk;
  });
  return collected;
}

async function within(exited: Promise<Finished>, ms: number, child: Process): Promise<Finished> {
  const giveUp = new AbortController();
  const late = sleep(ms, undefined, { signal: giveUp.signal }).then(() => {
    throw new Error(`process ${child.pid} did not end in ${ms} ms\n${child.stderr()}`);
  });
  return Promise.race([exited, late]).finally(() => {
    late.catch(() => {});
    giveUp.abort();
  });
}
