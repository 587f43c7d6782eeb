/** One contender under load: how fast, how dear, and whether every answer was the right one. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { cpuSeconds } from './cpu.ts';
import type { LoadJob, LoadResult } from './load.ts';
import { median, printTable, spread } from './report.ts';

export interface Measured {
  perSecond: number;
  /** Requests per second of processor time of the server and its database. */
  perCpuSecond: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
}

/** Who is loaded: how it is called, and whose processor time counts. */
export interface Loaded {
  name: string;
  roots(): number[];
}

/** Runs the load generator. */
export async function load(job: LoadJob): Promise<LoadResult> {
  return (await runJson('load.ts', job.seconds + 30, {}, job)) as LoadResult;
}

/** Runs one of our programs with `input`, and answers what it writes. @param limit seconds until it is killed */
export async function runJson(
  file: string,
  limit: number,
  env: Record<string, string>,
  input?: unknown,
): Promise<unknown> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), limit * 1000);
  child.stdin.end(JSON.stringify(input ?? null));
  return json(child.stdout).finally(() => clearTimeout(timer));
}

/** @throws Error with the first wrong answer */
export async function measure(
  { name, roots }: Loaded,
  job: LoadJob,
): Promise<Measured & Pick<LoadResult, 'requests' | 'samples'>> {
  const before = cpuSeconds(roots());
  const { requests, seconds, p50, p99, samples, wrong, statuses } = await load(job);
  const cpu = cpuSeconds(roots()) - before;
  if (wrong > 0) {
    const { about, status, body } = samples.find(({ right }) => !right)!;
    const example = `${about} was answered ${status} ${body.slice(0, 300)}`;
    throw new Error(`${name}: ${wrong} wrong answers of ${requests} (${JSON.stringify(statuses)}), e.g. ${example}`);
  }
  return { perSecond: requests / seconds, perCpuSecond: requests / cpu, p50, p99, requests, samples };
}

/**
 * Prints one row for each contender: medians and spreads, and how often as fast as each of `yardsticks` it is, compared
 * within each round.
 */
export function printMeasured(rows: ReadonlyMap<string, Measured[]>, yardsticks: string[]): void {
  printTable(
    [...rows].map(([contender, own]) => ({
      contender,
      'requests/s': spread(own.map((one) => one.perSecond)),
      'per CPU second': spread(own.map((one) => one.perCpuSecond)),
      'p50 ms': median(own.map((one) => one.p50)).toFixed(2),
      'p99 ms': spread(
        own.map((one) => one.p99),
        2,
      ),
      ...Object.fromEntries(
        yardsticks.flatMap((name) => [
          [`/ ${name}`, ratio(own, rows.get(name)!, 'perSecond')],
          [`/ ${name}, CPU`, ratio(own, rows.get(name)!, 'perCpuSecond')],
        ]),
      ),
    })),
  );
}

/** How often as much as the yardstick, round by round: median and spread. */
export function ratio(own: Measured[], yardstick: Measured[], what: 'perSecond' | 'perCpuSecond'): string {
  return own === yardstick
    ? ''
    : spread(
        own.map((one, round) => one[what] / yardstick[round]![what]),
        2,
      );
}
