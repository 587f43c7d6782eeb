import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Browser, createBrowser, formOn, type Visit } from '../../support/browser.ts';
import {
  authorizationUrl,
  consent,
  createPerson,
  createPkce,
  createTestApp,
  logIn,
  PASSWORD,
  redeemCode,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const HOSTILE = `<img src=x onerror=alert(1)> שלום 🗝️ ${'W'.repeat(200)}`;
let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let app: Awaited<ReturnType<typeof createTestApp>>;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  app = await createTestApp(server, { name: HOSTILE, tokenEndpointAuthMethod: 'client_secret_post' });
});
afterAll(() => server.close());

/** Logs in and stops at the consent page. */
async function open(params: Record<string, string> = {}, browser: Browser = createBrowser(), who = person) {
  const pkce = createPkce();
  const url = authorizationUrl(server, app.clientId, pkce, params);
  let page = await browser.follow(await browser.get(url), server.origin);
  if (/\/login"/.test(page.text)) page = await logIn(browser, page, who.email);
  return { browser, pkce, page };
}

function codeIn(visit: Visit): string | null {
  return new URL(visit.location ?? 'http://none').searchParams.get('code');
}

async function grantCount(): Promise<number> {
  return (await server.db.query('SELECT FROM grants')).count;
}

describe('the consent page', () => {
  test('rows 29, 38: says which app, for what, as whom, in which team and where the answer goes', async () => {
    const { page } = await open({ scope: 'openid email offline_access providers:read' });
    const escaped = HOSTILE.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
    for (const said of [
      escaped,
      'app.example.com',
      'Know who you are',
      'See your email address',
      'Stay connected when you are not using it',
      'See the data providers of the team',
      person.email,
      `value="${person.teamId}" required checked`,
      'You will be sent to <strong class="host">app.example.com</strong>',
    ]) {
      expect(page.text).toContain(said);
    }
    expect(page.text).not.toContain('<img src=x');
    expect(page.text).not.toContain('Create, change and delete custom data providers');
    expect(page.headers.get('content-security-policy')).not.toContain('form-action');
  });

  test('asks which team when there are several, and acts in the one chosen', async () => {
    const someone = await createPerson(server);
    const second = await server.domain.teams.create({ name: 'Second <team>' }, OPERATOR);
    await server.domain.memberships.setRoles(
      { userId: someone.userId, teamId: second.id, roles: [ROLE_IDS.Viewer] },
      OPERATOR,
    );
    const { browser, page, pkce } = await open({}, createBrowser(), someone);
    expect(page.text).toContain('Second &lt;team&gt;');
    expect(page.text).not.toContain(' checked');
    const { body } = await redeemCode(server, app, codeIn(await consent(browser, page, second.id))!, pkce);
    const claims = JSON.parse(Buffer.from(body.access_token.split('.')[1], 'base64url').toString());
    expect(claims.team_id).toBe(second.id);
  });

  test('says how far it will reach: one team, or in the root team every one', async () => {
    const { page } = await open({}, createBrowser(), await createPerson(server));
    expect(page.text).toContain('It will reach this team only.');
    const root = await createPerson(server, { teamId: ROOT_TEAM_ID });
    const { page: wider } = await open({}, createBrowser(), root);
    expect(wider.text).toContain('It will reach this team only; in Root, the root team, it will reach every team.');
  });

  test.each(['', 'not a team', '00000000-0000-4000-8000-000000000010'])(
    'refuses a team that is not one of theirs: "%s"',
    async (teamId) => {
      const { browser, page } = await open({ prompt: 'consent' });
      const before = await grantCount();
      const form = formOn(page, '/consent');
      const answer = await browser.post(form.url, { csrf: form.fields.csrf!, ...(teamId && { team_id: teamId }) });
      expect([answer.status, answer.location]).toEqual([400, undefined]);
      expect(await grantCount()).toBe(before);
    },
  );

  test('row 35: grants what was asked for, whatever the form says', async () => {
    const { browser, page, pkce } = await open({ scope: 'openid providers:read', prompt: 'consent' });
    const form = formOn(page, '/consent');
    expect(Object.keys(form.fields).sort()).toEqual(['csrf', 'team_id']);
    const more = { scope: 'openid providers:read providers:write users:write', scopes: 'providers:write' };
    const answer = await browser.follow(await browser.post(form.url, { ...form.fields, ...more }), server.origin);
    const { body } = await redeemCode(server, app, codeIn(answer)!, pkce);
    expect(body.scope).toBe('openid providers:read');
  });

  test('row 31: a scope more is asked about and named, fewer are not', async () => {
    const someone = await createPerson(server);
    const first = await open({ scope: 'openid providers:read' }, createBrowser(), someone);
    await consent(first.browser, first.page, someone.teamId);
    const more = await open({ scope: 'openid providers:read providers:write' }, first.browser, someone);
    const [asked, before] = more.page.text.split('What you allowed it before');
    expect(asked).toContain('Create, change and delete custom data providers');
    expect(asked).not.toContain('See the data providers of the team');
    expect(before).toContain('See the data providers of the team');
    expect(codeIn((await open({ scope: 'openid' }, first.browser, someone)).page)).toBeTruthy();
  });

  test('rows 21, 36: denied, tells the app access_denied with state and iss, and no grant stays', async () => {
    const before = await grantCount();
    const { browser, page } = await open({ prompt: 'consent' });
    const form = formOn(page, '/abort');
    const answer = await browser.post(form.url, form.fields);
    expect(answer.status).toBe(303);
    const end = new URL((await browser.follow(answer, server.origin)).location!);
    expect(Object.fromEntries(end.searchParams)).toMatchObject({
      error: 'access_denied',
      state: 'a state',
      iss: server.issuer,
    });
    expect(await grantCount()).toBe(before);
    expect((await server.auditEvents()).at(-1)).toMatchObject({ action: 'authorization.refused', outcome: 'refused' });
  });

  test('lets someone else log in', async () => {
    const someone = await createPerson(server);
    const { browser, page } = await open({ prompt: 'consent' });
    const form = formOn(page, '/switch');
    const login = await browser.follow(await browser.post(form.url, form.fields), server.origin);
    expect(login.text).toContain('Log in once more');
    expect(login.text).not.toContain(person.email);
    // The engine ends the other person's session first, by a form that sends itself.
    const leave = await logIn(browser, login, someone.email);
    expect(leave.headers.get('content-security-policy')).toMatch(/script-src 'sha256-[\w+/]{43}='/);
    const { url, fields } = formOn(leave, '/logout/confirm');
    const again = await browser.follow(await browser.post(url, fields), server.origin);
    expect(again.text).toContain(someone.email);
  });

  test('offers someone without a team nothing but going back', async () => {
    const someone = await createPerson(server);
    await server.domain.memberships.remove({ userId: someone.userId, teamId: someone.teamId }, OPERATOR);
    const { page } = await open({}, createBrowser(), someone);
    expect(page.text).toContain('You are not a member of any team');
    expect(page.text).toContain('<button class="primary" disabled>');
  });
});

describe('row 32: the consent form', () => {
  test.each([
    ['without a token', { csrf: '' }, {}],
    ['from another site', {}, { origin: 'https://evil.example' }],
  ])('%s is refused, and nothing is granted', async (_, fields, headers) => {
    const { browser, page } = await open({ prompt: 'consent' });
    const before = await grantCount();
    const form = formOn(page, '/consent');
    const sent = { ...form.fields, team_id: person.teamId, ...fields };
    expect((await browser.post(form.url, sent, headers as Record<string, string>)).status).toBe(403);
    expect(await grantCount()).toBe(before);
    expect(codeIn(await consent(browser, page, person.teamId))).toBeTruthy();
  });
});

describe('row 34: an interaction', () => {
  test('that is finished cannot be answered again', async () => {
    const { browser, page } = await open({ prompt: 'consent' });
    const form = formOn(page, '/consent');
    const answer = await browser.post(form.url, { ...form.fields, team_id: person.teamId });
    expect(codeIn(await browser.follow(answer, server.origin))).toBeTruthy();
    const before = await grantCount();
    const replay = await browser.post(form.url, { ...form.fields, team_id: person.teamId });
    expect([replay.status, replay.location]).toEqual([400, undefined]);
    const followed = await browser.get(answer.location!);
    expect([followed.status, followed.location]).toEqual([400, undefined]);
    expect(await grantCount()).toBe(before);
  });

  test('cannot be finished by its last step first, nor taken a step back, nor by an empty form', async () => {
    const browser = createBrowser();
    const start = await browser.get(authorizationUrl(server, app.clientId, createPkce()));
    const login = await browser.follow(start, server.origin);
    const { fields } = formOn(login, '/login');
    const early = await browser.post(`${login.url}/consent`, { ...fields, team_id: person.teamId });
    expect([early.status, early.location]).toEqual([400, undefined]);
    const late = await open({ prompt: 'consent' });
    const again = { ...formOn(late.page, '/consent').fields, email: person.email, password: PASSWORD };
    expect((await late.browser.post(`${late.page.url}/login`, again)).status).toBe(400);
    const empty = await browser.post(`${login.url}/consent`, '');
    expect([empty.status, empty.location]).toEqual([403, undefined]);
  });
});
