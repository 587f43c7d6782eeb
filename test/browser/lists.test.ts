/** A list that is longer than a page: leafed through, sorted, searched and filtered by hand, all of it together. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { OPERATOR } from '../../src/domain/audit.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { choose, follow, press } from './person.ts';
import { reads } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('a long list', () => {
  let stage: Stage;
  const team = 'Mobile apps';
  const names = Array.from({ length: 60 }, (_, index) => `Worker ${String(index + 1).padStart(2, '0')}`);
  beforeAll(async () => {
    stage = await setStage();
    const { domain } = stage.server;
    const { id: teamId } = await domain.teams.create({ name: team }, OPERATOR);
    const { id: otherId } = await domain.teams.create({ name: 'Data platform' }, OPERATOR);
    for (const [index, name] of names.entries()) {
      const { key } = await domain.apiKeys.createTeam({ teamId, name }, OPERATOR);
      if (index % 10 === 0) await domain.apiKeys.revoke(key.id, {}, OPERATOR);
      if (index % 2 === 0) await domain.apiKeys.createTeam({ teamId: otherId, name: `Other ${name}` }, OPERATOR);
    }
  });
  afterAll(() => stage?.close());

  const shownNames = (page: Page) =>
    page.getByRole('table', { name: 'Team keys' }).locator('tbody td:first-child a').allTextContents();
  const sortedBy = (page: Page, label: string, state: string) =>
    page.locator(`th[aria-sort="${state}"]`).getByRole('link', { name: label }).waitFor();

  test.each(WITH_AND_WITHOUT)('is leafed through in the order chosen, $scripts', async ({ javaScript }) => {
    const page = await stage.visit('/console/api-keys/team', { javaScript });
    expect(await shownNames(page)).toHaveLength(25);
    expect((await shownNames(page))[0]).toBe('Worker 60');
    await choose(page, 'Team', team);
    await press(page, 'Show');
    await page.waitForURL(/team=/);
    await follow(page, /^Name/);
    await sortedBy(page, 'Name', 'ascending');
    expect(await shownNames(page)).toEqual(names.slice(0, 25));
    expect(await page.getByRole('link', { name: 'First page' }).count()).toBe(0);
    await follow(page, 'Next page');
    await page.getByRole('link', { name: 'First page' }).waitFor();
    expect(await shownNames(page)).toEqual(names.slice(25, 50));
    await sortedBy(page, 'Name', 'ascending');
    await follow(page, 'Next page');
    await page.getByRole('link', { name: 'Next page' }).waitFor({ state: 'detached' });
    expect(await shownNames(page)).toEqual(names.slice(50));
    // The page before is where the browser goes back to.
    await page.goBack();
    expect(await shownNames(page)).toEqual(names.slice(25, 50));
    await follow(page, 'First page');
    await page.getByRole('link', { name: 'First page' }).waitFor({ state: 'detached' });
    expect(await shownNames(page)).toEqual(names.slice(0, 25));

    await follow(page, /^Name/);
    await sortedBy(page, 'Name', 'descending');
    expect(await shownNames(page)).toEqual(names.toReversed().slice(0, 25));
    await follow(page, /^Created/);
    await sortedBy(page, 'Created', 'ascending');
    expect((await shownNames(page))[0]).toBe('Worker 01');
  });

  test.each(WITH_AND_WITHOUT)('is searched, filtered and sorted at once, $scripts', async ({ javaScript }) => {
    const page = await stage.visit('/console/api-keys/team', { javaScript });
    await follow(page, /^Name/);
    await sortedBy(page, 'Name', 'ascending');
    await page.getByRole('searchbox', { name: 'Name or key' }).fill('worker');
    await choose(page, 'Team', team);
    await choose(page, 'Status', 'Active');
    await press(page, 'Show');
    await page.getByRole('link', { name: 'Clear' }).waitFor();
    const active = names.filter((_, index) => index % 10 !== 0);
    expect(await shownNames(page)).toEqual(active.slice(0, 25));
    await follow(page, 'Next page');
    await page.getByRole('link', { name: 'First page' }).waitFor();
    expect(await shownNames(page)).toEqual(active.slice(25, 50));
    const form = page.getByRole('search');
    expect(await form.getByRole('searchbox').inputValue()).toBe('worker');
    expect(await form.getByLabel('Status').locator('option:checked').textContent()).toBe('Active');
    expect(await form.getByLabel('Team').locator('option:checked').textContent()).toBe(team);

    // Another filter begins at its first page.
    await choose(page, 'Status', 'Revoked');
    await press(page, 'Show');
    await page.getByRole('link', { name: 'First page' }).waitFor({ state: 'detached' });
    expect(await shownNames(page)).toEqual(names.filter((_, index) => index % 10 === 0));
    await form.getByRole('searchbox').fill('nothing is called that');
    await press(page, 'Show');
    await reads(page, /Nothing here matches/);
    await follow(page, 'Clear');
    await page.getByRole('link', { name: 'Next page' }).waitFor();
    expect(await form.getByRole('searchbox').inputValue()).toBe('');
    expect((await shownNames(page))[0]).toBe('Worker 60');
  });
});
