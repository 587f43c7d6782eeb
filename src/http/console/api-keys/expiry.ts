/** Until when a new API key is good: a choice of spans, a day, or never. */
import { invalidField } from '../../../errors.ts';
import type { Form } from '../../middleware/form.ts';
import type { Field } from '../view.ts';

const DAY = 86_400_000;
const USUAL = '30';
const SPANS = ['7', USUAL, '60', '90'];
const [ON_A_DAY, NEVER] = ['day', 'never'];

export const EXPIRY_FIELDS: readonly Field[] = [
  {
    type: 'radio',
    name: 'expires_at',
    label: 'Expires',
    required: true,
    options: [
      ...SPANS.map((days) => ({ value: days, text: `In ${days} days` })),
      { value: ON_A_DAY, text: 'On a day I choose' },
      {
        value: NEVER,
        text: 'Never',
        warning: 'If it leaks, it works until somebody notices. Choose a day if you can.',
      },
    ],
  },
  {
    type: 'date',
    name: 'expires_on',
    label: 'Its last day',
    hint: 'If you choose the day yourself. The key works until that day is over, in UTC.',
  },
];

export function usualExpiry(): [string, string][] {
  return [['expires_at', USUAL]];
}

/** Nothing for never. @throws AppError `invalid_argument` at the field */
export function expiryIn(form: Form): { expiresAt?: Date } {
  const choice = form.get('expires_at') ?? '';
  if (choice === NEVER) return {};
  if (choice === ON_A_DAY) return { expiresAt: endOfDay(form.get('expires_on') ?? '') };
  if (!SPANS.includes(choice)) throw invalidField('expires_at', 'must be one of these');
  return { expiresAt: new Date(Date.now() + Number(choice) * DAY) };
}

function endOfDay(text: string): Date {
  const start = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T00:00:00Z`) : undefined;
  // JavaScript turns February 31 into March.
  if (start === undefined || Number.isNaN(start.getTime()) || !start.toISOString().startsWith(text)) {
    throw invalidField('expires_on', 'must be a day such as 2030-01-31');
  }
  const end = new Date(start.getTime() + DAY);
  if (end.getTime() <= Date.now()) throw invalidField('expires_on', 'must not be over');
  return end;
}
