import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CredentialUse, createCredentialUses, lastDays, useOf } from '../../src/domain/credential-uses.ts';
import { createPurge } from '../../src/domain/purge.ts';
import { AppError } from '../../src/errors.ts';
import type { Queryable } from '../../src/storage/pool.ts';
import { later } from '../support/clock.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

const DAY = 24 * 3600;

let all: Credentials;
let uses: ReturnType<typeof createCredentialUses>;
const { to: today } = lastDays(1);
beforeAll(async () => {
  all = await openCredentials();
  uses = createCredentialUses({ ...all, interval: 3_600_000 });
});
afterAll(async () => {
  await uses?.close();
  await all.close();
});

const makeTeam = async () => (await all.makeTeam()).id;
const useOfKey = (teamId: string, credential: string = randomUUID()): CredentialUse => ({
  ...{ teamId, kind: 'team_key', credential },
});
const keyOf = async (teamId: string) => (await all.apiKeys.createTeam({ teamId, name: 'push' }, TESTER)).key;

/** What is written for a team, as `credential day kind requests`. */
async function written(teamId: string): Promise<string[]> {
  const { rows } = await all.db.query<{ row: string }>(
    `SELECT concat_ws(' ', credential, day, kind, requests) AS row FROM credential_uses WHERE team_id = $1 ORDER BY 1`,
    [teamId],
  );
  return rows.map(({ row }) => row);
}

const usage = (teamId: string) => uses.list({ teamId }, { limit: 100 });

describe('counting', () => {
  test('adds up, over any number of writes and instances', async () => {
    const [teamId, id] = [await makeTeam(), randomUUID()];
    const other = createCredentialUses({ ...all, interval: 3_600_000 });
    for (let round = 0; round < 3; round += 1) {
      for (const one of [uses, other]) {
        one.count(useOfKey(teamId, id));
        one.count(useOfKey(teamId, id), 4);
      }
      await Promise.all([uses.flush(), other.flush()]);
    }
    expect(await written(teamId)).toEqual([`${id} ${today} team_key 30`]);
    expect(await usage(teamId)).toMatchObject([{ day: today, teamId, kind: 'team_key', requests: 30, share: 1 }]);
    await other.close();
  });

  test('two instances that meet in the same rows never wait for each other in a circle', async () => {
    const [teams, ids] = [[await makeTeam(), await makeTeam()], Array.from({ length: 20 }, () => randomUUID())];
    const problems: unknown[] = [];
    const instances = Array.from({ length: 4 }, () =>
      createCredentialUses({ ...all, interval: 3_600_000, onError: (error) => problems.push(error) }),
    );
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(
        instances.map((one, turn) => {
          const order = turn % 2 === 0 ? [...ids] : ids.toReversed();
          for (const id of order)
            for (const teamId of turn % 2 === 0 ? teams : teams.toReversed()) one.count(useOfKey(teamId, id));
          return one.flush();
        }),
      );
    }
    expect(problems).toEqual([]);
    for (const teamId of teams) expect(await usage(teamId)).toMatchObject([{ requests: 400 }]);
    await Promise.all(instances.map((one) => one.close()));
  });

  test('a day ends at midnight UTC, whenever it is written', async () => {
    const [teamId, id] = [await makeTeam(), randomUUID()];
    uses.count(useOfKey(teamId, id));
    await later(DAY, async () => uses.count(useOfKey(teamId, id), 2));
    await uses.flush();
    const tomorrow = lastDays(1, new Date(Date.now() + DAY * 1000).toISOString().slice(0, 10)).to;
    expect(await written(teamId)).toEqual([`${id} ${today} team_key 1`, `${id} ${tomorrow} team_key 2`]);
  });

  test('what is of a team that is gone is passed over, and holds up nobody', async () => {
    const [gone, there] = [randomUUID(), await makeTeam()];
    for (const teamId of [gone, there, 'no uuid']) uses.count(useOfKey(teamId));
    await uses.flush();
    expect(await written(gone)).toEqual([]);
    expect(await written(there)).toHaveLength(1);
    await uses.flush();
    expect(await written(there)).toEqual([expect.stringMatching(/ 1$/)]);
  });

  test('waits for nobody who changes a team, and comes back to it', async () => {
    const teamId = await makeTeam();
    const problems: unknown[] = [];
    const own = createCredentialUses({ ...all, interval: 3_600_000, onError: (error) => problems.push(error) });
    own.count(useOfKey(teamId));
    await all.db.transaction(async (tx) => {
      await tx.query('SELECT FROM teams WHERE id = $1 FOR UPDATE', [teamId]);
      await own.flush();
      expect(await written(teamId)).toEqual([]);
    });
    await own.close();
    expect(problems).toEqual([]);
    expect(await written(teamId)).toHaveLength(1);
  });

  test('counts of a team that is being changed while the process ends are not lost', async () => {
    const teamId = await makeTeam();
    const own = createCredentialUses({ ...all, interval: 3_600_000 });
    own.count(useOfKey(teamId));
    let closing: Promise<void> | undefined;
    await all.db.transaction(async (tx) => {
      await tx.query('SELECT FROM teams WHERE id = $1 FOR UPDATE', [teamId]);
      await own.flush();
      closing = own.close();
    });
    await closing;
    expect(await written(teamId)).toHaveLength(1);
  });

  test('what cannot be written costs nothing else its place', async () => {
    const [teamId, other] = [await makeTeam(), await makeTeam()];
    const problems: unknown[] = [];
    const own = createCredentialUses({ ...all, interval: 3_600_000, onError: (error) => problems.push(error) });
    for (let n = 0; n < 9; n += 1) own.count(useOfKey(n % 2 === 0 ? teamId : other));
    own.count({ ...useOfKey(teamId), kind: 'session' as 'team_key' });
    for (let n = 0; n < 9; n += 1) own.count(useOfKey(n % 2 === 0 ? teamId : other));
    await own.close();
    expect([(await written(teamId)).length, (await written(other)).length, problems.length]).toEqual([10, 8, 1]);
  });

  test('where nothing at all can be written, there is an end to trying', async () => {
    const teamId = await makeTeam();
    let tries = 0;
    const transaction: typeof all.db.transaction = () => {
      tries += 1;
      return Promise.reject(new AppError('internal', 'broken'));
    };
    const problems: unknown[] = [];
    const own = createCredentialUses({
      ...{ ...all, db: { ...all.db, transaction } },
      ...{ interval: 3_600_000, onError: (error: unknown) => problems.push(error) },
    });
    for (let n = 0; n < 3_000; n += 1) own.count(useOfKey(teamId));
    await own.close();
    expect(tries).toBeLessThan(200);
    expect(problems.length).toBeGreaterThan(0);
  });

  test('what is written is not written once more when the look for other teams fails', async () => {
    const [teamId, gone] = [await makeTeam(), randomUUID()];
    let isBroken = true;
    const breaking = (db: Queryable): Queryable => ({
      query: (text, values) =>
        isBroken && text.startsWith('SELECT id FROM teams') && !text.includes('FOR KEY SHARE')
          ? Promise.reject(new AppError('unavailable', 'away'))
          : db.query(text, values),
    });
    const transaction: typeof all.db.transaction = (work) => all.db.transaction((tx) => work(breaking(tx)));
    const own = createCredentialUses({
      ...{ ...all, interval: 3_600_000 },
      db: { ...all.db, ...breaking(all.db), transaction },
    });
    for (const id of [teamId, gone]) own.count(useOfKey(id));
    await own.flush();
    isBroken = false;
    await own.close();
    expect(await written(teamId)).toEqual([expect.stringMatching(/ 1$/)]);
  });

  test('a sum beyond what a number can be is the largest number', async () => {
    const teamId = await makeTeam();
    const most = Number.MAX_SAFE_INTEGER;
    const one = useOfKey(teamId);
    for (let time = 0; time < 2; time += 1) {
      uses.count(one, most);
      await uses.flush();
    }
    expect(await usage(teamId)).toMatchObject([{ requests: most, share: 1 }]);
    for (const field of ['requests', 'team_id']) {
      const order = { field, descending: true };
      expect(await uses.listKeys({ ...lastDays(1), teamId }, { limit: 9, order })).toMatchObject([{ requests: most }]);
    }
  });

  test('is written by itself a moment later', async () => {
    const teamId = await makeTeam();
    const soonWritten = createCredentialUses({ ...all, interval: 5 });
    soonWritten.count(useOfKey(teamId));
    expect(await soon(async () => (await written(teamId)).length === 1)).toBe(true);
    await soonWritten.close();
  });

  test('while the database is away it is kept, as far as there is room', async () => {
    const teamId = await makeTeam();
    let away = true;
    const transaction: typeof all.db.transaction = (work) =>
      away ? Promise.reject(new AppError('unavailable', 'away')) : all.db.transaction(work);
    const problems: unknown[] = [];
    const kept = createCredentialUses({
      ...{ ...all, interval: 3_600_000, max: 2 },
      db: { ...all.db, transaction },
      onError: (error) => problems.push(error),
    });
    const [first, second, third] = [useOfKey(teamId), useOfKey(teamId), useOfKey(teamId)];
    for (const one of [first, second, third, first]) kept.count(one);
    await kept.flush();
    expect(problems).toHaveLength(1);
    away = false;
    kept.count(first);
    await kept.flush();
    expect(await written(teamId)).toEqual(
      [`${first.credential} ${today} team_key 3`, `${second.credential} ${today} team_key 1`].toSorted(),
    );
    await kept.close();
  });

  test('a credential counts as what it is', () => {
    const [teamId, id] = [randomUUID(), randomUUID()];
    const kindOf = (credential: 'personal_key' | 'team_key' | 'access_token', given: string) =>
      useOf({ teamId, credential, id: given })?.kind;
    expect(kindOf('personal_key', id)).toBe('personal_key');
    expect(kindOf('team_key', id)).toBe('team_key');
    expect(kindOf('access_token', `app_${'a'.repeat(22)}`)).toBe('oauth2_app');
    expect(kindOf('access_token', `svc_${'a'.repeat(22)}`)).toBe('oauth2_client');
    expect(kindOf('access_token', `key:${id}`)).toBe('exchanged_token');
    for (const strange of ['', 'x', id, 'key:x', 'svc_']) expect(kindOf('access_token', strange)).toBeUndefined();
    expect(kindOf('team_key', 'x')).toBeUndefined();
  });
});

describe('what a resource server reports', () => {
  test('is counted as far as it can be true', async () => {
    const [teamId, other] = [await makeTeam(), await makeTeam()];
    const [key, foreign] = [await keyOf(teamId), await keyOf(other)];
    const { client } = await all.clients.create({ name: 'svc', teamId, allowedScopes: ['providers:read'] }, TESTER);
    const one = (credential: 'personal_key' | 'team_key' | 'access_token', id: string, count: number) => ({
      ...{ teamId, credential, id, count },
    });
    const rows = [
      one('team_key', key.id, 2),
      one('team_key', key.id, 3),
      one('access_token', `key:${key.id}`, 4),
      one('access_token', client.clientId, 5),
      // None of these is so.
      one('personal_key', key.id, 100),
      one('team_key', foreign.id, 100),
      one('team_key', randomUUID(), 100),
      one('access_token', `svc_${'a'.repeat(22)}`, 100),
      one('access_token', 'something else', 100),
      { ...one('team_key', key.id, 100), teamId: randomUUID() },
    ];
    // A client may have been passed the token of somebody in another team.
    await uses.report([...rows, { ...one('access_token', client.clientId, 6), teamId: other }], {});
    // Somebody who may speak for the other team alone.
    await uses.report([...rows, { ...one('team_key', foreign.id, 7), teamId: other }], { teamId: other });
    await uses.flush();
    const counted = async (team: string) => (await usage(team)).map(({ kind, requests }) => [kind, requests]);
    expect((await counted(teamId)).toSorted()).toEqual([
      ['exchanged_token', 4],
      ['oauth2_client', 5],
      ['team_key', 5],
    ]);
    expect((await counted(other)).toSorted()).toEqual([
      ['oauth2_client', 6],
      ['team_key', 7],
    ]);
  });
});

describe('who still calls with keys', () => {
  test('by pages, with what is known of them', async () => {
    const teamId = await makeTeam();
    const keys = [await keyOf(teamId), await keyOf(teamId), await keyOf(teamId)];
    for (const [index, key] of keys.entries()) uses.count(useOfKey(teamId, key.id), 10 * (index + 1));
    uses.count({ teamId, kind: 'oauth2_client', credential: 'svc_x' }, 1_000);
    await later(-3 * DAY, async () => uses.count(useOfKey(teamId, keys[0]!.id), 100));
    await uses.flush();
    const { retiresAt } = await all.retirements.create({ teamId, retiresAt: new Date(Date.now() + 1e6) }, {}, TESTER);
    await all.notifications.settle();
    await all.apiKeys.delete(keys[1]!.id, {}, TESTER);

    const order = { field: 'requests', descending: true };
    const first = await uses.listKeys({ ...lastDays(30), teamId }, { limit: 2, order });
    expect(first).toMatchObject([
      { keyId: keys[0]!.id, kind: 'team_key', requests: 110, lastDay: today, retiresAt, key: { name: 'push' } },
      { keyId: keys[2]!.id, requests: 30 },
    ]);
    const { sortKey, id } = first.at(-1)!;
    const next = await uses.listKeys({ ...lastDays(30), teamId }, { limit: 2, order, after: { sortKey, id } });
    expect(next).toMatchObject([{ keyId: keys[1]!.id, requests: 20, key: null, retiresAt: null }]);

    const recent = await uses.listKeys({ ...lastDays(2), teamId }, { limit: 9, order });
    expect(recent.map(({ requests }) => requests)).toEqual([30, 20, 10]);
    const byTeam = await uses.listKeys({ ...lastDays(30), teamId }, { limit: 9 });
    expect(byTeam.map(({ keyId }) => keyId)).toEqual(keys.map((key) => key.id).toSorted());
  });
});

test('what is 400 days old is removed, and what was counted for a team that has ended', async () => {
  const [teamId, ended] = [await makeTeam(), await makeTeam()];
  for (const days of [401, 399, 0]) {
    await later(-days * DAY, async () => uses.count(useOfKey(teamId)));
  }
  uses.count(useOfKey(ended));
  await uses.flush();
  await all.teams.delete(ended, TESTER);
  const purge = createPurge({ db: all.db });
  await purge.run();
  purge.close();
  expect(await written(teamId)).toHaveLength(2);
  expect(await usage(teamId)).toHaveLength(2);
  expect(await written(ended)).toEqual([]);
});
