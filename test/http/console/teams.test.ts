import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Browser, createBrowser, formOn, type Visit } from '../../support/browser.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { connect, createPerson, createTestClient } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const TEAMS = '/console/teams';

let server: TestServer;
/** A root administrator. */
let admin: Browser;
/** The administrator of a team. */
let boss: { browser: Browser; teamId: string; userId: string };
beforeAll(async () => {
  server = await startTestServer();
  admin = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
  const other = await createPerson(server);
  boss = { ...other, browser: await logInAt(server, other) };
});
afterAll(() => server.close());

const open = (path: string, browser = admin) => browser.get(`${server.origin}${path}`);
const press = (path: string, changes: Record<string, string | undefined> = {}, browser = admin) =>
  fillIn(server, browser, path, changes);
const role = (name: keyof typeof ROLE_IDS) => `team_roles:${ROLE_IDS[name]}`;
const idIn = (visit: Visit) => new URL(visit.url).pathname.split('/').pop()!;
const answerOf = (visit: Visit) => [visit.status, wordsOf(visit)];
const saying = (text: string) => expect.stringContaining(text);
let count = 0;
const makeTeam = (more = {}) => server.domain.teams.create({ name: `Team number ${++count}`, ...more }, OPERATOR);
const makeProvider = (name: string, teamId: string) => server.domain.providers.createCustom({ name, teamId }, OPERATOR);

describe('the list', () => {
  test('shows name, policy, members, alias; searched, filtered and sorted', async () => {
    const bound = await makeTeam({ name: 'Searched bound', policyType: 2, ssoAlias: 'sales' });
    await makeTeam({ name: 'Searched open' });
    await createPerson(server, { teamId: bound.id });
    const names = async (query: string) =>
      [...wordsOf(await open(`${TEAMS}?q=searched&${query}`)).matchAll(/Searched (bound|open)/g)].map(([, one]) => one);
    expect(wordsOf(await open(`${TEAMS}?q=searched`))).toContain('Searched bound Chosen providers 1 sales');
    expect(await names('sort=name')).toEqual(['bound', 'open']);
    expect(await names('sort=-name')).toEqual(['open', 'bound']);
    expect(await names('policy_type=1')).toEqual(['open']);
    expect(await names('policy_type=2')).toEqual(['bound']);
  });

  test('row 110: shows a team’s administrator that team alone', async () => {
    const other = await makeTeam();
    const page = await open(TEAMS, boss.browser);
    expect(page.text).toContain(boss.teamId);
    expect(page.text).not.toContain(other.name);
    expect(wordsOf(page)).not.toContain('Create a team');
  });
});

describe('creating and changing a team', () => {
  test('with all there is to say about it', async () => {
    const provider = await makeProvider('Chosen one', ROOT_TEAM_ID);
    const other = await makeProvider('Left out', ROOT_TEAM_ID);
    const made = await press(`${TEAMS}/new`, {
      name: '  Data platform ',
      description: 'One line of it',
      policy_type: 'PROVIDER_ID_SET',
      [`providers:${provider.id}`]: 'on',
      'provider_types:CUSTOM': 'on',
      sso_alias: 'data',
    });
    expect(answerOf(made)).toEqual([200, saying('It is created.')]);
    const id = idIn(made);
    expect(await server.domain.teams.find(id)).toMatchObject({
      name: 'Data platform',
      description: 'One line of it',
      policyType: 2,
      providers: [{ id: provider.id }],
      providerTypes: [1],
      ssoAlias: 'data',
    });
    expect(wordsOf(made)).toContain('Chosen one');
    const path = `${TEAMS}/${id}/edit`;
    const page = await open(path);
    expect(formOn(page, '/edit').fields).toMatchObject({
      name: 'Data platform',
      policy_type: 'PROVIDER_ID_SET',
      sso_alias: 'data',
    });
    const changes = {
      [`providers:${provider.id}`]: undefined,
      [`providers:${other.id}`]: 'on',
      'provider_types:CUSTOM': undefined,
    };
    const after = await fillIn(server, admin, page, { ...changes, name: 'Data & platform' });
    expect(answerOf(after)).toEqual([200, saying('Your changes are saved.')]);
    expect(await server.domain.teams.find(id)).toMatchObject({
      name: 'Data & platform',
      providers: [{ id: other.id }],
      providerTypes: [],
      ssoAlias: 'data',
    });
  });

  test('what is wrong is said at the field, and what was typed stays', async () => {
    const { name } = await makeTeam();
    const taken = await press(`${TEAMS}/new`, { name: name.toUpperCase(), description: 'Kept' });
    expect(answerOf(taken)).toEqual([409, saying('Name is the name of another team.')]);
    expect(taken.text).toContain('value="Kept"');
    expect(answerOf(await press(`${TEAMS}/new`, { name: ' ' }))).toEqual([422, saying('Name must not be empty.')]);
    const noPolicy = await press(`${TEAMS}/new`, { name: 'x', policy_type: 'toString' });
    expect(answerOf(noPolicy)).toEqual([422, saying('Providers it sees must be chosen.')]);
  });

  test('a form that somebody else’s change has overtaken changes nothing', async () => {
    const team = await makeTeam();
    const page = await open(`${TEAMS}/${team.id}/edit`);
    await server.domain.teams.update(team.id, { description: 'By somebody else' }, OPERATOR);
    const answer = await fillIn(server, admin, page, { description: 'Mine' });
    expect(answerOf(answer)).toEqual([412, saying('It was changed since you read it.')]);
    expect(await server.domain.teams.find(team.id)).toMatchObject({ description: 'By somebody else' });
  });

  test('more providers than a form shows are kept', async () => {
    const team = await makeTeam({ policyType: 2 });
    const { rows } = await server.db.query<{ id: string }>(
      "INSERT INTO providers (name, team_id) SELECT 'Many ' || lpad(n::text, 3, '0'), $1 FROM generate_series(1, 150) n RETURNING id",
      [ROOT_TEAM_ID],
    );
    await server.domain.teams.update(team.id, { providers: rows.map(({ id }) => ({ id })) }, OPERATOR);
    const page = await open(`${TEAMS}/${team.id}/edit`);
    expect(page.text.length).toBeLessThan(100_000);
    await fillIn(server, admin, page, { [`providers:${rows[0]!.id}`]: undefined });
    const kept = (await server.domain.teams.find(team.id))!.providers.map(({ id }) => id);
    expect(new Set(kept)).toEqual(new Set(rows.slice(1).map(({ id }) => id)));
  });

  test('row 112: from within the team its name and description, whatever the form says', async () => {
    const path = `${TEAMS}/${boss.teamId}/edit`;
    const page = await open(path, boss.browser);
    expect(page.text).not.toMatch(/name="(policy_type|sso_alias|providers)/);
    const forged = {
      policy_type: 'PROVIDER_ID_SET',
      sso_alias: 'mine',
      is_root: 'true',
      user_count: '7',
      id: ROOT_TEAM_ID,
    };
    const after = await fillIn(server, boss.browser, page, { ...forged, name: `Named by ${boss.userId}` });
    expect(after.status).toBe(200);
    const team = await server.domain.teams.find(boss.teamId);
    expect(team).toMatchObject({ name: `Named by ${boss.userId}`, policyType: 1, ssoAlias: '', isRoot: false });
  });

  test('the root team cannot be bound or deleted', async () => {
    const page = await open(`${TEAMS}/${ROOT_TEAM_ID}/edit`);
    expect(page.text).not.toContain('policy_type');
    expect((await fillIn(server, admin, page, { policy_type: 'PROVIDER_ID_SET', description: 'Ours' })).status).toBe(
      200,
    );
    expect(await server.domain.teams.find(ROOT_TEAM_ID)).toMatchObject({ policyType: 1, description: 'Ours' });
    expect(wordsOf(await open(`${TEAMS}/${ROOT_TEAM_ID}`))).not.toContain('Delete');
    const answer = await press(`${TEAMS}/${ROOT_TEAM_ID}/delete`);
    expect(answerOf(answer)).toEqual([400, saying('The root team cannot be deleted.')]);
  });
});

test('row 102: deleting a team says what ends with it, and ends that', async () => {
  const { person, app } = await connect(server);
  const { teamId } = person;
  const key = await server.domain.apiKeys.createPersonal({ ...person, name: 'Personal' }, OPERATOR);
  const teamKeys = [];
  for (const name of ['One', 'Two']) teamKeys.push(await server.domain.apiKeys.createTeam({ teamId, name }, OPERATOR));
  const { clientId } = await createTestClient(server, teamId);
  const asked = { name: 'Invoices', identifier: 'https://invoices.example.com', scopes: [], clientIds: [clientId] };
  await server.domain.resourceServers.create(asked, OPERATOR);
  await makeProvider('Gone with it', teamId);
  expect(wordsOf(await open(`${TEAMS}/${teamId}`))).toContain(
    'What acts for this team Personal keys 1 Team keys 2 OAuth2 Clients 1 Connected apps 1',
  );
  const path = `${TEAMS}/${teamId}/delete`;
  const words = wordsOf(await open(path));
  expect(words).toContain(
    'end: 1 personal key, 2 team keys, 1 OAuth2 Client, 1 connected app, 1 provider, with all their tokens.',
  );
  expect(words).toContain('1 member leaves it; the users themselves stay.');
  expect(words).toContain('Invoices (https://invoices.example.com) checks API keys as a client of this team');
  expect(answerOf(await press(path))).toEqual([200, saying('It is deleted.')]);
  for (const { text } of [key, ...teamKeys]) expect(await server.domain.apiKeys.verify(text)).toBeUndefined();
  expect(await server.domain.users.find(person.userId)).toMatchObject({ teamRoles: [] });
  expect(await server.domain.connectedApps.list({ userId: person.userId }, { limit: 5 })).toEqual([]);
  expect(await server.domain.oauthApps.find(app.clientId)).toBeDefined();
  expect((await open(`${TEAMS}/${teamId}`)).status).toBe(404);
  const empty = await makeTeam();
  expect(wordsOf(await open(`${TEAMS}/${empty.id}/delete`))).toContain(
    'No key, client, connected app or provider is in it.',
  );
});

describe('members', () => {
  test('are listed with their roles in that team, searched and sorted', async () => {
    const team = await makeTeam();
    const one = await createPerson(server, { teamId: team.id, role: 'Viewer' });
    await server.domain.memberships.setRoles({ ...one, teamId: boss.teamId, roles: ['Operator'] }, OPERATOR);
    const words = wordsOf(await open(`${TEAMS}/${team.id}/members`));
    expect(words).toContain(`${one.email} Viewer Never Change roles Remove`);
    expect(wordsOf(await open(`${TEAMS}/${team.id}/members?q=nobodyhere`))).toContain('Nothing here matches.');
    expect(wordsOf(await open(`${TEAMS}/${(await makeTeam()).id}/members`))).toContain('Nobody is in this team');
  });

  test('are added by email with roles; what does not work is said at the email', async () => {
    const team = await makeTeam();
    const one = await createPerson(server);
    const path = `${TEAMS}/${team.id}/members/new`;
    const nobody = await press(path, { email: 'nobody@example.com' });
    expect(answerOf(nobody)).toEqual([422, saying('Email belongs to nobody here.')]);
    const noRole = await press(path, { email: one.email, [role('Viewer')]: undefined });
    expect(answerOf(noRole)).toEqual([422, saying('Roles must be one at least.')]);
    const after = await press(path, { email: one.email.toUpperCase(), [role('Operator')]: 'on' });
    expect(answerOf(after)).toEqual([200, saying(`${one.email} Operator, Viewer`)]);
    const twice = await press(path, { email: one.email });
    expect(answerOf(twice)).toEqual([422, saying('Email belongs to a member already')]);
    const roles = (await server.domain.users.find(one.userId))!.teamRoles.filter(({ teamId }) => teamId === team.id);
    expect(roles.map(({ roleName }) => roleName)).toEqual(['Operator', 'Viewer']);
  });

  test('leave by the page that shows what stops', async () => {
    const team = await makeTeam();
    const one = await createPerson(server, { teamId: team.id });
    const page = await open(`${TEAMS}/${team.id}/members`);
    const href = `/console/users/${one.userId}/teams/${team.id}/remove`;
    expect(page.text).toContain(`href="${href}"`);
    expect(page.text).not.toMatch(/<form[^>]*remove/);
    expect(wordsOf(await open(href))).toContain('Personal keys that end: 0');
  });

  test('row 110: from within a team only its own are seen, and only new users added', async () => {
    const other = await makeTeam();
    expect((await open(`${TEAMS}/${other.id}/members`, boss.browser)).status).toBe(404);
    const words = wordsOf(await open(`${TEAMS}/${boss.teamId}/members`, boss.browser));
    expect(words).toContain('Create a user');
    expect(words).not.toContain('Add a member');
    expect((await open(`${TEAMS}/${boss.teamId}/members/new`, boss.browser)).status).toBe(403);
  });
});

test('row 109: nobody sees or does anything without the right to', async () => {
  const viewer = await logInAt(server, await createPerson(server, { teamId: boss.teamId, role: 'Viewer' }));
  const at = `${TEAMS}/${boss.teamId}`;
  const page = await open('/console/team', viewer);
  const csrf = /name="csrf" value="([^"]*)"/.exec(page.text)![1]!;
  for (const path of [`${TEAMS}/new`, `${at}/edit`, `${at}/delete`, `${at}/members/new`]) {
    expect([path, (await open(path, viewer)).status]).toEqual([path, 403]);
    expect((await open(path, createBrowser())).location).toContain('/login?');
    const fields = { csrf, team: boss.teamId, name: 'Mine now' };
    expect([path, (await viewer.post(`${server.origin}${path}`, fields)).status]).toEqual([path, 403]);
  }
  expect(answerOf(await open(at, viewer))).toEqual([200, expect.not.stringMatching(/Edit|Delete/)]);
});

test('row 110: another team is not found, by whichever page', async () => {
  const other = await makeTeam();
  const { csrf, team, version } = formOn(await open(`${TEAMS}/${boss.teamId}/edit`, boss.browser), '/edit').fields;
  for (const end of ['', '/edit', '/members']) {
    expect([end, (await open(`${TEAMS}/${other.id}${end}`, boss.browser)).status]).toEqual([end, 404]);
  }
  const fields = { csrf: csrf!, team: team!, version: version!, name: 'Taken over' };
  expect((await boss.browser.post(`${server.origin}${TEAMS}/${other.id}/edit`, fields)).status).toBe(404);
  expect(await server.domain.teams.find(other.id)).toMatchObject({ name: other.name });
  for (const id of ['no-id', crypto.randomUUID(), `${other.id}%00`]) {
    expect([id, [400, 404].includes((await open(`${TEAMS}/${id}`)).status)]).toEqual([id, true]);
  }
});

test('row 113: a form of another origin or without its token changes nothing', async () => {
  const team = await makeTeam();
  const path = `${TEAMS}/${team.id}/delete`;
  const { fields, url } = formOn(await open(path), '/delete');
  expect((await admin.post(url, fields, { origin: 'https://evil.example' })).status).toBe(403);
  expect((await admin.post(url, { ...fields, csrf: '' })).status).toBe(403);
  expect((await boss.browser.post(url, fields)).status).toBe(403);
  expect(await server.domain.teams.find(team.id)).toBeDefined();
});

test('names are text, whatever is in them', async () => {
  const name = `<script>alert(1)</script>"'& שלום 👩‍💻 ${'x'.repeat(200)}`;
  const team = await makeTeam({ name, description: '<img src=x onerror=alert(1)>', ssoAlias: '"><svg/onload=x>' });
  const provider = await makeProvider('<b>Bold</b>', ROOT_TEAM_ID);
  await server.domain.teams.update(team.id, { providers: [{ id: provider.id }] }, OPERATOR);
  const at = `${TEAMS}/${team.id}`;
  for (const path of [`${TEAMS}?q=alert`, at, `${at}/edit`, `${at}/delete`, `${at}/members`, `${at}/members/new`]) {
    const page = await open(path);
    expect([path, page.status]).toEqual([path, 200]);
    expect(page.text).not.toMatch(/<(script>|img src=x|b>Bold|svg\/)/);
    expect(page.text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  }
});
