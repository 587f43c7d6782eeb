/** What every page behind a login has in common, asked of every page there is. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { OPERATIONS, type OperationId } from '../../../src/domain/authorization.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Browser, createBrowser, formOn } from '../../support/browser.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { createPerson } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let admin: Browser;
let csrf: string;
/** Every page, with ids that are nobody's. */
let pages: { method: 'GET' | 'POST'; path: string; need: OperationId | 'self' }[];

beforeAll(async () => {
  server = await startTestServer();
  admin = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
  csrf = await csrfOf(admin);
  pages = server.app.pages.map((page) => ({ ...page, path: page.path.replace(/:\w+/g, () => randomUUID()) }));
}, 30_000);

afterAll(() => server?.close());

async function csrfOf(browser: Browser): Promise<string> {
  return formOn(await browser.get(`${server.origin}/console/team`), '/logout').fields.csrf!;
}

function open(
  browser: Browser,
  { method, path }: { method: string; path: string },
  fields: Record<string, string> = {},
) {
  const url = `${server.origin}${path}`;
  return method === 'GET' ? browser.get(url) : browser.post(url, fields);
}

test('there are pages to walk through', () => {
  expect(pages.filter(({ method }) => method === 'GET').length).toBeGreaterThan(40);
  expect(pages.filter(({ method }) => method === 'POST').length).toBeGreaterThan(40);
});

test('row 109: nobody sees a page or sends a form without being logged in; the way back is kept', async () => {
  const nobody = createBrowser();
  for (const page of pages) {
    const answer = await open(nobody, page, { csrf });
    expect([page.path, answer.status]).toEqual([page.path, 303]);
    const login = new URL(answer.location!);
    expect(login.pathname).toBe('/login');
    expect(login.searchParams.get('return_to')).toBe(page.path);
  }
});

describe.each([
  ['a viewer of a team', 'Viewer', undefined],
  ['an operator of a team', 'Operator', undefined],
  ['an administrator of a team', 'Admin', undefined],
  ['a viewer of the root team', 'Viewer', ROOT_TEAM_ID],
] as const)('row 109: %s', (_, role, teamId) => {
  test('is refused what the permission table does not give, whatever the page, and shown the rest', async () => {
    const person = await createPerson(server, { role, ...(teamId && { teamId }) });
    const browser = await logInAt(server, person);
    const token = await csrfOf(browser);
    const permissions = (await server.domain.authority.permissionsIn(person.userId, person.teamId))!;
    const isRefused = (need: OperationId) =>
      !permissions.has(OPERATIONS[need].permission) || (OPERATIONS[need].reach === 'root' && teamId === undefined);
    const wrong = [];
    for (const page of pages) {
      if (page.need === 'self') continue;
      const refused = isRefused(page.need);
      // What is allowed is not done: it would change the server under the test.
      if (page.method === 'POST' && !refused) continue;
      const { status, text } = await open(browser, page, { csrf: token });
      const isRight = refused
        ? status === 403 && text.includes('This ')
        : status === 200 || status === 404 || status === 303;
      if (!isRight) wrong.push(`${page.method} ${page.path} (${page.need}): ${status}`);
    }
    expect(wrong).toEqual([]);
  });
});

test('row 113: no form does anything without the token of this session, or from another site', async () => {
  const other = await csrfOf(await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID })));
  const everything = async () =>
    (
      await server.db.query(
        "SELECT count(*) FROM audit_events WHERE outcome = 'success' AND action NOT LIKE 'user.logged%'",
      )
    ).rows;
  await server.domain.audit.flush();
  const before = await everything();
  for (const { path } of pages.filter(({ method }) => method === 'POST')) {
    const url = `${server.origin}${path}`;
    const answers = [
      await admin.post(url, {}),
      await admin.post(url, { csrf: other }),
      await admin.post(url, { csrf }, { origin: 'https://evil.example' }),
      await admin.post(url, { csrf }, { origin: 'null' }),
      await admin.post(`${url}?csrf=${csrf}`, {}),
    ];
    expect([path, ...answers.map(({ status }) => status)]).toEqual([path, 403, 403, 403, 403, 403]);
  }
  await server.domain.audit.flush();
  expect(await everything()).toEqual(before);
});

test('rows 37 and 125: every page may be framed by nobody and loads nothing from elsewhere', async () => {
  for (const { path } of pages.filter(({ method }) => method === 'GET')) {
    const { status, headers, text } = await admin.get(`${server.origin}${path}`);
    expect([path, status < 500]).toEqual([path, true]);
    if (status === 303) continue;
    const policy = headers.get('content-security-policy')!;
    expect([path, policy]).toEqual([path, expect.stringContaining("frame-ancestors 'none'")]);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toContain('no-store');
    expect(text).not.toMatch(/<(?:script|link|img)[^>]*(?:src|href)="(?!\/)/);
    expect(text).not.toMatch(/<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=/);
  }
});

test('what is not there is told within the console, with the way around', async () => {
  const answer = await admin.get(`${server.origin}/console/teams/${randomUUID()}`);
  expect(answer.status).toBe(404);
  expect(answer.text).toContain('<a href="/console/teams" aria-current="page">');
});

test.each(['/console/nothing/here', '/account/nothing'])('so is that %s is no page', async (path) => {
  const answer = await admin.get(`${server.origin}${path}`);
  expect([answer.status, wordsOf(answer)]).toEqual([404, expect.stringContaining('There is no such page.')]);
  expect(answer.text).toContain('aria-label="Main"');
  const stranger = await createBrowser().get(`${server.origin}${path}`);
  expect([stranger.status, stranger.text.includes('aria-label="Main"')]).toEqual([404, false]);
  expect((await admin.post(`${server.origin}${path}`, { csrf })).status).toBe(404);
});

test('a slash too many at the end of an address is left out', async () => {
  const answer = await admin.get(`${server.origin}/console/users//?q=a`);
  expect([answer.status, answer.location]).toEqual([303, `${server.origin}/console/users?q=a`]);
  expect((await admin.get(`${server.origin}/account/`)).location).toBe(`${server.origin}/account`);
});

test.each([
  ['user', '/console/users/new', { email: 'twice@users.example', name: 'Twice', password: 'a password of theirs' }],
  ['team', '/console/teams/new', { name: 'Twice', policy_type: 'UNBOUND' }],
  ['resource server', '/console/resource-servers/new', { identifier: 'https://twice.example', name: 'Twice' }],
] as const)('a form that makes a %s, sent twice or at once, makes one and leads to it', async (_, path, more) => {
  const form = formOn(await admin.get(`${server.origin}${path}`), path);
  const fields = { ...form.fields, ...more };
  const answers = await Promise.all([1, 2, 3].map(() => admin.post(form.url, fields)));
  const later = await admin.post(form.url, fields);
  expect([...answers, later].map(({ status }) => status)).toEqual([303, 303, 303, 303]);
  const places = [...answers, later].map(({ location }) => new URL(location!));
  expect(new Set(places.map(({ pathname }) => pathname)).size).toBe(1);
  expect(places.map(({ search }) => search).sort()).toEqual([
    '?done=already',
    '?done=already',
    '?done=already',
    '?done=created',
  ]);
  expect(wordsOf(await admin.follow(later, server.origin))).toContain('This was done already');
});

test('a refusal is in the audit trail', async () => {
  const person = await createPerson(server, { role: 'Viewer' });
  await (await logInAt(server, person)).get(`${server.origin}/console/signing-keys`);
  expect(await server.auditEvents()).toContainEqual(
    expect.objectContaining({
      action: 'api_request.refused',
      outcome: 'refused',
      actor_id: person.userId,
      team_id: person.teamId,
      details: expect.objectContaining({ operation: 'signing_keys.list', status: 403 }),
    }),
  );
});

test('so is one inside a form, with what the form was for', async () => {
  const person = await createPerson(server, { role: 'Viewer' });
  const browser = await logInAt(server, person);
  const path = '/console/api-keys/personal/new';
  const answer = await fillIn(server, browser, path, { name: 'Too much', access: 'some', 'scopes:users:write': 'on' });
  expect(answer.status).toBe(403);
  expect(await server.auditEvents()).toContainEqual(
    expect.objectContaining({
      action: 'api_request.refused',
      actor_id: person.userId,
      details: expect.objectContaining({ operation: 'api_keys.create', method: 'POST', status: 403 }),
    }),
  );
});

describe('a person in two teams', () => {
  let browser: Browser;
  let person: Awaited<ReturnType<typeof createPerson>>;
  let second: string;

  beforeAll(async () => {
    person = await createPerson(server);
    ({ id: second } = await server.domain.teams.create({ name: `zz ${randomUUID()}` }, OPERATOR));
    await server.domain.memberships.setRoles({ userId: person.userId, teamId: second, roles: ['Viewer'] }, OPERATOR);
    browser = await logInAt(server, person);
  });

  test('acts in the one they choose, in this browser', async () => {
    const teams = await browser.get(`${server.origin}/console/team`);
    const names = [...teams.text.matchAll(/data-label="Team"><bdi[^>]*>([^<]*)/g)].map(([, name]) => name);
    expect(names).toHaveLength(2);
    await fillIn(server, browser, '/console/team', { team_id: second });
    const after = await browser.get(`${server.origin}/console/team`);
    expect(wordsOf(after)).toMatch(/zz [0-9a-f-]+ You act here/);
    expect((await (await logInAt(server, person)).get(`${server.origin}/console/team`)).text).not.toMatch(
      /zz [0-9a-f-]+<\/bdi><\/td><td role="cell" data-label=""><span class="badge good">/,
    );
  });

  test('sends a form in the team its page was made for, though they act in another by now', async () => {
    await fillIn(server, browser, '/console/team', { team_id: person.teamId });
    const page = await browser.get(`${server.origin}/console/api-keys/team/new`);
    await fillIn(server, browser, '/console/team', { team_id: second });
    const made = await fillIn(server, browser, page, { name: 'of the first' });
    expect(made.status).toBe(200);
    const { rows } = await server.db.query("SELECT team_id FROM api_keys WHERE name = 'of the first'");
    expect(rows).toEqual([{ team_id: person.teamId }]);
  });

  test('is told, within the console, that a form was made for a team they are not in any more', async () => {
    const leaver = await createPerson(server);
    await server.domain.memberships.setRoles({ userId: leaver.userId, teamId: second, roles: ['Viewer'] }, OPERATOR);
    const theirs = await logInAt(server, leaver);
    await fillIn(server, theirs, '/console/team', { team_id: second });
    const page = await theirs.get(`${server.origin}/account/edit`);
    await server.domain.memberships.remove({ userId: leaver.userId, teamId: second }, OPERATOR);
    await server.domain.notifications.settle();
    const answer = await fillIn(server, theirs, page, { name: 'Too late' });
    expect([answer.status, wordsOf(answer)]).toEqual([403, expect.stringContaining('Open the page again')]);
    expect(answer.text).toContain('aria-label="Main"');
    expect(await server.auditEvents()).toContainEqual(
      expect.objectContaining({ action: 'api_request.refused', actor_id: leaver.userId, outcome: 'refused' }),
    );
    expect((await fillIn(server, theirs, '/account/edit', { name: 'In time' })).text).toContain('In time');
  });

  test('cannot choose, or send a form for, a team that is not theirs', async () => {
    const { teamId } = await createPerson(server);
    const url = `${server.origin}/console/team`;
    const token = await csrfOf(browser);
    expect((await browser.post(url, { csrf: token, team_id: teamId })).status).toBe(404);
    expect((await browser.post(url, { csrf: token, team: teamId, team_id: second })).status).toBe(403);
    const cookie = `latchkey_team=${teamId}; ${await browser.jar.getCookieString(url)}`;
    const page = await fetch(url, { headers: { cookie, accept: 'text/html' } });
    expect(await page.text()).not.toContain(teamId);
  });
});
