/** JSON request bodies: bounded, an object, text that can be stored, no field we do not know. */
import type { Context } from 'koa';
import getRawBody from 'raw-body';
import type { z } from 'zod';
import { AppError, type FieldViolation, invalidField } from '../../errors.ts';

const LIMIT = 64 * 1024;

/**
 * The bytes of the body; none when there is no body.
 * @throws AppError `invalid_argument` when it is not sent as JSON, `too_large`
 */
export async function readBody(ctx: Context): Promise<Buffer> {
  const bytes = await getRawBody(ctx.req, { limit: LIMIT, length: ctx.request.length ?? null });
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
  const fields = result.error.issues.flatMap(violations);
  throw new AppError('invalid_argument', fields.map((one) => `${one.field}: ${one.description}`).join('; '), {
    fields,
  });
}

function parse(bytes: Buffer): unknown {
  try {
    // RFC 8259 §8.1: UTF-8; what is not is refused, not repaired.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), (name, value: unknown) => {
      if (typeof value === 'string' && (value.includes('\0') || !value.isWellFormed())) {
        throw invalidField(name, 'has characters that cannot be stored (NUL or half a surrogate pair)');
      }
      return value;
    });
  } catch (error) {
    throw error instanceof AppError
      ? error
      : new AppError('invalid_argument', 'The body is not JSON.', { cause: error });
  }
}

function violations(issue: z.core.$ZodIssue): FieldViolation[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: [...path, key].join('.').slice(0, 100),
      description: 'is not a known field',
    }));
  }
  return [{ field: path.join('.') || 'body', description: issue.message }];
}
