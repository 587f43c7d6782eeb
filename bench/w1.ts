/**
 * W1: client_credentials with a JWT access token, at several numbers of connections and clients. Contenders are loaded
 * in turn, round after round, and compared within each round, because the machine's own speed drifts.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { checkSamples } from './answers.ts';
import { type Contender, type ContenderName, type StartOptions, startContender } from './contenders.ts';
import { cpuSeconds } from './cpu.ts';
import type { LoadJob, LoadResult } from './load.ts';
import { median, printTable, spread } from './report.ts';
import { makeClients } from './seed.ts';

export interface W1Options {
  contenders: ContenderName[];
  pairs: number;
  seconds: number;
  connections: number[];
  clients: number[];
  algorithm: StartOptions['algorithm'];
}

/** One contender in one round. */
interface Measurement {
  clients: number;
  connections: number;
  round: number;
  contender: ContenderName;
  perSecond: number;
  /** Requests per second of processor time of the server and its database. */
  perCpuSecond: number;
  p50: number;
  p99: number;
}

const SCOPE = 'providers:read';

/** @returns every measurement; a wrong answer anywhere throws. */
export async function w1(options: W1Options): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const count of options.clients) {
    const clients = makeClients(count);
    const started: Contender[] = [];
    try {
      for (const name of options.contenders) started.push(await startContender(name, { ...options, clients }));
      for (const connections of options.connections) {
        for (let round = 0; round <= options.pairs; round += 1) {
          for (const contender of started) {
            const measured = await measure(contender, { connections, clients, seconds: round ? options.seconds : 2 });
            // Round 0 is for the just-in-time compiler.
            if (round > 0)
              measurements.push({ clients: count, connections, round, contender: contender.name, ...measured });
          }
        }
        report(measurements, count, connections, options.contenders);
      }
    } finally {
      for (const contender of started) await contender.stop();
    }
  }
  return measurements;
}

async function measure(contender: Contender, job: Pick<LoadJob, 'connections' | 'clients' | 'seconds'>) {
  const endpoint = await tokenPath(contender);
  const before = cpuSeconds(contender.roots());
  const result = await load({ port: contender.port, path: endpoint, scope: SCOPE, ...job });
  const cpu = cpuSeconds(contender.roots()) - before;
  const wrong = Object.keys(result.statuses).filter((status) => status !== '200');
  if (wrong.length > 0) {
    const example = result.samples.find(({ body }) => !body.includes('access_token'))?.body.slice(0, 200);
    throw new Error(`${contender.name} answered ${JSON.stringify(result.statuses)}, e.g. ${example}`);
  }
  if (contender.name !== 'hello') await checkSamples(contender, result.samples, SCOPE);
  const { requests, seconds, p50, p99 } = result;
  return { perSecond: requests / seconds, perCpuSecond: requests / cpu, p50, p99 };
}

async function tokenPath({ name, origin }: Contender): Promise<string> {
  if (name === 'ceiling' || name === 'hello') return '/token';
  const response = await fetch(`${origin}/.well-known/openid-configuration`, { signal: AbortSignal.timeout(5_000) });
  return new URL(((await response.json()) as { token_endpoint: string }).token_endpoint).pathname;
}

async function load(job: LoadJob): Promise<LoadResult> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'load.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), (job.seconds + 30) * 1000);
  child.stdin.end(JSON.stringify(job));
  return (await json(child.stdout).finally(() => clearTimeout(timer))) as LoadResult;
}

function report(all: Measurement[], clients: number, connections: number, names: ContenderName[]): void {
  const of = (name: ContenderName) =>
    all.filter((one) => one.clients === clients && one.connections === connections && one.contender === name);
  const first = of(names[0]!);
  console.log(`\nW1, ${clients} client${clients === 1 ? '' : 's'}, ${connections} connections`);
  printTable(
    names.map((name) => {
      const own = of(name);
      return {
        contender: name,
        'requests/s': spread(own.map((one) => one.perSecond)),
        'per CPU second': spread(own.map((one) => one.perCpuSecond)),
        'p50 ms': median(own.map((one) => one.p50)).toFixed(2),
        'p99 ms': median(own.map((one) => one.p99)).toFixed(2),
        [`${names[0]} / it`]: spread(
          own.map((one, i) => first[i]!.perSecond / one.perSecond),
          2,
        ),
        'per CPU': spread(
          own.map((one, i) => first[i]!.perCpuSecond / one.perCpuSecond),
          2,
        ),
      };
    }),
  );
}
