/** Where a person is sent after the login: to a page of ours, whatever an address asks for. */

const DEFAULT = '/console';
const LONGEST = 2_000;

/**
 * @param asked as it came in, from an address or a form
 * @returns the path and query of one of the pages behind the login; `/console` for whatever is not clearly one of them
 */
export function returnPath(asked: unknown): string {
  if (typeof asked !== 'string' || !asked.startsWith('/') || asked.length > LONGEST) return DEFAULT;
  // Judged by what a browser makes of it, and sent as that: it takes a backslash for a slash, passes over tabs and line
  // breaks, and resolves dots, encoded ones too.
  const base = 'http://return.invalid';
  if (!URL.canParse(asked, base)) return DEFAULT;
  const { origin, pathname, search } = new URL(asked, base);
  return origin === base && /^\/(console|account)(\/|$)/.test(pathname) ? pathname + search : DEFAULT;
}
