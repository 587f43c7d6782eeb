import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { createSetup } from '../../src/domain/setup.ts';
import { openPeople, type People, TESTER } from '../support/people.ts';

let people: People;
beforeEach(async () => {
  people = await openPeople();
});
afterEach(() => people.close());

const PERSON = { email: 'ada@example.com', password: 'correct horse', name: 'Ada', teamName: 'Engineering' };
const DEAD = { kind: 'failed_precondition', message: expect.stringMatching(/^This setup link does not work/) };

async function admins(): Promise<number> {
  const { rows } = await people.db.query('SELECT user_id FROM membership_roles WHERE team_id = $1', [ROOT_TEAM_ID]);
  return rows.length;
}

describe('row 108: the first administrator', () => {
  test('row 108: does not exist from the start', async () => {
    expect(await people.users.list()).toEqual([]);
  });

  test('row 108: is made with the link, Admin in the root team and the first team; then no link works', async () => {
    const [token, unused] = [await people.setup.issueLink(), await people.setup.issueLink()];
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(await people.setup.check(token!)).toBe(true);
    const { user, team } = await people.setup.complete({ ...PERSON, token: token! }, TESTER);
    expect((await people.memberships.list(user.id)).map((one) => [one.teamId, one.roles[0]?.name])).toEqual([
      [team.id, 'Admin'],
      [ROOT_TEAM_ID, 'Admin'],
    ]);
    for (const used of [token!, unused!]) {
      expect(await people.setup.check(used)).toBe(false);
      await expect(people.setup.complete({ ...PERSON, token: used }, TESTER)).rejects.toMatchObject(DEAD);
    }
    expect(await people.setup.issueLink()).toBeUndefined();
    expect((await people.db.query('SELECT 1 FROM settings')).rows).toEqual([]);
    expect(await people.events('setup.completed')).toMatchObject([{ target_id: user.id }]);
  });

  test('row 108: is one, however many complete at once, with the same link or with others', async () => {
    const tokens = await Promise.all([1, 2, 3].map(() => people.setup.issueLink()));
    expect(await Promise.all(tokens.map((token) => people.setup.check(token!)))).toEqual([true, true, true]);
    const results = await Promise.allSettled(
      [...tokens, ...tokens].map((token, index) =>
        people.setup.complete(
          { ...PERSON, token: token!, email: `admin${index}@example.com`, teamName: `Team ${index}` },
          TESTER,
        ),
      ),
    );
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject(DEAD);
    expect(await admins()).toBe(1);
    expect(await people.users.list()).toHaveLength(1);
    expect(await people.teams.list()).toHaveLength(2);
  });

  test('row 108: is one, however many instances start with credentials in their environment', async () => {
    for (let round = 0; round < 3; round += 1) {
      await people.db.query('DELETE FROM users');
      const made = await Promise.all(
        Array.from({ length: 6 }, (_, index) =>
          createSetup(people).bootstrap({ email: `admin${index % 3}@example.com`, password: 'correct horse' }),
        ),
      );
      expect(made.filter((user) => user !== undefined)).toHaveLength(1);
      expect(await admins()).toBe(1);
    }
    expect(await people.setup.bootstrap({ email: 'second@example.com', password: 'correct horse' })).toBeUndefined();
    expect(await people.setup.issueLink()).toBeUndefined();
    expect(await admins()).toBe(1);
  });

  test('row 108: is not whoever has the email already', async () => {
    await people.makeUser({ email: 'admin@example.com' });
    await expect(
      people.setup.bootstrap({ email: 'Admin@example.com', password: 'correct horse' }),
    ).rejects.toMatchObject({
      kind: 'already_exists',
    });
    expect(await admins()).toBe(0);
  });
});

describe('a setup link', () => {
  test('is kept as a digest only', async () => {
    const token = await people.setup.issueLink();
    const { rows } = await people.db.query<{ value: string }>('SELECT value::text FROM settings');
    expect(rows).toHaveLength(1);
    expect(rows[0]?.value).not.toContain(token);
  });

  test('still works after an input that was refused', async () => {
    const token = (await people.setup.issueLink())!;
    for (const wrong of [
      { password: 'short' },
      { email: 'nobody' },
      { name: '' },
      { teamName: '' },
      { teamName: 'Root' },
    ]) {
      await expect(people.setup.complete({ ...PERSON, token, ...wrong }, TESTER)).rejects.toMatchObject({
        expected: true,
      });
      expect(await people.users.list()).toEqual([]);
    }
    await people.setup.complete({ ...PERSON, token }, TESTER);
  });

  test('that nobody printed does not work', async () => {
    await people.setup.issueLink();
    for (const token of ['', 'x', 'A'.repeat(43), '\0', '\ud800', undefined, {}] as string[]) {
      expect(await people.setup.check(token)).toBe(false);
      await expect(people.setup.complete({ ...PERSON, token }, TESTER)).rejects.toMatchObject(DEAD);
    }
  });

  test('ends when there is an administrator by any other way', async () => {
    const token = (await people.setup.issueLink())!;
    await people.makeRootAdmin();
    expect(await people.setup.check(token)).toBe(false);
    await expect(people.setup.complete({ ...PERSON, token }, TESTER)).rejects.toMatchObject(DEAD);
  });

  test('works for 24 hours, and only the last ten are remembered', async () => {
    const tokens: string[] = [];
    for (let index = 0; index < 11; index += 1) tokens.push((await people.setup.issueLink())!);
    expect(await Promise.all(tokens.map((token) => people.setup.check(token)))).toEqual([
      false,
      ...Array(10).fill(true),
    ]);
    await people.db.query(
      `UPDATE settings SET value = (SELECT jsonb_agg(link || jsonb_build_object('expires_at',
         (link ->> 'expires_at')::bigint - 86400000)) FROM jsonb_array_elements(value) AS link)`,
    );
    expect(await people.setup.check(tokens[10]!)).toBe(false);
    expect(await people.setup.check((await people.setup.issueLink())!)).toBe(true);
  });
});
