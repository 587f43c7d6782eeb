import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Provider } from '../../src/domain/providers.ts';
import type { Queryable } from '../../src/storage/pool.ts';
import { listProviders } from '../../src/storage/providers.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';

let all: Credentials;
let team: string;
let other: string;
let own: Provider;
let foreign: Provider;

type Listed = Provider & { sortKey: string };

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

const EVERYBODYS = {};
const seenBy = async (teamId?: string) => names(await all.providers.list({ teamId }, page));

async function bind(...ids: string[]): Promise<void> {
  await all.teams.update(team, { policyType: 2, providers: ids.map((id) => ({ id })) }, TESTER);
}

describe('what a team sees', () => {
  test('everything, unbound or as the root team', async () => {
    expect(await seenBy(team)).toEqual(['foreign', 'own']);
    expect(await seenBy()).toEqual(['foreign', 'own']);
  });

  test('its set and its own, when bound to a set', async () => {
    const third = await all.providers.createCustom({ name: 'third', teamId: other }, TESTER);
    await bind();
    expect(await seenBy(team)).toEqual(['own']);
    await bind(third.id);
    expect(await seenBy(team)).toEqual(['own', 'third']);
    expect(await seenBy(other)).toEqual(['foreign', 'own', 'third']);
    const another = { name: `Bound ${randomUUID()}`, policyType: 2, providers: [own] } as const;
    expect(await seenBy((await all.teams.create(another, TESTER)).id)).toEqual(['own']);
  });

  test('everything again when it is unbound, though its set is kept', async () => {
    await bind(own.id);
    await all.teams.update(team, { policyType: 1 }, TESTER);
    expect(await seenBy(team)).toEqual(['foreign', 'own']);
  });

  test('only providers of its types, when it has some', async () => {
    await all.teams.update(team, { providerTypes: [1] }, TESTER);
    expect(await seenBy(team)).toEqual(['foreign', 'own']);
    // There is no other type yet; one that comes later must not let these through.
    await all.db.query("UPDATE teams SET provider_types = '{2}' WHERE id = $1", [team]);
    expect(await seenBy(team)).toEqual(['own']);
    await bind(foreign.id);
    expect(await seenBy(team)).toEqual(['own']);
  });

  test('in the same order and by the same filters whether it is bound or not', async () => {
    const make = (name: string, teamId: string) => all.providers.createCustom({ name, teamId }, TESTER);
    const named = [await make('d', other), await make('b', other), own];
    for (const name of ['a', 'c', 'e']) await make(name, team);
    const read = async (order?: { field: string; descending: boolean }) => {
      const rows: Listed[] = [];
      for (let after: Listed | undefined; rows.length < 20; after = rows.at(-1)) {
        const next = await all.providers.list({ teamId: team }, { limit: 2, after, order });
        if (next.length === 0) break;
        rows.push(...next);
      }
      return rows.map(({ name }) => name).filter((name) => name !== 'foreign');
    };
    const orders = [undefined, { field: 'name', descending: true }, { field: 'created_at', descending: true }];
    const unbound = [];
    for (const order of orders) unbound.push(await read(order));
    expect(unbound[1]).toEqual(['own', 'e', 'd', 'c', 'b', 'a']);
    await bind(...named.map(({ id }) => id));
    for (const [index, order] of orders.entries()) expect(await read(order)).toEqual(unbound[index]);
    const conditions = [{ field: 'team_id', operator: 'eq', value: other } as const];
    expect(names(await all.providers.list({ teamId: team }, { limit: 50, conditions }))).toEqual(['b', 'd']);
  });

  test('without a look at all the others, when bound', async () => {
    await all.db.query(
      `INSERT INTO providers (name, team_id, created_at)
       SELECT 'p' || i, $1, now() - i * interval '1 minute' FROM generate_series(1, 20000) AS i`,
      [other],
    );
    await all.db.query('ANALYZE providers');
    await bind(foreign.id);
    const statements: [string, unknown[]][] = [];
    const spy: Queryable = {
      query: (text, values = []) => {
        statements.push([text, values]);
        return all.db.query(text, values);
      },
    };
    const seen = await listProviders(spy, { teamId: team }, { limit: 50, order: { field: 'name', descending: false } });
    expect(names(seen)).toEqual(['foreign', 'own']);
    expect(await pagesRead(statements.at(-1)!)).toBeLessThan(50);
  });

  test('nothing, for a team that does not exist', async () => {
    for (const teamId of [randomUUID(), 'x']) {
      expect(await all.providers.list({ teamId }, page)).toEqual([]);
      expect(await all.providers.listCustom({ teamId }, page)).toEqual([]);
    }
  });

  test('page by page, each once, in the order they were made, or by name', async () => {
    for (const name of ['d', 'a', 'c', 'b']) await all.providers.createCustom({ name, teamId: team }, TESTER);
    const read = async (order?: { field: string; descending: boolean }) => {
      const rows: Listed[] = [];
      for (let after: Listed | undefined; rows.length < 20; after = rows.at(-1)) {
        const next = await all.providers.listCustom({ teamId: team }, { limit: 2, after, order });
        if (next.length === 0) break;
        rows.push(...next);
      }
      return rows.map(({ name }) => name);
    };
    expect(await read()).toEqual(['own', 'd', 'a', 'c', 'b']);
    expect(await read({ field: 'name', descending: true })).toEqual(['own', 'd', 'c', 'b', 'a']);
  });
});

describe('what a team may change', () => {
  test('its own', async () => {
    const changed = await all.providers.updateCustom(own.id, { name: 'renamed' }, { teamId: team }, TESTER);
    expect(changed).toMatchObject({ id: own.id, name: 'renamed', customTemplate: '', teamId: team });
    expect(await all.providers.updateCustom(own.id, { customTemplate: 'crm' }, { teamId: team }, TESTER)).toMatchObject(
      {
        name: 'renamed',
        customTemplate: 'crm',
      },
    );
    await all.providers.deleteCustom(own.id, { teamId: team }, TESTER);
    expect(await all.providers.findCustom(own.id, { teamId: team })).toBeUndefined();
    const { rows } = await all.db.query('SELECT action FROM audit_events WHERE target_id = $1 ORDER BY id', [own.id]);
    expect(rows.map(({ action }) => action)).toEqual(
      ['created', 'updated', 'updated', 'deleted'].map((verb) => `provider.${verb}`),
    );
  });

  test("row 110: not another team's, even one it sees", async () => {
    const before = await all.rows('providers');
    expect(names(await all.providers.listCustom({ teamId: team }, page))).toEqual(['own']);
    for (const id of [foreign.id, randomUUID(), 'x']) {
      expect(await all.providers.findCustom(id, { teamId: team })).toBeUndefined();
      const attempts = [
        all.providers.updateCustom(id, { name: 'mine' }, { teamId: team }, TESTER),
        all.providers.deleteCustom(id, { teamId: team }, TESTER),
      ];
      for (const attempt of attempts) await expect(attempt).rejects.toMatchObject({ kind: 'not_found' });
    }
    expect(await all.rows('providers')).toEqual(before);
  });

  test('every one, as the root team', async () => {
    expect(names(await all.providers.listCustom(EVERYBODYS, page))).toEqual(['foreign', 'own']);
    expect(await all.providers.findCustom(own.id, EVERYBODYS)).toEqual(own);
    await all.providers.updateCustom(foreign.id, { name: 'seen' }, EVERYBODYS, TESTER);
    await all.providers.deleteCustom(foreign.id, EVERYBODYS, TESTER);
    expect(await seenBy()).toEqual(['own']);
  });

  test('row 117: changing one leaves every other row as it was', async () => {
    const { [own.id]: mine, ...others } = await all.rows('providers');
    await all.providers.updateCustom(own.id, { name: 'renamed' }, { teamId: team }, TESTER);
    const { [own.id]: changed, ...othersAfter } = await all.rows('providers');
    expect(othersAfter).toEqual(others);
    expect(changed).not.toEqual(mine);
  });

  test('row 118: what was changed since it was read is not changed over', async () => {
    const scope = { teamId: team, version: own.version };
    const renamed = await all.providers.updateCustom(own.id, { name: 'renamed' }, scope, TESTER);
    expect(renamed.version).not.toBe(own.version);
    const late = [
      all.providers.updateCustom(own.id, { name: 'late' }, scope, TESTER),
      all.providers.deleteCustom(own.id, scope, TESTER),
    ];
    for (const one of late) await expect(one).rejects.toMatchObject({ kind: 'precondition_failed' });
    expect(await all.providers.findCustom(own.id, { teamId: team })).toEqual(renamed);
  });

  test('row 118: whoever waited for another change is told of it', async () => {
    const late = await all.db.transaction(async (tx) => {
      await tx.query('UPDATE providers SET updated_at = now() WHERE id = $1', [own.id]);
      const waiting = all.providers.updateCustom(own.id, { name: 'late' }, { version: own.version }, TESTER);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { waiting: waiting.catch((error: unknown) => error) };
    });
    expect(await late.waiting).toMatchObject({ kind: 'precondition_failed' });
    expect(await all.providers.findCustom(own.id, { teamId: team })).toMatchObject({ name: 'own' });
  });

  test('a bad name or team is refused', async () => {
    const make = (changes: object) => all.providers.createCustom({ name: 'x', teamId: team, ...changes }, TESTER);
    await expect(make({ name: '' })).rejects.toMatchObject({ fields: [{ field: 'name' }] });
    await expect(make({ customTemplate: 'a\0' })).rejects.toMatchObject({ fields: [{ field: 'custom_template' }] });
    await expect(make({ teamId: randomUUID() })).rejects.toMatchObject({ kind: 'not_found' });
    await expect(all.providers.updateCustom(own.id, { name: ' ' }, { teamId: team }, TESTER)).rejects.toMatchObject({
      fields: [{ field: 'name' }],
    });
  });

  test('a change that changes nothing makes no new version and is not in the audit trail', async () => {
    const scope = { teamId: team };
    for (const changes of [{}, { name: 'own' }, { name: ' own ', customTemplate: '' }]) {
      expect(await all.providers.updateCustom(own.id, changes, scope, TESTER)).toEqual(own);
    }
    const late = all.providers.updateCustom(own.id, {}, { ...scope, version: '1' }, TESTER);
    await expect(late).rejects.toMatchObject({ kind: 'precondition_failed' });
    const { version } = await all.providers.updateCustom(own.id, { name: 'own', customTemplate: 'x' }, scope, TESTER);
    expect(version).not.toBe(own.version);
    const events = (await all.events('provider.updated')).filter((event) => event.target_id === own.id);
    expect(events.map(({ details }) => details)).toEqual([{ name: 'own', changed: ['custom_template'] }]);
  });
});

/** How many pages of the database a statement looks at. */
async function pagesRead([text, values]: [string, unknown[]]): Promise<number> {
  const { rows } = await all.db.query<{ 'QUERY PLAN': { Plan: Record<string, number> }[] }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
    values,
  );
  const { Plan: plan } = rows[0]!['QUERY PLAN'][0]!;
  return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
}
