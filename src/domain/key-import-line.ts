/** One line of an import, as somebody wrote it, made into what a key needs. No message repeats a value: it may be a digest. */
import { AppError, invalidField } from '../errors.ts';
import type { ImportedDigest } from '../storage/imported-keys.ts';
import { checkExpiry } from './expiry.ts';
import { DIGEST_ALGORITHMS, type DigestAlgorithm, digestBy, type Peppers, readDigest } from './imported-digests.ts';
import { isPrefixFree, LONGEST_PREFIX, SHORTEST_BCRYPT_PREFIX } from './imported-keys.ts';
import { checkName, checkText } from './names.ts';
import { isPermission } from './permissions.ts';

/** Fields of a line: the names in a JSON object, and the columns of a CSV file. */
export const IMPORT_FIELDS = [
  'digest',
  'algorithm',
  'pepper',
  'prefix',
  'last_four',
  'owner',
  'team',
  'name',
  'scopes',
  'expires_at',
  'created_at',
  'last_used_at',
  'external_id',
] as const;

export type ImportField = (typeof IMPORT_FIELDS)[number];

/** A line that is sound as far as can be seen without the database. Words of people and teams are not looked up yet. */
export interface CheckedLine extends ImportedDigest {
  lastFour: string;
  /** A user's id or email. */
  owner: string | undefined;
  /** A team's id or name. */
  team: string | undefined;
  name: string;
  scopes: string[] | undefined;
  expiresAt: Date | null;
  createdAt: Date | null;
  lastAccessAt: Date | null;
  externalId: string | null;
}

const TIME = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

/**
 * @param others words that are scopes of registered resource servers
 * @throws AppError `invalid_argument` naming the field
 */
export function checkLine(
  given: Readonly<Record<string, unknown>>,
  peppers: Peppers,
  others: ReadonlySet<string>,
): CheckedLine {
  const values = known(given);
  const algorithm = word(values, 'algorithm') as DigestAlgorithm | undefined;
  if (algorithm === undefined || !DIGEST_ALGORITHMS.includes(algorithm)) {
    throw invalidField('algorithm', `must be one of ${DIGEST_ALGORITHMS.join(', ')}`);
  }
  const digest = readDigest(algorithm, required(values, 'digest'));
  const line = {
    algorithm,
    digest,
    pepper: checkPepper(algorithm, word(values, 'pepper'), peppers),
    prefix: checkPrefix(algorithm, word(values, 'prefix') ?? ''),
    lastFour: visible('last_four', word(values, 'last_four') ?? '', 4),
    owner: word(values, 'owner'),
    team: word(values, 'team'),
    name: checkName('name', required(values, 'name')),
    scopes: checkScopes(values.scopes, others),
    ...checkTimes(values),
    externalId: checkText('external_id', word(values, 'external_id')) || null,
  };
  if (line.owner === undefined && line.team === undefined) throw invalidField('owner', 'or team must be given');
  if (line.owner === undefined && line.scopes !== undefined) {
    throw invalidField('scopes', 'go with an owner: every team key may do the same');
  }
  for (const field of ['prefix', 'name', 'externalId'] as const) requireNotTheKey(field, line[field], line, peppers);
  return line;
}

function known(given: Readonly<Record<string, unknown>>): Partial<Record<ImportField, unknown>> {
  const strange = Object.keys(given).find((name) => !IMPORT_FIELDS.includes(name as ImportField));
  if (strange === undefined) return given;
  // A name is shown when it looks like one of ours; anything else may be a value that slipped.
  const shown = /^[a-z]+(?:_[a-z]+)*$/.test(strange) && strange.length <= 20 ? strange : 'a field';
  throw invalidField(shown, `is not known; fields are ${IMPORT_FIELDS.join(', ')}`);
}

function word(values: Partial<Record<ImportField, unknown>>, field: ImportField): string | undefined {
  const value = values[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalidField(field, 'must be text');
  return value.trim() || undefined;
}

function required(values: Partial<Record<ImportField, unknown>>, field: ImportField): string {
  const value = word(values, field);
  if (value === undefined) throw invalidField(field, 'is missing');
  return value;
}

function visible(field: string, value: string, longest: number): string {
  if (value.length > longest || !/^[\x21-\x7e]*$/.test(value)) {
    throw invalidField(field, `must be at most ${longest} visible ASCII characters`);
  }
  return value;
}

function checkPrefix(algorithm: DigestAlgorithm, value: string): string {
  const prefix = visible('prefix', value, LONGEST_PREFIX);
  if (!isPrefixFree(prefix)) throw invalidField('prefix', 'is one of keys made here, or of JWTs');
  if (prefix.includes(',')) throw invalidField('prefix', 'must not have a comma: no header could carry the key');
  if (algorithm === 'bcrypt' && prefix.length < SHORTEST_BCRYPT_PREFIX) {
    throw invalidField('prefix', `must have at least ${SHORTEST_BCRYPT_PREFIX} characters for bcrypt`);
  }
  return prefix;
}

function checkPepper(algorithm: DigestAlgorithm, name: string | undefined, peppers: Peppers): string {
  if (algorithm !== 'hmac-sha256') {
    if (name !== undefined) throw invalidField('pepper', 'goes with hmac-sha256 only');
    return '';
  }
  if (name === undefined) throw invalidField('pepper', 'is missing: the name of a secret in IMPORT_PEPPERS');
  if (!peppers.has(name)) throw invalidField('pepper', 'is not the name of a secret in IMPORT_PEPPERS');
  return name;
}

/** A list, or words with spaces or commas between them. */
function checkScopes(value: unknown, others: ReadonlySet<string>): string[] | undefined {
  const words = typeof value === 'string' ? value.split(/[\s,]+/).filter((one) => one !== '') : (value ?? undefined);
  if (words === undefined) return undefined;
  if (!Array.isArray(words)) throw invalidField('scopes', 'must be a list');
  if (!words.every((one) => typeof one === 'string' && (isPermission(one) || others.has(one)))) {
    throw invalidField('scopes', 'holds a word that is not a permission or a scope of a resource server');
  }
  // An empty column says nothing; an empty list would say that the key may do nothing.
  if (words.length === 0 && typeof value !== 'string') throw invalidField('scopes', 'name at least one');
  return words.length === 0 ? undefined : [...new Set(words as string[])];
}

function checkTimes(values: Partial<Record<ImportField, unknown>>) {
  const now = Date.now();
  const expiresAt = checkExpiry('expires_at', time('expires_at', word(values, 'expires_at')));
  const createdAt = time('created_at', word(values, 'created_at')) ?? null;
  const lastAccessAt = time('last_used_at', word(values, 'last_used_at')) ?? null;
  if (createdAt !== null && createdAt.getTime() > now) throw invalidField('created_at', 'must not be in the future');
  if (lastAccessAt === null) return { expiresAt, createdAt, lastAccessAt };
  if (lastAccessAt.getTime() > now) throw invalidField('last_used_at', 'must not be in the future');
  if (createdAt === null || lastAccessAt < createdAt) {
    throw invalidField('last_used_at', 'goes with a created_at that is not later');
  }
  return { expiresAt, createdAt, lastAccessAt };
}

function time(field: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const at = TIME.test(text) ? new Date(text) : undefined;
  if (at === undefined || Number.isNaN(at.getTime()) || at.getUTCFullYear() < 1970) {
    throw invalidField(field, 'must be a time such as 2030-01-31T00:00:00Z');
  }
  return at;
}

/** The key itself in a field that everybody sees: it must never be stored. */
function requireNotTheKey(field: string, value: string | null, digest: ImportedDigest, peppers: Peppers): void {
  if (value && digestBy(digest, value, peppers)?.equals(digest.digest)) {
    throw invalidField(field === 'externalId' ? 'external_id' : field, 'is the whole key, which must not be kept');
  }
}

/** What is wrong with a line, as the field and the words for it. */
export function problemOf(error: unknown): { field: string; description: string } {
  if (!(error instanceof AppError) || error.status >= 500) throw error;
  return error.fields[0] ?? { field: 'line', description: error.message };
}
