import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Browser, createBrowser, formOn, type Visit } from '../../support/browser.ts';
import { copiedFrom, fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { runCurl } from '../../support/curl.ts';
import { authorize, consent, createPerson, createTestApp, logIn, redeemCode, refresh } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const APPS = '/console/api-keys/apps';
const BASE = 'https://app.example.com';

let server: TestServer;
let admin: Browser;
beforeAll(async () => {
  server = await startTestServer();
  admin = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
});
afterAll(() => server.close());

const open = (path: string, browser = admin) => browser.get(`${server.origin}${path}`);
const URIS = { name: 'Dashboards', base_url: BASE, redirect_uris: `${BASE}/cb` };
const create = (changes: Record<string, string | undefined> = {}) =>
  fillIn(server, admin, `${APPS}/new`, { ...URIS, ...changes });

/** The app a page was shown for after it was made. */
async function madeOn(page: Visit) {
  const clientId = copiedFrom(page)['Client ID']!;
  const app = (await server.domain.oauthApps.find(clientId))!;
  return { app, clientId, clientSecret: copiedFrom(page)['Client secret'] };
}

const TRY = 'Try it: open this in a browser, allow it, and take the code out of the address you are sent to';
const THEN = 'Then get tokens: set CODE to the code first';

describe('creating an app', () => {
  test('what is shown after it works as it stands: the address in a browser, then the command', async () => {
    const page = await create({
      'allowed_scopes:providers:read': 'on',
      redirect_uris: `${BASE}/o'cb?a=b&c=d\r\n\r\n${BASE}/two `,
    });
    expect(page.status).toBe(200);
    const { app, clientId, clientSecret } = await madeOn(page);
    expect(app).toMatchObject({
      name: 'Dashboards',
      type: 'confidential',
      redirectUris: [`${BASE}/o'cb?a=b&c=d`, `${BASE}/two`],
      allowedScopes: ['openid', 'profile', 'email', 'offline_access', 'providers:read'],
      createdBy: expect.any(String),
    });
    const copied = copiedFrom(page);
    expect(copied['.env']!.split('\n')).toEqual([
      `ISSUER=${server.issuer}`,
      `CLIENT_ID=${clientId}`,
      `CLIENT_SECRET=${clientSecret}`,
      `REDIRECT_URI="${BASE}/o'cb?a=b&c=d"`,
    ]);

    const person = await createPerson(server);
    const browser = createBrowser();
    const login = await browser.follow(await browser.get(copied[TRY]!), server.origin);
    const allowed = await consent(browser, await logIn(browser, login, person.email), person.teamId);
    const code = new URL(allowed.location!).searchParams.get('code')!;
    const tokens = await runCurl(copied[THEN]!, { CODE: code });
    expect([tokens.status, tokens.body.scope]).toEqual([200, 'openid profile email offline_access providers:read']);
  });

  test('a public app has no secret, and its command needs none', async () => {
    const page = await create({ type: 'public', base_url: BASE, redirect_uris: 'http://127.0.0.1/cb' });
    const { app, clientSecret } = await madeOn(page);
    expect([app.type, app.tokenEndpointAuthMethod, clientSecret]).toEqual(['public', 'none', undefined]);
    const copied = copiedFrom(page);
    expect(copied['.env']).not.toContain('SECRET');
    const answer = await runCurl(copied[THEN]!, { CODE: 'none' });
    expect(answer.body.error).toBe('invalid_grant');
    const detail = await open(`${APPS}/${app.id}`);
    expect(wordsOf(detail)).not.toContain('New secret');
    const refused = await fillIn(server, admin, `${APPS}/${app.id}/secrets/new`, {});
    expect([refused.status, wordsOf(refused)]).toEqual([400, expect.stringContaining('not a secret')]);
  });

  test('row 86: the secret is on that page and nowhere else, also when the form is sent twice', async () => {
    const form = formOn(await open(`${APPS}/new`), `${APPS}/new`);
    const fields = { ...form.fields, ...URIS, name: 'Only once' };
    const first = await admin.post(form.url, fields);
    const { app, clientSecret } = await madeOn(first);
    expect(first.headers.get('cache-control')).toContain('no-store');

    const second = await admin.post(form.url, fields);
    expect([second.status, second.location]).toEqual([303, `${server.origin}${APPS}/${app.id}?done=already`]);
    const pages = [await admin.follow(second, server.origin), await open(APPS), await open(`${APPS}/${app.id}/edit`)];
    const middle = clientSecret!.slice(8, -4);
    expect(pages.map(({ text }) => text).join()).not.toContain(middle);
    expect(server.log.join()).not.toContain(middle);
    const { rows } = await server.db.query('SELECT id FROM oauth_apps WHERE name = $1', ['Only once']);
    expect(rows).toHaveLength(1);
  });

  test('everything that is wrong is told at once, with what was meant, and what was typed is kept', async () => {
    const page = await create({
      name: 'Kept name',
      base_url: 'http://app.example.com',
      redirect_uris: 'app.example.com/cb\nhttps://app.example.com/ok\nhttps://app.example.com/*',
      post_logout_redirect_uris: 'https://app.example.com/bye#now',
      'allowed_scopes:teams:read': 'on',
    });
    expect(page.status).toBe(422);
    const words = wordsOf(page);
    expect(words).toContain('Did you mean https://app.example.com');
    expect(words).toContain('1: "app.example.com/cb" must be an absolute URI');
    expect(words).toContain('Did you mean https://app.example.com/cb');
    expect(words).toContain('3: "https://app.example.com/*" patterns');
    expect(words).toContain('Did you mean https://app.example.com/bye');
    const { fields } = formOn(page, `${APPS}/new`);
    expect(fields).toMatchObject({
      name: 'Kept name',
      base_url: 'http://app.example.com',
      redirect_uris: 'app.example.com/cb\nhttps://app.example.com/ok\nhttps://app.example.com/*',
      'allowed_scopes:teams:read': 'on',
    });
  });

  test.each<[what: string, changes: Record<string, string>, complaint: string]>([
    ['a logo that is a script', { logo_url: 'javascript:alert(1)' }, 'must be https'],
    ['a logo on this machine', { logo_url: 'https://127.0.0.1/logo.png' }, 'must be on the public internet'],
    ['keys that are no JSON', { jwks: 'n/a', token_endpoint_auth_method: 'private_key_jwt' }, 'must be JSON'],
    ['keys on a private network', { jwks_uri: 'https://10.0.0.1/keys' }, 'must be on the public internet'],
    ['a kind there is not', { type: 'native' }, 'must be confidential or public'],
    ['no name', { name: '' }, 'must'],
  ])('row 38, 116: %s is refused at its field', async (_, changes, complaint) => {
    const page = await create(changes);
    expect([page.status, wordsOf(page)]).toEqual([422, expect.stringContaining(complaint)]);
  });

  test('row 38: names, whatever is in them, are text', async () => {
    const name = `<img src=x onerror=alert(1)>"'&\u200f😀${'x'.repeat(200)}`;
    expect((await create({ name: `\u202e${name}` })).status).toBe(422);
    const page = await create({ name });
    const { app } = await madeOn(page);
    for (const path of [APPS, `${APPS}/${app.id}`, `${APPS}/${app.id}/edit`, `${APPS}/${app.id}/delete`]) {
      const shown = await open(path);
      expect([shown.status, shown.text.includes('<img src=x')]).toEqual([200, false]);
      expect(shown.text).toContain('&lt;img src=x onerror=alert(1)&gt;');
    }
    expect(page.text).not.toContain('<img src=x');
  });
});

describe('row 115: redirect URIs while they are typed', () => {
  async function check(fields: Record<string, string>, headers: Record<string, string> = {}, browser = admin) {
    const form = formOn(await open(`${APPS}/new`, browser), `${APPS}/new`);
    return browser.post(`${server.origin}${APPS}/check`, { ...form.fields, ...fields }, { accept: '*/*', ...headers });
  }

  test('each line is told what is wrong with it and what was meant', async () => {
    const answer = await check({ base_url: BASE, redirect_uris: `${BASE}/cb\nhttp://app.example.com/cb` });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, expect.stringContaining('json')]);
    expect(answer.headers.get('cache-control')).toContain('no-store');
    expect(JSON.parse(answer.text)).toEqual({
      base_url: [{ uri: BASE }],
      redirect_uris: [
        { uri: `${BASE}/cb` },
        {
          uri: 'http://app.example.com/cb',
          problem: expect.stringContaining('https'),
          hint: expect.any(String),
          suggestion: `${BASE}/cb`,
        },
      ],
      post_logout_redirect_uris: [],
    });
  });

  test('of an app that is changed, what is registered is known', async () => {
    const { id } = await createTestApp(server, { redirectUris: [`${BASE}/callback`] });
    const answer = await check({ app: id, base_url: BASE, redirect_uris: `${BASE}/callback/` });
    expect(JSON.parse(answer.text).redirect_uris[0].hint).toContain(`only by a slash at its end`);
  });

  test('row 113: only from our page', async () => {
    const foreign = await check({ redirect_uris: BASE }, { origin: 'https://evil.example' });
    const forged = await check({ redirect_uris: BASE, csrf: 'x' });
    expect([foreign.status, forged.status]).toEqual([403, 403]);
  });

  test('it changes nothing, and asks nobody', async () => {
    const count = async () => (await server.db.query('SELECT id FROM oauth_apps')).rows.length;
    const before = await count();
    await check({ ...URIS, redirect_uris: `${server.origin}/never-asked\n${server.origin}/nor-this` });
    expect(await count()).toBe(before);
    expect(server.log.join()).not.toContain('/never-asked');
  });
});

describe('the list', () => {
  test('name, client ID, the newest secret, scopes, status; searched, filtered and sorted', async () => {
    const page = await create({ name: 'Zebra crossing' });
    const { app, clientSecret } = await madeOn(page);
    const found = await open(`${APPS}?q=zeb`);
    const words = wordsOf(found);
    expect(words).toContain('Zebra crossing');
    expect(words).toContain(app.clientId);
    expect(words).toContain(`${clientSecret!.slice(0, 8)}…${clientSecret!.slice(-4)}`);
    expect(words).toContain('Enabled');
    expect(words).not.toContain('Dashboards');
    expect(wordsOf(await open(`${APPS}?q=${app.clientId}`))).toContain('Zebra crossing');
    expect(wordsOf(await open(`${APPS}?q=zeb&enabled=false`))).not.toContain('Zebra crossing');
    expect(wordsOf(await open(`${APPS}?q=zeb&type=public`))).not.toContain('Zebra crossing');
    for (const sort of ['name', '-name', 'created_at', 'last_used_at', '-last_used_at']) {
      expect((await open(`${APPS}?sort=${sort}`)).status).toBe(200);
    }
  });

  test('row 109: not for whoever is no administrator of the root team', async () => {
    const { email } = await createPerson(server);
    const other = await logInAt(server, { email });
    const { id } = await createTestApp(server);
    for (const path of ['', '/new', `/${id}`, `/${id}/edit`, `/${id}/delete`, `/${id}/secrets/new`]) {
      expect((await open(`${APPS}${path}`, other)).status).toBe(403);
    }
    expect((await createBrowser().get(`${server.origin}${APPS}`)).location).toContain('/login?return_to=');
  });
});

describe('changing an app', () => {
  test('what is saved is what it is', async () => {
    const { id } = await createTestApp(server);
    const page = await fillIn(server, admin, `${APPS}/${id}/edit`, {
      name: 'Renamed',
      redirect_uris: `${BASE}/new`,
      logo_url: 'https://cdn.example.com/logo.png',
      'allowed_scopes:providers:write': undefined,
    });
    expect([page.status, wordsOf(page)]).toEqual([200, expect.stringContaining('Your changes are saved')]);
    expect(await server.domain.oauthApps.find(id)).toMatchObject({
      name: 'Renamed',
      redirectUris: [`${BASE}/new`],
      postLogoutRedirectUris: [`${BASE}/bye`],
      logoUrl: 'https://cdn.example.com/logo.png',
      allowedScopes: ['openid', 'profile', 'email', 'offline_access', 'providers:read'],
      tokenEndpointAuthMethod: 'client_secret_basic',
    });
  });

  test('row 118: of two who change it at once one is told, with what was typed and what it says now', async () => {
    const { id } = await createTestApp(server, { name: 'Before' });
    const mine = await open(`${APPS}/${id}/edit`);
    await fillIn(server, admin, `${APPS}/${id}/edit`, { name: 'Theirs' });
    const told = await fillIn(server, admin, mine, { name: 'Mine' });
    expect(told.status).toBe(412);
    expect(wordsOf(told)).toContain('Somebody changed this app while you did');
    expect(wordsOf(told)).toContain('Name Theirs');
    expect(formOn(told, '/edit').fields.name).toBe('Mine');
    expect((await server.domain.oauthApps.find(id))?.name).toBe('Theirs');
    await fillIn(server, admin, told);
    expect((await server.domain.oauthApps.find(id))?.name).toBe('Mine');
  });

  test('row 112: its type, owner and client ID are not taken from a form', async () => {
    const { id, clientId } = await createTestApp(server);
    const before = await server.domain.oauthApps.find(id);
    await fillIn(server, admin, `${APPS}/${id}/edit`, {
      ...{ type: 'public', client_id: 'app_mine', created_by: 'me', enabled: 'off', id: 'x' },
      name: 'Same',
    });
    expect(await server.domain.oauthApps.find(id)).toMatchObject({
      ...{ id, clientId, type: 'confidential', enabled: true, createdBy: before?.createdBy },
      name: 'Same',
    });
  });

  test('row 113: not with a form of another session, or from another place', async () => {
    const { id } = await createTestApp(server, { name: 'Untouched' });
    const other = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
    const form = formOn(await open(`${APPS}/${id}/edit`, other), '/edit');
    const foreign = await admin.post(form.url, { ...form.fields, name: 'Forged' });
    const own = formOn(await open(`${APPS}/${id}/edit`), '/edit');
    const across = await admin.post(own.url, { ...own.fields, name: 'Forged' }, { origin: 'https://evil.example' });
    expect([foreign.status, across.status]).toEqual([403, 403]);
    expect((await server.domain.oauthApps.find(id))?.name).toBe('Untouched');
  });
});

describe('its secrets', () => {
  const redeem = async (app: { clientId: string; clientSecret: string }) => {
    const person = await createPerson(server);
    const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
    return redeemCode(server, app, code, pkce);
  };

  test('a new one is used at once, while the old one goes on for as long as was said', async () => {
    const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const page = await fillIn(server, admin, `${APPS}/${app.id}/secrets/new`, { overlap: '3600', ends: '90' });
    const clientSecret = copiedFrom(page)['Client secret']!;
    expect((await redeem({ ...app, clientSecret })).status).toBe(200);
    expect((await redeem(app)).status).toBe(200);
    const [old, made] = await server.domain.clientSecrets.list({ kind: 'app', id: app.id });
    const inHours = (at: Date | null) => Math.round((at!.getTime() - Date.now()) / 3_600_000);
    expect([inHours(old!.expiresAt), inHours(made!.expiresAt)]).toEqual([1, 90 * 24]);
    const words = wordsOf(await open(`${APPS}/${app.id}`));
    expect(words).toContain(`${clientSecret.slice(0, 8)}…${clientSecret.slice(-4)}`);
  });

  test('with "now" the old one is dead with that very request', async () => {
    const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const page = await fillIn(server, admin, `${APPS}/${app.id}/secrets/new`, { overlap: '0' });
    expect((await redeem(app)).body.error).toBe('invalid_client');
    expect((await redeem({ ...app, clientSecret: copiedFrom(page)['Client secret']! })).status).toBe(200);
  });

  test('two are the most; one of them can be ended, and the last one after a warning', async () => {
    const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const path = `${APPS}/${app.id}/secrets`;
    const page = await fillIn(server, admin, `${path}/new`, { overlap: '' });
    expect(wordsOf(await open(`${path}/new`))).toContain('It has two secrets, which is the most');
    const third = await fillIn(server, admin, `${path}/new`, { overlap: '86400' });
    expect([third.status, wordsOf(third)]).toEqual([400, expect.stringContaining('2 live secrets')]);

    const [old, made] = await server.domain.clientSecrets.list({ kind: 'app', id: app.id });
    const stale = await open(`${path}/${made!.id}/end`);
    await fillIn(server, admin, `${path}/${old!.id}/end`);
    expect((await redeem(app)).body.error).toBe('invalid_client');
    expect((await redeem({ ...app, clientSecret: copiedFrom(page)['Client secret']! })).status).toBe(200);
    expect((await fillIn(server, admin, stale)).status).toBe(400);
    expect(wordsOf(await open(`${path}/${made!.id}/end`))).toContain('It is the last one');
    await fillIn(server, admin, `${path}/${made!.id}/end`);
    expect(await server.domain.clientSecrets.list({ kind: 'app', id: app.id })).toEqual([]);
    expect((await open(`${path}/${made!.id}/end`)).status).toBe(404);
  });
});

describe('switching it off, and deleting it', () => {
  async function connected() {
    const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const person = await createPerson(server);
    const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
    const tokens = (await redeemCode(server, app, code, pkce)).body;
    const other = await createPerson(server);
    await authorize(server, { ...other, clientId: app.clientId });
    await server.domain.lastUsed.flush();
    return { app, refreshToken: tokens.refresh_token as string };
  }

  test('both say before what ends; deleting does it', async () => {
    const { app, refreshToken } = await connected();
    expect(wordsOf(await open(`${APPS}/${app.id}`))).toContain('Who connected it 2 users, 2 tokens');
    const page = await open(`${APPS}/${app.id}/delete`);
    const words = wordsOf(page);
    expect(words).toContain('2 users are disconnected: 2 consents end.');
    expect(words).toContain('2 refresh tokens and codes end at once.');
    expect(words).toContain('1 secret ends with it');
    expect(words).toContain('Delete this app (2 users, 2 tokens)');
    expect(await server.domain.oauthApps.find(app.id)).toBeDefined();
    const after = await fillIn(server, admin, page);
    expect([after.url, wordsOf(after)]).toEqual([
      `${server.origin}${APPS}?done=deleted`,
      expect.stringContaining('It is deleted'),
    ]);
    expect((await refresh(server, app, refreshToken)).body.error).toBe('invalid_client');
    expect((await open(`${APPS}/${app.id}`)).status).toBe(404);
  });

  test('disabled, it is shut; enabled again, users have to consent again', async () => {
    const { app, refreshToken } = await connected();
    const page = await fillIn(server, admin, `${APPS}/${app.id}/disable`);
    expect(wordsOf(page)).toContain('Disabled');
    expect(wordsOf(page)).toContain('Who connected it Nobody');
    expect((await refresh(server, app, refreshToken)).status).toBe(401);
    const enabled = await fillIn(server, admin, page, {}, '/enable');
    expect(wordsOf(enabled)).toContain('Enabled');
    expect((await refresh(server, app, refreshToken)).body.error).toBe('invalid_grant');
  });

  test('row 118: not when somebody changed it meanwhile', async () => {
    const { id } = await createTestApp(server);
    const page = await open(`${APPS}/${id}/delete`);
    await server.domain.oauthApps.update(id, { name: 'Other' }, OPERATOR);
    const told = await fillIn(server, admin, page);
    expect([told.status, wordsOf(told)]).toEqual([412, expect.stringContaining('changed since you read it')]);
    expect(await server.domain.oauthApps.find(id)).toBeDefined();
  });
});
