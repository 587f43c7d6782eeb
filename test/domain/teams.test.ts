import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { openPeople, type People, TESTER } from '../support/people.ts';

let people: People;
beforeAll(async () => {
  people = await openPeople();
});
afterAll(() => people.close());

test('a team is created, found by id and by name, renamed and deleted, and each is in the audit trail', async () => {
  const team = await people.teams.create({ name: ' Data Platform ', description: 'Pipelines' }, TESTER);
  expect(team).toMatchObject({ name: 'Data Platform', description: 'Pipelines', isRoot: false, policyType: 1 });
  expect(await people.teams.find(team.id)).toEqual(team);
  expect(await people.teams.findByName('data platform')).toEqual(team);
  expect(await people.teams.resolve(team.id)).toEqual(team);
  expect(await people.teams.resolve('DATA PLATFORM')).toEqual(team);
  const renamed = await people.teams.update(team.id, { name: 'Data' }, TESTER);
  expect(renamed).toMatchObject({ name: 'Data', description: 'Pipelines' });
  await people.teams.delete(team.id, TESTER);
  expect(await people.teams.find(team.id)).toBeUndefined();
  for (const [action, name] of Object.entries({
    'team.created': 'Data Platform',
    'team.updated': 'Data',
    'team.deleted': 'Data',
  })) {
    const events = (await people.events(action)).filter((event) => event.target_id === team.id);
    expect(events).toMatchObject([{ team_id: team.id, details: { name } }]);
  }
});

test('two teams cannot have one name, whatever its case', async () => {
  const [team, other] = [await people.makeTeam('Taken'), await people.makeTeam()];
  const taken = { kind: 'already_exists', message: 'A team with this name exists already.' };
  await expect(people.makeTeam('TAKEN')).rejects.toMatchObject(taken);
  await expect(people.teams.update(other.id, { name: 'taken' }, TESTER)).rejects.toMatchObject(taken);
  await people.teams.update(team.id, { name: 'TAKEN' }, TESTER);
});

test('the root team is there from the start and cannot be deleted', async () => {
  expect(await people.teams.resolve('root')).toMatchObject({ id: ROOT_TEAM_ID, isRoot: true });
  await expect(people.teams.delete(ROOT_TEAM_ID, TESTER)).rejects.toMatchObject({
    kind: 'failed_precondition',
    message: 'The root team cannot be deleted.',
  });
});

test('teams are listed by name, page after page', async () => {
  for (const name of ['zz c', 'zz a', 'ZZ b']) await people.makeTeam(name);
  const all = await people.teams.list();
  expect(all.slice(-3).map((team) => team.name)).toEqual(['zz a', 'ZZ b', 'zz c']);
  const after = all.at(-3)!;
  expect((await people.teams.list({ limit: 1, after })).map((team) => team.name)).toEqual(['ZZ b']);
});

test.each(['', 'a\0b', '\ud800', 'x'.repeat(256)])('no team is called %j', async (name) => {
  await expect(people.makeTeam(name)).rejects.toMatchObject({ kind: 'invalid_argument', fields: [{ field: 'name' }] });
  await expect(people.teams.resolve(name)).rejects.toMatchObject({ kind: 'not_found' });
});

test('what does not exist is not found', async () => {
  for (const id of ['no id', '5d0f6d54-5a51-4a8f-9d3e-6f3b1c2d4e5f']) {
    expect(await people.teams.find(id)).toBeUndefined();
    await expect(people.teams.update(id, { name: 'New' }, TESTER)).rejects.toMatchObject({ kind: 'not_found' });
    await expect(people.teams.delete(id, TESTER)).rejects.toMatchObject({ kind: 'not_found' });
  }
});

test('memberships end with their team', async () => {
  const team = await people.makeTeam();
  const user = await people.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] });
  await people.teams.delete(team.id, TESTER);
  expect(await people.memberships.list(user.id)).toEqual([]);
});
