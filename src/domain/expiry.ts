/** When something is to end, as callers say it. */
import { invalidField } from '../errors.ts';

/** Past this PostgreSQL and JavaScript no longer agree on what a date is. */
export const LATEST = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * A time of expiry: undefined or null for never, else in the future.
 * @throws AppError `invalid_argument`
 */
export function checkExpiry(field: string, value: Date | null | undefined): Date | null {
  if (value === undefined || value === null) return null;
  const time = value instanceof Date ? value.getTime() : Number.NaN;
  if (Number.isNaN(time) || time > LATEST) throw invalidField(field, 'must be a time such as 2030-01-31T00:00:00Z');
  if (time <= Date.now()) throw invalidField(field, 'must be in the future');
  return value;
}
