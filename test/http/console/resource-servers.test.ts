import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, createApi } from '../../support/api.ts';
import { type Browser, createBrowser, formOn, type Visit } from '../../support/browser.ts';
import { copiedFrom, fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { createPerson, createTestApp, createTestClient } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/console/resource-servers';
const REPORTS = 'https://reports.example.com';
const HOSTILE = '<img src=x onerror=alert(1)> \u05d0\u05d1 "\'&\u{1F600}';

let server: TestServer;
let api: Api;
let admin: Browser;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  admin = await logInAt(server, await createPerson(server, { role: 'Admin', teamId: ROOT_TEAM_ID }));
}, 30_000);
afterAll(() => server?.close());
beforeEach(async () => {
  await server.db.query('DELETE FROM resource_servers WHERE NOT is_built_in');
});

const open = (path = '') => admin.get(`${server.origin}${PATH}${path}`);
const register = (changes: object = {}) =>
  server.domain.resourceServers.create(
    {
      identifier: REPORTS,
      name: 'Reports',
      scopes: [{ name: 'reports:read', description: 'Read reports' }, { name: 'reports:write' }],
      ...changes,
    },
    OPERATOR,
  );
const find = (id: string) => server.domain.resourceServers.find(id);
const idOf = ({ url }: Visit) => new URL(url).pathname.split('/').at(-1)!;

test('an API is registered with what the form says, and shown with a middleware to paste', async () => {
  const client = await createTestClient(server, await api.team(), {});
  const page = await fillIn(server, admin, `${PATH}/new`, {
    identifier: REPORTS,
    name: 'Reports',
    scopes: "reports:read — Read reports\r\n\r\n  reports:write   Change reports \r\nreports:admin\r\nit's - odd",
    client_ids: `${client.clientId}\r\n`,
    access_token_ttl_seconds: '2',
    access_token_ttl_seconds_unit: 'hours',
    signing_alg: 'RS256',
  });
  expect([page.status, wordsOf(page)]).toEqual([200, expect.stringContaining('It is created.')]);
  expect(await find(idOf(page))).toMatchObject({
    identifier: REPORTS,
    name: 'Reports',
    scopes: [
      { name: 'reports:read', description: 'Read reports' },
      { name: 'reports:write', description: 'Change reports' },
      { name: 'reports:admin', description: '' },
      { name: "it's", description: 'odd' },
    ],
    clientIds: [client.clientId],
    acceptsApiKeys: true,
    accessTokenTtlSeconds: 7_200,
    signingAlg: 'RS256',
    isBuiltIn: false,
  });
  const [snippet] = Object.values(copiedFrom(page));
  expect(snippet).toContain(`issuer: '${server.issuer}',`);
  expect(snippet).toContain(`audience: '${REPORTS}',`);
  expect(snippet).toContain(`clientId: '${client.clientId}'`);
  expect(snippet).toContain("requireScope('reports:read')");
  expect(snippet).toMatch(/^import \{ env \} from 'node:process';\nimport .* from 'latchkey\/resource';\n/);
});

test('the middleware on the page is JavaScript, whatever the identifier and the scope', async () => {
  const { id } = await register({
    identifier: "https://reports.example.com/it's",
    scopes: [{ name: "it's:'+x" }],
    acceptsApiKeys: false,
  });
  const [snippet = ''] = Object.values(copiedFrom(await open(`/${id}`)));
  expect(snippet).not.toContain('introspection');
  const body = snippet.replace(/^import .*$/m, '');
  const used: unknown[] = [];
  new Function('app', 'authenticate', 'requireScope', body)(
    { use: (one: unknown) => used.push(one) },
    (options: unknown) => options,
    (scope: unknown) => scope,
  );
  expect(used).toEqual([{ issuer: server.issuer, audience: "https://reports.example.com/it's" }, "it's:'+x"]);
});

test.each<[string, Record<string, string | undefined>, string, string]>([
  ['an identifier that is none', { identifier: 'reports' }, 'identifier', 'must be an absolute URI'],
  ['no name', { name: '  ' }, 'name', 'must not be empty'],
  [
    'a scope of the server',
    { scopes: 'a:b\nproviders:read — x' },
    'scopes',
    '2: providers:read is a scope of Latchkey',
  ],
  ['a scope twice', { scopes: 'a:b\na:b' }, 'scopes', '2: a:b is there twice'],
  ['a scope that is taken', { scopes: 'other:read' }, 'scopes', 'other:read is a scope of https://other'],
  [
    'a client there is none of',
    { client_ids: `svc_${'A'.repeat(22)}` },
    'client_ids',
    '1: there is no such OAuth2 client',
  ],
  [
    'a life of two days',
    { access_token_ttl_seconds: '2', access_token_ttl_seconds_unit: 'days' },
    'access_token_ttl_seconds',
    'must be a whole number',
  ],
  ['an algorithm there is none of', { signing_alg: 'none' }, 'signing_alg', 'must be one of'],
])('%s is told at its field, and what was typed stays', async (_, changes, field, problem) => {
  await register({ identifier: 'https://other.example.com', scopes: [{ name: 'other:read' }] });
  const typed = { identifier: REPORTS, name: 'Reports', scopes: 'reports:read — Read “reports”', ...changes };
  const page = await fillIn(server, admin, `${PATH}/new`, typed);
  expect([page.status >= 400 && page.status < 500, wordsOf(page)]).toEqual([true, expect.stringContaining(problem)]);
  expect(page.text).toContain(`id="f-${field}-problem"`);
  expect(formOn(page, '/new').fields.scopes).toBe(typed.scopes);
  expect(await server.domain.resourceServers.list({ limit: 10 })).toHaveLength(2);
});

test('an identifier that is taken is told', async () => {
  await register();
  const page = await fillIn(server, admin, `${PATH}/new`, { identifier: REPORTS, name: 'Again' });
  expect([page.status, formOn(page, '/new').fields.name]).toEqual([409, 'Again']);
});

describe('the list', () => {
  test('is searched, ordered and paged', async () => {
    for (let index = 10; index < 40; index += 1) {
      await register({ identifier: `https://api-${index}.example.com`, name: `Api ${index}`, scopes: [] });
    }
    const first = wordsOf(await open());
    expect(first).toMatch(/Api 10 .* Api 34 /);
    expect(first).not.toContain('Api 35');
    const next = /href="([^"]*after=[^"]*)" rel="next"/.exec((await open()).text)![1]!.replaceAll('&amp;', '&');
    const second = wordsOf(await admin.get(`${server.origin}${next}`));
    expect(second).toMatch(/Api 35 .* Api 39 .*Latchkey API/);
    expect(second).not.toContain('Api 34');
    expect(wordsOf(await open('?sort=-name'))).toMatch(/Latchkey API .* Api 39 .* Api 38 /);
    const found = wordsOf(await open('?q=api-23'));
    expect(found).toContain('Api 23');
    expect(found).not.toContain('Api 24');
    expect(wordsOf(await open('?q=nothing-like-it'))).toContain('Nothing here matches');
  });
});

test('pages of APIs with as many and as long scopes as there can be stay below 100 KB', async () => {
  const wide = (index: number) =>
    Array.from({ length: 200 }, (_, place) => ({
      name: `${index}:${String(place).padEnd(97, 'x')}`,
      description: 'd'.repeat(255),
    }));
  for (let index = 10; index < 36; index += 1) {
    await register({
      identifier: `https://api-${index}.example.com`,
      name: '&'.repeat(255),
      scopes: wide(index).slice(0, 20),
    });
  }
  const { id } = await register({ scopes: wide(99) });
  const teamId = await api.team();
  const allowedScopes = wide(99).map(({ name }) => name);
  for (let count = 0; count < 21; count += 1) await createTestClient(server, teamId, { allowedScopes });
  for (const path of ['', '?sort=-name', `/${id}`, `/${id}/delete`, `/${id}/edit`]) {
    const { text } = await open(path);
    expect([path, Buffer.byteLength(text) < 100_000]).toEqual([path, true]);
  }
  expect(wordsOf(await open(`/${id}`))).toContain('The first 100 of 200');
  expect(wordsOf(await open(`/${id}`))).toContain('of clients and of keys at most 20 each are shown');
}, 20_000);

describe('changing', () => {
  test('what the form shows is what is there, and sent back as it is nothing changes', async () => {
    const { id, version } = await register({ acceptsApiKeys: false, accessTokenTtlSeconds: 90 });
    const { fields } = formOn(await open(`/${id}/edit`), '/edit');
    expect(fields).toMatchObject({
      scopes: 'reports:read — Read reports\nreports:write',
      access_token_ttl_seconds: '90',
      access_token_ttl_seconds_unit: 'seconds',
    });
    expect(Object.keys(fields)).not.toContain('accepts_api_keys');
    expect((await fillIn(server, admin, `${PATH}/${id}/edit`)).status).toBe(200);
    expect(await find(id)).toMatchObject({ version });
  });

  test('a scope that would end is asked about first, with whoever has it', async () => {
    const { id } = await register();
    const team = await api.team('Payroll');
    const scopes = ['reports:write', 'providers:read'];
    const client = await createTestClient(server, team, { name: 'Nightly export', allowedScopes: scopes });
    await createTestApp(server, { name: 'Dashboards', allowedScopes: ['openid', 'reports:read'] });
    const ask = await fillIn(server, admin, `${PATH}/${id}/edit`, { name: 'All reports', scopes: 'reports:read' });
    expect([ask.status, wordsOf(ask)]).toEqual([200, expect.stringContaining('No longer there: reports:write.')]);
    expect(wordsOf(ask)).toContain('Nightly export OAuth2 Client Payroll reports:write');
    expect(wordsOf(ask)).not.toContain('Dashboards');
    expect(await find(id)).toMatchObject({
      name: 'Reports',
      scopes: [{ name: 'reports:read' }, { name: 'reports:write' }],
    });

    const done = await fillIn(server, admin, ask, {}, `${PATH}/${id}/edit`);
    expect([done.status, wordsOf(done)]).toEqual([200, expect.stringContaining('Your changes are saved.')]);
    expect(await find(id)).toMatchObject({ name: 'All reports', scopes: [{ name: 'reports:read' }] });
    expect((await server.domain.oauthClients.find(client.id))!.allowedScopes).toEqual(['providers:read']);
  });

  test('who was asked about one scope is asked again about another', async () => {
    const { id } = await register();
    const ask = await fillIn(server, admin, `${PATH}/${id}/edit`, { scopes: 'reports:read' });
    const form = formOn(ask, '/edit');
    const again = await admin.post(form.url, { ...form.fields, scopes: 'reports:write' });
    expect([again.status, wordsOf(again)]).toEqual([200, expect.stringContaining('No longer there: reports:read.')]);
    expect((await find(id))!.scopes).toHaveLength(2);
  });

  test('row 118: of two who change it at once one is told, sees what it says now, and may go on', async () => {
    const { id } = await register();
    const page = await open(`/${id}/edit`);
    const answers = await Promise.all(['First', 'Second'].map((name) => fillIn(server, admin, page, { name })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    const lost = answers.findIndex(({ status }) => status === 412);
    const kept = ['Second', 'First'][lost]!;
    expect(await find(id)).toMatchObject({ name: kept });
    expect(wordsOf(answers[lost]!)).toMatch(new RegExp(`What it says now Name ${kept}`));
    expect((await fillIn(server, admin, answers[lost]!)).status).toBe(200);
    expect(await find(id)).toMatchObject({ name: ['First', 'Second'][lost] });
  });

  test('row 112: what the form does not have is not set', async () => {
    const { id } = await register();
    const more = {
      identifier: 'https://evil.example',
      is_built_in: 'true',
      created_by: ROOT_TEAM_ID,
      id: ROOT_TEAM_ID,
    };
    await fillIn(server, admin, `${PATH}/${id}/edit`, { ...more, name: 'Other' });
    expect(await find(id)).toMatchObject({ id, identifier: REPORTS, name: 'Other', isBuiltIn: false, createdBy: null });
  });
});

describe('deleting', () => {
  test('the page says what ends, and then it ends', async () => {
    const { id } = await register();
    const app = await createTestApp(server, { name: 'Dashboards', allowedScopes: ['openid', 'reports:read'] });
    const teamId = await api.team('Wages');
    const owner = await api.user('Viewer', teamId);
    const key = { userId: owner.userId, teamId, name: 'laptop', scopes: ['reports:read'] };
    await server.domain.apiKeys.createPersonal(key, OPERATOR);
    const ask = await open(`/${id}/delete`);
    const words = wordsOf(ask);
    expect(words).toContain('Its scopes end, for apps, clients, keys and in consents: reports:read, reports:write.');
    expect(words).toContain('Dashboards OAuth2 App Every team reports:read');
    expect(words).toContain('laptop Personal key Wages reports:read');
    const done = await fillIn(server, admin, ask);
    expect([done.status, wordsOf(done)]).toEqual([200, expect.stringContaining('It is deleted.')]);
    expect(await find(id)).toBeUndefined();
    expect((await server.domain.oauthApps.find(app.id))!.allowedScopes).toEqual(['openid']);
    expect((await admin.get(ask.url)).status).toBe(404);
  });

  test('row 118: what was changed since the page was read is not deleted', async () => {
    const { id } = await register();
    const ask = await open(`/${id}/delete`);
    await server.domain.resourceServers.update(id, { name: 'Changed' }, {}, OPERATOR);
    const refused = await fillIn(server, admin, ask);
    expect([refused.status, wordsOf(refused)]).toEqual([412, expect.stringContaining('changed since you read it')]);
    expect(await find(id)).toBeDefined();
    expect((await fillIn(server, admin, refused)).status).toBe(200);
    expect(await find(id)).toBeUndefined();
  });
});

test("the server's own API is shown, and offers and takes no change", async () => {
  const [own] = await server.domain.resourceServers.list({ limit: 1 });
  const page = await open(`/${own!.id}`);
  expect([page.status, wordsOf(page)]).toEqual([200, expect.stringContaining('Built in')]);
  expect(page.text).not.toMatch(/href="[^"]*\/(edit|delete)"/);
  for (const path of ['edit', 'delete']) {
    expect((await open(`/${own!.id}/${path}`)).status).toBe(400);
    const { csrf, team } = formOn(await open('/new'), '/new').fields;
    const sent = await admin.post(`${server.origin}${PATH}/${own!.id}/${path}`, {
      csrf: csrf!,
      team: team!,
      name: 'Mine',
    });
    expect(sent.status).toBe(400);
  }
  expect(await find(own!.id)).toEqual({ ...own, sortKey: undefined });
});

test('row 38: names are text wherever they are shown', async () => {
  const description = `${HOSTILE} 2`;
  const { id } = await register({ name: HOSTILE, scopes: [{ name: "<b>'", description }] });
  const teamId = await api.team(HOSTILE);
  await createTestClient(server, teamId, { name: HOSTILE, allowedScopes: ["<b>'"] });
  for (const path of ['', `/${id}`, `/${id}/edit`, `/${id}/delete`]) {
    const page = await open(path);
    expect(page.status).toBe(200);
    expect(page.text).not.toMatch(/<img src=x|<b>'/);
    expect(wordsOf(page)).toContain('<img src=x onerror=alert(1)>');
  }
  const ask = await fillIn(server, admin, `${PATH}/${id}/edit`, { scopes: '' });
  expect(ask.text).not.toMatch(/<img src=x|<b>'/);
  expect(wordsOf(await fillIn(server, admin, ask, {}, `${PATH}/${id}/edit`))).toContain('Your changes are saved.');
  expect(await find(id)).toMatchObject({ name: HOSTILE, scopes: [] });
});

describe('row 109: who may', () => {
  test('nobody logged in is sent to log in; who may not, is refused, to see as to change', async () => {
    const { id } = await register();
    const at = ['', '/new', `/${id}`, `/${id}/edit`, `/${id}/delete`];
    const stranger = createBrowser();
    for (const path of at)
      expect((await stranger.get(`${server.origin}${PATH}${path}`)).location).toContain('/login?return_to=');
    for (const person of [
      await createPerson(server),
      await createPerson(server, { role: 'Viewer', teamId: ROOT_TEAM_ID }),
    ]) {
      const browser = await logInAt(server, person);
      const seen = await Promise.all(at.map((path) => browser.get(`${server.origin}${PATH}${path}`)));
      expect(seen.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
      expect(seen.map(({ text }) => text).join()).not.toContain(REPORTS);
      const { csrf } = formOn(await browser.get(`${server.origin}/account`), '/logout').fields;
      for (const path of ['/new', `/${id}/edit`, `/${id}/delete`]) {
        // With the team of the root, too, in which they are nobody.
        for (const team of [person.teamId, ROOT_TEAM_ID]) {
          const fields = { csrf: csrf!, team, identifier: 'https://evil.example', name: 'Evil' };
          expect((await browser.post(`${server.origin}${PATH}${path}`, fields)).status).toBe(403);
        }
      }
    }
    expect(await server.domain.resourceServers.list({ limit: 10 })).toHaveLength(2);
    expect(await find(id)).toMatchObject({ name: 'Reports' });
  });

  test('row 110: what there is none of is not found', async () => {
    for (const id of ['00000000-0000-4000-8000-000000000000', 'x', '%00', '..%2f']) {
      for (const path of [`/${id}`, `/${id}/edit`, `/${id}/delete`]) expect((await open(path)).status).toBe(404);
    }
  });

  test('row 113: a form without our token, or from elsewhere, changes nothing', async () => {
    const { id } = await register();
    for (const verb of ['edit', 'delete']) {
      const form = formOn(await open(`/${id}/${verb}`), `/${verb}`);
      const without = await admin.post(form.url, { ...form.fields, name: 'Evil', csrf: '' });
      const elsewhere = await admin.post(
        form.url,
        { ...form.fields, name: 'Evil' },
        { origin: 'https://evil.example' },
      );
      expect([without.status, elsewhere.status]).toEqual([403, 403]);
    }
    expect(await find(id)).toMatchObject({ name: 'Reports' });
  });
});
