/** The audit trail: filters that are narrowed by hand, and a file with exactly what they leave. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { OPERATOR } from '../../src/domain/audit.ts';
import { createPerson } from '../support/flows.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { choose, fill, follow, goTo, press } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

const DAY = 24 * 3600 * 1000;

describeInBrowser('the audit trail', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  /** The events of every page of the list, newest first. */
  async function shownIds(page: Page): Promise<string[]> {
    const ids: string[] = [];
    for (;;) {
      for (const link of await page.getByRole('table').locator('tbody td:first-child a').all()) {
        ids.push((await link.getAttribute('href'))!.split('/').pop()!);
      }
      if ((await page.getByRole('link', { name: 'Next page' }).count()) === 0) return ids;
      await follow(page, 'Next page');
      await page.getByRole('link', { name: 'First page' }).waitFor();
    }
  }

  async function exported(page: Page): Promise<string[][]> {
    const download = page.waitForEvent('download');
    await follow(page, /^Export as CSV/);
    const text = await readFile(await (await download).path(), 'utf8');
    return text
      .trim()
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(','));
  }

  test.each(WITH_AND_WITHOUT)(
    'is narrowed by what, who and when, and the file has just what is shown $scripts',
    async ({ javaScript }) => {
      const { domain, db } = stage.server;
      const [ada, other] = [await createPerson(stage.server), await createPerson(stage.server)];
      const make = async (person: typeof ada, name: string) => {
        const actor = { kind: 'user' as const, id: person.userId };
        return (await domain.apiKeys.createTeam({ teamId: person.teamId, name }, { ...OPERATOR, ...actor })).key;
      };
      // More than a page of them.
      const keys = await Promise.all(Array.from({ length: 30 }, (_, index) => make(ada, `Key ${index}`)));
      await make(other, 'Not theirs');
      await domain.apiKeys.revoke(keys[0]!.id, {}, { ...OPERATOR, kind: 'user', id: ada.userId });
      await domain.audit.flush();
      const old = keys.slice(0, 3).map(({ id }) => id);
      const day = new Date(Date.now() - 10 * DAY).toISOString().slice(0, 10);
      await db.query(
        `UPDATE audit_events SET occurred_at = $2 WHERE target_id = ANY ($1) AND action = 'api_key.created'`,
        [old, `${day}T23:30:00Z`],
      );

      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Audit');
      await fill(page, { 'Action, such as api_key.created': 'api_key.created', 'By: email or id': ada.email });
      await press(page, 'Show');
      await page.getByRole('link', { name: 'Next page' }).waitFor();
      // What was asked for is still in the form.
      expect(await page.getByLabel('By: email or id').inputValue()).toBe(ada.email);
      const all = await exported(page);
      expect(new Set(all.map((cells) => `${cells[2]} ${cells[5]}`))).toEqual(
        new Set([`api_key.created ${ada.userId}`]),
      );
      expect(all.map(([id]) => id)).toEqual(await shownIds(page));
      expect(all).toHaveLength(30);

      await fill(page, { 'From day (UTC)': day, 'To day (UTC)': day });
      await press(page, 'Show');
      await page.getByRole('link', { name: 'Next page' }).waitFor({ state: 'detached' });
      const early = await exported(page);
      expect(early.map(([id]) => id)).toEqual(await shownIds(page));
      expect(new Set(early.map((cells) => cells[8]))).toEqual(new Set(old));

      await choose(page, 'Outcome', 'Refused');
      await press(page, 'Show');
      await reads(page, /Nothing here matches/);
      expect(await exported(page)).toEqual([]);
      await follow(page, 'Clear');
      await choose(page, 'Team', (await domain.teams.find(ada.teamId))!.name);
      await fill(page, { 'Action, such as api_key.created': 'api_key.revoked' });
      await press(page, 'Show');
      await page.getByRole('table').locator('tbody tr').nth(1).waitFor({ state: 'detached' });
      await follow(page, 'api_key.revoked');
      await sees(page, /^api_key\.revoked/);
      await reads(page, keys[0]!.id);
    },
  );
});
