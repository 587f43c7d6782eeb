/** Announcing a day from which on keys are refused, moving it, and taking it back. */
import type { Context } from 'koa';
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import type { RetirementDetails } from '../../../domain/retirements.ts';
import { AppError, invalidField } from '../../../errors.ts';
import type { Form } from '../../middleware/form.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import type { FormPage } from '../show.ts';
import { teamField, teamNamed } from '../teams/choice.ts';
import type { Field } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { RETIREMENTS, subjectOf } from './subject.ts';

export function addRetirementForms(
  { domain, routes, show }: Kit,
  find: (ctx: Context, visitor: Visitor) => Promise<RetirementDetails>,
): void {
  const { retirements, teams } = domain;

  async function newForm(visitor: Visitor, chosen?: string): Promise<FormPage> {
    const isRoot = actsInRoot(visitor.caller);
    return {
      title: 'Announce a day for keys',
      lead: 'From that day on these keys are refused. Until then they work, and every answer tells their callers.',
      back: { text: 'Key retirements', href: RETIREMENTS },
      action: `${RETIREMENTS}/new`,
      fields: [
        ...(isRoot ? [await teamField(teams, { chosen, none: 'Every team' })] : []),
        {
          type: 'text',
          name: 'prefix',
          label: 'Begin with',
          hint: isRoot
            ? 'lkp_ means all personal keys made here, lkt_ all team keys. Empty: all keys of the team.'
            : 'lkp_ means all personal keys made here, lkt_ all team keys. Empty: all keys of your team.',
        },
        {
          type: 'more',
          name: 'more',
          label: 'Only one key',
          fields: [{ type: 'text', name: 'key_id', label: 'Id of the key', hint: 'Then leave the rest empty.' }],
        },
        ...TIME_AND_LINK,
      ],
      submit: 'Announce it',
    };
  }

  routes.get(`${RETIREMENTS}/new`, 'key_retirements.create', async (ctx, visitor) => {
    const keyId = typeof ctx.query.key_id === 'string' ? ctx.query.key_id : '';
    show.form(ctx, visitor, {
      ...(await newForm(visitor)),
      ...(keyId !== '' && { values: new Map([['key_id', keyId]]) }),
    });
  });

  routes.post(`${RETIREMENTS}/new`, 'key_retirements.create', async (ctx, visitor, form) => {
    const { caller } = visitor;
    const made = await routes.attempt(
      ctx,
      visitor,
      async () => {
        const keyId = given(form, 'key_id');
        const chosen = actsInRoot(caller) ? (await teamNamed(teams, form.get('team_id')))?.id : caller.teamId;
        const prefix = given(form, 'prefix');
        if (keyId === undefined && chosen === undefined && prefix === undefined) {
          throw invalidField('prefix', 'must be given, or a team, or one key');
        }
        if (keyId !== undefined && prefix !== undefined) throw invalidField('prefix', 'must be empty for one key');
        const input = {
          keyId,
          // A key has its team.
          teamId: keyId !== undefined && !actsInRoot(caller) ? undefined : chosen,
          prefix,
          retiresAt: timeIn(form) ?? new Date(Number.NaN),
          replacementUrl: given(form, 'replacement_url') ?? null,
        };
        return retirements.create(input, teamReach(caller), caller.actor).catch((error: unknown) => {
          if (!(error instanceof AppError) || error.kind !== 'not_found') throw error;
          throw invalidField(keyId === undefined ? 'team_id' : 'key_id', 'is not one within your reach');
        });
      },
      async (problems, status) =>
        show.form(ctx, visitor, { ...(await newForm(visitor, form.get('team_id'))), values: form, problems }, status),
    );
    return made && noticed(`${RETIREMENTS}/${made.id}`, 'created');
  });

  const editForm = (one: RetirementDetails): FormPage => ({
    title: 'Change the day or the link',
    lead: `${subjectOf(one)}. A later day makes keys good again whose day had come.`,
    back: { text: subjectOf(one), href: `${RETIREMENTS}/${one.id}` },
    action: `${RETIREMENTS}/${one.id}/edit`,
    fields: TIME_AND_LINK,
    hidden: { version: one.version },
    submit: 'Save',
  });

  routes.get(`${RETIREMENTS}/:id/edit`, 'key_retirements.update', async (ctx, visitor) => {
    const one = await find(ctx, visitor);
    const values = new Map([
      ['retires_at', shownIn(one)],
      ['replacement_url', one.replacementUrl ?? ''],
    ]);
    show.form(ctx, visitor, { ...editForm(one), values });
  });

  routes.post(`${RETIREMENTS}/:id/edit`, 'key_retirements.update', async (ctx, visitor, form) => {
    const one = await find(ctx, visitor);
    const changed = await routes.attempt(
      ctx,
      visitor,
      async () => {
        // To the minute: what was left as it was shown stays, with its seconds.
        const isSame = form.get('retires_at') === shownIn(one);
        const changes = {
          retiresAt: isSame ? undefined : (timeIn(form) ?? new Date(Number.NaN)),
          replacementUrl: given(form, 'replacement_url') ?? null,
        };
        const scope = { ...teamReach(visitor.caller), version: form.get('version') };
        return retirements.update(one.id, changes, scope, visitor.caller.actor);
      },
      (problems, status) => show.form(ctx, visitor, { ...editForm(one), values: form, problems }, status),
    );
    return changed && noticed(`${RETIREMENTS}/${one.id}`, 'changed');
  });

  routes.get(`${RETIREMENTS}/:id/delete`, 'key_retirements.delete', async (ctx, visitor) => {
    const one = await find(ctx, visitor);
    show.form(ctx, visitor, {
      title: 'Take it back',
      back: { text: subjectOf(one), href: `${RETIREMENTS}/${one.id}` },
      ends: ['The keys work as before, also when their day had come.', 'Callers are told nothing any more.'],
      action: `${RETIREMENTS}/${one.id}/delete`,
      fields: [],
      hidden: { version: one.version },
      submit: 'Take it back',
      danger: true,
    });
  });

  routes.post(`${RETIREMENTS}/:id/delete`, 'key_retirements.delete', async (ctx, visitor, form) => {
    const scope = { ...teamReach(visitor.caller), version: form.get('version') };
    await retirements.delete(String(ctx.params.id), scope, visitor.caller.actor);
    return noticed(RETIREMENTS, 'deleted');
  });
}

const TIME_AND_LINK: readonly Field[] = [
  { type: 'datetime-local', name: 'retires_at', label: 'Refused from (UTC)', required: true },
  {
    type: 'url',
    name: 'replacement_url',
    label: 'Link to what replaces them',
    hint: 'Callers get it with every answer. https, or empty.',
  },
];

function given(form: Form, name: string): string | undefined {
  return form.get(name)?.trim() || undefined;
}

/** As browsers send a `datetime-local`. */
function timeIn(form: Form): Date | undefined {
  const text = form.get('retires_at') ?? '';
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?$/.test(text) ? new Date(`${text}Z`) : undefined;
}

function shownIn({ retiresAt }: RetirementDetails): string {
  return retiresAt.toISOString().slice(0, 16);
}
