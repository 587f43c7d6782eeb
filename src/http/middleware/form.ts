/**
 * Reads the body of our own forms. Only the routes that need it call it: the engine reads its bodies itself.
 * Strict where URLSearchParams is lenient: what is not clean text is refused, not repaired.
 */
import type { Context } from 'koa';
import readBody from 'raw-body';
import { AppError, invalidField } from '../../errors.ts';

/** The fields by name. */
export type Form = ReadonlyMap<string, string>;

const MOST_BYTES = 16 * 1_024;

/**
 * @param limit most bytes (default 16 KB)
 * @throws AppError `unsupported_type` (not application/x-www-form-urlencoded), `too_large`, `invalid_argument` (a field
 *   twice, NUL, broken encoding)
 */
export async function readForm(ctx: Context, limit = MOST_BYTES): Promise<Form> {
  if (!ctx.is('application/x-www-form-urlencoded') || ctx.get('content-encoding') !== '') {
    throw new AppError('unsupported_type', 'Send this as a plain form: application/x-www-form-urlencoded.');
  }
  const form = new Map<string, string>();
  for (const pair of (await readText(ctx, limit)).split('&')) {
    if (pair === '') continue;
    const end = pair.includes('=') ? pair.indexOf('=') : pair.length;
    const name = decode(pair.slice(0, end));
    if (form.has(name)) throw invalidField(name.slice(0, 100), 'is there more than once');
    form.set(name, decode(pair.slice(end + 1)));
  }
  return form;
}

async function readText(ctx: Context, limit: number): Promise<string> {
  try {
    // Anything beyond ASCII is percent-encoded; what is not becomes U+FFFD or worse, and is refused below.
    return await readBody(ctx.req, {
      length: ctx.get('content-length') || null,
      limit,
      encoding: 'latin1',
    });
  } catch (cause) {
    if ((cause as { type?: string }).type === 'entity.too.large') {
      throw new AppError('too_large', `The form is too large: at most ${limit / 1_024} KB.`, { cause });
    }
    throw new AppError('invalid_argument', 'The form did not arrive whole. Send it again.', { cause });
  }
}

function decode(text: string): string {
  try {
    if (/[^\x20-\x7E]/.test(text)) throw new URIError('not percent-encoded');
    const value = decodeURIComponent(text.replaceAll('+', ' '));
    if (value.includes('\0')) throw new URIError('NUL');
    return value;
  } catch (cause) {
    throw new AppError('invalid_argument', 'The form has text that is not well-formed UTF-8, or a NUL character.', {
      cause,
    });
  }
}
