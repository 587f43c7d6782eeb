import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { createProviders, type Providers } from '../../src/domain/providers.ts';
import { inParallel } from '../support/parallel.ts';
import { openPeople, type People, TESTER } from '../support/people.ts';

let people: People;
let providers: Providers;
beforeAll(async () => {
  people = await openPeople();
  providers = createProviders(people);
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

test('teams are listed in the order they were made or by name, page after page', async () => {
  for (const name of ['zz c', 'zz a', 'ZZ b']) await people.makeTeam(name);
  const last = (await people.teams.list({}, { limit: 1_000 })).slice(-3);
  expect(last.map(({ name }) => name)).toEqual(['zz c', 'zz a', 'ZZ b']);
  const order = { field: 'name', descending: false };
  const byName = (await people.teams.list({}, { limit: 1_000, order })).slice(-3);
  expect(byName.map(({ name }) => name)).toEqual(['zz a', 'ZZ b', 'zz c']);
  const behind = await people.teams.list({}, { limit: 1, order, after: byName[0] });
  expect(behind.map(({ name }) => name)).toEqual(['ZZ b']);
});

test('within its own scope a team is the only one there is', async () => {
  const [team, other] = [await people.makeTeam(), await people.makeTeam()];
  const scope = { teamId: team.id };
  expect((await people.teams.list(scope)).map(({ id }) => id)).toEqual([team.id]);
  for (const teamId of ['x', '5d0f6d54-5a51-4a8f-9d3e-6f3b1c2d4e5f']) {
    expect(await people.teams.list({ teamId })).toEqual([]);
    expect(await people.teams.find(team.id, { teamId })).toBeUndefined();
    const update = people.teams.update(team.id, { name: 'x' }, TESTER, { teamId });
    await expect(update).rejects.toMatchObject({ kind: 'not_found' });
  }
  expect(await people.teams.find(team.id, scope)).toEqual(team);
  expect(await people.teams.find(other.id, scope)).toBeUndefined();
  const touched = [
    people.teams.update(other.id, { name: 'Mine' }, TESTER, scope),
    people.teams.delete(other.id, TESTER, scope),
  ];
  for (const one of touched) await expect(one).rejects.toMatchObject({ kind: 'not_found' });
  expect(await people.teams.find(other.id)).toEqual(other);
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

describe('settings', () => {
  test('all of them are kept, and what is not given stays', async () => {
    const [one, two] = [await provider('b'), await provider('a')];
    const all = { policyType: 2, providers: [one, two, one], providerTypes: [1, 1], ssoAlias: ' sales ' } as const;
    const team = await people.teams.create({ name: 'Set', ...all }, TESTER);
    const kept = {
      policyType: 2,
      providers: [two, one],
      providerTypes: [1],
      ssoAlias: 'sales',
      description: '',
      userCount: 0,
    };
    expect(team).toMatchObject(kept);
    const renamed = await people.teams.update(team.id, { name: 'Set again' }, TESTER);
    expect(renamed).toMatchObject({ ...kept, name: 'Set again' });
    const emptied = { policyType: 1, providers: [], providerTypes: [], ssoAlias: '' } as const;
    expect(await people.teams.update(team.id, emptied, TESTER)).toMatchObject(emptied);
  });

  test('a set is the same in whatever order it is said, and however often', async () => {
    const set = await inParallel(5, (index) => provider(`${index}`));
    const team = await people.teams.create({ name: 'Ordered', providers: set }, TESTER);
    for (const providers of [set.toReversed(), [...set, set[0]!]]) {
      expect(await people.teams.update(team.id, { providers }, TESTER)).toEqual(team);
    }
  });

  test('a description may be a text of 1,000 characters', async () => {
    const description = 'x'.repeat(1_000);
    expect(await people.teams.create({ name: 'Described', description }, TESTER)).toMatchObject({ description });
  });

  test('its members are counted', async () => {
    const team = await people.makeTeam();
    for (const role of ['Viewer', 'Admin']) {
      await people.makeUser({ teamRoles: [{ teamId: team.id, roles: [role] }] });
    }
    expect(await people.teams.find(team.id)).toMatchObject({ userCount: 2, version: team.version });
  });

  test('a change makes another version and says in the audit trail what changed; no change does neither', async () => {
    let team = await people.makeTeam();
    const one = await provider();
    const changes = {
      name: 'Versions',
      description: 'x',
      policy_type: { policyType: 2 as const },
      providers: { providers: [one] },
      provider_types: { providerTypes: [1] },
      sso_alias: { ssoAlias: 'v' },
    };
    for (const [field, value] of Object.entries(changes)) {
      const change = typeof value === 'string' ? { [field]: value } : value;
      const changed = await people.teams.update(team.id, change, TESTER);
      expect([field, changed.version === team.version]).toEqual([field, false]);
      expect(changed.updatedAt.getTime()).toBeGreaterThanOrEqual(team.updatedAt.getTime());
      expect(await people.teams.update(team.id, change, TESTER)).toEqual(changed);
      team = changed;
    }
    const events = (await people.events('team.updated')).filter((event) => event.target_id === team.id);
    expect(events.map(({ details }) => details.changed)).toEqual(Object.keys(changes).map((field) => [field]));
  });

  test('a provider that ends leaves the set, which is a change of the team', async () => {
    const [one, two] = [await provider('one'), await provider('two')];
    const owner = await people.makeTeam();
    await people.db.query('UPDATE providers SET team_id = $2 WHERE id = $1', [two.id, owner.id]);
    const team = await people.teams.create({ name: 'Bound', providers: [one, two] }, TESTER);
    await people.db.query('DELETE FROM providers WHERE id = $1', [one.id]);
    const without = (await people.teams.find(team.id))!;
    expect([without.providers, without.version === team.version]).toEqual([[two], false]);
    await people.teams.delete(owner.id, TESTER);
    const last = (await people.teams.find(team.id))!;
    expect([last.providers, last.version === without.version]).toEqual([[], false]);
    await people.teams.delete(team.id, TESTER);
  });

  test('a provider must exist, and be what is said of it', async () => {
    const one = await provider('Payroll');
    const team = await people.makeTeam();
    const set = (...providers: object[]) =>
      people.teams.update(team.id, { providers: providers as { id: string }[] }, TESTER);
    const missing = { kind: 'not_found', fields: [{ field: 'providers.1.id' }] };
    await expect(set(one, { id: randomUUID() })).rejects.toMatchObject(missing);
    await expect(set(one, { id: 'x' })).rejects.toMatchObject(missing);
    await expect(set({ ...one, name: 'Other' })).rejects.toMatchObject({ fields: [{ field: 'providers.0.name' }] });
    await expect(set({ ...one, type: 2 })).rejects.toMatchObject({ fields: [{ field: 'providers.0.type' }] });
    const many = Array.from({ length: 1_001 }, () => one);
    await expect(set(...many)).rejects.toMatchObject({ fields: [{ field: 'providers' }] });
    expect(await people.teams.find(team.id)).toEqual(team);
    expect((await set({ ...one, type: 1 })).providers).toEqual([one]);
  });

  test('the team itself may change its name and description, and say again what else there is', async () => {
    const one = await provider();
    const team = await people.teams.create({ name: 'Own', providers: [one], ssoAlias: 'own' }, TESTER);
    const update = (changes: object) => people.teams.update(team.id, changes, TESTER, { teamId: team.id });
    const same = { policyType: 1, providers: [one], providerTypes: [], ssoAlias: 'own' };
    expect(await update({ ...same, description: 'Ours' })).toMatchObject({ ...same, description: 'Ours' });
    expect(await update({ name: 'Ours' })).toMatchObject({ name: 'Ours' });
    const others = {
      policy_type: { policyType: 2 },
      providers: { providers: [] },
      provider_types: { providerTypes: [1] },
      sso_alias: { ssoAlias: '' },
    };
    for (const [field, change] of Object.entries(others)) {
      await expect(update({ name: 'Not this', ...change })).rejects.toMatchObject({
        kind: 'permission_denied',
        fields: [{ field }],
        message: expect.stringContaining('root team'),
      });
    }
    expect(await people.teams.find(team.id)).toMatchObject({ ...same, name: 'Ours' });
  });

  test("row 110: within its scope a team cannot tell another team's provider from none", async () => {
    const team = await people.makeTeam();
    const own = await provider('own', team.id);
    const foreign = await provider('foreign');
    const set = (id: string) => people.teams.update(team.id, { providers: [{ id }] }, TESTER, { teamId: team.id });
    const refusals = await Promise.all([foreign.id, randomUUID()].map((id) => set(id).catch((error) => error)));
    expect(refusals[0]).toMatchObject({ kind: 'not_found' });
    expect(refusals[0].message).toBe(refusals[1].message);
    await expect(set(own.id)).rejects.toMatchObject({ kind: 'permission_denied' });
  });

  test('the root team cannot be bound', async () => {
    for (const change of [{ policyType: 2 as const }, { providerTypes: [1] }]) {
      await expect(people.teams.update(ROOT_TEAM_ID, change, TESTER)).rejects.toMatchObject({
        kind: 'failed_precondition',
        message: expect.stringContaining('cannot be bound'),
      });
    }
    const same = { policyType: 1 as const, providerTypes: [], providers: [] };
    expect(await people.teams.update(ROOT_TEAM_ID, same, TESTER)).toMatchObject(same);
  });
});

describe('row 118: two who change one team', () => {
  test('the one who read it before the other changed it is told', async () => {
    const team = await people.makeTeam();
    const scope = { version: team.version };
    const changed = await people.teams.update(team.id, { description: 'first' }, TESTER, scope);
    const late = [
      people.teams.update(team.id, { description: 'second' }, TESTER, scope),
      people.teams.delete(team.id, TESTER, scope),
    ];
    for (const one of late) await expect(one).rejects.toMatchObject({ kind: 'precondition_failed' });
    expect(await people.teams.find(team.id)).toEqual(changed);
    await people.teams.delete(team.id, TESTER, { version: changed.version });
  });

  test('the one who waited for the other builds on what the other made of it', async () => {
    const [one, two] = [await provider('one'), await provider('two')];
    const team = await people.makeTeam();
    const sets = [[one], [two], [one, two], []];
    const versions = await inParallel(8, async (index) => {
      const changed = await people.teams.update(team.id, { providers: sets[index % 4]! }, TESTER);
      expect(changed.providers).toEqual(sets[index % 4]);
      return changed.version;
    });
    expect(versions).toContain((await people.teams.find(team.id))!.version);
  });
});

describe('changes that meet wait for each other, and none is lost', () => {
  const ROUNDS = 3;
  // A deadlock would be told after a second.
  async function meet(prepare: () => Promise<(() => Promise<unknown>)[]>): Promise<void> {
    for (let round = 0; round < ROUNDS; round += 1) {
      const results = await Promise.allSettled((await prepare()).map((change) => change()));
      const kinds = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.kind] : []));
      expect(kinds.filter((kind) => kind !== 'not_found')).toEqual([]);
    }
  }
  const bound = async (...providers: { id: string }[]) =>
    (await people.teams.create({ name: `Meeting ${randomUUID()}`, providers }, TESTER)).id;
  const remove = (id: string) => () => people.teams.delete(id, TESTER);

  test('a change of the set and the end of a provider in it', () =>
    meet(async () => {
      const [one, two] = [await provider(), await provider()];
      const team = await bound(one, two);
      const set = { providers: [one, two], description: 'x' };
      return [() => people.teams.update(team, set, TESTER), () => providers.deleteCustom(one.id, {}, TESTER)];
    }));

  test('a new team and the end of a provider in its set', () =>
    meet(async () => {
      const one = await provider();
      return [() => bound(one), () => providers.deleteCustom(one.id, {}, TESTER), () => bound(one)];
    }));

  test('the end of a team and of a provider it names or has', () =>
    meet(async () => {
      const named = await provider();
      const team = await bound(named);
      const own = await provider('own', team);
      await people.teams.update(team, { providers: [named, own] }, TESTER);
      const ends = [named, own].map(
        ({ id }) =>
          () =>
            providers.deleteCustom(id, {}, TESTER),
      );
      return [remove(team), ...ends];
    }));

  test("the end of teams that name each other's providers", () =>
    meet(async () => {
      const [one, two] = [await bound(), await bound()];
      await people.teams.update(one, { providers: [await provider('theirs', two)] }, TESTER);
      await people.teams.update(two, { providers: [await provider('theirs', one)] }, TESTER);
      return [remove(one), remove(two)];
    }));

  test('the end of a team, and changes of its members while the root team names its providers', () =>
    meet(async () => {
      const team = await bound();
      await people.teams.update(ROOT_TEAM_ID, { providers: [await provider('theirs', team)] }, TESTER);
      const [one, two] = await inParallel(2, () =>
        people.makeUser({ teamRoles: [{ teamId: team, roles: ['Viewer'] }] }),
      );
      return [
        remove(team),
        () => people.memberships.remove({ userId: one!.id, teamId: team }, TESTER),
        () => people.users.delete(two!.id, TESTER),
      ];
    }));
});

async function provider(name = 'Provider', teamId: string = ROOT_TEAM_ID): Promise<{ id: string; name: string }> {
  const { rows } = await people.db.query<{ id: string; name: string }>(
    'INSERT INTO providers (name, team_id) VALUES ($1, $2) RETURNING id, name',
    [name, teamId],
  );
  return rows[0]!;
}
