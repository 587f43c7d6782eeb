import { expect, test } from '@jest/globals';
import { createKeyGuesses } from '../../src/domain/key-guesses.ts';
import { AppError } from '../../src/errors.ts';
import { inParallel } from '../support/parallel.ts';

const HERE = '192.0.2.1';
const wrong = async () => undefined;
const good = async () => ({ id: 'key' });

/** A look-up that ends when it is told to. */
function held<T>(answer: T) {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { look: () => promise.then(() => answer), release: resolve };
}

/** One more wrong key from `ip`: whether it is refused, where nobody may wait. */
async function isRefused(guesses: ReturnType<typeof createKeyGuesses>, text: string, ip = HERE): Promise<boolean> {
  const answer = await guesses.check(text, ip, wrong).catch((error: AppError) => error.kind);
  expect([undefined, 'resource_exhausted']).toContain(answer);
  return answer !== undefined;
}

test('a text that opens nothing is looked up as often as it comes, until there are too many', async () => {
  const guesses = createKeyGuesses({ limit: 3, mostWaiting: 0 });
  for (let count = 0; count < 3; count += 1) expect(await isRefused(guesses, `wrong ${count}`)).toBe(false);
  expect(await isRefused(guesses, 'one more')).toBe(true);
  expect(await isRefused(guesses, 'elsewhere', '192.0.2.2')).toBe(false);
});

test('keys that are good count for nothing, nor does what could not be told', async () => {
  const guesses = createKeyGuesses({ limit: 1, mostWaiting: 0 });
  for (let count = 0; count < 10; count += 1) {
    expect(await guesses.check(`good ${count}`, HERE, good)).toEqual({ id: 'key' });
    const failing = guesses.check(`x ${count}`, HERE, async () => Promise.reject(new Error('away')));
    await expect(failing).rejects.toThrow('away');
  }
});

test('in a flood one is looked up at a time, a few wait, and the rest is told to come back, unseen', async () => {
  const guesses = createKeyGuesses({ limit: 1, mostWaiting: 3 });
  await guesses.check('wrong', HERE, wrong);
  const first = held(undefined);
  let looks = 0;
  const look = () => {
    looks += 1;
    return first.look();
  };
  const waiting = [1, 2, 3].map((count) => guesses.check(`wrong ${count}`, HERE, look));
  const refused = await guesses.check('one too many', HERE, look).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(AppError);
  expect((refused as AppError).kind).toBe('resource_exhausted');
  await new Promise(setImmediate);
  expect(looks).toBe(1);
  first.release();
  await Promise.all(waiting);
  expect(looks).toBe(3);
});

test('a good key gets through a flood: at once when it was good lately, in its turn when it is new', async () => {
  const guesses = createKeyGuesses({ limit: 5, mostWaiting: 3 });
  await guesses.check('used lately', HERE, good);
  const slow = held(undefined);
  const flood = inParallel(50, (count) => guesses.check(`wrong ${count}`, HERE, slow.look).catch(() => 'refused'));
  expect(await guesses.check('used lately', HERE, good)).toEqual({ id: 'key' });
  slow.release();
  expect((await flood).filter((one) => one === 'refused')).toHaveLength(42);
  expect(await guesses.check('new', HERE, good)).toEqual({ id: 'key' });
});

test('a failure of one that waited is not the next one’s', async () => {
  const guesses = createKeyGuesses({ limit: 0 });
  const failing = guesses.check('a', HERE, async () => Promise.reject(new Error('away')));
  const next = guesses.check('b', HERE, good);
  await expect(failing).rejects.toThrow('away');
  expect(await next).toEqual({ id: 'key' });
});

test('a key that was good and is no more is a guess like any other', async () => {
  const guesses = createKeyGuesses({ limit: 1, mostWaiting: 0 });
  await guesses.check('once', HERE, good);
  // Whoever had it is told the first time without being counted.
  for (const refused of [false, false, true]) expect(await isRefused(guesses, 'once')).toBe(refused);
});
