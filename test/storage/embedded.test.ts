import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { findBinaries } from '../../src/storage/embedded/binaries.ts';
import { type EmbeddedPostgres, openEmbeddedPostgres } from '../../src/storage/embedded/index.ts';
import { chooseRunner } from '../../src/storage/embedded/runner.ts';

const asRoot = process.getuid?.() === 0;

// A process that opens the database, then writes rows one by one and prints each number that was acknowledged.
const WRITER = `
  import { openEmbeddedPostgres } from ${JSON.stringify(path.resolve('src/storage/embedded/index.ts'))};
  import pg from ${JSON.stringify(path.resolve('node_modules/pg/esm/index.mjs'))};
  const database = await openEmbeddedPostgres({ dataDir: process.argv[1], role: 'server' });
  const client = new pg.Client({ connectionString: database.connectionString });
  client.on('error', () => {});
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS written (n integer)');
  for (let n = 1; n <= 100000; n += 1) {
    await client.query('INSERT INTO written VALUES ($1)', [n]);
    console.log(n);
  }
`;

describe('the embedded PostgreSQL', () => {
  let home: string;
  let dataDir: string;

  beforeAll(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'latchkey-embedded-'));
    dataDir = path.join(home, 'data');
  });

  const opened: EmbeddedPostgres[] = [];

  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close();
  });

  afterAll(() => rm(home, { recursive: true, force: true }));

  test('of two first starts at once one gets the data directory and the other is told so', async () => {
    const started = await Promise.allSettled([open('server'), open('server')]);
    const [loser] = started.filter((start) => start.status === 'rejected');
    expect(opened).toHaveLength(1);
    expect(loser?.reason).toMatchObject({
      kind: 'failed_precondition',
      message:
        `Another Latchkey server is already using the data directory ${dataDir}. ` +
        'Stop it, or set DATA_DIR to another directory.',
    });
  });

  test('the last one to close stops the server process, nobody else does', async () => {
    const server = await open('server');
    const { pid } = await postmaster();
    const command = await open('command');
    expect(command.connectionString).toBe(server.connectionString);
    await command.close();
    expect(await ask(server.connectionString, 'SELECT 1 AS value')).toBe(1);
    await server.close();
    await expect(postmaster()).rejects.toThrow('ENOENT');
    await until(async () => !isRunning(pid));
  });

  test('a command outlives the server it shares the database with', async () => {
    const server = await open('server');
    const command = await open('command');
    await server.close();
    expect(await ask(command.connectionString, 'SELECT 1 AS value')).toBe(1);
  });

  test('kill -9 of the server loses no acknowledged row, and the next start attaches to what it left', async () => {
    const writer = spawn(process.execPath, ['--input-type=module', '-e', WRITER, dataDir], { stdio: 'pipe' });
    const acknowledged = await killAfter(writer, 100);
    const { pid } = await postmaster();
    const server = await open('server');
    expect((await postmaster()).pid).toBe(pid);
    const count = await ask(server.connectionString, 'SELECT count(*)::int AS value FROM written');
    expect(count).toBeGreaterThanOrEqual(acknowledged);
  });

  test('a server process that dies is started again, and the data directory stays taken', async () => {
    const server = await open('server');
    const { pid } = await postmaster();
    process.kill(pid, 'SIGKILL');
    const locks = "SELECT count(*)::int AS value FROM pg_locks WHERE locktype = 'advisory'";
    await until(async () => (await ask(server.connectionString, locks)) === 2);
    expect((await postmaster()).pid).not.toBe(pid);
    await expect(open('server')).rejects.toThrow('Another Latchkey server');
  });

  test('a pid file left by a power cut that now names another program does not prevent the start', async () => {
    const file = path.join(dataDir, 'postgres/postmaster.pid');
    await writeFile(file, [process.pid, dataDir, 1, 5432, '/nowhere', '', '', 'ready', ''].join('\n'));
    const server = await open('server');
    expect(await ask(server.connectionString, 'SELECT 1 AS value')).toBe(1);
  });

  test('a connection without the password is refused, and no TCP port is open', async () => {
    const server = await open('server');
    const url = new URL(server.connectionString);
    url.password = 'guess';
    await expect(ask(url.href, 'SELECT 1 AS value')).rejects.toMatchObject({ code: '28P01' });
    expect(await ask(server.connectionString, "SELECT current_setting('listen_addresses') AS value")).toBe('');
    expect(await ask(server.connectionString, "SELECT current_setting('fsync') AS value")).toBe('on');
  });

  test('a database without its password file says which file to restore', async () => {
    const file = path.join(dataDir, 'postgres-password');
    await rename(file, `${file}.away`);
    await expect(open('server')).rejects.toMatchObject({
      kind: 'failed_precondition',
      message: expect.stringContaining(file),
    });
    await rename(`${file}.away`, file);
  });

  test('a server process that cannot start says why', async () => {
    const settings = { max_connections: 'many' };
    await expect(openEmbeddedPostgres({ dataDir, role: 'server', settings })).rejects.toMatchObject({
      kind: 'failed_precondition',
      message: expect.stringContaining('max_connections'),
    });
  });

  // mkdtemp makes directories that only their owner may enter. An ordinary user owns them, so needs no way around.
  const rootTest = asRoot ? test : test.skip;

  rootTest('as root, data in a directory its user may not enter works, and is not run by root', async () => {
    await open('server');
    const { pid } = await postmaster();
    expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\t(?!0\t)\d+\t(?!0\t)/m);
  });

  rootTest('as root, programs in a directory their user may not enter work', async () => {
    const installed = await findBinaries();
    const native = path.resolve(installed.postgres, '../..');
    const copy = path.join(home, 'native');
    await cp(path.join(native, 'bin'), path.join(copy, 'bin'), { recursive: true });
    for (const part of ['lib', 'share']) await symlink(path.join(native, part), path.join(copy, part));
    const [initdb, postgres] = [path.join(copy, 'bin/initdb'), path.join(copy, 'bin/postgres')];
    const share = path.join(copy, 'share/postgresql/postgres.bki');
    const runner = await chooseRunner({ initdb, postgres, share }, dataDir);
    const [code] = await once(runner.spawn(initdb, ['--show', `--pgdata=${home}/none`], 'ignore'), 'exit');
    expect(code).toBe(0);
  });

  async function open(role: 'server' | 'command') {
    const database = await openEmbeddedPostgres({ dataDir, role });
    opened.push(database);
    return database;
  }

  async function postmaster(): Promise<{ pid: number }> {
    const [pid] = (await readFile(path.join(dataDir, 'postgres/postmaster.pid'), 'utf8')).split('\n');
    return { pid: Number(pid) };
  }
});

async function ask(connectionString: string, question: string): Promise<unknown> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(question)).rows[0].value;
  } finally {
    await client.end();
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 5_000; Date.now() < deadline; await sleep(20)) {
    if (await holds().catch(() => false)) return;
  }
  throw new Error('it still does not hold after 5 seconds');
}

async function killAfter(writer: ChildProcess, rows: number): Promise<number> {
  const ended = once(writer, 'exit');
  let acknowledged = 0;
  for await (const line of createInterface(writer.stdout!)) {
    acknowledged = Number(line);
    if (acknowledged === rows) writer.kill('SIGKILL');
  }
  await ended;
  return acknowledged;
}
