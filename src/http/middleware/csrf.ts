/**
 * Proof that a form or a script's request was sent from our own page (RFC 6749 §10.12): the page's token, and where the
 * browser says it came from. Either alone would do; together one mistake opens nothing.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { AppError } from '../../errors.ts';
import type { Form } from './form.ts';

export interface Csrf {
  /**
   * The value of a page's `csrf` field, or of a script's header `x-csrf-token`.
   * @param binding what the form is for, and nobody else may have: an interaction's uid, a setup token, a session's uid
   */
  token(binding: string): string;
  /** @throws AppError `permission_denied` when the form is not from our page for this binding */
  check(ctx: Context, form: Form, binding: string): void;
  /** @throws AppError `permission_denied` when the request is not from a script of our page for this binding */
  checkHeader(ctx: Context, binding: string): void;
}

export interface CsrfOptions {
  /** Newest first; tokens of the others still count while the secret is rotated. */
  keys: readonly Buffer[];
  issuer: string;
}

const PURPOSE = 'latchkey page form\0';

export function createCsrf({ keys, issuer }: CsrfOptions): Csrf {
  const origin = new URL(issuer).origin;
  const tokenWith = (key: Buffer, binding: string) =>
    createHmac('sha256', key)
      .update(PURPOSE + binding)
      .digest();
  const [newest] = keys;
  if (newest === undefined) throw new TypeError('createCsrf needs a key');

  function isProven(ctx: Context, token: string, binding: string): boolean {
    const given = Buffer.from(token, 'base64url');
    const matches = keys.some((key) => {
      const expected = tokenWith(key, binding);
      return given.length === expected.length && timingSafeEqual(given, expected);
    });
    return matches && isOurPage(ctx, origin);
  }

  return {
    token: (binding) => tokenWith(newest, binding).toString('base64url'),
    check(ctx, form, binding) {
      if (isProven(ctx, form.get('csrf') ?? '', binding)) return;
      throw new AppError(
        'permission_denied',
        'This form was not sent from our page. Go back, reload it and try again.',
      );
    },
    checkHeader(ctx, binding) {
      if (isProven(ctx, ctx.get('x-csrf-token'), binding)) return;
      throw new AppError(
        'permission_denied',
        'A session may change something only from our own page, with its x-csrf-token. Scripts use a key or a token.',
      );
    },
  };
}

/** Whether the browser says that one of our pages sent this. What no browser sends counts as foreign. */
function isOurPage(ctx: Context, origin: string): boolean {
  const sent = ctx.get('origin');
  return sent === '' ? ctx.get('sec-fetch-site') === 'same-origin' : sent === origin;
}
