import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createLogin } from '../../src/domain/login.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import type { User } from '../../src/domain/users.ts';
import { openPeople, type People, TESTER } from '../support/people.ts';

let people: People;
beforeAll(async () => {
  people = await openPeople();
});
afterAll(() => people.close());

const NOBODY = '5d0f6d54-5a51-4a8f-9d3e-6f3b1c2d4e5f';

describe('creating a user', () => {
  test('keeps names and teams, tells the audit trail, and shows no password', async () => {
    const team = await people.makeTeam();
    const user = await people.users.create(
      {
        email: 'Ada@Example.com',
        password: 'correct horse battery',
        name: 'Ada Lovelace',
        givenName: 'Ada',
        teamRoles: [{ teamId: team.id, roles: ['admin', ROLE_IDS.Viewer] }],
      },
      TESTER,
    );
    expect(user).toMatchObject({ email: 'Ada@Example.com', name: 'Ada Lovelace', enabled: true, hasPassword: true });
    expect(JSON.stringify(user)).not.toContain('argon2');
    expect(await people.users.findByEmail('ada@example.COM')).toEqual(user);
    expect(await people.users.find(user.id)).toEqual(user);
    expect(await people.memberships.list(user.id)).toEqual([
      {
        teamId: team.id,
        teamName: team.name,
        roles: [
          { id: ROLE_IDS.Admin, name: 'Admin' },
          { id: ROLE_IDS.Viewer, name: 'Viewer' },
        ],
      },
    ]);
    const [event] = (await people.events('user.created')).filter((one) => one.target_id === user.id);
    expect(event).toMatchObject({ actor_kind: 'operator', actor_id: 'test', details: { email: 'Ada@Example.com' } });
  });

  test('refuses an email that somebody has, in any case', async () => {
    const { email } = await people.makeUser();
    await expect(people.makeUser({ email: email.toUpperCase() })).rejects.toMatchObject({
      kind: 'already_exists',
      message: 'A user with this email exists already.',
    });
  });

  test('makes exactly one of ten made at once with the same email', async () => {
    const email = `${randomUUID()}@example.com`;
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => people.makeUser({ email })));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  });

  test.each([
    ['email', { email: 'nobody' }],
    ['password', { password: 'short' }],
    ['name', { name: 'a\0b' }],
    ['given_name', { givenName: '\ud800' }],
    ['expires_at', { expiresAt: new Date('never') }],
  ])('names the field that is wrong: %s', async (field, input) => {
    await expect(people.makeUser(input)).rejects.toMatchObject({ kind: 'invalid_argument', fields: [{ field }] });
  });

  test('makes nobody when a team or role is wrong', async () => {
    const email = `${randomUUID()}@example.com`;
    const team = await people.makeTeam();
    for (const teamRoles of [
      [{ teamId: NOBODY, roles: ['Admin'] }],
      [{ teamId: team.id, roles: ['Emperor'] }],
      [{ teamId: team.id, roles: [] }],
      [{ teamId: ROOT_TEAM_ID, roles: ['oaa_push'] }],
    ]) {
      await expect(people.makeUser({ email, teamRoles })).rejects.toMatchObject({ expected: true });
    }
    expect(await people.users.findByEmail(email)).toBeUndefined();
  });
});

test('users are listed by email, page after page', async () => {
  const emails = ['b', 'C', 'a'].map((letter) => `zz-${letter}@example.com`);
  for (const email of emails) await people.makeUser({ email });
  const order = { field: 'email', descending: true };
  const first = await people.users.list({}, { limit: 2, order });
  expect(first.map((user) => user.email)).toEqual(['zz-C@example.com', 'zz-b@example.com']);
  const second = await people.users.list({}, { limit: 1, order, after: first[1]! });
  expect(second.map((user) => user.email)).toEqual(['zz-a@example.com']);
});

describe('memberships', () => {
  test('setting roles replaces them, and says so in the audit trail', async () => {
    const team = await people.makeTeam();
    const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Admin', 'Operator'] }] });
    await people.memberships.setRoles({ userId: user.id, teamId: team.id, roles: ['Operator', 'Viewer'] }, TESTER);
    const [membership] = await people.memberships.list(user.id);
    expect(membership?.roles.map((role) => role.name)).toEqual(['Operator', 'Viewer']);
    const changes = (await people.events('membership.changed')).filter((one) => one.target_id === user.id);
    expect(changes.map((one) => [one.team_id, one.details.roles])).toEqual([
      [team.id, ['Admin', 'Operator']],
      [team.id, ['Operator', 'Viewer']],
    ]);
  });

  test('oaa_push can be given in a team, not in the root team', async () => {
    const team = await people.makeTeam();
    const user = await people.makeUser();
    await people.memberships.setRoles({ userId: user.id, teamId: team.id, roles: ['oaa_push'] }, TESTER);
    const inRoot = { userId: user.id, teamId: ROOT_TEAM_ID, roles: ['oaa_push'] };
    await expect(people.memberships.setRoles(inRoot, TESTER)).rejects.toThrow(
      'oaa_push cannot be given in the root team',
    );
  });

  test('nobody, no team and no membership are not found', async () => {
    const team = await people.makeTeam();
    const user = await people.makeUser();
    const notFound = { kind: 'not_found' };
    const { setRoles, remove } = people.memberships;
    await expect(setRoles({ userId: NOBODY, teamId: team.id, roles: ['Viewer'] }, TESTER)).rejects.toMatchObject(
      notFound,
    );
    await expect(setRoles({ userId: 'x', teamId: team.id, roles: ['Viewer'] }, TESTER)).rejects.toMatchObject(notFound);
    await expect(setRoles({ userId: user.id, teamId: 'x', roles: ['Viewer'] }, TESTER)).rejects.toMatchObject(notFound);
    await expect(remove({ userId: user.id, teamId: team.id }, TESTER)).rejects.toMatchObject(notFound);
    await expect(remove({ userId: 'x', teamId: 'y' }, TESTER)).rejects.toMatchObject(notFound);
  });

  test('a role is given by who may all that it permits, in that very team', async () => {
    const [team, other] = [await people.makeTeam(), await people.makeTeam()];
    const roles = [
      { teamId: team.id, roles: ['Operator'] },
      { teamId: other.id, roles: ['Admin'] },
    ];
    const { id } = await people.makeUser({ teamRoles: roles });
    const member = await people.makeUser();
    const give = (teamId: string, role: string) =>
      people.memberships.setRoles({ userId: member.id, teamId, roles: [role] }, { kind: 'user', id });
    await give(team.id, 'Viewer');
    await give(other.id, 'Admin');
    const refused = { kind: 'permission_denied', message: expect.stringContaining('users:write') };
    await expect(give(team.id, 'Admin')).rejects.toMatchObject(refused);
    await expect(give(ROOT_TEAM_ID, 'Admin')).rejects.toMatchObject(refused);
    const actor = { kind: 'user', id } as const;
    const input = { email: `${randomUUID()}@example.com`, teamRoles: [{ teamId: team.id, roles: ['Admin'] }] };
    await expect(people.users.create(input, actor)).rejects.toMatchObject(refused);
    expect(await people.users.findByEmail(input.email)).toBeUndefined();
  });

  test('every change of roles makes a new version of the user, a login none', async () => {
    const team = await people.makeTeam();
    const user = await people.makeUser({ password: 'correct horse battery' });
    const versionAfter = async (change: () => Promise<unknown>) => {
      await change();
      return (await people.users.find(user.id))!.version;
    };
    const membership = { userId: user.id, teamId: team.id };
    const seen = [
      user.version,
      await versionAfter(() => people.memberships.setRoles({ ...membership, roles: ['Viewer'] }, TESTER)),
      await versionAfter(() => people.memberships.setRoles({ ...membership, roles: ['Admin'] }, TESTER)),
      await versionAfter(() => people.memberships.remove(membership, TESTER)),
    ];
    expect(new Set(seen).size).toBe(4);
    const login = createLogin(people);
    const given = { email: user.email, password: 'correct horse battery' };
    expect(await versionAfter(() => login.authenticate(given, {}))).toBe(seen[3]);
    expect((await people.users.find(user.id))?.loginsLifetime).toBe('1');
  });

  test('those who change the same roles at once wait for each other', async () => {
    const team = await people.makeTeam();
    for (let round = 0; round < 5; round += 1) {
      const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] });
      const membership = { userId: user.id, teamId: team.id };
      const results = await Promise.allSettled([
        people.memberships.remove(membership, TESTER),
        people.memberships.setRoles({ ...membership, roles: ['Operator'] }, TESTER),
        people.users.update(user.id, { teamRoles: [{ teamId: team.id, roles: ['Admin'] }] }, {}, TESTER),
        people.users.delete(user.id, TESTER),
      ]);
      const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.kind] : []));
      expect(new Set([...failures, 'not_found'])).toEqual(new Set(['not_found']));
      expect(await people.users.find(user.id)).toBeUndefined();
    }
  });

  test.each(['a\0b', '\ud800', 'x'.repeat(10_000)])('a role called %j does not exist', async (role) => {
    const [team, user] = [await people.makeTeam(), await people.makeUser()];
    const change = { userId: user.id, teamId: team.id, roles: [role] };
    await expect(people.memberships.setRoles(change, TESTER)).rejects.toMatchObject({ kind: 'invalid_argument' });
  });
});

describe('row 102: a user who is disabled, deleted or given a new password', () => {
  async function connected() {
    const team = await people.makeTeam();
    const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] });
    const [grantId, clientId] = [randomUUID(), `app_${randomUUID()}`];
    await people.db.query(
      `INSERT INTO oauth_apps (client_id, name, base_url, redirect_uris, allowed_scopes, type,
         token_endpoint_auth_method)
       VALUES ($1, 'App', 'https://app.example', '{}', '{}', 'public', 'none')`,
      [clientId],
    );
    await people.db.query(
      `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
       VALUES ($1, $2, $3, $4, '{}', now() + interval '1 day')`,
      [grantId, user.id, team.id, clientId],
    );
    await people.db.query(
      `INSERT INTO oidc_payloads (model, id, grant_id, user_id, payload, expires_at) VALUES
       ('Session', sha256($1::text::bytea), NULL, $2, '', now() + interval '1 day'),
       ('RefreshToken', sha256($1::text::bytea), $1::uuid, $2, '', now() + interval '1 day')`,
      [grantId, user.id],
    );
    return user;
  }

  async function left(userId: string): Promise<number> {
    const { rows } = await people.db.query<{ left: number }>(
      `SELECT (SELECT count(*) FROM grants WHERE user_id = $1)::int
            + (SELECT count(*) FROM oidc_payloads WHERE user_id = $1)::int AS left`,
      [userId],
    );
    return rows[0]!.left;
  }

  test('row 102: has no session, consent or token left', async () => {
    const bystander = await connected();
    for (const end of [
      (id: string) => people.users.setEnabled(id, false, TESTER),
      (id: string) => people.users.setPassword(id, 'a new password', TESTER),
      (id: string) => people.users.update(id, { expiresAt: new Date(Date.now() - 1_000) }, {}, TESTER),
      (id: string) => people.users.delete(id, TESTER),
    ]) {
      const user = await connected();
      expect(await left(user.id)).toBe(3);
      await end(user.id);
      expect(await left(user.id)).toBe(0);
    }
    expect(await left(bystander.id)).toBe(3);
  });

  test('leaves one event each, and none for a change that changed nothing', async () => {
    const user = await people.makeUser();
    expect(await people.users.setEnabled(user.id, true, TESTER)).toMatchObject({ enabled: true });
    expect(await people.users.setEnabled(user.id, false, TESTER)).toMatchObject({ enabled: false });
    expect(await people.users.setEnabled(user.id, false, TESTER)).toMatchObject({ enabled: false });
    await people.users.setEnabled(user.id, true, TESTER);
    await people.users.setPassword(user.id, 'a new password', TESTER);
    await people.users.delete(user.id, TESTER);
    const { rows } = await people.db.query<{ action: string }>(
      'SELECT action FROM audit_events WHERE target_id = $1 ORDER BY id',
      [user.id],
    );
    expect(rows.map((row) => row.action)).toEqual([
      'user.created',
      'user.disabled',
      'user.enabled',
      'user.password_changed',
      'user.deleted',
    ]);
  });

  test.each(['not an id', NOBODY])('who does not exist is not found: %s', async (id) => {
    const notFound = { kind: 'not_found' };
    await expect(people.users.setEnabled(id, false, TESTER)).rejects.toMatchObject(notFound);
    await expect(people.users.setPassword(id, 'a new password', TESTER)).rejects.toMatchObject(notFound);
    await expect(people.users.delete(id, TESTER)).rejects.toMatchObject(notFound);
    expect(await people.users.find(id)).toBeUndefined();
  });
});

describe('the last root administrator', () => {
  beforeEach(async () => {
    await people.db.query('DELETE FROM memberships WHERE team_id = $1', [ROOT_TEAM_ID]);
  });

  const ways: [string, (id: string) => Promise<unknown>][] = [
    ['disabled', (id) => people.users.setEnabled(id, false, TESTER)],
    ['deleted', (id) => people.users.delete(id, TESTER)],
    ['let expire', (id) => people.users.update(id, { expiresAt: new Date(Date.now() - 1_000) }, {}, TESTER)],
    ['given an expiry', (id) => people.users.update(id, { expiresAt: new Date(Date.now() + 60_000) }, {}, TESTER)],
    ['demoted', (userId) => people.memberships.setRoles({ userId, teamId: ROOT_TEAM_ID, roles: ['Viewer'] }, TESTER)],
    ['removed', (userId) => people.memberships.remove({ userId, teamId: ROOT_TEAM_ID }, TESTER)],
  ];
  const refused = {
    kind: 'failed_precondition',
    message: expect.stringMatching(/^This is the last root administrator/),
  };

  test.each(ways)('cannot be %s', async (_way, change) => {
    const admin = await people.makeRootAdmin();
    // Neither of these could take over.
    const disabled = await people.makeRootAdmin();
    await people.users.setEnabled(disabled.id, false, TESTER);
    await people.makeRootAdmin({ expiresAt: new Date(Date.now() - 1_000) });
    await expect(change(admin.id)).rejects.toMatchObject(refused);
    expect((await people.authority.user(admin.id))?.isRootAdmin).toBe(true);
    await people.makeRootAdmin();
    await change(admin.id);
  });

  test.each(ways)('cannot be %s while all others expire some day, who can', async (_way, change) => {
    const admin = await people.makeRootAdmin();
    const guest = await people.makeRootAdmin({ expiresAt: new Date(Date.now() + 3_600_000) });
    await expect(change(admin.id)).rejects.toMatchObject(refused);
    expect(await people.users.find(admin.id)).toEqual(admin);
    await change(guest.id);
  });

  test.each(ways)('cannot be %s while no other one could log in', async (_way, change) => {
    const admin = await people.makeRootAdmin({ password: 'correct horse battery staple' });
    const other = await people.makeRootAdmin();
    const optionsOf = async (user: User) => {
      const caller = { actor: TESTER, teamId: ROOT_TEAM_ID, userId: undefined, permissions: new Set(['users:write']) };
      const [{ options } = { options: undefined }] = await people.users.withOptions([user], caller);
      return [options?.canDisable, options?.canDelete];
    };
    await expect(change(admin.id)).rejects.toMatchObject(refused);
    expect(await people.users.find(admin.id)).toEqual(admin);
    expect(await optionsOf(admin)).toEqual([false, false]);
    expect(await optionsOf(other)).toEqual([true, true]);
    await change(other.id);
    await people.makeRootAdmin({ password: 'correct horse battery staple' });
    expect(await optionsOf(admin)).toEqual([true, true]);
    await change(admin.id);
  });

  test.each(ways)('stays when two of them are %s at the same time', async (_way, change) => {
    for (let round = 0; round < 5; round += 1) {
      await people.db.query('DELETE FROM memberships WHERE team_id = $1', [ROOT_TEAM_ID]);
      const admins = [await people.makeRootAdmin(), await people.makeRootAdmin()];
      const results = await Promise.allSettled(admins.map((admin) => change(admin.id)));
      expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(results.find((result) => result.status === 'rejected')?.reason).toMatchObject(refused);
    }
  });

  test.each([true, false])('is no obstacle to changing other people (there is one: %s)', async (thereIsOne) => {
    if (thereIsOne) await people.makeRootAdmin();
    const user = await people.makeUser();
    await people.users.setEnabled(user.id, false, TESTER);
    await people.users.delete(user.id, TESTER);
  });
});
