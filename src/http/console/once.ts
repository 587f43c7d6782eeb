/**
 * Forms that make something: sent twice (a double click, a reload of the answer) they make it once, and the second answer
 * leads to what was made, without any secret that was shown the first time.
 */
import { randomUUID } from 'node:crypto';
import type { Context } from 'koa';
import type { Idempotency } from '../../domain/idempotency.ts';
import { digestOf } from '../../domain/secret-text.ts';
import type { Form } from '../middleware/form.ts';
import { noticed } from './notices.ts';
import type { Visitor } from './visitor.ts';

export interface Made {
  href: string;
  show?: () => void;
}

export interface Once {
  /** The hidden fields of such a form. */
  fields(): { once: string };
  /**
   * Runs `make`, unless this very form was sent before.
   * @param make names the page of what was made; what is shown this once it shows itself, in `show`
   * @returns where to go on; undefined when `show` has shown it
   */
  run(ctx: Context, visitor: Visitor, form: Form, make: () => Promise<Made>): Promise<string | undefined>;
}

export function createOnce(idempotency: Idempotency): Once {
  return {
    fields: () => ({ once: randomUUID() }),
    async run(ctx, { user, caller }, form, make) {
      const given = form.get('once') ?? '';
      let show: Made['show'];
      const work = async () => {
        const made = await make();
        show = made.show;
        return made.href;
      };
      // A form that was changed after it was sent is another one, though it has the same mark.
      const mark = /^[\w-]{1,64}$/.test(given) ? given : randomUUID();
      // A password may be in it: with the mark, which is kept nowhere, its digest is that of nothing that could be guessed.
      const request = JSON.stringify([mark, ctx.path, caller.teamId, [...form].filter(([name]) => name !== 'csrf')]);
      const key = `${mark}.${digestOf(request).toString('base64url')}`;
      const { answer, replayed } = await idempotency.once({ key, caller: `console ${user.id}`, request }, work);
      if (replayed) return noticed(answer, 'already');
      if (show === undefined) return noticed(answer, 'created');
      show();
      return undefined;
    },
  };
}
