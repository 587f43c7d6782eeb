/**
 * `npm run bench -- w1|w2|w3|w4|w5|list|pages`: measurements against yardsticks in the same run, on loopback, for people to read. Owns the
 * workloads, the yardsticks and the load; nothing in the server or the tests knows of it.
 */
import { parseArgs } from 'node:util';
import { CONTENDERS, type ContenderName, stopEverything } from './contenders.ts';
import { list } from './list.ts';
import { pages } from './pages.ts';
import { writeJson } from './report.ts';
import { w1 } from './w1.ts';
import { w2 } from './w2.ts';
import { w3 } from './w3.ts';
import { w4 } from './w4.ts';
import { w5 } from './w5.ts';

const HELP = `npm run bench -- <workload> [options]

  w1   client_credentials                    --connections 16,64 --clients 1,50,1000
  w2   authorize, login, consent, code, refresh   --parallel 8 --hash full|cheap
  w3   introspection, and API keys checked in process   --connections 16
  w4   the middleware in a Koa app           --connections 16
  w5   cold start to the first token
  list pages of 100,000 API keys             database time; target 50 ms
  pages the console with 100,000 API keys    server time and size; targets 50 ms, 100 kB

  --contenders a,b   who is measured, the first against each of the others: ${CONTENDERS.join(', ')}
                     (default latchkey,bare)
  --pairs 5          rounds of everybody in turn
  --seconds 5        length of one measurement
  --algorithm ES256  how access tokens are signed: ES256 or RS256
  --json FILE        every measurement, as JSON`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    contenders: { type: 'string', default: 'latchkey,bare' },
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string' },
    clients: { type: 'string', default: '1,50,1000' },
    parallel: { type: 'string', default: '8' },
    hash: { type: 'string', default: 'full' },
    algorithm: { type: 'string', default: 'ES256' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const common = {
  contenders: values.contenders.split(',').map(contender),
  pairs: number(values.pairs),
  seconds: number(values.seconds),
  algorithm: oneOf('algorithm', values.algorithm, ['ES256', 'RS256']),
};
const workloads: Record<string, () => Promise<unknown>> = {
  w1: () => w1({ ...common, connections: numbers(values.connections ?? '16,64'), clients: numbers(values.clients) }),
  w2: () => w2({ ...common, parallel: number(values.parallel), hash: oneOf('hash', values.hash, ['full', 'cheap']) }),
  w3: () => w3({ ...common, connections: numbers(values.connections ?? '16') }),
  w4: () => w4({ ...common, connections: numbers(values.connections ?? '16') }),
  w5: () => w5(common),
  list: () => list(common),
  pages: () => pages(common),
};

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await stopEverything();
    process.exit(1);
  });
}

const workload = workloads[positionals[0] ?? ''];
if (values.help || !workload) {
  console.log(HELP);
  process.exitCode = values.help ? 0 : 1;
} else {
  try {
    await writeJson(values.json, await workload());
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}

function contender(name: string): ContenderName {
  return oneOf('contenders', name, CONTENDERS);
}

function oneOf<T extends string>(option: string, value: string, allowed: T[]): T {
  const found = allowed.find((one) => one === value);
  if (!found) throw new Error(`--${option}: ${value} is not one of ${allowed.join(', ')}`);
  return found;
}

function numbers(list: string): number[] {
  return list.split(',').map(number);
}

function number(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1_000_000)) throw new Error(`${text} is not a number above 0`);
  return value;
}
