/**
 * W5: from starting the process to the first token. With data that knows a client: until a token is issued. On the first
 * start ever there is no client: until `/readyz` answers, plus a token request for a client put in by SQL at that
 * moment (the putting in is not counted). "bare" is the engine alone, with its client in the configuration.
 */
import type { ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEmbeddedPostgres } from '../src/storage/embedded/index.ts';
import { answers, type Clients, freePort, startLatchkey, startProcess, stopLater, stopProcess } from './contenders.ts';
import { median, printTable, spread } from './report.ts';
import { makeClients, seedClients } from './seed.ts';

export interface W5Options {
  pairs: number;
}

type Start = 'bare' | 'on PostgreSQL' | 'embedded, warm data' | 'embedded, first ever';

/** @returns milliseconds to the first token, by kind of start, one for each round. */
export async function w5({ pairs }: W5Options): Promise<Record<Start, number[]>> {
  const home = await mkdtemp(join(tmpdir(), 'latchkey-bench-w5-'));
  await chmod(home, 0o711); // as root the embedded database runs as another user
  const [client] = makeClients(1) as [Clients[number]];
  const external = await openEmbeddedPostgres({ dataDir: join(home, 'external'), role: 'server' });
  const stop = stopLater(async () => {
    await external.close();
    await rm(home, { recursive: true, force: true });
  });
  const times: Record<Start, number[]> = {
    bare: [],
    'on PostgreSQL': [],
    'embedded, warm data': [],
    'embedded, first ever': [],
  };
  try {
    const onPostgres = { dataDir: join(home, 'unused'), databaseUrl: external.connectionString };
    await makeWarm(onPostgres, client, home, external.connectionString);
    for (let round = 1; round <= pairs; round += 1) {
      times.bare.push(await timeBare(client, home));
      times['on PostgreSQL'].push(await timeWarm(onPostgres, client, home));
      const embedded = { dataDir: join(home, `data-${round}`) };
      await mkdir(embedded.dataDir, { mode: 0o711 });
      times['embedded, first ever'].push(await timeFirst(embedded, client, home));
      times['embedded, warm data'].push(await timeWarm(embedded, client, home));
      await rm(embedded.dataDir, { recursive: true });
    }
  } finally {
    await stop();
  }
  console.log('\nW5, milliseconds from start to first token');
  printTable(Object.entries(times).map(([start, took]) => ({ start, 'median (spread)': spread(took) })));
  const target = (start: Start, limit: number) =>
    `${start} ${(median(times[start]) / 1000).toFixed(2)} s of ${limit} s`;
  console.log(
    [target('on PostgreSQL', 0.5), target('embedded, warm data', 1.2), target('embedded, first ever', 3)].join('; '),
  );
  return times;
}

interface Place {
  dataDir: string;
  databaseUrl?: string;
}

async function makeWarm(place: Place, client: Clients[number], home: string, database: string): Promise<void> {
  const child = await startLatchkey({ ...place, port: await freePort(), log: join(home, 'log') });
  await seedClients(database, [client]);
  await stopProcess(child);
}

async function timeWarm(place: Place, client: Clients[number], home: string): Promise<number> {
  const port = await freePort();
  const began = performance.now();
  const child = await startLatchkey({ ...place, port, log: join(home, 'log'), eager: true });
  return timeToToken(child, began, `http://localhost:${port}/oauth2/token`, client);
}

async function timeFirst(place: Place, client: Clients[number], home: string): Promise<number> {
  const port = await freePort();
  const began = performance.now();
  const child = await startLatchkey({ ...place, port, log: join(home, 'log'), eager: true });
  await until(child, () => answers(`http://127.0.0.1:${port}/readyz`));
  const ready = performance.now() - began;
  const database = await openEmbeddedPostgres({ dataDir: place.dataDir, role: 'command' });
  await seedClients(database.connectionString, [client]).finally(() => database.close());
  return timeToToken(child, performance.now() - ready, `http://localhost:${port}/oauth2/token`, client);
}

async function timeBare(client: Clients[number], home: string): Promise<number> {
  const port = await freePort();
  const clientsFile = join(home, 'clients.json');
  await writeFile(clientsFile, JSON.stringify([client]), { mode: 0o600 });
  const began = performance.now();
  const file = join(import.meta.dirname, 'yardsticks/bare.ts');
  const child = await startProcess(file, join(home, 'log'), { PORT: String(port), CLIENTS_FILE: clientsFile });
  return timeToToken(child, began, `http://localhost:${port}/token`, client);
}

/** Asks until a token comes; then stops the process. */
async function timeToToken(child: ChildProcess, began: number, url: string, client: Clients[number]): Promise<number> {
  const [client_id, client_secret] = client;
  const form = { grant_type: 'client_credentials', scope: 'providers:read', client_id, client_secret };
  let took = 0;
  try {
    await until(child, async () => {
      const request = { method: 'POST', body: new URLSearchParams(form), signal: AbortSignal.timeout(5_000) };
      const response = await fetch(url, request).catch(() => undefined);
      const body = (await response?.json().catch(() => undefined)) as { access_token?: string } | undefined;
      took = performance.now() - began;
      return response?.status === 200 && body?.access_token?.split('.').length === 3;
    });
  } finally {
    await stopProcess(child);
  }
  return took;
}

async function until(child: ChildProcess, done: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(5)) {
    if (await done()) return;
    if (child.exitCode !== null || child.signalCode !== null) break;
  }
  throw new Error('the server did not get there within 30 seconds');
}
