import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createBrowser } from '../../bench/browser.ts';
import { freePort } from '../../bench/contenders.ts';
import { type Demo, startDemo } from '../../examples/demo/start.ts';

let home: string;
let demo: Demo;

beforeAll(async () => {
  home = await mkdtemp(join(process.env.LATCHKEY_TEST_HOME ?? tmpdir(), 'latchkey-demo-'));
  await chmod(home, 0o711); // as root the embedded database runs as another user
  demo = await start();
}, 30_000);

afterAll(async () => {
  await demo?.stop();
  await rm(home, { recursive: true, force: true });
});

async function start(): Promise<Demo> {
  const [server, reports, app] = (await Promise.all([freePort(), freePort(), freePort()])) as [number, number, number];
  return startDemo({ dataDir: join(home, 'demo'), ports: { server, reports, app } });
}

async function call(method: string, credential: string) {
  const response = await fetch(demo.urls.reports, { method, headers: { authorization: `Bearer ${credential}` } });
  return { status: response.status, body: (await response.json()) as { caller: Record<string, unknown> } };
}

describe('the third-party app', () => {
  test('logs a person in, calls two APIs in their name, refreshes, and disconnects', async () => {
    const { urls, logins } = demo;
    const agent = new Agent({ keepAlive: true });
    const browser = createBrowser(agent);
    const fill = (_name: string, type: string) =>
      type === 'password' ? logins.user.password : type === 'email' ? logins.user.email : undefined;

    const login = await browser.open(new URL('/login', urls.app));
    expect(login.url.origin).toBe(urls.server);
    const consent = await browser.submit(login, { fill, button: /^Log in$/ });
    expect(consent.body).toContain('Report Viewer');
    expect(consent.body).toContain('Demo team');
    const home = await browser.submit(consent, { button: /^Allow$/ });
    expect(home.url.href).toBe(`${urls.app}/`);
    expect(home.body).toContain(`Demo Person (${logins.user.email}`);

    const reports = await browser.submit(home, { button: /reports API/ });
    expect(reports.body).toContain(`${urls.reports} answered 200`);
    const providers = await browser.submit(home, { button: /own API/ });
    expect(providers.body).toContain(`${urls.server}/api/v1/providers answered 200`);
    expect((await browser.submit(home, { button: /Refresh/ })).body).toContain('Refreshed.');
    expect((await browser.submit(home, { button: /reports API/ })).body).toContain('answered 200');

    // Consent is remembered until the app disconnects, and asked for again after that.
    expect((await browser.open(new URL('/login', urls.app))).url.href).toBe(`${urls.app}/`);
    expect((await browser.submit(home, { button: /Disconnect/ })).body).toContain('Disconnected.');
    expect((await browser.open(new URL(urls.app))).body).toContain('Log in with Latchkey');
    expect((await browser.open(new URL('/login', urls.app))).body).toContain('Allow access?');
    agent.destroy();
  }, 20_000);
});

describe('the backend service', () => {
  test('gets in as itself', async () => {
    const output = await demo.runBackendService();
    expect(output).toMatch(/A new token for 600 seconds\n.* answered 200 /);
    expect(output).toContain('"kind":"client"');
  });
});

describe('the resource server', () => {
  test('takes a personal key for its owner, who may read and not write', async () => {
    const read = await call('GET', demo.keys.personal);
    expect(read.status).toBe(200);
    expect(read.body.caller).toMatchObject({ kind: 'user', credential: 'personal_key' });
    expect((await call('POST', demo.keys.personal)).status).toBe(403);
  });

  test('takes a team key for its team, which may write', async () => {
    const written = await call('POST', demo.keys.team);
    expect(written.status).toBe(201);
    expect(written.body.caller).toMatchObject({ kind: 'team', credential: 'team_key' });
  });

  test('refuses a key that lost its end', async () => {
    const refused = await call('GET', demo.keys.team.slice(0, -1));
    expect(refused).toMatchObject({ status: 401, body: { message: 'Malformed API key' } });
  });
});

test('a second start finds what the first one made, readable by its owner only', async () => {
  const before = demo;
  await demo.stop();
  demo = await start();
  expect(demo.logins).toEqual(before.logins);
  expect(demo.keys).toEqual(before.keys);
  expect((await call('GET', demo.keys.personal)).status).toBe(200);
  expect((await stat(join(home, 'demo/seed.json'))).mode & 0o777).toBe(0o600);
}, 30_000);

test('a port in use is named, with the variable that chooses another', async () => {
  const taken = Number(new URL(demo.urls.server).port);
  const ports = { server: await freePort(), reports: taken, app: await freePort() };
  await expect(startDemo({ dataDir: join(home, 'other'), ports })).rejects.toThrow(
    `Port ${taken} is in use. Stop what uses it, or choose another with REPORTS_PORT=…`,
  );
});
