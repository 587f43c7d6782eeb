/**
 * Forms that make something with a secret: sent twice (a double click, a reload of the answer) they make it once, and the
 * second answer leads to what was made, without the secret.
 */
import { randomUUID } from 'node:crypto';
import type { Context } from 'koa';
import type { Idempotency } from '../../domain/idempotency.ts';
import { digestOf } from '../../domain/secret-text.ts';
import type { Form } from '../middleware/form.ts';
import { noticed } from './notices.ts';
import type { Visitor } from './visitor.ts';

export interface Once {
  /** The hidden fields of such a form. */
  fields(): { once: string };
  /**
   * Runs `make`, unless this very form was sent before.
   * @param make shows its answer itself, in `show`, and names the page of what was made
   * @returns where to go on when it was made before
   */
  run(
    ctx: Context,
    visitor: Visitor,
    form: Form,
    make: () => Promise<{ href: string; show: () => void }>,
  ): Promise<string | undefined>;
}

export function createOnce(idempotency: Idempotency): Once {
  return {
    fields: () => ({ once: randomUUID() }),
    async run(ctx, { user, caller }, form, make) {
      const given = form.get('once') ?? '';
      let show = () => {};
      const work = async () => {
        const made = await make();
        show = made.show;
        return made.href;
      };
      // A form that was changed after it was sent is another one, though it has the same mark.
      const request = JSON.stringify([ctx.path, caller.teamId, [...form].filter(([name]) => name !== 'csrf')]);
      const key = `${/^[\w-]{1,64}$/.test(given) ? given : randomUUID()}.${digestOf(request).toString('base64url')}`;
      const { answer, replayed } = await idempotency.once({ key, caller: `console ${user.id}`, request }, work);
      if (replayed) return noticed(answer, 'already');
      show();
      return undefined;
    },
  };
}
