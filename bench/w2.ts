/**
 * W2: whole flows with fresh cookies: authorize, login, consent, code, refresh. The yardsticks check no password, so with
 * the full hash the one to compare with is "hash": the password check alone.
 */
import { type Contender, type ContenderName, type StartOptions, startContender } from './contenders.ts';
import { cpuSeconds } from './cpu.ts';
import type { FlowJob, FlowResult } from './flows.ts';
import { runJson } from './measure.ts';
import { median, printTable, spread } from './report.ts';
import { makeClients, PASSWORD, REDIRECT_URI } from './seed.ts';
import { countStatements } from './statements.ts';

export interface W2Options {
  contenders: ContenderName[];
  pairs: number;
  seconds: number;
  parallel: number;
  hash: 'full' | 'cheap';
  algorithm: StartOptions['algorithm'];
}

interface Measurement {
  contender: string;
  round: number;
  perSecond: number;
  perCpuSecond: number;
  p50: number;
  p99: number;
}

const USERS = 64;
const COUNTED_FLOWS = 20;

/** @returns every measurement; a flow that fails throws. */
export async function w2(
  options: W2Options,
): Promise<{ measurements: Measurement[]; statements: Record<string, number> }> {
  const { contenders, pairs, seconds, parallel, hash, algorithm } = options;
  const measurements: Measurement[] = [];
  const statements: Record<string, number> = {};
  const started: Contender[] = [];
  try {
    for (const name of contenders) {
      started.push(await startContender(name, { algorithm, clients: makeClients(1), users: { count: USERS, hash } }));
    }
    for (let round = 0; round <= pairs; round += 1) {
      for (const contender of started) {
        const measured = await measure(contender, { seconds: round ? seconds : 2, parallel });
        if (round > 0) measurements.push({ contender: contender.name, round, ...measured });
      }
      if (round > 0 && hash === 'full') measurements.push({ contender: 'hash', round, ...(await hashOnly(seconds)) });
    }
    for (const contender of started.filter(({ dataDir }) => dataDir)) {
      const count = await countStatements(contender.dataDir!, () =>
        flows(contender, { seconds: 60, parallel: 1, most: COUNTED_FLOWS }),
      );
      statements[contender.name] = count / COUNTED_FLOWS;
    }
  } finally {
    for (const contender of started) await contender.stop();
  }
  report(measurements, contenders[0]!, `${parallel} parallel, ${hash} password hash`);
  for (const [name, count] of Object.entries(statements))
    console.log(`${name}: ${count.toFixed(1)} SQL statements a flow`);
  return { measurements, statements };
}

async function measure(contender: Contender, job: Pick<FlowJob, 'seconds' | 'parallel'>) {
  const before = cpuSeconds(contender.roots());
  const { flows: done, seconds, p50, p99 } = await flows(contender, job);
  return { perSecond: done / seconds, perCpuSecond: done / (cpuSeconds(contender.roots()) - before), p50, p99 };
}

async function flows(
  { origin, app }: Contender,
  job: Pick<FlowJob, 'seconds' | 'parallel' | 'most'>,
): Promise<FlowResult> {
  const whole: FlowJob = { origin, app, redirectUri: REDIRECT_URI, password: PASSWORD, users: USERS, ...job };
  return (await runJson('flows.ts', job.seconds + 30, {}, whole)) as FlowResult;
}

async function hashOnly(seconds: number) {
  const answer = await runJson('yardsticks/hash.ts', seconds + 30, { SECONDS: String(seconds) });
  const { checks, seconds: took, cpuSeconds: cpu } = answer as { checks: number; seconds: number; cpuSeconds: number };
  return { perSecond: checks / took, perCpuSecond: checks / cpu, p50: 0, p99: 0 };
}

function report(all: Measurement[], first: string, title: string): void {
  const of = (name: string) => all.filter((one) => one.contender === name);
  console.log(`\nW2, ${title}`);
  printTable(
    [...new Set(all.map((one) => one.contender))].map((name) => {
      const own = of(name);
      return {
        contender: name,
        'flows/s': spread(
          own.map((one) => one.perSecond),
          1,
        ),
        'per CPU second': spread(
          own.map((one) => one.perCpuSecond),
          1,
        ),
        'p50 ms': median(own.map((one) => one.p50)).toFixed(1),
        'p99 ms': median(own.map((one) => one.p99)).toFixed(1),
        [`${first} / it`]: spread(
          own.map((one, i) => of(first)[i]!.perSecond / one.perSecond),
          2,
        ),
      };
    }),
  );
}
