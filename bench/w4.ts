/**
 * W4: what the middleware costs a Koa app whose issuer is a Latchkey beside it. Tokens it has not seen, against the same
 * app with other JWT libraries; tokens and API keys it has seen, against an app that checks nothing ("hello").
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Clients,
  type Contender,
  type Program,
  startContender,
  startProgram,
  withDatabase,
} from './contenders.ts';
import { endpointsOf, forgeTokens, type IssuedToken, issueTokens, revokeTokens } from './credentials.ts';
import { get, type LoadJob, type LoadRequest } from './load.ts';
import { type Measured, measure, printMeasured, ratio } from './measure.ts';
import { makeClients } from './seed.ts';
import { allowIntrospection, RESOURCE_SCOPE, RESOURCES, seedApiKeys, seedResources } from './seed-credentials.ts';

export interface W4Options {
  pairs: number;
  seconds: number;
  connections: number[];
}

/** More than the middleware keeps: presented in turn, none of them is remembered when it comes again. */
const FIRST_SEEN = 15_000;
const SEEN = 50;

/** The apps, and what each is sent. Compared are rows of the same name before the comma. */
interface Case {
  name: string;
  app: Program;
  requests: LoadRequest[];
  /** Whether every request must be one the app does not remember. */
  first?: boolean;
}

/** @returns every measurement; a wrong answer anywhere throws. */
export async function w4({ pairs, seconds, connections }: W4Options): Promise<Record<string, Measured[]>> {
  const measurements: Record<string, Measured[]> = {};
  const started: { stop(): Promise<void> }[] = [];
  const keep = <T extends { stop(): Promise<void> }>(one: T): T => {
    started.push(one);
    return one;
  };
  try {
    const clients = makeClients(17);
    const issuer = keep(
      await startContender('latchkey', {
        algorithm: 'ES256',
        clients,
        users: { count: 8, hash: 'cheap' },
        accessTokenTtl: 3_600,
      }),
    );
    const credentials = await makeCredentials(issuer, clients);
    const apps = await startApps(issuer, clients[0]!, keep);
    const cases = makeCases(apps, credentials);
    const { revocation_feed_endpoint: feed } = await endpointsOf(issuer.origin);
    await checkRefusals(apps, credentials, feed !== undefined);
    for (const count of connections) {
      const rows = new Map(cases.map(({ name }) => [name, [] as Measured[]]));
      const next = new Map<string, number>();
      for (let round = 0; round <= pairs; round += 1) {
        for (const { name, app, requests, first } of cases) {
          const from = next.get(name) ?? 0;
          const job: LoadJob = { port: app.port, connections: count, requests, seconds: round ? seconds : 2 };
          const loaded = { name, roots: app.roots };
          const { samples: _, requests: done, ...measured } = await measure(loaded, first ? { ...job, from } : job);
          next.set(name, (from + done) % requests.length);
          // Round 0 is for the just-in-time compiler.
          if (round > 0) rows.get(name)!.push(measured);
        }
      }
      report(rows, `${count} connections, ${feed ? 'following' : 'without'} a revocation feed`);
      for (const [name, own] of rows) measurements[`${name}, ${count} connections`] = own;
    }
  } finally {
    for (const one of started.reverse()) await one.stop();
  }
  return measurements;
}

interface Credentials {
  first: IssuedToken[];
  seen: IssuedToken[];
  keys: string[];
  /** What nobody may be let in with, by why. */
  bad: Record<string, string>;
  revoked: string;
  badKeys: string[];
}

async function makeCredentials(issuer: Contender, clients: Clients): Promise<Credentials> {
  const [[caller], ...holders] = clients as [Clients[number], ...Clients];
  const keys = await withDatabase(issuer, async (connectionString) => {
    const ids = holders.map(([id]) => id);
    await seedResources(connectionString, ids);
    await allowIntrospection(connectionString, caller);
    return seedApiKeys(connectionString, { valid: 2 * SEEN, expired: 2, revoked: 2, forged: 2 });
  });
  const [expired] = await issueTokens(issuer, holders, 1, { resource: RESOURCES.short });
  const [other] = await issueTokens(issuer, holders, 1, { resource: RESOURCES.other, scope: RESOURCE_SCOPE });
  const tokens = await issueTokens(issuer, holders, FIRST_SEEN + SEEN + 1);
  const [revoked] = tokens.splice(0, 1) as [IssuedToken];
  await revokeTokens(issuer.origin, holders, [revoked]);
  const seen = tokens.splice(0, SEEN);
  const [forged] = await forgeTokens(seen.slice(0, 1));
  const unsigned = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${seen[0]!.text.split('.')[1]}.`;
  return {
    ...{ first: tokens, seen, revoked: revoked.text },
    bad: { forged: forged!.text, expired: expired!.text, 'for another API': other!.text, unsigned },
    // Personal keys do not say whose they are to the load generator; team keys all stand for the same team.
    keys: keys.filter(({ state, text }) => state === 'valid' && text.startsWith('lkt_')).map(({ text }) => text),
    badKeys: keys.filter(({ state }) => state !== 'valid').map(({ text }) => text),
  };
}

type Apps = Record<'hello' | 'fast-jwt' | 'jsonwebtoken' | 'latchkey', Program>;

async function startApps(
  issuer: Contender,
  [clientId, clientSecret]: Clients[number],
  keep: (app: Program) => Program,
): Promise<Apps> {
  const { jwks_uri } = await endpointsOf(issuer.origin);
  const env = { ISSUER: issuer.origin, AUDIENCE: `${issuer.origin}/api`, JWKS_URI: jwks_uri };
  const secret = { CLIENT_ID: clientId, CLIENT_SECRET: clientSecret };
  return {
    hello: keep(await startProgram('yardsticks/hello.ts', env)),
    'fast-jwt': keep(await startProgram('yardsticks/fast-jwt.ts', env)),
    jsonwebtoken: keep(await startProgram('yardsticks/jsonwebtoken.ts', env)),
    latchkey: keep(await startProgram('guarded-app.ts', { ...env, ...secret })),
  };
}

/** That all of them check the same things, and that the middleware checks more. */
async function checkRefusals(apps: Apps, { bad, badKeys, revoked }: Credentials, follows: boolean): Promise<void> {
  // So that what was to expire has, with the tolerance for clocks.
  await sleep(8_000);
  for (const name of ['fast-jwt', 'jsonwebtoken', 'latchkey'] as const) {
    for (const [why, token] of Object.entries(bad)) await refused(apps[name], name, why, token);
  }
  for (const key of badKeys) await refused(apps.latchkey, 'latchkey', 'bad key', key);
  // Told offline from a good one by the feed alone.
  if (follows) await refused(apps.latchkey, 'latchkey', 'revoked', revoked);
}

async function refused(app: Program, name: string, why: string, credential: string): Promise<void> {
  const { status } = await ask(app, credential);
  if (status !== 401) throw new Error(`${name} answered ${status} to a credential that is no good (${why})`);
}

async function ask({ origin }: Program, credential: string): Promise<Response> {
  const headers = { authorization: `Bearer ${credential}` };
  const response = await fetch(origin, { headers, signal: AbortSignal.timeout(10_000) });
  await response.body?.cancel();
  return response;
}

function makeCases(apps: Apps, { first, seen, keys }: Credentials): Case[] {
  const requests = (app: Program, credentials: string[], body: string[]): LoadRequest[] =>
    credentials.map((one, n) => ({
      text: get(app.port, '/', one),
      about: `credential ${n}`,
      body: [body[n] ?? body[0]!],
    }));
  const tokens = (app: Program, list: IssuedToken[]) =>
    requests(
      app,
      list.map(({ text }) => text),
      list.map(({ clientId }) => `{"hello":"${clientId}"}`),
    );
  const { hello, latchkey } = apps;
  return [
    {
      name: 'hello',
      app: hello,
      requests: requests(
        hello,
        seen.map(({ text }) => text),
        ['{"hello":"world"}'],
      ),
    },
    { name: 'latchkey, JWT seen before', app: latchkey, requests: tokens(latchkey, seen) },
    { name: 'latchkey, API key seen before', app: latchkey, requests: requests(latchkey, keys, ['{"hello":"team:']) },
    { name: 'fast-jwt', app: apps['fast-jwt'], requests: tokens(apps['fast-jwt'], first), first: true },
    { name: 'latchkey, JWT first seen', app: latchkey, requests: tokens(latchkey, first), first: true },
    { name: 'jsonwebtoken', app: apps.jsonwebtoken, requests: tokens(apps.jsonwebtoken, first), first: true },
  ];
}

function report(rows: ReadonlyMap<string, Measured[]>, title: string): void {
  console.log(`\nW4, a Koa app, ${title}, all answers right`);
  printMeasured(rows, []);
  const compare = (name: string, yardstick: string) =>
    console.log(
      `${name} / ${yardstick}: ${ratio(rows.get(name)!, rows.get(yardstick)!, 'perSecond')}, ` +
        `per CPU second ${ratio(rows.get(name)!, rows.get(yardstick)!, 'perCpuSecond')}`,
    );
  compare('latchkey, JWT seen before', 'hello');
  compare('latchkey, API key seen before', 'hello');
  compare('latchkey, JWT first seen', 'fast-jwt');
  compare('latchkey, JWT first seen', 'jsonwebtoken');
}
