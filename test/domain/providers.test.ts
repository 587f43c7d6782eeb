import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import type { Provider } from '../../src/domain/providers.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';

let all: Credentials;
let team: string;
let other: string;
let own: Provider;
let foreign: Provider;
beforeAll(async () => {
  all = await openCredentials();
});
afterAll(() => all.close());
beforeEach(async () => {
  await all.db.query('DELETE FROM providers');
  team = (await all.makeTeam()).id;
  other = (await all.makeTeam()).id;
  own = await all.providers.createCustom({ name: 'own', teamId: team }, TESTER);
  foreign = await all.providers.createCustom({ name: 'foreign', teamId: other, customTemplate: 'hr' }, TESTER);
});

const page = { limit: 50 };
const names = (providers: Provider[]) => providers.map(({ name }) => name).sort();

async function bind(...providerIds: string[]): Promise<void> {
  await all.db.query('UPDATE teams SET policy_type = 2 WHERE id = $1', [team]);
  await all.db.query('INSERT INTO team_providers SELECT $1, unnest($2::uuid[])', [team, providerIds]);
}

describe('what a team sees', () => {
  test('everything, unbound or as the root team', async () => {
    expect(names(await all.providers.list(team, page))).toEqual(['foreign', 'own']);
    expect(names(await all.providers.list(ROOT_TEAM_ID, page))).toEqual(['foreign', 'own']);
  });

  test('its set and its own, when bound to a set', async () => {
    const third = await all.providers.createCustom({ name: 'third', teamId: other }, TESTER);
    await bind();
    expect(names(await all.providers.list(team, page))).toEqual(['own']);
    await bind(third.id);
    expect(names(await all.providers.list(team, page))).toEqual(['own', 'third']);
  });

  test('nothing, for a team that does not exist', async () => {
    for (const id of [randomUUID(), 'x']) expect(await all.providers.list(id, page)).toEqual([]);
  });

  test('page by page, each once, in the order they were made', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await all.providers.createCustom({ name, teamId: team }, TESTER);
    const read: Provider[] = [];
    for (let after: Provider | undefined; ; after = read.at(-1)) {
      const next = await all.providers.listCustom(team, { limit: 2, ...(after && { after }) });
      if (next.length === 0) break;
      read.push(...next);
    }
    expect(names(read)).toEqual(['a', 'b', 'c', 'd', 'own']);
    expect(read.map(({ createdAt }) => createdAt.getTime())).toEqual(
      read.map(({ createdAt }) => createdAt.getTime()).sort(),
    );
  });
});

describe('what a team may change', () => {
  test('its own', async () => {
    const changed = await all.providers.updateCustom(own.id, team, { name: 'renamed' }, TESTER);
    expect(changed).toMatchObject({ id: own.id, name: 'renamed', customTemplate: '', teamId: team });
    expect(await all.providers.updateCustom(own.id, team, { customTemplate: 'crm' }, TESTER)).toMatchObject({
      name: 'renamed',
      customTemplate: 'crm',
    });
    await all.providers.deleteCustom(own.id, team, TESTER);
    expect(await all.providers.findCustom(own.id, team)).toBeUndefined();
    const { rows } = await all.db.query('SELECT action FROM audit_events WHERE target_id = $1 ORDER BY id', [own.id]);
    expect(rows.map(({ action }) => action)).toEqual(
      ['created', 'updated', 'updated', 'deleted'].map((verb) => `provider.${verb}`),
    );
  });

  test("row 110: not another team's, even one it sees", async () => {
    const before = await all.rows('providers');
    expect(names(await all.providers.listCustom(team, page))).toEqual(['own']);
    for (const id of [foreign.id, randomUUID(), 'x']) {
      expect(await all.providers.findCustom(id, team)).toBeUndefined();
      const attempts = [
        all.providers.updateCustom(id, team, { name: 'mine' }, TESTER),
        all.providers.deleteCustom(id, team, TESTER),
      ];
      for (const attempt of attempts) await expect(attempt).rejects.toMatchObject({ kind: 'not_found' });
    }
    expect(await all.rows('providers')).toEqual(before);
  });

  test('every one, as the root team', async () => {
    expect(names(await all.providers.listCustom(ROOT_TEAM_ID, page))).toEqual(['foreign', 'own']);
    expect(await all.providers.findCustom(own.id, ROOT_TEAM_ID)).toEqual(own);
    await all.providers.updateCustom(foreign.id, ROOT_TEAM_ID, { name: 'seen' }, TESTER);
    await all.providers.deleteCustom(foreign.id, ROOT_TEAM_ID, TESTER);
    expect(names(await all.providers.list(ROOT_TEAM_ID, page))).toEqual(['own']);
  });

  test('row 117: changing one leaves every other row as it was', async () => {
    const { [own.id]: mine, ...others } = await all.rows('providers');
    await all.providers.updateCustom(own.id, team, { name: 'renamed' }, TESTER);
    const { [own.id]: changed, ...othersAfter } = await all.rows('providers');
    expect(othersAfter).toEqual(others);
    expect(changed).not.toEqual(mine);
  });

  test('a bad name or team is refused', async () => {
    const make = (changes: object) => all.providers.createCustom({ name: 'x', teamId: team, ...changes }, TESTER);
    await expect(make({ name: '' })).rejects.toMatchObject({ fields: [{ field: 'name' }] });
    await expect(make({ customTemplate: 'a\0' })).rejects.toMatchObject({ fields: [{ field: 'custom_template' }] });
    await expect(make({ teamId: randomUUID() })).rejects.toMatchObject({ kind: 'failed_precondition' });
    await expect(all.providers.updateCustom(own.id, team, { name: ' ' }, TESTER)).rejects.toMatchObject({
      fields: [{ field: 'name' }],
    });
  });
});
