/** What may be said about a user, checked; and which of it is news. */
import { isDeepStrictEqual } from 'node:util';
import { invalidField } from '../errors.ts';
import type { DigestSetting, UserRecord } from '../storage/users.ts';
import { LATEST } from './expiry.ts';
import { checkEmail, checkName, checkText } from './names.ts';

/** The integers the wire has for them (wire contract, Users). */
export const PERSONAS = { GENERAL: 1, TECHNICAL: 2, BUSINESS: 3 } as const;
export const DIGEST_FREQUENCIES = { DAILY: 1, WEEKLY: 2, MONTHLY: 3 } as const;

const MOST_DIGESTS = 20;

/** What is kept in the user's own row and anybody may read. Names are at most 255 characters each. */
export interface UserFields {
  email?: string | undefined;
  name?: string | undefined;
  displayName?: string | undefined;
  givenName?: string | undefined;
  familyName?: string | undefined;
  /** One of `PERSONAS`. */
  persona?: number | undefined;
  /** At most 20. */
  digestSettings?: DigestSetting[] | undefined;
  authProviderId?: string | undefined;
  /** An IANA name such as Europe/Berlin; null for none. */
  timeZone?: string | null | undefined;
  enabled?: boolean | undefined;
  /** From then on as if disabled; null for never. May be in the past. */
  expiresAt?: Date | null | undefined;
}

/**
 * What is given, as it is kept.
 * @throws AppError `invalid_argument` naming the field as the wire does
 */
export function checkUserFields(given: UserFields): UserFields {
  const { email, name, displayName, givenName, familyName, persona, digestSettings, authProviderId, timeZone } = given;
  return {
    ...(email !== undefined && { email: checkEmail('email', email) }),
    ...(name !== undefined && { name: checkText('name', name) }),
    ...(displayName !== undefined && { displayName: checkText('display_name', displayName) }),
    ...(givenName !== undefined && { givenName: checkText('given_name', givenName) }),
    ...(familyName !== undefined && { familyName: checkText('family_name', familyName) }),
    ...(persona !== undefined && { persona: checkNumber('persona', persona, PERSONAS) }),
    ...(digestSettings !== undefined && { digestSettings: checkDigests(digestSettings) }),
    ...(authProviderId !== undefined && { authProviderId: checkText('auth_provider_id', authProviderId) }),
    ...(timeZone !== undefined && { timeZone: checkTimeZone('time_zone', timeZone) }),
    ...(given.enabled !== undefined && { enabled: given.enabled }),
    ...(given.expiresAt !== undefined && { expiresAt: checkTime('expires_at', given.expiresAt) }),
  };
}

/** Those of the fields that differ from what the user is: sending back what was read changes nothing. */
export function newsIn(fields: UserFields, user: UserRecord): UserFields {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => !isDeepStrictEqual(value, user[name as keyof UserFields])),
  );
}

function checkDigests(digests: DigestSetting[]): DigestSetting[] {
  if (digests.length > MOST_DIGESTS) throw invalidField('digest_settings', `must have at most ${MOST_DIGESTS} entries`);
  return digests.map(({ digestId, digestName, frequency }, index) => {
    const at = `digest_settings.${index}`;
    return {
      digestId: checkName(`${at}.digest_id`, digestId),
      digestName: checkText(`${at}.digest_name`, digestName),
      frequency: checkNumber(`${at}.frequency`, frequency, DIGEST_FREQUENCIES),
    };
  });
}

function checkNumber(field: string, value: number, names: Readonly<Record<string, number>>): number {
  if (Object.values(names).includes(value)) return value;
  throw invalidField(field, `must be ${Object.keys(names).join(', ')} or its number`);
}

/** Kept as it was written: "Europe/Berlin" also where a library would call it by another name. */
function checkTimeZone(field: string, value: string | null): string | null {
  if (value === null) return null;
  const isName = /^[A-Za-z][\w+-]*(\/[\w+-]+)*$/.test(value) && value.length <= 64;
  try {
    if (!isName) throw new RangeError('not a name');
    new Intl.DateTimeFormat('en', { timeZone: value });
    return value;
  } catch {
    throw invalidField(field, 'must be a time zone such as Europe/Berlin');
  }
}

function checkTime(field: string, value: Date | null): Date | null {
  const isTime = value === null || (value.getTime() >= 0 && value.getTime() <= LATEST);
  if (!isTime) throw invalidField(field, 'must be a point in time such as 2030-01-31T00:00:00Z');
  return value;
}
