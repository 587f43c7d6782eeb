/**
 * W3: introspection of JWTs, API keys and refresh tokens, which are Latchkey's opaque tokens, against a yardstick's
 * introspection of its opaque access tokens. Seven of ten credentials are good; the rest have expired (a refresh token:
 * was replaced), were revoked or are forged. Every answer is checked. Then the check of an API key in process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clients, type Contender, type ContenderName, startContender, withDatabase } from './contenders.ts';
import {
  endpointsOf,
  forgeTokens,
  type IssuedToken,
  issueTokens,
  randomTokens,
  revokeTokens,
  type UserTokens,
  userTokens,
} from './credentials.ts';
import { type LoadRequest, post } from './load.ts';
import { type Measured, measure, printMeasured, runJson } from './measure.ts';
import { spread } from './report.ts';
import { makeClients } from './seed.ts';
import { allowIntrospection, RESOURCES, type SeededKey, seedApiKeys, seedResources } from './seed-credentials.ts';
import type { KeyChecks } from './verify-keys.ts';

export interface W3Options {
  contenders: ContenderName[];
  pairs: number;
  seconds: number;
  connections: number[];
}

type State = SeededKey['state'];
/** Who asks about what. */
type Workloads = Map<string, { contender: Contender; requests: LoadRequest[] }>;

const MIX: Record<State, number> = { valid: 140, expired: 20, revoked: 20, forged: 20 };
const COUNT = Object.values(MIX).reduce((sum, one) => sum + one);
const USERS = 32;
/** More than are kept in memory: asked for in turn, none of them is there. */
const FRESH_KEYS = 12_000;
/** Seconds after which a token that was to expire has, with the tolerance for clocks that yardsticks may have. */
const EXPIRED = 4;

/** @returns every measurement; a wrong answer anywhere throws. */
export async function w3(options: W3Options): Promise<Record<string, Measured[]>> {
  const { contenders, pairs, seconds, connections } = options;
  const measurements: Record<string, Measured[]> = {};
  const started: Contender[] = [];
  try {
    const workloads: Workloads = new Map();
    const checks: KeyChecks[] = [];
    let keyCheck: (() => Promise<KeyChecks>) | undefined;
    for (const name of contenders) {
      const clients = makeClients(17);
      const users = { count: USERS, hash: 'cheap' as const };
      const contender = await startContender(name, { algorithm: 'ES256', clients, users });
      started.push(contender);
      if (name === 'latchkey') keyCheck = await addLatchkey(workloads, contender, clients);
      else workloads.set(name, { contender, requests: await opaque(contender, clients) });
    }
    await sleep(EXPIRED * 1000);
    for (const count of connections) {
      const rows = new Map([...workloads.keys()].map((name) => [name, [] as Measured[]]));
      for (let round = 0; round <= pairs; round += 1) {
        for (const [name, { contender, requests }] of workloads) {
          const loaded = { name, roots: contender.roots };
          const job = { port: contender.port, connections: count, requests, seconds: round ? seconds : 2 };
          const { samples: _, requests: __, ...measured } = await measure(loaded, job);
          // Round 0 is for the just-in-time compiler.
          if (round > 0) rows.get(name)!.push(measured);
        }
        if (round > 0 && keyCheck && count === connections[0]) checks.push(await keyCheck());
      }
      console.log(`\nW3, introspection, ${count} connections, ${COUNT} credentials of each kind, all answers right`);
      printMeasured(rows, contenders.filter((name) => name !== 'latchkey').slice(0, 2));
      for (const [name, own] of rows) measurements[`${name}, ${count} connections`] = own;
    }
    if (checks.length > 0) printChecks(checks);
  } finally {
    for (const contender of started) await contender.stop();
  }
  return measurements;
}

/** @returns what checks API keys in a process of its own */
async function addLatchkey(
  workloads: Workloads,
  contender: Contender,
  clients: Clients,
): Promise<() => Promise<KeyChecks>> {
  const [[caller], ...holders] = clients as [Clients[number], ...Clients];
  const { connectionString, keys, fresh } = await withDatabase(contender, async (connectionString) => {
    const ids = holders.map(([id]) => id);
    await seedResources(connectionString, ids);
    await allowIntrospection(connectionString, caller);
    const keys = await seedApiKeys(connectionString, MIX);
    const fresh = await seedApiKeys(connectionString, { valid: FRESH_KEYS, expired: 0, revoked: 0, forged: 0 });
    return { connectionString, keys, fresh };
  });

  const ask = await asker(contender, clients[0]!);
  const jwts = await accessTokens(contender, holders, { resource: RESOURCES.short });
  const about = ([state, { text, clientId }]: [State, IssuedToken]) => ask(state, text, `"client_id":"${clientId}"`);
  const people = await appTokens(contender);
  const kinds = {
    'JWT of a client': jwts.map(about),
    'JWT of a user': people.access.map(about),
    'API key': keys.map(({ state, text, id }) => ask(state, text, `"key_id":"${id}"`)),
    'refresh token': people.refresh.map(about),
  };
  for (const [kind, requests] of Object.entries(kinds)) workloads.set(`latchkey, ${kind}`, { contender, requests });
  workloads.set('latchkey, all kinds', { contender, requests: Object.values(kinds).flat() });
  return () => runJson('verify-keys.ts', 60, {}, { connectionString, keys, fresh, seconds: 1 }) as Promise<KeyChecks>;
}

/** The yardsticks' opaque tokens. */
async function opaque(contender: Contender, clients: Clients): Promise<LoadRequest[]> {
  const [caller, ...holders] = clients as [Clients[number], ...Clients];
  const ask = await asker(contender, caller);
  const resource = `${contender.origin}/opaque`;
  const tokens = await accessTokens(contender, holders, { resource: `${resource}/short` }, { resource });
  return tokens.map(([state, token]) => ask(state, token.text, `"client_id":"${token.clientId}"`));
}

/** What asks, as this client, and knows the right answer (RFC 7662 §2.2). */
async function asker({ name, port, origin }: Contender, [client_id, client_secret]: Clients[number]) {
  const { pathname } = new URL((await endpointsOf(origin)).introspection_endpoint);
  return (state: State, token: string, about: string): LoadRequest => ({
    text: post(port, pathname, { client_id, client_secret, token }),
    about: `${name}: ${state}, ${about}`,
    // An engine may write `active` anywhere in the answer.
    body: state === 'valid' ? ['{', '"active":true', about] : ['{"active":false}'],
  });
}

/** Access tokens of service clients in every state. */
async function accessTokens(
  contender: Contender,
  clients: Clients,
  short: { resource: string },
  usual?: { resource: string },
): Promise<[State, IssuedToken][]> {
  const expired = await issueTokens(contender, clients, MIX.expired, short);
  const lasting = await issueTokens(
    contender,
    clients,
    MIX.valid + MIX.revoked,
    usual && { scope: 'providers:read', ...usual },
  );
  const [valid, revoked] = [lasting.slice(0, MIX.valid), lasting.slice(MIX.valid)];
  await revokeTokens(contender.origin, clients, revoked);
  const forged = usual ? randomTokens(MIX.forged) : await forgeTokens(valid.slice(0, MIX.forged));
  return labelled({ valid, expired, revoked, forged });
}

/** Refresh tokens in every state, instead of expired ones such that were replaced; and access tokens, none of them expired. */
async function appTokens(contender: Contender): Promise<Record<'refresh' | 'access', [State, IssuedToken][]>> {
  const issued = await userTokens(contender, { count: MIX.valid + MIX.revoked, users: USERS });
  const [good, ended] = [issued.slice(0, MIX.valid), issued.slice(MIX.valid)];
  const { id, secret } = contender.app;
  await revokeTokens(
    contender.origin,
    [[id, secret]],
    ended.map(({ live }) => live),
  );
  const pick = (list: UserTokens[], which: keyof UserTokens) => list.map((one) => one[which]);
  const access = { valid: pick(good, 'access'), revoked: pick(ended, 'access') };
  return {
    refresh: labelled({
      valid: pick(good, 'live'),
      revoked: pick(ended, 'live'),
      expired: pick(good, 'replaced').slice(0, MIX.expired),
      forged: randomTokens(MIX.forged),
    }),
    access: labelled({ ...access, expired: [], forged: await forgeTokens(access.valid.slice(0, MIX.forged)) }),
  };
}

function labelled(tokens: Record<State, IssuedToken[]>): [State, IssuedToken][] {
  return Object.entries(tokens).flatMap(([state, list]) =>
    list.map((one): [State, IssuedToken] => [state as State, one]),
  );
}

function printChecks(checks: KeyChecks[]): void {
  const row = (what: keyof KeyChecks) =>
    `${spread(checks.map((one) => one[what].perSecond))} a second, ${spread(checks.map((one) => one[what].perCpuSecond))} a CPU second`;
  console.log('\nAn API key checked in process, all answers right (processor time without the database)');
  console.log(`  seen before, good   ${row('seen')}`);
  console.log(`  never seen, good    ${row('fresh')}`);
  console.log(`  unknown             ${row('forged')}`);
  console.log(`  all states mixed    ${row('mixed')}`);
}
