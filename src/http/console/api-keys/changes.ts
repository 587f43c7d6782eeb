/** What is done with one API key: another name, another text; off and on again or gone for good is in `endings.ts`. */
import type { Context } from 'koa';
import { isOver } from '../../../domain/api-key-checks.ts';
import type { ApiKey } from '../../../domain/api-keys.ts';
import { AppError } from '../../../errors.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import type { FormValues } from '../registrations/index.ts';
import type { FormPage } from '../show.ts';
import type { Field } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { keyCommands } from './commands.ts';
import { showKey } from './create.ts';
import { addKeyEndings, timeIn } from './endings.ts';
import { findKey, type KeyPlace, type KeySubject, needOf, pathOf } from './place.ts';

const HOUR = 3_600;
const OVERLAP: Field = {
  type: 'radio',
  name: 'overlap_seconds',
  label: 'The old key',
  required: true,
  options: [
    { value: '0', text: 'Ends now', hint: 'If somebody else may have it. Whatever uses it stops at once.' },
    { value: String(HOUR), text: 'Ends in an hour' },
    { value: String(24 * HOUR), text: 'Ends in 24 hours' },
    { value: String(7 * 24 * HOUR), text: 'Ends in 7 days' },
  ],
};
const USUAL_OVERLAP = String(24 * HOUR);

const NAME: Field = { type: 'text', name: 'name', label: 'Name', required: true };

export function addKeyChanges(kit: Kit, place: KeyPlace): void {
  const { domain, routes, show, once } = kit;
  const { apiKeys } = domain;
  const backTo = (key: ApiKey) => ({ text: key.name, href: pathOf(place, key) });

  addKeyEndings(kit, place);

  routes.get(`${place.path}/:id/rename`, needOf(place, 'update'), async (ctx, visitor) => {
    const { key } = await findKey(kit, place, ctx, visitor, 'update');
    show.form(ctx, visitor, { ...renameForm(key), values: new Map([['name', key.name]]) });
  });
  routes.post(`${place.path}/:id/rename`, needOf(place, 'update'), async (ctx, visitor, form) => {
    const { key, caller, scope } = await findKey(kit, place, ctx, visitor, 'update');
    const done = await routes.attempt(
      ctx,
      visitor,
      () => apiKeys.rename(key.id, form.get('name') ?? '', { ...scope, version: form.get('version') }, caller.actor),
      (problems, status) => show.form(ctx, visitor, { ...renameForm(key), values: form, problems }, status),
    );
    return done && noticed(pathOf(place, key), 'renamed');
  });

  function renameForm(key: ApiKey): FormPage {
    return {
      title: `Rename ${key.name}`,
      lead: 'The name is for people. Whatever uses the key does not notice.',
      back: backTo(key),
      action: `${pathOf(place, key)}/rename`,
      fields: [NAME],
      hidden: { version: key.version },
      submit: 'Save',
    };
  }

  routes.get(`${place.path}/:id/rotate`, needOf(place, 'rotate'), async (ctx, visitor) => {
    const { key } = await findKey(kit, place, ctx, visitor, 'rotate');
    requireRotatable(key);
    show.form(ctx, visitor, { ...rotateForm(key, visitor), values: new Map([['overlap_seconds', USUAL_OVERLAP]]) });
  });
  routes.post(`${place.path}/:id/rotate`, needOf(place, 'rotate'), async (ctx, visitor, form) => {
    const subject = await findKey(kit, place, ctx, visitor, 'rotate');
    return routes.attempt(
      ctx,
      visitor,
      () => once.run(ctx, visitor, form, () => rotate(ctx, visitor, subject, form)),
      (problems, status) =>
        show.form(ctx, visitor, { ...rotateForm(subject.key, visitor), values: form, problems }, status),
    );
  });

  function rotateForm(key: ApiKey, visitor: Visitor): FormPage {
    return {
      title: `Rotate ${key.name}`,
      lead: 'You get a new key with the same name, scopes and expiry. Put it in place before the old one ends, and nothing stops.',
      back: backTo(key),
      ends: overlapsAlready(key, visitor),
      action: `${pathOf(place, key)}/rotate`,
      fields: [OVERLAP],
      hidden: { ...once.fields(), version: key.version },
      submit: 'Rotate key',
    };
  }

  async function rotate(ctx: Context, visitor: Visitor, { key, caller, scope }: KeySubject, form: FormValues) {
    requireRotatable(key);
    const overlapSeconds = Number(form.get('overlap_seconds') || Number.NaN);
    const version = form.get('version');
    const made = await apiKeys.rotate(key.id, { overlapSeconds }, { ...scope, version }, caller.actor);
    const snippets = await keyCommands(kit, made.key, made.text);
    return {
      href: pathOf(place, made.key),
      show: () => showKey(kit, place, ctx, visitor, { ...made, title: `${made.key.name} is rotated` }, snippets),
    };
  }
}

/** The API rotates what is revoked, too; here it would be shown with commands that are refused. */
function requireRotatable({ state }: ApiKey): void {
  if (state === 'revoked')
    throw new AppError('failed_precondition', 'This key is revoked. Reinstate it, then rotate it.');
}

function overlapsAlready({ previousExpiresAt }: ApiKey, visitor: Visitor): string[] {
  if (previousExpiresAt === null || isOver(previousExpiresAt)) return [];
  return [
    `It was rotated before, and that older key works until ${timeIn(previousExpiresAt, visitor)}. It ends at once.`,
  ];
}
