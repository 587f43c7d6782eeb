import { describe, expect, test } from '@jest/globals';
import { createPasswords } from '../../src/domain/passwords.ts';

const passwords = createPasswords();

describe('row 104: a password', () => {
  test('row 104: of eight characters is enough, of seven is not', async () => {
    await expect(passwords.hash('password', 'tr0ub4d')).rejects.toThrow('password: must have at least 8 characters');
    await expect(passwords.hash('password', 'tr0ub4d!')).resolves.toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });

  test('row 104: is never cut: a difference in the last of a thousand characters counts', async () => {
    const long = 'x'.repeat(999);
    const kept = await passwords.hash('password', `${long}a`);
    expect(await passwords.verify(kept, `${long}a`)).toBe(true);
    expect(await passwords.verify(kept, `${long}b`)).toBe(false);
    await expect(passwords.hash('password', `${long}ab`)).rejects.toThrow('at most 1000 characters');
  });

  test('row 104: may be any Unicode, spaces and NUL included, and nothing is trimmed', async () => {
    for (const password of ['пароль дракона', '😀😁😂🤣😃😄😅😆', ' with spaces ', 'null\0null\0null']) {
      const kept = await passwords.hash('password', password);
      expect(await passwords.verify(kept, password)).toBe(true);
      expect(await passwords.verify(kept, password.slice(0, -1))).toBe(false);
    }
  });

  test('matches however the keyboard composes its letters', async () => {
    const kept = await passwords.hash('password', 'Cr\u00e8me br\u00fbl\u00e9e');
    expect(await passwords.verify(kept, 'Cre\u0300me bru\u0302le\u0301e')).toBe(true);
  });

  test.each(['password', 'PASSWORD1', '12345678', 'qwertyuiop', 'iloveyou'])(
    'row 104: %s is too common',
    async (password) => {
      await expect(passwords.hash('password', password)).rejects.toThrow('one of the most common');
    },
  );

  test.each([
    ['absent', undefined],
    ['empty', ''],
    ['a number', 12345678],
    ['broken Unicode', 'abcdefgh\ud800'],
  ])('that is %s is refused', async (_what, password) => {
    await expect(passwords.hash('password', password)).rejects.toMatchObject({ kind: 'invalid_argument' });
  });
});

test('row 103: without a kept password the answer is no, after as much work', async () => {
  const kept = await passwords.hash('password', 'correct horse');
  const time = async (hash: string | undefined) => {
    const start = process.cpuUsage();
    expect(await passwords.verify(hash, 'wrong horse')).toBe(false);
    return process.cpuUsage(start).user;
  };
  const known: number[] = [];
  const unknown: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    known.push(await time(kept));
    unknown.push(await time(undefined));
  }
  // Processor time, the least of several: what else runs on the machine can only add.
  const ratio = Math.min(...unknown) / Math.min(...known);
  expect(ratio).toBeGreaterThan(0.6);
  expect(ratio).toBeLessThan(2.5);
});

test('not even the empty password matches nobody', async () => {
  expect(await passwords.verify(undefined, '')).toBe(false);
  expect(await passwords.verify(null, undefined)).toBe(false);
});

test('a flood waits in a queue of bounded length, and what finds it full is refused', async () => {
  const narrow = createPasswords({ atOnce: 1, waiting: 3 });
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => narrow.verify(undefined, 'whatever')));
  const refused = results.filter((result) => result.status === 'rejected');
  expect(refused).toHaveLength(6);
  for (const { reason } of refused) expect(reason).toMatchObject({ kind: 'resource_exhausted' });
  await expect(narrow.verify(undefined, 'whatever')).resolves.toBe(false);
});
