/** With a keyboard alone: from the menu to the text of a new key, in a dialog that takes the focus, keeps it and gives it back. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Locator, Page } from 'playwright-core';
import { OPERATOR } from '../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { runCurl } from '../support/curl.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { sheet, shown } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('somebody without a mouse', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  const hasFocus = async (target: Locator) => (await target.and(target.page().locator(':focus')).count()) === 1;

  /** Presses Tab until it is there. */
  async function tabTo(page: Page, target: Locator, key = 'Tab'): Promise<void> {
    await target.waitFor();
    for (let pressed = 0; pressed < 80; pressed += 1) {
      if (await hasFocus(target)) return;
      await page.keyboard.press(key);
    }
    throw new Error(`${key} never comes to ${target}`);
  }

  const link = (page: Page, name: string) => sheet(page).getByRole('link', { name, exact: true });
  const button = (page: Page, name: string) => sheet(page).getByRole('button', { name, exact: true });

  test.each(WITH_AND_WITHOUT)('makes a personal key and copies it, $scripts', async ({ scripts, javaScript }) => {
    const name = `Typed ${scripts}`;
    const page = await stage.visit('/console', { javaScript });
    await page.keyboard.press('Tab');
    expect(await hasFocus(page.getByRole('link', { name: 'Skip to the content' }))).toBe(true);
    await tabTo(page, page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'API Keys' }));
    await page.keyboard.press('Enter');
    await sees(page, 'Personal keys');
    // Past the menu: what comes next is in the page itself.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    expect(await page.getByRole('main').locator(':focus').count()).toBe(1);
    await tabTo(page, link(page, 'Create a key').first());
    await page.keyboard.press('Enter');
    await sees(page, 'Create a personal key');
    const field = sheet(page).getByLabel('Name', { exact: true });
    if (javaScript) expect(await hasFocus(field)).toBe(true);
    await tabTo(page, field);
    await page.keyboard.type(name);

    // Of the choices the one chosen is come to, and arrows choose another.
    await tabTo(page, sheet(page).getByRole('radio', { name: 'In 30 days' }));
    await page.keyboard.press('ArrowUp');
    expect(await sheet(page).getByRole('radio', { name: 'In 7 days' }).isChecked()).toBe(true);
    await tabTo(page, sheet(page).getByRole('radio', { name: /^Everything I may do/ }));
    await page.keyboard.press('ArrowDown');
    await tabTo(page, sheet(page).getByRole('checkbox', { name: 'Read providers' }));
    await page.keyboard.press('Space');
    await tabTo(page, button(page, 'Create key'));
    await page.keyboard.press('Space');
    await reads(page, /not shown again/);
    const text = await shown(page, 'API key');
    expect((await runCurl(await shown(page, 'Try it'))).status).toBe(200);
    if (javaScript) {
      await tabTo(page, button(page, 'Copy API key'));
      await page.keyboard.press('Enter');
      await page.getByRole('status').getByText('Copied').waitFor({ state: 'attached' });
      expect(await page.evaluate('navigator.clipboard.readText()')).toBe(text);
    }
    await tabTo(page, link(page, `Go to ${name}`));
    await page.keyboard.press('Enter');
    await sees(page, new RegExp(name));
    await reads(page, 'providers:read');
  });

  test('is shown what will end before the button that ends it', async () => {
    const { key, text } = await stage.server.domain.apiKeys.createTeam(
      { teamId: ROOT_TEAM_ID, name: 'Doomed' },
      OPERATOR,
    );
    const call = async () =>
      (await fetch(`${stage.server.origin}/api/v1/providers`, { headers: { authorization: `Bearer ${text}` } })).status;
    const page = await stage.visit(`/console/api-keys/team/${key.id}`);
    await tabTo(page, link(page, 'Delete'));
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Delete Doomed' });
    await dialog.waitFor();
    expect(await hasFocus(dialog.getByRole('heading', { name: 'Delete Doomed' }))).toBe(true);
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    expect([await call(), await hasFocus(link(page, 'Delete'))]).toEqual([200, true]);

    await page.keyboard.press('Enter');
    await dialog.waitFor();
    await tabTo(page, button(page, 'Delete this key'));
    await page.keyboard.press('Enter');
    await reads(page, /It is deleted/);
    expect(await call()).toBe(401);
  });

  test('is kept in a dialog until Escape, which leads back to what opened it', async () => {
    const page = await stage.visit('/console/api-keys/personal');
    const opener = link(page, 'Create a key').first();
    await tabTo(page, opener);
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Create a personal key' });
    await dialog.waitFor();
    const field = dialog.getByLabel('Name', { exact: true });
    expect(await hasFocus(field)).toBe(true);

    for (const key of ['Tab', 'Shift+Tab']) {
      // More than there is in it. Between the last and the first the browser itself has the focus.
      for (let pressed = 0; pressed < 60; pressed += 1) {
        await page.keyboard.press(key);
        const isInside =
          "[document.body, null].includes(document.activeElement) || document.activeElement.closest('dialog') !== null";
        expect(await page.evaluate(isInside)).toBe(true);
      }
    }
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    expect(await hasFocus(opener)).toBe(true);

    await page.keyboard.press('Enter');
    await dialog.waitFor();
    await tabTo(page, dialog.getByRole('link', { name: 'Cancel' }), 'Shift+Tab');
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    expect(await hasFocus(opener)).toBe(true);
    expect(new URL(page.url()).pathname).toBe('/console/api-keys/personal');
  });
});
