/**
 * W1: client_credentials with a JWT access token, at several numbers of connections and clients. Contenders are loaded
 * in turn, round after round, and compared within each round, because the machine's own speed drifts.
 */
import { checkSamples } from './answers.ts';
import { type Clients, type Contender, type ContenderName, type StartOptions, startContender } from './contenders.ts';
import { type LoadJob, post } from './load.ts';
import { type Measured, measure } from './measure.ts';
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
interface Measurement extends Measured {
  clients: number;
  connections: number;
  round: number;
  contender: ContenderName;
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
            const measured = await tokens(contender, clients, { connections, seconds: round ? options.seconds : 2 });
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

async function tokens(
  contender: Contender,
  clients: Clients,
  job: Pick<LoadJob, 'connections' | 'seconds'>,
): Promise<Measured> {
  const path = await tokenPath(contender);
  const form = { grant_type: 'client_credentials', scope: SCOPE };
  const requests = clients.map(([client_id, client_secret]) => ({
    text: post(contender.port, path, { ...form, client_id, client_secret }),
    about: client_id,
  }));
  const { samples, requests: _, ...measured } = await measure(contender, { port: contender.port, requests, ...job });
  if (contender.name !== 'hello') await checkSamples(contender, samples, SCOPE);
  return measured;
}

async function tokenPath({ name, origin }: Contender): Promise<string> {
  if (name === 'ceiling' || name === 'hello') return '/token';
  const response = await fetch(`${origin}/.well-known/openid-configuration`, { signal: AbortSignal.timeout(5_000) });
  return new URL(((await response.json()) as { token_endpoint: string }).token_endpoint).pathname;
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
