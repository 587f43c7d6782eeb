import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAuthority } from '../../src/domain/authority.ts';
import { PERMISSIONS, ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { openPeople, type People, TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

let people: People;
beforeAll(async () => {
  people = await openPeople();
});
afterAll(() => people.close());

/** Waits for what was announced already, then asks, so that the answer is one the cache keeps. */
async function warmly<T>(ask: () => Promise<T>): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve, 40));
  return ask();
}

describe('what a user may do in a team', () => {
  test('is what the roles there permit, together', async () => {
    const team = await people.makeTeam();
    const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Viewer', 'oaa_push'] }] });
    const permissions = await people.authority.permissionsIn(user.id, team.id);
    expect([...permissions!].sort()).toEqual([
      'apikeys:read',
      'apikeys:write',
      'connectedapps:read',
      'connectedapps:write',
      'providers:read',
      'providers:write',
      'roles:read',
      'teamkeys:read',
      'teams:read',
      'users:read',
    ]);
  });

  test('is nothing in a team the user does not belong to', async () => {
    const [team, other] = [await people.makeTeam(), await people.makeTeam()];
    const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Admin'] }] });
    expect(await people.authority.permissionsIn(user.id, other.id)).toEqual(new Set());
    expect(await people.authority.permissionsIn(user.id, ROOT_TEAM_ID)).toEqual(new Set());
    expect((await people.authority.user(user.id))?.isRootAdmin).toBe(false);
  });

  test('includes the roles in the root team, in teams one belongs to and in those one does not', async () => {
    const [mine, foreign] = [await people.makeTeam(), await people.makeTeam()];
    const admin = await people.makeRootAdmin();
    await people.memberships.setRoles({ userId: admin.id, teamId: mine.id, roles: ['Viewer'] }, TESTER);
    for (const team of [mine.id, foreign.id, ROOT_TEAM_ID]) {
      expect([...(await people.authority.permissionsIn(admin.id, team))!].sort()).toEqual(
        Object.keys(PERMISSIONS).sort(),
      );
    }
    expect((await people.authority.user(admin.id))?.isRootAdmin).toBe(true);
    expect((await people.authority.teamsOf(admin.id)).map((team) => team.id).sort()).toEqual(
      [mine.id, ROOT_TEAM_ID].sort(),
    );
    expect(await people.authority.isMember(admin.id, mine.id)).toBe(true);
    expect(await people.authority.isMember(admin.id, foreign.id)).toBe(false);
  });

  test('is undefined for nobody, and for an id that is none', async () => {
    expect(await people.authority.permissionsIn('5d0f6d54-5a51-4a8f-9d3e-6f3b1c2d4e5f', ROOT_TEAM_ID)).toBeUndefined();
    expect(await people.authority.permissionsIn("' OR 1=1 --", ROOT_TEAM_ID)).toBeUndefined();
    expect(await people.authority.teamsOf('no id')).toEqual([]);
  });
});

test('the teams of a user come by name, each with what the user may do there', async () => {
  const [b, a] = [await people.makeTeam('beta'), await people.makeTeam('Alpha')];
  const user = await people.makeUser({
    teamRoles: [
      { teamId: b.id, roles: ['Viewer'] },
      { teamId: a.id, roles: ['Admin'] },
    ],
  });
  const teams = await people.authority.teamsOf(user.id);
  expect(teams.map((team) => team.name)).toEqual(['Alpha', 'beta']);
  expect(teams.map((team) => team.permissions.has('teams:write'))).toEqual([true, false]);
});

describe('row 90: a change counts at once', () => {
  test('row 90: a demoted user loses the permission on every instance, caches or not', async () => {
    const team = await people.makeTeam();
    const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Admin'] }] });
    const otherInstance = createAuthority({ db: people.db, notifications: people.notifications });
    for (const authority of [people.authority, otherInstance]) {
      const before = await warmly(() => authority.permissionsIn(user.id, team.id));
      expect(before!.has('teamkeys:write')).toBe(true);
    }
    await people.memberships.setRoles({ userId: user.id, teamId: team.id, roles: ['Viewer'] }, TESTER);
    for (const authority of [people.authority, otherInstance]) {
      const demoted = async () => !(await authority.permissionsIn(user.id, team.id))!.has('teamkeys:write');
      expect(await soon(demoted)).toBe(true);
      expect((await authority.permissionsIn(user.id, team.id))!.has('providers:read')).toBe(true);
    }
  });

  test('row 91: a disabled user can do nothing, an enabled one can again', async () => {
    const team = await people.makeTeam();
    const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Admin'] }] });
    const permissions = () => people.authority.permissionsIn(user.id, team.id);
    expect(await warmly(permissions)).toBeDefined();
    await people.users.setEnabled(user.id, false, TESTER);
    expect(await soon(async () => (await permissions()) === undefined)).toBe(true);
    await people.users.setEnabled(user.id, true, TESTER);
    expect(await soon(async () => (await permissions())?.has('teams:write') === true)).toBe(true);
  });

  test('row 91: a removed member and a deleted user can do nothing', async () => {
    const team = await people.makeTeam();
    const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Admin'] }] });
    expect(await warmly(() => people.authority.isMember(user.id, team.id))).toBe(true);
    await people.memberships.remove({ userId: user.id, teamId: team.id }, TESTER);
    expect(await soon(async () => !(await people.authority.isMember(user.id, team.id)))).toBe(true);
    expect(await people.authority.permissionsIn(user.id, team.id)).toEqual(new Set());
    await people.users.delete(user.id, TESTER);
    expect(await soon(async () => (await people.authority.user(user.id)) === undefined)).toBe(true);
  });

  test('a role that permits less, changed behind our back, permits less', async () => {
    const team = await people.makeTeam();
    await people.db.query("INSERT INTO roles (name, permissions) VALUES ('Auditor', '{audit:read,teams:read}')");
    const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['auditor'] }] });
    const before = await warmly(() => people.authority.permissionsIn(user.id, team.id));
    expect(before!.has('audit:read')).toBe(true);
    await people.db.query("UPDATE roles SET permissions = '{}' WHERE name = 'Auditor'");
    expect(await soon(async () => (await people.authority.permissionsIn(user.id, team.id))!.size === 0)).toBe(true);
    expect((await people.authority.teamsOf(user.id))[0]?.roleIds).toHaveLength(1);
  });

  test('a membership or a team name, changed behind our back, is the new one', async () => {
    const team = await people.makeTeam();
    const user = await people.makeUser();
    expect(await warmly(() => people.authority.isMember(user.id, team.id))).toBe(false);
    await people.db.query('INSERT INTO memberships (user_id, team_id) VALUES ($1, $2)', [user.id, team.id]);
    expect(await soon(() => people.authority.isMember(user.id, team.id))).toBe(true);
    expect((await people.authority.permissionsIn(user.id, team.id))!.size).toBe(0);
    await warmly(() => people.authority.teamsOf(user.id));
    await people.teams.update(team.id, { name: 'Another name' }, TESTER);
    const renamed = async () => (await people.authority.teamsOf(user.id))[0]?.name === 'Another name';
    expect(await soon(renamed)).toBe(true);
  });

  test('a team exists until it is deleted', async () => {
    const team = await people.makeTeam();
    expect(await warmly(() => people.authority.teamExists(team.id))).toBe(true);
    expect(await people.authority.teamExists('no id')).toBe(false);
    await people.teams.delete(team.id, TESTER);
    expect(await soon(async () => !(await people.authority.teamExists(team.id)))).toBe(true);
  });
});

test('a user whose time runs out is gone at that moment, though nobody announces it', async () => {
  const user = await people.makeUser({ expiresAt: new Date(Date.now() + 400) });
  expect(await people.authority.user(user.id)).toMatchObject({ id: user.id, name: 'Somebody' });
  await new Promise((resolve) => setTimeout(resolve, 450));
  expect(await people.authority.user(user.id)).toBeUndefined();
});

test('the second question about a user is not put to the database', async () => {
  const user = await people.makeUser();
  let statements = 0;
  const db: typeof people.db = {
    ...people.db,
    query: (text, values) => {
      statements += 1;
      return people.db.query(text, values);
    },
  };
  const authority = createAuthority({ db, notifications: people.notifications });
  await warmly(() => authority.user(user.id));
  for (let round = 0; round < 50; round += 1) await authority.permissionsIn(user.id, ROOT_TEAM_ID);
  expect(statements).toBe(1);
});
