/**
 * The pages behind a login with 100,000 API keys: how long the server takes for each, and how large it is. Asked over HTTP of
 * the whole server in this process, as the root administrator, who sees most.
 */
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { Agent, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { createApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { OPERATOR } from '../src/domain/audit.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../src/domain/permissions.ts';
import { openEmbeddedPostgres } from '../src/storage/embedded/index.ts';
import { migrate } from '../src/storage/migrator.ts';
import { type Database, openDatabase } from '../src/storage/pool.ts';
import { createBrowser } from './browser.ts';
import { stopLater } from './contenders.ts';
import { median, printTable, spread } from './report.ts';
import { makeSecret } from './seed.ts';
import { seedConsole } from './seed-console.ts';
import { KEYS, seedKeys } from './seed-keys.ts';

interface Timing {
  page: string;
  /** Milliseconds from the request to the whole answer. */
  took: number[];
  bytes: number;
}

const TARGET_MS = 50;
const TARGET_BYTES = 100_000;
const ADMIN = { email: 'root@example.com', password: 'correct horse battery staple' };

/** @param options.pairs how often every page is asked for */
export async function pages({ pairs }: { pairs: number }): Promise<Timing[]> {
  const home = await mkdtemp(join(tmpdir(), 'latchkey-bench-pages-'));
  await chmod(home, 0o711); // as root the embedded database runs as another user
  const database = await openEmbeddedPostgres({ dataDir: join(home, 'data'), role: 'server' });
  const db = openDatabase({ connectionString: database.connectionString });
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  const secret = makeSecret();
  const config = readConfig({ ISSUER: origin, SECRET: secret });
  await migrate(db);
  const app = createApp({ config, secrets: [secret], db, logger: pino({ level: 'error' }) });
  const stop = stopLater(async () => {
    server.closeAllConnections();
    server.close();
    await app.close();
    await db.close();
    await database.close();
    await rm(home, { recursive: true, force: true });
  });
  try {
    await app.start();
    server.on('request', app.callback);
    await app.domain.users.create(
      { ...ADMIN, name: 'Root', teamRoles: [{ teamId: ROOT_TEAM_ID, roles: [ROLE_IDS.Admin] }] },
      OPERATOR,
    );
    await seedKeys(database.connectionString);
    await seedConsole(database.connectionString);
    const paths = await pathsOf(app.pages, db);
    const timings = await timeAll(origin, paths, pairs);
    report(timings);
    return timings;
  } finally {
    await stop();
  }
}

/** Each page, with the id of something that is there; lists also searched, filtered and ordered otherwise. */
async function pathsOf(
  all: { method: string; path: string }[] | readonly { method: string; path: string }[],
  db: Database,
) {
  const idOf = async (table: string, where = 'true') =>
    String((await db.query<{ id: string }>(`SELECT id FROM ${table} WHERE ${where} LIMIT 1`)).rows[0]?.id);
  const ids: [RegExp, string][] = [
    [/api-keys\/apps/, await idOf('oauth_apps')],
    [/api-keys\/clients/, await idOf('oauth_clients')],
    [/api-keys\/personal/, await idOf('api_keys', "kind = 'personal'")],
    [/api-keys\/team/, await idOf('api_keys', "kind = 'team'")],
    [/\/users/, KEYS.busyUser],
    [/\/teams/, KEYS.largeTeam],
    [/\/audit/, await idOf('audit_events')],
    [/resource-servers/, await idOf('resource_servers')],
  ];
  const plain = all
    // A file to be saved is no page.
    .filter(({ method, path }) => method === 'GET' && !path.endsWith('.csv'))
    .map(({ path }) => path.replace(/:\w+/, ids.find(([which]) => which.test(path))?.[1] ?? KEYS.largeTeam));
  const lists = plain.flatMap((path) => {
    if (!/api-keys\/(personal|team|apps|clients)$|\/(users|teams|credentials|audit)$/.test(path)) return [];
    const searches = [KEYS.commonName, KEYS.rareName, 'nothing at all', 'user77@'].map(
      (q) => `q=${encodeURIComponent(q)}`,
    );
    const states = path.endsWith('credentials')
      ? ['status=inactive', 'status=inactive&sort=created_at']
      : /personal$|api-keys\/team$/.test(path)
        ? ['status=expired', 'status=given_up', 'status=given_up&sort=created_at', 'status=active&sort=created_at']
        : [];
    const queries = [
      ...searches,
      // The corners: a state most keys have or few, also with a search; events of which each has one, and none has both.
      ...states.flatMap((one) => [one, ...searches.map((q) => `${one}&${q}`)]),
      ...(path.endsWith('audit')
        ? ['action=api_key.created&outcome=refused', 'action=user.login_refused&outcome=success']
        : []),
      'status=active',
      'status=revoked',
      'sort=name',
      'sort=-expires_at',
      'sort=last_used_at',
    ];
    return queries.map((query) => `${path}?${query}`);
  });
  return [...plain, ...lists];
}

async function timeAll(origin: string, paths: string[], pairs: number): Promise<Timing[]> {
  const agent = new Agent({ keepAlive: true });
  const browser = createBrowser(agent);
  const login = await browser.open(new URL('/login', origin));
  await browser.submit(login, { fill: (name) => ADMIN[name as keyof typeof ADMIN] });
  const timings: Timing[] = [];
  for (const path of paths) {
    const took: number[] = [];
    let last = await browser.open(new URL(path, origin)); // the first reads templates and plans
    for (let round = 0; round < pairs; round += 1) {
      const began = performance.now();
      last = await browser.open(new URL(path, origin));
      took.push(performance.now() - began);
    }
    if (last.status >= 500) throw new Error(`${path}: ${last.status}`);
    if (last.status === 200) timings.push({ page: path, took, bytes: Buffer.byteLength(last.body) });
  }
  agent.destroy();
  return timings;
}

function report(timings: Timing[]): void {
  printTable(
    timings.map(({ page, took, bytes }) => ({
      page,
      ms: spread(took, 1),
      kB: (bytes / 1000).toFixed(1),
      '': median(took) > TARGET_MS || bytes > TARGET_BYTES ? 'over' : '',
    })),
  );
  const worst = Math.max(...timings.map(({ took }) => median(took)));
  console.log(
    `\n${timings.length} pages, the slowest ${worst.toFixed(1)} ms (target ${TARGET_MS} ms, ${TARGET_BYTES / 1000} kB)`,
  );
}
