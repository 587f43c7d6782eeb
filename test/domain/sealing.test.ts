import { describe, expect, test } from '@jest/globals';
import { createSealing } from '../../src/domain/sealing.ts';

const OLD = 'the secret before, thirty-two and more';
const NEW = 'the secret now, thirty-two characters';
const plain = Buffer.from('what nobody should read');

describe('sealed bytes', () => {
  const sealing = createSealing([NEW]);
  const sealed = sealing.seal(plain, 'row 1');

  test('open with the same secret and context, and hold nothing readable', () => {
    expect(sealing.open(sealed, 'row 1')).toEqual(plain);
    expect(createSealing([NEW]).open(sealed, 'row 1')).toEqual(plain);
    expect(sealed.includes('read')).toBe(false);
    expect(sealing.seal(plain, 'row 1')).not.toEqual(sealed);
  });

  test('do not open in another row than the one they were sealed for', () => {
    expect(() => sealing.open(sealed, 'row 2')).toThrow('does not belong where it was found');
  });

  test('do not open when any one byte was changed, or some are missing', () => {
    for (let index = 0; index < sealed.length; index += 1) {
      const changed = Buffer.from(sealed);
      changed[index]! ^= 1;
      expect(() => sealing.open(changed, 'row 1')).toThrow(expect.objectContaining({ kind: 'internal' }));
    }
    for (const length of [0, 3, 4, 16, 31, sealed.length - 1]) {
      expect(() => sealing.open(sealed.subarray(0, length), 'row 1')).toThrow(
        expect.objectContaining({ kind: 'internal' }),
      );
    }
  });

  test('say that the secret is missing, not that the data is broken', () => {
    expect(() => createSealing([OLD]).open(sealed, 'row 1')).toThrow('with a SECRET this server does not have');
  });
});

describe('while the secret is rotated', () => {
  const [before, during, after] = [createSealing([OLD]), createSealing([NEW, OLD]), createSealing([NEW])];

  test('old bytes open, new ones are sealed with the newest', () => {
    const [old, fresh] = [before.seal(plain, 'row'), during.seal(plain, 'row')];
    expect(during.open(old, 'row')).toEqual(plain);
    expect(after.open(fresh, 'row')).toEqual(plain);
    expect(() => after.open(old, 'row')).toThrow();
    expect(() => before.open(fresh, 'row')).toThrow();
  });

  test('derived keys come newest first, and differ by purpose and secret', () => {
    const keys = during.keysFor('cookies');
    expect(keys).toEqual([...after.keysFor('cookies'), ...before.keysFor('cookies')]);
    const all = ['cookies', 'csrf', 'page tokens', 'seal'].flatMap((purpose) => during.keysFor(purpose));
    expect(new Set(all.map((key) => key.toString('hex'))).size).toBe(8);
    expect(all.every((key) => key.length === 32)).toBe(true);
  });
});
