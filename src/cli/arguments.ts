/** Words of the command line as values. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';

const UNIT_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Collects an option that is given several times. */
export function several(word: string, before: string[] = []): string[] {
  return [...before, word];
}

/** Scopes separated by spaces or commas; the option may also be repeated. */
export function scopes(words: string, before: string[] = []): string[] {
  return [...before, ...words.split(/[\s,]+/).filter((word) => word !== '')];
}

/** A time (2030-01-31 or 2030-01-31T12:00:00Z) or a while from now (30m, 12h, 90d). */
export function time(word: string): Date {
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(word) ?? [];
  if (count !== undefined && unit !== undefined) return new Date(Date.now() + Number(count) * UNIT_MS[unit]!);
  const at = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(word) ? new Date(word) : new Date(Number.NaN);
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('Use a time (2030-01-31T12:00:00Z) or 30m, 12h, 90d.');
  return at;
}

/** The same, with a while counted back from now. */
export function past(word: string): Date {
  const at = time(word);
  return /^\d+[mhd]$/.test(word) ? new Date(2 * Date.now() - at.getTime()) : at;
}

/** A whole number of seconds. */
export function seconds(word: string): number {
  if (!/^\d{1,9}$/.test(word)) throw new InvalidArgumentError('Use a whole number of seconds.');
  return Number(word);
}

/** The JSON in a file. */
export function jsonFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new InvalidArgumentError(`There is no readable JSON file ${path}.`);
  }
}
