import { describe, expect, test } from '@jest/globals';
import { checkEmail, checkName, checkText, isUuid } from '../../src/domain/names.ts';

describe('a name', () => {
  test('is kept trimmed and in the composed form', () => {
    expect(checkName('name', '  Zoe\u0308 ')).toBe('Zo\u00eb');
  });

  test('may have 255 characters of any script', () => {
    expect(checkName('name', '😀'.repeat(255))).toHaveLength(510);
    expect(() => checkName('name', '😀'.repeat(256))).toThrow('name: must have at most 255 characters');
  });

  test.each([
    ['nothing', ''],
    ['only spaces', ' \u00a0 '],
    ['NUL', 'a\0b'],
    ['a line break inside', 'a\nb'],
    ['a lone surrogate', 'a\ud800b'],
    ['marks that turn the text around', 'admin\u202e'],
    ['only what cannot be seen', '\u200b\u2060 \u3164\ufe0f\u2800\u00ad'],
    ['a number', 7],
    ['a megabyte', 'x'.repeat(1_000_000)],
  ])('may not be %s', (_what, value) => {
    expect(() => checkName('name', value)).toThrow(expect.objectContaining({ kind: 'invalid_argument' }));
  });

  test('that is optional may be absent', () => {
    expect(checkText('description', undefined)).toBe('');
  });
});

describe('an email address', () => {
  test.each(['ada@example.com', 'Ada.Lovelace+x@mail.example.co.uk', 'admin@localhost', 'jürgen@münchen.example'])(
    '%s is accepted as typed',
    (email) => {
      expect(checkEmail('email', ` ${email} `)).toBe(email);
    },
  );

  test.each(['', 'ada', '@example.com', 'ada@', 'a b@example.com', 'ada@@example.com', 'ada@.com', 'a\0@example.com'])(
    '%j is refused',
    (email) => {
      expect(() => checkEmail('email', email)).toThrow(expect.objectContaining({ kind: 'invalid_argument' }));
    },
  );

  test('may have at most 254 characters', () => {
    expect(() => checkEmail('email', `ada@${'x'.repeat(250)}.com`)).toThrow('email: must have at most 254 characters');
  });
});

test('a UUID is only accepted the way the database writes it', () => {
  expect(isUuid('3f2b6c1e-0d4a-4b8e-9a57-6f1d2c3b4a59')).toBe(true);
  expect(isUuid('3F2B6C1E-0D4A-4B8E-9A57-6F1D2C3B4A59')).toBe(false);
  expect(isUuid('3f2b6c1e-0d4a-4b8e-9a57-6f1d2c3b4a59\n')).toBe(false);
  expect(isUuid('{3f2b6c1e-0d4a-4b8e-9a57-6f1d2c3b4a59}')).toBe(false);
  expect(isUuid(undefined)).toBe(false);
});
