/** The process from outside: what it says, how it ends, and what it still knows after it was killed. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect as openSocket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describeVariables } from '../../src/config.ts';
import { OPERATOR } from '../../src/domain/audit.ts';
import { createDomain, type Domain } from '../../src/domain/index.ts';
import { openEmbeddedPostgres } from '../../src/storage/embedded/index.ts';
import { type Database, openDatabase } from '../../src/storage/pool.ts';
import { createBrowser, formOn } from '../support/browser.ts';
import { authorize, createPerson, createTestApp, introspect, PASSWORD, redeemCode, refresh } from '../support/flows.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { killRemaining, type Process, runToEnd, startProcess } from '../support/process.ts';
import { send } from '../support/request.ts';
import type { TestServer } from '../support/server.ts';
import { soon } from '../support/soon.ts';

const SECRET = 'a secret of the test that is long enough';

describe('with the embedded database', () => {
  let dataDir: string;

  beforeAll(async () => {
    dataDir = path.join(
      await mkdtemp(path.join(process.env.LATCHKEY_TEST_HOME ?? tmpdir(), 'latchkey-restart-')),
      'data',
    );
  });

  afterAll(async () => {
    await killRemaining();
    await rm(path.dirname(dataDir), { recursive: true, force: true });
  });

  test('row 68: setup, kill -9, restart: what was acknowledged is there, what was spent stays spent', async () => {
    const first = await startProcess({ env: { DATA_DIR: dataDir } });
    expect(first.stderr()).toContain(`Latchkey listens on ${first.origin}`);
    expect(first.stderr().match(/npx latchkey (app|client|key) create /g)).toHaveLength(3);
    await setUp(first);

    const second = await runToEnd({ env: { DATA_DIR: dataDir } });
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toBe(
      `\nLatchkey could not start. Another Latchkey server is already using the data directory ${dataDir}. ` +
        'Stop it, or set DATA_DIR to another directory.\n',
    );

    const { port } = first;
    const server = { origin: first.origin } as TestServer;
    const made = await withDomain(dataDir, async (domain, db) => {
      const onDisk = { ...server, domain, db } as unknown as TestServer;
      const person = await createPerson(onDisk);
      const app = await createTestApp(onDisk, { tokenEndpointAuthMethod: 'client_secret_post' });
      const { text } = await domain.apiKeys.createPersonal({ ...person, name: 'Kept' }, OPERATOR);
      return { person, app, key: text };
    });
    const { code, pkce } = await authorize(server, { ...made.person, clientId: made.app.clientId });
    const { body: tokens } = await redeemCode(server, made.app, code, pkce);
    const { body: rotated } = await refresh(server, made.app, tokens.refresh_token);
    const published = await send(port, { path: '/oauth2/jwks' });
    await first.stop('SIGKILL');

    // The same port, because it is part of the issuer.
    const third = await startProcess({ port, env: { DATA_DIR: dataDir } });
    expect(third.stderr()).not.toContain('/setup?token=');
    expect((await send(port, { path: '/oauth2/jwks' })).text).toBe(published.text);
    const authorization = `Bearer ${made.key}`;
    expect((await send(port, { path: '/api/v1/providers', headers: { authorization } })).status).toBe(200);
    expect((await introspect(server, made.app, tokens.access_token)).body).toMatchObject({ active: true });
    const again = await refresh(server, made.app, rotated.refresh_token);
    expect(again.status).toBe(200);
    const replayed = await refresh(server, made.app, tokens.refresh_token);
    expect([replayed.status, replayed.body.error]).toEqual([400, 'invalid_grant']);
    const codeAgain = await redeemCode(server, made.app, code, pkce);
    expect([codeAgain.status, codeAgain.body.error]).toEqual([400, 'invalid_grant']);

    const postmaster = path.join(dataDir, 'postgres/postmaster.pid');
    const pid = Number((await readFile(postmaster, 'utf8')).split('\n', 1)[0]);
    const stopped = await third.stop('SIGTERM');
    expect(stopped).toMatchObject({ code: 0, signal: null });
    expect(existsSync(postmaster)).toBe(false);
    expect(await soon(async () => !isRunning(pid))).toBe(true);
  }, 60_000);
});

describe('with a database of its own', () => {
  let database: TestDatabase;
  let env: Record<string, string>;

  beforeAll(async () => {
    database = await createTestDatabase();
    env = { DATABASE_URL: database.connectionString, SECRET };
  });

  afterAll(async () => {
    await killRemaining();
    await database?.drop();
  });

  test('row F12: after SIGTERM a request under way is answered, new ones are not taken, and the end is clean', async () => {
    const server = await startProcess({ env });
    const form = 'grant_type=client_credentials&client_id=svc_nobody&client_secret=wrong';
    const slow = await startRequest(server.port, form.length);
    slow.write(form.slice(0, 10));
    await untilServed(server);
    const stopped = server.stop('SIGTERM');
    await untilRefused(server);
    slow.write(form.slice(10));
    const answer = await slow.answer;
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
    const asked = Date.now();
    expect(await stopped).toMatchObject({ code: 0, signal: null });
    expect(Date.now() - asked).toBeLessThan(5_000);
    expect(server.log().map(({ msg }) => msg)).toEqual(expect.arrayContaining(['stopping', 'stopped']));
  }, 60_000);

  test('the first administrator from the environment is made once; a port that is taken is named', async () => {
    const admin = { BOOTSTRAP_ADMIN_EMAIL: 'first@example.com', BOOTSTRAP_ADMIN_PASSWORD: PASSWORD };
    const server = await startProcess({ env: { ...env, ...admin } });
    expect(server.stderr()).toContain('Administrator created: first@example.com');
    expect(server.stderr()).not.toContain('/setup?token=');
    expect(server.stderr()).not.toContain(PASSWORD);
    const changed = { BOOTSTRAP_ADMIN_EMAIL: 'second@example.com', BOOTSTRAP_ADMIN_PASSWORD: PASSWORD };
    const [again, sibling] = await Promise.all([
      startProcess({ env: { ...env, ...changed } }),
      runToEnd({ port: server.port, env }),
    ]);
    expect(again.stderr()).not.toMatch(/Administrator created|\/setup\?token=/);
    expect(sibling.code).toBe(1);
    expect(sibling.stderr).toContain(`Port ${server.port} is in use: set PORT to another one.`);
    const db = openDatabase({ connectionString: database.connectionString });
    const { rows } = await db.query('SELECT email FROM users');
    await db.close();
    expect(rows).toEqual([{ email: 'first@example.com' }]);
    await killRemaining();
  }, 60_000);

  test('a database that does not answer is said to be the reason, without its password', async () => {
    const unreachable = 'postgres://someone:hunter2@127.0.0.1:1/nowhere';
    const ended = await runToEnd({ env: { DATABASE_URL: unreachable, SECRET } });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('Latchkey could not start. The database does not answer');
    expect(ended.stderr + ended.stdout).not.toContain('hunter2');
  });
});

test('all problems of the configuration are told at once, with exit code 1', async () => {
  const wrong = { ISSUER: 'auth.example.com', LOG_LEVEL: 'loud', DATABASE_URL: 'mysql://x', SECRET: 'short' };
  const ended = await runToEnd({ env: wrong });
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toContain('The configuration has 4 problems:');
  for (const name of Object.keys(wrong)) expect(ended.stderr).toMatch(new RegExp(`^  ${name} must be`, 'm'));
});

test('--help lists every variable and ends with 0; a wrong option ends with 2', async () => {
  const [help, wrong] = await Promise.all([runToEnd({ args: ['--help'] }), runToEnd({ args: ['--porte', '80'] })]);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  for (const { name } of describeVariables()) expect(help.stdout).toContain(`  ${name} `);
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  expect(wrong.stderr).toMatch(/--porte[\s\S]*Everything is set by environment variables/);
});

/** Follows the setup link from the log as the first administrator would. */
async function setUp(server: Process): Promise<void> {
  const [link = ''] = /http:\S+\/setup\?token=\S+/.exec(server.stderr()) ?? [];
  const browser = createBrowser();
  const { url, fields } = formOn(await browser.get(link), '/setup');
  const answers = { email: 'admin@example.com', password: PASSWORD, name: 'Admin', team_name: 'First' };
  expect((await browser.post(url, { ...fields, ...answers })).status).toBe(200);
  expect((await browser.get(link)).status).toBe(404);
}

/** The domain beside the running server, as the command line opens it. */
async function withDomain<T>(dataDir: string, work: (domain: Domain, db: Database) => Promise<T>): Promise<T> {
  const store = await openEmbeddedPostgres({ dataDir, role: 'command' });
  const db = openDatabase({ connectionString: store.connectionString });
  const secret = (await readFile(path.join(dataDir, 'secret'), 'utf8')).trim();
  const lifetimes = { idToken: 3600, session: 604_800, sessionIdle: 86_400 };
  const domain = createDomain({ db, secrets: [secret], lifetimes, onError: (error) => console.error(error) });
  try {
    return await work(domain, db);
  } finally {
    await domain.close();
    await db.close();
    await store.close();
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A token request on a keep-alive connection whose body comes when the test says so. */
async function startRequest(port: number, length: number) {
  const socket = openSocket(port, '127.0.0.1');
  const answer = new Promise<string>((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    socket.on('close', () => resolve(text)).on('error', reject);
  });
  socket.write(
    `POST /oauth2/token HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: keep-alive\r\n` +
      `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${length}\r\n\r\n`,
  );
  return { answer, write: (text: string) => void socket.write(text) };
}

/** Answers come in order of arrival closely enough: what was sent before is being worked on. */
async function untilServed({ port }: Process): Promise<void> {
  expect((await send(port, { path: '/livez' })).status).toBe(200);
}

/** Not ready any more, or not there at all. */
async function untilRefused({ port }: Process): Promise<void> {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const ready = await send(port, { path: '/readyz' }).catch(() => undefined);
    if (ready?.status !== 200) return;
    if (Date.now() > deadline) throw new Error('/readyz still says 200');
  }
}
