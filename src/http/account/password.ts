/** Changing one's own password. The session this happens in goes on, under a new id. */
import { invalidField } from '../../errors.ts';
import type { Kit } from '../console/index.ts';
import { noticed } from '../console/notices.ts';
import type { Field } from '../console/view.ts';
import type { Form } from '../middleware/form.ts';
import type { AccountOptions } from './index.ts';

const PATH = '/account/password';

const FIELDS: readonly Field[] = [
  {
    name: 'current_password',
    label: 'Current password',
    type: 'password',
    autocomplete: 'current-password',
    required: true,
  },
  {
    name: 'password',
    label: 'New password',
    type: 'password',
    autocomplete: 'new-password',
    required: true,
    hint: 'At least 8 characters. A sentence is fine, and so is what a password manager makes.',
  },
  {
    name: 'password_again',
    label: 'New password once more',
    type: 'password',
    autocomplete: 'new-password',
    required: true,
    hint: 'Nobody here can tell you what you typed.',
  },
  {
    name: 'end_others',
    label: 'End my other sessions and disconnect my apps',
    type: 'check',
    hint: 'Whoever knows the old password is out: every other browser, and every app until you allow it again. Your API keys stay.',
  },
];

const PAGE = {
  title: 'Change password',
  lead: 'You stay logged in in this browser.',
  back: { text: 'Your profile', href: '/account' },
  action: PATH,
  fields: FIELDS,
  submit: 'Change password',
};

export function addPassword({ domain, routes, show }: Kit, { renewSession }: AccountOptions): void {
  routes.get(PATH, 'self', (ctx, visitor) => {
    show.form(ctx, visitor, { ...PAGE, values: new Map([['end_others', 'on']]) });
  });

  routes.post(PATH, 'self', async (ctx, visitor, form) => {
    const { user, uid, caller } = visitor;
    const ended = await routes.attempt(
      ctx,
      visitor,
      () => domain.account.changePassword({ userId: user.id, uid }, read(form), caller.actor),
      (problems, status) => show.form(ctx, visitor, { ...PAGE, values: form, problems }, status),
    );
    if (ended === undefined) return undefined;
    await renewSession(ctx.req, ctx.res);
    return noticed('/account', form.get('end_others') === 'on' ? 'password-changed-others-ended' : 'password-changed');
  });
}

function read(form: Form) {
  const field = (name: string) => form.get(name) ?? '';
  if (field('password') !== field('password_again')) throw invalidField('password_again', 'is not the same');
  return {
    current: field('current_password'),
    password: field('password'),
    endOthers: form.get('end_others') === 'on',
  };
}
