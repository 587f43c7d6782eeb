/** JSON request bodies: bounded, an object, text that can be stored, no field we do not know. */
import type { Context } from 'koa';
import getRawBody from 'raw-body';
import type { z } from 'zod';
import { AppError, type FieldViolation, invalidField } from '../../errors.ts';

const LIMIT = 64 * 1024;

/**
 * The body as `schema` gives it (use `z.strictObject`: an unknown field is then refused by name).
 * @throws AppError `invalid_argument` with one violation per field
 */
export async function readJson<Schema extends z.ZodType>(ctx: Context, schema: Schema): Promise<z.output<Schema>> {
  if (ctx.is('application/json') === false)
    throw new AppError('invalid_argument', 'Send the body as content-type: application/json.');
  const bytes = await getRawBody(ctx.req, { limit: LIMIT, length: ctx.request.length ?? null });
  const result = schema.safeParse(parse(bytes));
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
