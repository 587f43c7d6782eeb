/** The fields of forms about a user, and what they say. */
import { AppError, invalidField } from '../../../errors.ts';
import type { Form } from '../../middleware/form.ts';
import type { Field } from '../view.ts';

export const NAMES: readonly Field[] = [
  { type: 'text', name: 'display_name', label: 'Display name', hint: 'What pages call the person. Empty: the name.' },
  { type: 'text', name: 'given_name', label: 'Given name' },
  { type: 'text', name: 'family_name', label: 'Family name' },
];
export const EMAIL: Field = {
  type: 'email',
  name: 'email',
  label: 'Email',
  hint: 'What they log in with.',
  required: true,
};
export const NAME: Field = { type: 'text', name: 'name', label: 'Name' };
export const EXPIRES: Field = {
  type: 'date',
  name: 'expires_at',
  label: 'Expires',
  hint: 'The last day (UTC) they are let in; then their keys, apps and sessions stop. Empty: never.',
};

const DAY = 86_400_000;

/** The names on a form, empty for those left empty. */
export function namesIn(form: Form) {
  return {
    name: form.get('name') ?? '',
    displayName: form.get('display_name') ?? '',
    givenName: form.get('given_name') ?? '',
    familyName: form.get('family_name') ?? '',
  };
}

/** The day before this, by which people name the end of something. */
export function lastDayOf(at: Date | null): string {
  return at === null ? '' : new Date(at.getTime() - 1).toISOString().slice(0, 10);
}

/**
 * @param current what it is now: a day that was not changed keeps its time of day
 * @returns undefined for no change
 * @throws AppError `invalid_argument`; also for what would stop the user at once, which shows first what stops
 */
export function expiryIn<Current extends Date | null | undefined>(form: Form, current: Current) {
  const day = form.get('expires_at') ?? '';
  if (day === lastDayOf(current ?? null)) return undefined;
  if (day === '') return current === undefined ? undefined : null;
  const start = /^\d{4}-\d\d-\d\d$/.test(day) ? new Date(`${day}T00:00:00Z`) : new Date(Number.NaN);
  // JavaScript turns February 31 into March.
  if (Number.isNaN(start.getTime()) || !start.toISOString().startsWith(day)) {
    throw invalidField('expires_at', 'must be a day such as 2030-01-31');
  }
  const end = new Date(start.getTime() + DAY);
  if (end.getTime() <= Date.now()) {
    throw invalidField('expires_at', 'must not be over yet. To stop the user now, disable them: that shows what stops');
  }
  return end as Date | null;
}

/** Says at its field that the email is somebody's. @param isRoot whether the form was sent from the root team */
export function emailTaken(error: unknown, isRoot: boolean): never {
  if (!(error instanceof AppError) || error.kind !== 'already_exists') throw error;
  const description = isRoot
    ? 'belongs to another user already'
    : 'belongs to a user already, who is in another team. An administrator of the root team can add them to yours';
  throw new AppError('already_exists', error.message, { fields: [{ field: 'email', description }], cause: error });
}
