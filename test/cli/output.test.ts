import { describe, expect, test } from '@jest/globals';
import { InvalidArgumentError } from 'commander';
import { scopes, seconds, time } from '../../src/cli/arguments.ts';
import { fields, table, wire, writeTo } from '../../src/cli/output.ts';
import { AppError } from '../../src/errors.ts';

describe('text for people', () => {
  test('is aligned, and leaves out what there is not', () => {
    expect(fields({ id: 'x', client_id: 'y', none: null, empty: '', undefined: undefined })).toBe(
      'id         x\nclient_id  y',
    );
    expect(
      table(
        ['A', 'LONG'],
        [
          ['wide', null],
          ['b', new Date(0)],
        ],
      ),
    ).toBe('A     LONG\nwide  -\nb     1970-01-01T00:00:00.000Z');
  });

  test('obeys no escape sequence in a name', () => {
    const shown = fields({ name: '\u001b[31mred\u001b[0m\u001b]0;title\u0007' });
    expect(shown).toBe('name  red');
  });

  test('an unexpected failure is told with its reason and without its stack', () => {
    const said: string[] = [];
    const sink = { write: (text: string) => said.push(text) };
    const output = writeTo(sink, sink, { json: false });
    expect(output.fail(new TypeError('broken'))).toBe(1);
    expect(output.fail(new AppError('not_found', 'gone', { cause: new Error('private') }))).toBe(1);
    expect(said).toEqual(['error: Unexpected failure: broken\n', 'error: gone\n']);
  });
});

test('JSON has the names of the management API', () => {
  expect(wire({ teamId: 1, lastAccessAt: null, id: 2 })).toEqual({ team_id: 1, last_access_at: null, id: 2 });
});

describe('words as values', () => {
  test('scopes come with spaces or commas, and several times', () => {
    expect(scopes('a:read, b:read c:read', ['d:read'])).toEqual(['d:read', 'a:read', 'b:read', 'c:read']);
  });

  test('times are absolute or from now', () => {
    expect(time('2030-01-31T12:00:00Z')).toEqual(new Date('2030-01-31T12:00:00Z'));
    expect(time('2030-01-31')).toEqual(new Date('2030-01-31T00:00:00Z'));
    expect(Math.abs(time('2h').getTime() - Date.now() - 7_200_000)).toBeLessThan(1_000);
    for (const word of ['', 'tomorrow', '2030', '2030-13-01', '1y', '-1d']) {
      expect(() => time(word)).toThrow(InvalidArgumentError);
    }
  });

  test('seconds are whole', () => {
    expect(seconds('90')).toBe(90);
    for (const word of ['', '-1', '1.5', '1e3', 'x']) expect(() => seconds(word)).toThrow(InvalidArgumentError);
  });
});
