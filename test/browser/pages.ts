/**
 * Every page there is, in one place: what is checked on each of them and what is photographed. A page that is missing
 * here fails `pages.test.ts`.
 */
import type { Page } from 'playwright-core';
import { ACCOUNT_PAGES } from './pages-account.ts';
import { CONSOLE_PAGES } from './pages-console.ts';
import { CREDENTIAL_PAGES } from './pages-credentials.ts';
import { PUBLIC_PAGES } from './pages-public.ts';
import type { Sample } from './sample.ts';

/** Whose browser a page is in: an administrator of the root team, or of another. */
export type As = 'nobody' | 'person' | 'admin';

export interface ListedPage {
  /** In the name of its tests and of its pictures. */
  name: string;
  /** As it was declared. */
  route: string;
  as: As;
  /** What its route has names for. */
  ids?(sample: Sample): Record<string, string>;
  /** Where it is, when that is not its route with `ids`. */
  path?(sample: Sample): string;
  /** What a person does there before it looks as meant. */
  act?(page: Page, sample: Sample): Promise<void>;
  /** Default 100 KB. */
  mostBytes?: number;
}

export const PAGES: readonly ListedPage[] = [...PUBLIC_PAGES, ...ACCOUNT_PAGES, ...CREDENTIAL_PAGES, ...CONSOLE_PAGES];

/** What is asked for with GET and shows no page. */
export const NO_PAGES: readonly string[] = [
  // Lead to another page.
  '/console/api-keys',
  '/console/credentials/revoke',
  '/console/credentials/revoked',
  // A file.
  '/console/audit.csv',
];

export function pathOf({ route, ids, path }: ListedPage, sample: Sample): string {
  if (path !== undefined) return path(sample);
  const values = ids?.(sample) ?? {};
  return route.replace(/:(\w+)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`nobody says what :${name} of ${route} is`);
    return encodeURIComponent(value);
  });
}
