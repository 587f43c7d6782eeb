import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { classify, createSecretText, digestOf, type SecretPrefix } from '../../src/domain/secret-text.ts';

const PREFIXES: [SecretPrefix, string][] = [
  ['lkp_', 'personal'],
  ['lkt_', 'team'],
  ['lks_', 'secret'],
];

describe('the text of a secret', () => {
  test('row 85: 10,000 of them are distinct, follow the pattern and pass their checksum', () => {
    const texts = Array.from({ length: 10_000 }, () => createSecretText('lkp_').text);
    expect(new Set(texts).size).toBe(10_000);
    expect(texts.every((text) => /^lkp_[A-Za-z0-9_-]{48}$/.test(text))).toBe(true);
    expect(texts.every((text) => classify(text) === 'personal')).toBe(true);
  });

  test.each(PREFIXES)('%s is recognised as %s', (prefix, kind) => {
    expect(classify(createSecretText(prefix).text)).toBe(kind);
  });

  test('comes with its SHA-256, its first eight characters and its last four', () => {
    const secret = createSecretText('lkt_');
    expect(secret.digest).toEqual(createHash('sha256').update(secret.text).digest());
    expect(secret.digest).toEqual(digestOf(secret.text));
    expect([secret.prefix, secret.lastFour]).toEqual([secret.text.slice(0, 8), secret.text.slice(-4)]);
  });

  test('row 85: with any one character changed it is malformed', () => {
    const { text } = createSecretText('lkp_');
    for (let at = 4; at < text.length; at += 1) {
      const other = text[at] === 'A' ? 'B' : 'A';
      expect(classify(text.slice(0, at) + other + text.slice(at + 1))).toBe('malformed');
    }
  });

  test('cut, lengthened, in another case or under another prefix it is malformed', () => {
    const { text } = createSecretText('lkp_');
    const damaged = [
      text.slice(0, -1),
      `${text}A`,
      `${text}=`,
      text.toUpperCase(),
      `lkx_${text.slice(4)}`,
      'lkp_',
      'AAAA',
    ];
    for (const one of damaged) expect([one, classify(one)]).toEqual([one, 'malformed']);
  });

  test('what is not base64 or base64url is invalid', () => {
    const { text } = createSecretText('lkp_');
    for (const one of ['', ' ', 'a b', `${text}!`, `${text.slice(0, -1)}é`, `a+${text}`, '====', `${text}\n`]) {
      expect([one, classify(one)]).toEqual([one, 'invalid']);
    }
  });
});
