/** What a change really changed, so that one that changes nothing leaves no trace. */
import { isDeepStrictEqual } from 'node:util';

/**
 * The fields in which two records differ, by their names on the wire (`baseUrl` is `base_url` there), for the audit trail.
 * @param after its fields are the ones that are compared
 */
export function changedFields<T extends object>(before: T, after: T): string[] {
  const keys = Object.keys(after) as (keyof T & string)[];
  return keys.filter((key) => !isDeepStrictEqual(before[key], after[key])).map(wireName);
}

/** A field's name as the wire has it. */
export function wireName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
