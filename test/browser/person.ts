/** What a person does on a page, by what they see there; with scripts a form is a dialog, without them a page of its own. */
import type { Locator, Page } from 'playwright-core';
import { on } from './sees.ts';

/** The form that is open: the dialog, if there is one, otherwise the page. */
export function sheet(page: Page): Locator {
  return page.locator('main, dialog[open]').last();
}

/** Goes to a place of the navigation. */
export function goTo(page: Page, name: string): Promise<void> {
  const places = page.getByRole('navigation', { name: 'Main' });
  return on(page, () => places.getByRole('link', { name, exact: true }).click());
}

/** Follows a link, by its words, until what it opens is there: with scripts that may be a dialog, a moment later. */
export function follow(page: Page, name: string | RegExp): Promise<void> {
  return on(page, async () => {
    const link = sheet(page).getByRole('link', named(name)).first();
    const mayOpen = await link.evaluate(opensSomething);
    const before = page.url();
    await link.click();
    if (!mayOpen) return;
    await Promise.any([page.locator('dialog[open]').waitFor(), page.waitForURL(({ href }) => href !== before)]);
  });
}

/** As the script of the console has it: what it fetches first, before it is a dialog or gone to. */
function opensSomething(element: unknown): boolean {
  const link = element as { pathname: string; matches(selector: string): boolean };
  return link.matches(':is(.head, .empty, td) a.button:not(dialog *)') && !/\.\w+$/.test(link.pathname);
}

/** Presses a button of the open form. */
export function press(page: Page, name: string | RegExp): Promise<void> {
  return on(page, () => sheet(page).getByRole('button', named(name)).first().click());
}

/** Types into the fields of the open form, by their labels. */
export function fill(page: Page, fields: Record<string, string>): Promise<void> {
  return on(page, async () => {
    for (const [label, value] of Object.entries(fields)) {
      await sheet(page).getByLabel(label, { exact: true }).first().fill(value);
    }
  });
}

/** Chooses from a list of the open form, by its label and what is chosen. */
export async function choose(page: Page, label: string, option: string): Promise<void> {
  await on(page, () => sheet(page).getByLabel(label, { exact: true }).selectOption({ label: option }));
}

/** Checks boxes and radio buttons of the open form, by their labels. */
export function check(page: Page, ...labels: (string | RegExp)[]): Promise<void> {
  return on(page, async () => {
    for (const name of labels) {
      const box = sheet(page).getByRole('checkbox', { name });
      await box.or(sheet(page).getByRole('radio', { name })).first().check();
    }
  });
}

/** What is shown to be copied, by its label. */
export async function shown(page: Page, label: string | RegExp): Promise<string> {
  const box = page.locator('pre').and(page.getByLabel(label, { exact: typeof label === 'string' }));
  return (await on(page, () => box.first().textContent())) ?? '';
}

/** The row of a table or list that has these words. */
export function row(page: Page, words: string): Locator {
  return page.getByRole('row').filter({ hasText: words }).first();
}

function named(name: string | RegExp): { name: string | RegExp; exact?: boolean } {
  return typeof name === 'string' ? { name, exact: true } : { name };
}
