/** What people may call things, and how the words that identify something must look. */
import { invalidField } from '../errors.ts';

const LONGEST_NAME = 255;
// RFC 5321 §4.5.3.1: 64 before the @, and 254 is what fits a path of 256 with its angle brackets.
const LONGEST_EMAIL = 254;
const LONGEST_LOCAL_PART = 64;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
// Controls, and the invisible marks that turn the direction of text: they make one name look like another.
const FORBIDDEN = /[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]/u;
// A name of nothing else is a link nobody can see or press. U+2800 is the braille cell without dots.
const VISIBLE = /[^\p{Default_Ignorable_Code_Point}\p{Cf}\s\u2800]/u;

/**
 * A name as it is kept: trimmed, Unicode NFC, 1 to 255 characters.
 * @param field the name the caller used for this input, for the message
 * @throws AppError `invalid_argument` when it is empty, too long, cannot be seen, or has control characters or broken Unicode
 */
export function checkName(field: string, value: unknown): string {
  const name = checkText(field, value, LONGEST_NAME);
  if (name === '') throw invalidField(field, 'must not be empty');
  return name;
}

/**
 * A text that may be empty: trimmed, Unicode NFC, at most `longest` characters (default 255), undefined counts as ''.
 * @throws AppError `invalid_argument` when it is too long, cannot be seen, or has control characters or broken Unicode
 */
export function checkText(field: string, value: unknown = '', longest: number = LONGEST_NAME): string {
  if (typeof value !== 'string') throw invalidField(field, 'must be text');
  // Checked first, so that nobody can make us normalise megabytes; NFC shortens no text that much.
  if (value.length > longest * 4 + 1_000) throw invalidField(field, `must have at most ${longest} characters`);
  if (!value.isWellFormed()) throw invalidField(field, 'is not well-formed Unicode text');
  const text = value.normalize('NFC').trim();
  if (FORBIDDEN.test(text)) throw invalidField(field, 'must not have control characters');
  if (text !== '' && !VISIBLE.test(text)) throw invalidField(field, 'must have something that can be seen');
  if ([...text].length > longest) throw invalidField(field, `must have at most ${longest} characters`);
  return text;
}

/**
 * Whether a word is a UUID as we write them. Lower case only: ids are cache keys, and the database announces changes in
 * lower case, so a second spelling of the same id would never be forgotten.
 */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

/**
 * An email address as it is kept: trimmed, Unicode NFC, upper and lower case as typed. Only its shape is checked.
 * @throws AppError `invalid_argument` when it does not look like an address
 */
export function checkEmail(field: string, value: unknown): string {
  const email = checkText(field, value, LONGEST_EMAIL);
  const at = email.lastIndexOf('@');
  const [local, domain] = [email.slice(0, at), email.slice(at + 1)];
  const fits = at > 0 && local.length <= LONGEST_LOCAL_PART && /^[^\s@]+$/u.test(local);
  if (!fits || !/^[^\s@.]+(\.[^\s@.]+)*$/u.test(domain)) {
    throw invalidField(field, 'must be an email address such as ada@example.com');
  }
  return email;
}
