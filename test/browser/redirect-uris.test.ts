/** The addresses of an app while somebody types them: what is wrong is told at once, and what was meant is a click away. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { describeInBrowser } from './chromium.ts';
import { fill, press, sheet } from './person.ts';
import { reads } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('addresses that are typed', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  test('are looked at before the form is sent', async () => {
    const page = await stage.visit('/console/api-keys/apps/new');
    await fill(page, {
      'Base URL': 'http://app.example.com',
      'Redirect URIs': 'app.exmaple.com/cb\nhttps://app.example.com/ok\nhttps://app.example.com/ok/',
    });
    await reads(page, /must be an https URL/);
    await reads(page, /only by a slash at its end/);
    await press(page, 'Use https://app.example.com');
    await press(page, 'Use https://app.example.com/cb');
    await page.locator('[aria-live="polite"] .problem').first().waitFor({ state: 'detached' });
    const typed = (label: string) => sheet(page).getByLabel(label, { exact: true }).inputValue();
    expect(await typed('Base URL')).toBe('https://app.example.com');
    expect(await typed('Redirect URIs')).toBe(
      'https://app.example.com/cb\nhttps://app.example.com/ok\nhttps://app.example.com/ok/',
    );
    expect(new URL(page.url()).pathname).toBe('/console/api-keys/apps/new');
  });
});
