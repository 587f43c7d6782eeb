/** Row 60: whoever has only the database, or a backup of it, has nothing that opens anything. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { createBrowser, formOn } from '../support/browser.ts';
import {
  authorizationUrl,
  authorize,
  clientCredentials,
  consent,
  createPerson,
  createPkce,
  createTestApp,
  createTestClient,
  credentials,
  logIn,
  PASSWORD,
  postForm,
  redeemCode,
  refresh,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
/** Everything issued, by what it is. */
const issued = new Map<string, string>();
let dump: string;

beforeAll(async () => {
  server = await startTestServer();
  await useEverything();
  await server.domain.audit.flush();
  await server.domain.lastUsed.flush();
  dump = await dumpAll();
}, 30_000);

afterAll(() => server?.close());

async function useEverything(): Promise<void> {
  const { domain, origin } = server;
  const method = { tokenEndpointAuthMethod: 'client_secret_post' };
  issued.set('instance secret', server.secret);
  issued.set('password', PASSWORD);
  issued.set('setup link', (await domain.setup.issueLink())!);

  const person = await createPerson(server);
  const app = await createTestApp(server, method);
  const client = await createTestClient(server, person.teamId, method);
  issued.set('app secret', app.clientSecret).set('client secret', client.clientSecret);
  const second = await domain.clientSecrets.add({ kind: 'app', id: app.id }, {}, OPERATOR);
  issued.set('second app secret', second.text);
  const owner = { userId: person.userId, teamId: person.teamId };
  issued.set('personal key', (await domain.apiKeys.createPersonal({ ...owner, name: 'p' }, OPERATOR)).text);
  issued.set('team key', (await domain.apiKeys.createTeam({ teamId: person.teamId, name: 't' }, OPERATOR)).text);

  // A login that was finished, step by step, with everything a browser and an address bar see of it.
  const browser = createBrowser();
  const pkce = createPkce();
  const loginPage = await browser.follow(await browser.get(authorizationUrl(server, app.clientId, pkce)), origin);
  const consentPage = await logIn(browser, loginPage, person.email);
  const back = await consent(browser, consentPage, person.teamId);
  const code = new URL(back.location!).searchParams.get('code')!;
  issued.set('login page', uidOf(loginPage.url)).set('consent page', uidOf(consentPage.url));
  issued.set('form token', formOn(loginPage, '/login').fields.csrf!);
  issued.set('code', code).set('verifier', pkce.verifier);
  const { body: first } = await redeemCode(server, app, code, pkce);
  const { body: rotated } = await refresh(server, app, first.refresh_token);
  issued.set('spent refresh token', first.refresh_token).set('refresh token', rotated.refresh_token);
  issued.set('access token', rotated.access_token).set('id token', rotated.id_token);
  issued.set('client token', (await clientCredentials(server, client)).body.access_token);
  for (const { key, value } of await browser.jar.getCookies(origin)) issued.set(`cookie ${key}`, value);

  // One that is waiting, a code nobody has redeemed, and a request that was pushed.
  const waiting = createBrowser();
  const page = await waiting.follow(await waiting.get(authorizationUrl(server, app.clientId, pkce)), origin);
  issued.set('waiting page', uidOf(page.url));
  for (const { key, value } of await waiting.jar.getCookies(page.url)) issued.set(`waiting cookie ${key}`, value);
  issued.set('live code', (await authorize(server, { ...person, clientId: app.clientId, browser })).code);
  const request = Object.fromEntries(new URL(authorizationUrl(server, app.clientId, createPkce())).searchParams);
  const pushed = await postForm(`${origin}/oauth2/par`, { ...request, ...credentials(app) });
  issued.set('pushed request', pushed.body.request_uri.split(':').at(-1));

  const { signing } = await domain.signingKeys.current();
  for (const { alg, d, p, q } of signing) {
    issued.set(`${alg} private key`, d!);
    if (p) issued.set(`${alg} first prime`, p).set(`${alg} second prime`, q!);
  }
}

function uidOf(url: string): string {
  return new URL(url).pathname.split('/').at(-1)!;
}

/** Every row of every table, bytes as hex. */
async function dumpAll(): Promise<string> {
  const { rows: tables } = await server.db.query<{ name: string }>(
    "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
  );
  const texts: string[] = [];
  for (const { name } of tables) {
    const { rows } = await server.db.query<{ row: string }>(`SELECT t::text AS row FROM ${name} AS t`);
    texts.push(...rows.map(({ row }) => `${name} ${row}`));
  }
  return texts.join('\n');
}

/** A secret as text, in Base64 and in hex, of its characters and of the bytes it stands for. */
function formsOf(secret: string): string[] {
  const bytes = [Buffer.from(secret), Buffer.from(secret, 'base64url')].filter(({ length }) => length >= 8);
  const encoded = bytes.flatMap((one) => [
    one.toString('hex'),
    one.toString('base64').replace(/=+$/, ''),
    one.toString('base64url'),
  ]);
  return [...new Set([secret, encodeURIComponent(secret), ...encoded])];
}

test('the flow left something in every table it touches', () => {
  for (const table of [
    'api_keys',
    'audit_events',
    'client_secrets',
    'grants',
    'oidc_payloads',
    'sessions',
    'settings',
    'signing_keys',
  ]) {
    expect([table, dump.includes(`${table} (`)]).toEqual([table, true]);
  }
  const kinds = ['AuthorizationCode', 'RefreshToken', 'Session', 'Interaction', 'PushedAuthorizationRequest'];
  for (const kind of kinds) expect([kind, dump.includes(kind)]).toEqual([kind, true]);
  expect(issued.size).toBeGreaterThanOrEqual(25);
  expect([...issued].filter(([, secret]) => typeof secret !== 'string' || secret.length < 16)).toEqual([]);
});

test('row 60: nothing that was issued is in a dump of the database, in any form', () => {
  const found = [...issued].filter(([, secret]) => formsOf(secret).some((form) => dump.includes(form)));
  expect(found.map(([what]) => what)).toEqual([]);
});

test('the search would find what is there', async () => {
  const digest = createHash('sha256').update(issued.get('personal key')!).digest();
  expect(formsOf(digest.toString('base64url')).some((form) => dump.includes(form))).toBe(true);
  const { rows } = await server.db.query<{ email: string }>('SELECT email FROM users');
  expect(formsOf(rows[0]!.email).some((form) => dump.includes(form))).toBe(true);
});

test('row 86: of a key or secret there is what people recognise it by, and no more', () => {
  for (const what of ['personal key', 'team key', 'app secret', 'client secret']) {
    const secret = issued.get(what)!;
    expect([what, dump.includes(secret.slice(0, 8)), dump.includes(secret.slice(-4))]).toEqual([what, true, true]);
    expect([what, dump.includes(secret.slice(0, 13)), dump.includes(secret.slice(-9))]).toEqual([what, false, false]);
  }
});
