/** JSON request bodies: bounded, an object, text that can be stored, no field we do not know. */
import type { Context } from 'koa';
import getRawBody from 'raw-body';
import type { z } from 'zod';
import { AppError, type FieldViolation, invalidField } from '../../errors.ts';

const LIMIT = 512 * 1024;
// A small body can be wrong in thousands of places; the answer stays small too.
const MOST_VIOLATIONS = 20;
const LONGEST_FIELD = 100;

/**
 * The bytes of the body; none when there is no body.
 * @throws AppError `invalid_argument` when it is not sent as JSON, `unsupported_type`, `too_large`
 */
export async function readBody(ctx: Context): Promise<Buffer> {
  if (ctx.get('content-encoding') !== '') {
    throw new AppError('unsupported_type', 'Send the body as it is, without content-encoding.');
  }
  const bytes = await getRawBody(ctx.req, { limit: LIMIT, length: ctx.request.length ?? null }).catch(tooLarge);
  // A body in chunks that turns out empty is none, and has no type.
  if (bytes.length > 0 && !ctx.is('application/json'))
    throw new AppError('invalid_argument', 'Send the body as content-type: application/json.');
  return bytes;
}

/**
 * A body as `schema` gives it (use `z.strictObject`: an unknown field is then refused by name). No body is an empty object.
 * @throws AppError `invalid_argument` with one violation per field
 */
export function parseJson<Schema extends z.ZodType>(bytes: Buffer, schema: Schema): z.output<Schema> {
  return check(bytes.length === 0 ? {} : parse(bytes), schema);
}

/**
 * A value as `schema` gives it.
 * @throws AppError `invalid_argument` with one violation per field
 */
export function check<Schema extends z.ZodType>(value: unknown, schema: Schema): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.slice(0, MOST_VIOLATIONS).flatMap(violations).slice(0, MOST_VIOLATIONS);
  throw new AppError('invalid_argument', fields.map((one) => `${one.field}: ${one.description}`).join('; '), {
    fields,
  });
}

function tooLarge(error: unknown): never {
  if ((error as { type?: string }).type !== 'entity.too.large') throw error;
  throw new AppError('too_large', 'The body must be at most 512 KB.', { cause: error });
}

function parse(bytes: Buffer): unknown {
  try {
    // RFC 8259 §8.1: UTF-8; what is not is refused, not repaired.
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    requireStorable(value, []);
    return value;
  } catch (error) {
    throw error instanceof AppError
      ? error
      : new AppError('invalid_argument', 'The body is not JSON.', { cause: error });
  }
}

function requireStorable(value: unknown, path: readonly string[]): void {
  if (typeof value === 'string' && (value.includes('\0') || !value.isWellFormed())) {
    throw invalidField(nameOf(path), 'has characters that cannot be stored (NUL or half a surrogate pair)');
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, one] of Object.entries(value)) requireStorable(one, [...path, name]);
}

function nameOf(path: readonly string[]): string {
  return path.join('.').slice(0, LONGEST_FIELD) || 'body';
}

function violations(issue: z.core.$ZodIssue): FieldViolation[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: nameOf([...path, key]),
      description: 'is not a known field',
    }));
  }
  return [{ field: nameOf(path), description: issue.message }];
}
