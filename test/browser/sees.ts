/** Waiting for what a person would look for, and a failure that says what was there instead. */
import type { Locator, Page } from 'playwright-core';

/** Until a heading says so. @throws Error with the address and the text of the page that is there */
export function sees(page: Page, heading: string | RegExp): Promise<void> {
  const wanted = page.getByRole('heading', { name: heading, ...(typeof heading === 'string' && { exact: true }) });
  return on(page, () => wanted.first().waitFor());
}

/** Until the text is to be seen somewhere. @throws as `sees` */
export function reads(page: Page, text: string | RegExp): Promise<void> {
  return on(page, () => visible(page.getByText(text)).waitFor());
}

function visible(locator: Locator): Locator {
  return locator.filter({ visible: true }).first();
}

/** Does something on a page. @throws Error with what it waited for, and the page that is there */
export async function on<T>(page: Page, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const there = page.locator('main, dialog[open]').last();
    const text = await there.ariaSnapshot({ timeout: 1_000 }).catch(() => page.content());
    throw new Error(`${(error as Error).message}\n${page.url()}\n${text.slice(0, 3_000)}`);
  }
}
