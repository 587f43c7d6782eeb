/** What scripts add beyond dialogs and copying: a double click does nothing twice, and what is wrong has the focus. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { fill, follow, press, sheet } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('somebody in a hurry', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  test('opens one dialog and makes one team, though they click twice', async () => {
    const page = await stage.visit('/console/teams');
    await page.getByRole('link', { name: 'Create a team' }).first().dblclick();
    await sees(page, 'Create a team');
    expect(await page.getByRole('dialog').count()).toBe(1);
    await fill(page, { Name: 'Twice' });
    await sheet(page).getByRole('button', { name: 'Create team' }).dblclick();
    // Whichever of the two clicks the browser shows the answer to.
    await reads(page, /It is created\.|This was done already/);
    await sees(page, 'Twice');
  });

  test('pastes a key that leaked into a search, finds it, and it never is in an address', async () => {
    const { key, text } = await stage.server.domain.apiKeys.createTeam(
      { teamId: ROOT_TEAM_ID, name: 'Leaked' },
      OPERATOR,
    );
    const page = await stage.visit('/console/api-keys/team');
    const addresses: string[] = [];
    page.on('request', (request) => addresses.push(request.url()));
    await fill(page, { 'Name or key': text });
    await page.getByRole('searchbox').press('Enter');
    await page.waitForURL(/q=/);
    await reads(page, 'Leaked');
    expect(decodeURIComponent(addresses.join(' '))).toContain(`q=${key.prefix}…${key.lastFour}`);
    expect(addresses.join(' ')).not.toContain(text);
  });

  test.each(WITH_AND_WITHOUT)('is told what to mend, with the focus there, $scripts', async ({ javaScript }) => {
    const page = await stage.visit('/console/users', { javaScript });
    await follow(page, 'Create a user');
    await fill(page, { Email: 'not-an-address@', Name: 'Kept' });
    await sheet(page)
      .locator('form.sheet')
      .evaluate((form) => {
        (form as unknown as { noValidate: boolean }).noValidate = true;
      });
    await press(page, 'Create user');
    await reads(page, /Something is not right yet/);
    expect(await page.title()).toMatch(/^Problem: Create a user/);
    expect(await page.locator(':focus').getAttribute('name')).toBe('email');
    expect(await sheet(page).getByLabel('Name', { exact: true }).inputValue()).toBe('Kept');
  });
});
