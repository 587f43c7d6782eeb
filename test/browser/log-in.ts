/** Becoming somebody by the login page, and what is kept of it so that one login does for many pages. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { PASSWORD } from '../support/flows.ts';

export type State = Exclude<BrowserContextOptions['storageState'], string | undefined>;

/** Fills in the login page that is there. */
export async function logIn(page: Page, email: string, password = PASSWORD): Promise<void> {
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
}

/** The cookies of somebody who logged in. */
export async function stateOf(browser: Browser, origin: string, email: string): Promise<State> {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${origin}/login`);
  await logIn(page, email);
  await page.waitForURL(({ pathname }) => pathname !== '/login');
  const state = await context.storageState();
  await context.close();
  return state;
}
