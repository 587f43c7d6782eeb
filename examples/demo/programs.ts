/** Starting and stopping the demo's programs, each a process of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

export const ROOT = join(import.meta.dirname, '../..');

export interface Program {
  /** Fulfilled when its URL answers; rejected with its last words when it ends instead or takes over a minute. */
  ready: Promise<void>;
  /** Asks it to end, and ends it after ten seconds. */
  stop(): Promise<void>;
}

export interface ProgramOptions {
  /** File below the project's directory. */
  file: string;
  env: Record<string, string>;
  /** Answers (with whatever status) when the program is ready. */
  url: string;
  /** Told every line the program writes. */
  onLine?: (line: string) => void;
}

/** Starts a program. */
export function startProgram({ file, env, url, onLine }: ProgramOptions): Program {
  const child = spawn(process.execPath, [file], {
    cwd: ROOT,
    env: { ...inherited(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Out of the terminal's reach: Ctrl-C is ours to pass on, once and in order.
    detached: true,
  });
  const lastLines: string[] = [];
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
      lastLines.push(line);
      if (lastLines.length > 20) lastLines.shift();
      onLine?.(line);
    });
  }

  async function waitUntilReady(): Promise<void> {
    for (const deadline = Date.now() + 60_000; Date.now() < deadline && !hasEnded(child); await sleep(25)) {
      const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(2_000) }).catch(
        () => undefined,
      );
      await answer?.body?.cancel();
      if (answer && answer.status !== 503) return;
    }
    throw new Error(`${file} did not start:\n${lastLines.join('\n')}`);
  }
  return { ready: waitUntilReady(), stop: () => stop(child) };
}

/** Runs a program to its end and returns what it wrote. */
export async function runProgram(file: string, args: string[], env: Record<string, string>): Promise<string> {
  const options = { cwd: ROOT, env: { ...inherited(), ...env }, timeout: 60_000 };
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args], options).catch((error) => {
    throw new Error(`${[file, ...args.slice(0, 2)].join(' ')} failed: ${error.stderr || error.message}`);
  });
  return stdout.trimEnd();
}

/** @throws Error saying which port is taken and how to choose another */
export async function checkPortIsFree(port: number, variable: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve()));
  }).catch((cause) => {
    throw new Error(`Port ${port} is in use. Stop what uses it, or choose another with ${variable}=…`, { cause });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}

/** What a program needs to run, and no more: the demo must not end up in the database that DATABASE_URL names. */
function inherited() {
  const { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE } = process.env;
  return { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE };
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
