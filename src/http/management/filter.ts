/** The filter of a list: `field eq "value"`, joined by `and` (wire contract, Conventions). */
import { isUuid } from '../../domain/names.ts';
import { invalidField } from '../../errors.ts';

export type Operator = 'eq' | 'lt' | 'le' | 'gt' | 'ge';

export interface FilterCondition {
  field: string;
  operator: Operator;
  value: string | number | boolean | Date;
}

/** What one field of a list can be held against. */
export interface FilterField {
  operators: readonly Operator[];
  /** The value a text means; undefined when it means none. */
  parse(text: string): string | number | boolean | Date | undefined;
  /** Ends the sentence "<field> …". */
  complaint: string;
}

const EQUAL: readonly Operator[] = ['eq'];
const LONGEST = 2_000;
const MOST = 10;
const CONDITION = /^\s*([a-z_]+)\s+([a-z]+)\s+("(?:[^"\\]|\\.)*")(?:\s+and\s+(?=\S)|\s*$)/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

/** The kinds of fields. Texts are kept in their composed form (Unicode NFC), so they are looked for in it. */
export const filter = {
  text: { operators: EQUAL, parse: (text: string) => text.normalize('NFC'), complaint: 'is any text' } as FilterField,
  uuid: {
    operators: EQUAL,
    parse: (text: string) => (isUuid(text) ? text : undefined),
    complaint: 'must be a UUID in lower case',
  },
  boolean: {
    operators: EQUAL,
    parse: (text: string) => (text === 'true' ? true : text === 'false' ? false : undefined),
    complaint: 'must be "true" or "false"',
  },
  /** `ge` and `lt` as well: a span of time has two ends. */
  time: {
    operators: ['eq', 'lt', 'le', 'gt', 'ge'] as const,
    parse: parseTime,
    complaint: 'must be a time such as "2030-01-31T00:00:00Z"',
  },
  enumeration: (names: { parse(text: string): number | undefined }): FilterField => ({
    operators: EQUAL,
    parse: (text) => names.parse(text),
    complaint: 'must be one of its names, or its number',
  }),
};

/** An RFC 3339 time that both JavaScript and PostgreSQL can hold. */
export function parseTime(text: string): Date | undefined {
  const time = TIME.test(text) ? new Date(text) : undefined;
  // The parts must be there on the calendar: JavaScript turns February 31 into March.
  const isReal = time !== undefined && !Number.isNaN(time.getTime()) && isCalendarDay(text);
  return isReal ? time : undefined;
}

function isCalendarDay(text: string): boolean {
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text.slice(0, 10));
}

/** @throws AppError `invalid_argument` naming `filter` and saying what is wrong with it */
export function parseFilter(text: string, fields: Readonly<Record<string, FilterField>>): FilterCondition[] {
  const conditions: FilterCondition[] = [];
  if (text.length > LONGEST) throw invalidField('filter', `must be at most ${LONGEST} characters`);
  for (let rest = text; rest.trim() !== ''; ) {
    const [whole, field = '', operator = '', quoted = ''] = CONDITION.exec(rest) ?? [];
    if (whole === undefined) throw invalidField('filter', 'must read: field eq "value" and field eq "value"');
    conditions.push(condition(field, operator, unquote(quoted), fields));
    if (conditions.length > MOST) throw invalidField('filter', `must have at most ${MOST} conditions`);
    rest = rest.slice(whole.length);
  }
  return conditions;
}

function condition(
  field: string,
  operator: string,
  text: string,
  fields: Readonly<Record<string, FilterField>>,
): FilterCondition {
  const known = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (known === undefined) {
    throw invalidField('filter', `${field} is not a field of this filter; it has ${Object.keys(fields).join(', ')}`);
  }
  if (!known.operators.includes(operator as Operator)) {
    throw invalidField('filter', `${field} goes with ${known.operators.join(', ')}, not ${operator}`);
  }
  const value = known.parse(text);
  if (value === undefined) throw invalidField('filter', `${field} ${known.complaint}`);
  return { field, operator: operator as Operator, value };
}

function unquote(quoted: string): string {
  let text: unknown;
  try {
    text = JSON.parse(quoted);
  } catch {
    throw invalidField('filter', 'has a value that is not a quoted text, or a control character in one');
  }
  if (typeof text !== 'string' || text.includes('\0') || !text.isWellFormed()) {
    throw invalidField('filter', 'has characters that cannot be stored (NUL or half a surrogate pair)');
  }
  return text;
}
