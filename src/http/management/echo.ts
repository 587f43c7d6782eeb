/**
 * Fields the server sets, sent back by callers: whoever changes what it may change can send the rest as it was read
 * (wire contract, Conventions). Anything else in them is refused by name.
 */
import { AppError } from '../../errors.ts';
import { parseTime } from './filter.ts';

/**
 * Whether another value than the present one may be echoed, because it means the same or was read before the object was
 * used; `object` is what has the field.
 */
export type EchoRule = (now: unknown, echoed: unknown, object: Readonly<Record<string, unknown>>) => boolean;

/** By field. Rules in a rule's place are for what is inside the field, or inside each of its elements. */
export interface EchoRules {
  readonly [field: string]: EchoRule | EchoRules;
}

/** A time that use moves on: it was never, or between the making of the object and the present value. */
export const movingTime: EchoRule = (now, echoed, { created_at: made }) => {
  if (echoed === null || now === null) return echoed === null;
  const at = typeof echoed === 'string' ? parseTime(echoed)?.getTime() : undefined;
  return at !== undefined && at >= Date.parse(String(made)) && at <= Date.parse(String(now));
};

/** A whole number as text that use makes larger. */
export const growingText: EchoRule = (now, echoed) =>
  typeof echoed === 'string' && /^(0|[1-9]\d{0,18})$/.test(echoed) && BigInt(echoed) <= BigInt(String(now));

/** A count of something else, which comes and goes. */
export const movingCount: EchoRule = (_now, echoed) => Number.isSafeInteger(echoed) && Number(echoed) >= 0;

/** An enumeration, which may be echoed by its integer. */
export function byNumber(names: { parse(text: string): number | undefined }): EchoRule {
  return (now, echoed) => names.parse(String(now)) === echoed;
}

/**
 * Holds what was echoed against the object as it is: a caller may send back what it read, and change what it may change.
 * @param current the object in its wire form
 * @param rules for fields that may be echoed otherwise than they are now
 * @throws AppError `invalid_argument` naming every field that differs (an id in the body that is not the path's is one)
 */
export function requireUnchanged(
  current: Record<string, unknown>,
  echoed: Record<string, unknown>,
  rules: EchoRules = {},
): void {
  const changed = Object.keys(echoed).filter((name) => !isSameField(current, echoed, name, rules));
  if (changed.length === 0) return;
  const fields = changed.map((field) => ({ field, description: 'cannot be changed' }));
  throw new AppError('invalid_argument', `${changed.join(', ')} cannot be changed`, { fields });
}

type Fields = Readonly<Record<string, unknown>>;

function isSameField(current: Fields, echoed: Fields, name: string, rules: EchoRules): boolean {
  const [now, given] = [current[name], echoed[name]];
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
  if (typeof rule === 'function') return now === given || rule(now, given, current);
  return isSame(now, given, rule);
}

function isSame(now: unknown, echoed: unknown, rules: EchoRules = {}): boolean {
  if (now === echoed) return true;
  if (typeof now !== 'object' || typeof echoed !== 'object' || now === null || echoed === null) return false;
  if (Array.isArray(now) && Array.isArray(echoed)) {
    return now.length === echoed.length && now.every((one, index) => isSame(one, echoed[index], rules));
  }
  if (Array.isArray(now) || Array.isArray(echoed)) return false;
  const names = Object.keys(now);
  return (
    names.length === Object.keys(echoed).length &&
    names.every((name) => Object.hasOwn(echoed, name) && isSameField(now as Fields, echoed as Fields, name, rules))
  );
}
