import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLogin } from '../../src/domain/login.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { upsertGrant } from '../../src/storage/grants.ts';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';
import { TESTER } from '../support/people.ts';

let all: CommandLine;
beforeAll(async () => {
  all = await openCommandLine();
});
afterAll(() => all.close());

const latchkey = (...args: string[]) => all.run(...args);
const json = (...args: string[]) => all.json(...args);

/** What the operator did to somebody, oldest first. */
async function doneTo(id: string): Promise<string[]> {
  const { rows } = await all.db.query<{ action: string }>(
    "SELECT action FROM audit_events WHERE target_id = $1 AND actor_kind = 'operator' AND actor_id = 'cli' ORDER BY id",
    [id],
  );
  return rows.map(({ action }) => action);
}

const idsOf = (users: { id: string }[]) => users.map(({ id }) => id);

test('a user is shown and listed as the API shows it', async () => {
  const team = await all.makeTeam('Sales');
  const create = ['user', 'create', '--email', 'ada@example.com', '--name', 'Ada', '--persona', 'TECHNICAL'];
  const more = ['--given-name', 'Augusta', '--expires', '2099-01-01', '--team', 'Sales', '--no-password'];
  const made = await json(...create, ...more);
  expect(made).toEqual({
    id: expect.any(String),
    name: 'Ada',
    display_name: '',
    given_name: 'Augusta',
    family_name: '',
    email: 'ada@example.com',
    enabled: true,
    last_login_at: null,
    last_refresh_at: null,
    created_at: expect.any(String),
    updated_at: made.created_at,
    logins_lifetime: '0',
    auth_provider_type: 'LOCAL',
    auth_provider_id: '',
    persona: 'TECHNICAL',
    options: {
      can_change_password: true,
      has_mfa: false,
      can_change_roles: true,
      can_disable: true,
      can_delete: true,
      can_edit_name: true,
      can_extend_support: true,
      can_remove_from_teams: true,
    },
    team_roles: [{ team_id: team.id, team_name: 'Sales', role_id: ROLE_IDS.Viewer, role_name: 'Viewer' }],
    digest_settings: [],
    expires_at: '2099-01-01T00:00:00.000Z',
  });
  expect(await json('user', 'show', made.id)).toEqual(made);
  expect(await json('user', 'show', 'Ada@Example.com')).toEqual(made);

  const other = await all.makeUser({ name: 'Bob' });
  await all.users.setEnabled(other.id, false, TESTER);
  expect(idsOf(await json('user', 'list'))).toEqual([made.id, other.id]);
  expect(await json('user', 'list', '--team', 'sales')).toEqual([made]);
  expect(idsOf(await json('user', 'list', '--email', 'ADA@example.com'))).toEqual([made.id]);
  expect(idsOf(await json('user', 'list', '--name', 'Bob'))).toEqual([other.id]);
  expect(idsOf(await json('user', 'list', '--enabled', 'true'))).toEqual([made.id]);
  expect(idsOf(await json('user', 'list', '--enabled', 'false'))).toEqual([other.id]);
  expect((await latchkey('user', 'list', '--team', 'Root')).out).toBe('There are no such users.\n');
});

test('people read of a user what there is', async () => {
  const created = await latchkey('user', 'create', '--email', 'text@example.com', '--team', 'Root', '--role', 'Admin');
  expect(created.out).toMatch(/^password +[\w-]{20}\n\nThe password is not shown again\.\n$/m);
  const listed = (await latchkey('user', 'list', '--email', 'text@example.com')).out;
  expect(listed).toMatch(/text@example\.com +- +true +- +never +Admin in Root\n$/);
  const shown = (await latchkey('user', 'show', 'text@example.com')).out;
  expect(shown).toMatch(/^roles +Admin in Root$/m);
  expect(shown).toMatch(/^last_login +never$/m);
});

test('a user is changed, switched off and on, and deleted, and the audit trail says so', async () => {
  const { id, email } = await all.makeUser({ digestSettings: [{ digestId: 'd', digestName: 'D', frequency: 2 }] });
  const named = ['--display-name', 'D', '--given-name', 'G', '--family-name', 'F', '--persona', 'BUSINESS'];
  expect(await json('user', 'update', email, '--name', 'N', ...named, '--expires', '90d')).toMatchObject({
    name: 'N',
    display_name: 'D',
    given_name: 'G',
    family_name: 'F',
    persona: 'BUSINESS',
    expires_at: expect.any(String),
    digest_settings: [{ digest_id: 'd', digest_name: 'D', frequency: 'WEEKLY' }],
    email,
  });
  expect(await json('user', 'update', id, '--name', 'M')).toMatchObject({ name: 'M', expires_at: expect.any(String) });
  const moved = await json('user', 'update', id, '--email', 'moved@example.com', '--no-expires');
  expect(moved).toMatchObject({ email: 'moved@example.com', name: 'M', expires_at: null });
  expect((await json('user', 'disable', id)).enabled).toBe(false);
  expect((await json('user', 'enable', 'moved@example.com')).enabled).toBe(true);
  expect(await json('user', 'delete', 'moved@example.com')).toMatchObject({ id, email: 'moved@example.com' });
  expect(await latchkey('user', 'show', id)).toEqual({ code: 1, out: '', err: 'error: There is no such user.\n' });
  expect(await doneTo(id)).toEqual([
    ...['user.updated', 'user.updated', 'user.updated'],
    ...['user.disabled', 'user.enabled', 'user.deleted'],
  ]);
});

test('another password is made up and shown once, and is the one that works', async () => {
  const { id, email } = await all.makeUser({ password: 'correct horse battery' });
  const login = createLogin(all);
  const attempt = (password: string) => login.authenticate({ email, password }, { ip: '127.0.0.1' });
  const { password, ...user } = await json('user', 'password', email);
  expect(password).toMatch(/^[\w-]{20}$/);
  expect(await json('user', 'show', id)).toEqual(user);
  expect([await attempt('correct horse battery'), await attempt(password)]).toEqual([undefined, id]);
  expect(await doneTo(id)).toEqual(['user.password_changed']);
  const refused = await latchkey('user', 'password', email, '--password-prompt');
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('--password-stdin') });
});

test('roles are set in one team and leave the others alone, and a membership ends', async () => {
  const [sales, support] = [await all.makeTeam(), await all.makeTeam()];
  const { id, email } = await all.makeUser({ teamRoles: [{ teamId: support.id, roles: ['Viewer'] }] });
  const rolesIn = (user: { team_roles: { team_id: string; role_name: string }[] }, team: { id: string }) =>
    user.team_roles.filter(({ team_id }) => team_id === team.id).map(({ role_name }) => role_name);
  const both = await json('user', 'roles', email, '--team', sales.name, '--role', 'operator', '--role', 'Viewer');
  expect([rolesIn(both, sales), rolesIn(both, support)]).toEqual([['Operator', 'Viewer'], ['Viewer']]);
  const one = await json('user', 'roles', id, '--team', sales.id, '--role', ROLE_IDS.Admin);
  expect([rolesIn(one, sales), rolesIn(one, support)]).toEqual([['Admin'], ['Viewer']]);
  const unknown = await latchkey('user', 'roles', id, '--team', sales.id, '--role', 'Boss', '--json');
  expect(unknown.code).toBe(1);
  expect(JSON.parse(unknown.err).error.fields).toMatchObject([{ field: 'team_roles' }]);

  const left = await json('user', 'remove', id, '--team', sales.name);
  expect([rolesIn(left, sales), rolesIn(left, support)]).toEqual([[], ['Viewer']]);
  const again = await latchkey('user', 'remove', id, '--team', sales.name);
  expect(again).toEqual({ code: 1, out: '', err: 'error: The user is not a member of this team.\n' });
  expect(await doneTo(id)).toEqual(['membership.changed', 'membership.changed', 'membership.ended']);
});

test('the last root administrator stays, and half a command is not understood', async () => {
  await all.db.query('DELETE FROM users');
  const { id } = await all.makeRootAdmin();
  expect((await json('user', 'show', id)).options).toMatchObject({ can_disable: false, can_delete: false });
  for (const words of [
    ['disable', id],
    ['delete', id],
    ['remove', id, '--team', 'Root'],
    ['roles', id, '--team', 'Root', '--role', 'Viewer'],
  ]) {
    const { code, err } = await latchkey('user', ...words, '--json');
    expect([code, JSON.parse(err).error.kind]).toEqual([1, 'failed_precondition']);
  }
  for (const words of [
    ['roles', id, '--team', 'Root'],
    ['roles', id, '--role', 'Viewer'],
    ['remove', id],
    ['update', id, '--expires', 'soon'],
    ['update', id, '--persona', 'ROYAL'],
    ['list', '--enabled', 'maybe'],
    ['create', '--email', 'x@example.com', '--role', 'Admin'],
    ['password', id, 'hunter2hunter2'],
  ]) {
    expect((await latchkey('user', ...words)).code).toBe(2);
  }
  expect(await doneTo(id)).toEqual([]);
});

test('the apps a user connected are listed and disconnected, in one team or everywhere', async () => {
  const [sales, support] = [await all.makeTeam(), await all.makeTeam()];
  const { id, email } = await all.makeUser();
  const baseUrl = 'https://app.example.com';
  const { app } = await all.apps.create({ name: 'Reports', baseUrl, redirectUris: [`${baseUrl}/cb`] }, TESTER);
  const payload = { openid: { scope: 'openid' }, resources: { api: 'providers:read' } };
  for (const { id: teamId } of [sales, support]) {
    await all.memberships.setRoles({ userId: id, teamId, roles: ['Viewer'] }, TESTER);
    await upsertGrant(all.db, { id: randomUUID(), userId: id, teamId, clientId: app.clientId, payload }, 600);
  }
  const listed = await json('user', 'connected-apps', email);
  expect(listed).toHaveLength(2);
  expect(await json('user', 'connected-apps', id, '--team', sales.name)).toEqual([
    {
      client_id: app.clientId,
      name: 'Reports',
      logo_url: null,
      team_id: sales.id,
      team_name: sales.name,
      scopes: ['providers:read', 'openid'],
      created_at: expect.any(String),
      last_used_at: null,
      expires_at: expect.any(String),
    },
  ]);
  expect((await latchkey('user', 'connected-apps', id)).out).toMatch(/Reports .* never .* providers:read openid$/m);
  expect(await json('user', 'disconnect', email, app.clientId, '--team', sales.name)).toEqual({ ended_grants: 1 });
  expect(await json('user', 'connected-apps', id)).toEqual([listed[1]]);
  expect((await latchkey('user', 'disconnect', id, app.clientId)).out).toBe('ended_grants  1\n');
  expect((await latchkey('user', 'connected-apps', id)).out).toBe('There are no connected apps.\n');
  const nothing = await latchkey('user', 'disconnect', id, app.clientId);
  expect(nothing).toEqual({ code: 1, out: '', err: 'error: There is no such connected app.\n' });
  expect(await doneTo(app.clientId)).toEqual(['consent.ended', 'consent.ended']);
});

test('roles are listed with what they permit', async () => {
  const roles = await json('role', 'list');
  expect(roles.map(({ name }: { name: string }) => name)).toEqual(Object.keys(ROLE_IDS));
  expect(roles[2]).toEqual({
    id: ROLE_IDS.Viewer,
    name: 'Viewer',
    description: expect.any(String),
    permissions: expect.arrayContaining(['providers:read']),
    is_available_in_root_team: true,
    is_available_in_non_root_team: true,
  });
  expect((await latchkey('role', 'list')).out).toMatch(/^0{8}-\S+ +Viewer +every team +\S/m);
});

test('providers are listed, all of them or those a team sees', async () => {
  const made = await all.providers.createCustom({ name: 'AWS', teamId: ROOT_TEAM_ID }, TESTER);
  const bound = await json('team', 'create', '--name', 'Bound', '--policy', 'PROVIDER_ID_SET');
  expect((await latchkey('provider', 'list', '--team', bound.id)).out).toBe('There are no providers.\n');
  const listed = await json('provider', 'list');
  expect(listed).toEqual([
    {
      id: made.id,
      name: 'AWS',
      type: 'CUSTOM',
      custom_template: '',
      team_id: ROOT_TEAM_ID,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    },
  ]);
  expect(await json('provider', 'list', '--team', 'Root')).toEqual(listed);
  expect((await latchkey('provider', 'list')).out).toContain(`${made.id}  AWS`);
});
