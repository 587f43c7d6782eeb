/** API keys, personal and of a team, from their making to their end. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCurl } from '../support/curl.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { check, choose, fill, follow, goTo, press, row, sheet, shown } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('an API key', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  describe.each(WITH_AND_WITHOUT)('$scripts', ({ scripts, javaScript }) => {
    test.each([
      { kind: 'personal', tab: 'Personal' },
      { kind: 'team', tab: 'Team' },
    ])('$kind: is made once, used, rotated, revoked, reinstated, renamed, deleted', async ({ kind, tab }) => {
      const name = `Import ${kind} ${scripts}`;
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'API Keys');
      await follow(page, tab);
      await follow(page, 'Create a key');
      await sees(page, `Create a ${kind} key`);
      await fill(page, { Name: name });
      if (kind === 'team') await choose(page, 'Team', 'Root');
      await check(page, 'On a day I choose');
      await fill(page, { 'Its last day': '2020-02-03' });
      await press(page, 'Create key');
      await reads(page, /must not be over/);
      expect(await sheet(page).getByLabel('Name', { exact: true }).inputValue()).toBe(name);
      await check(page, 'In 7 days');
      await press(page, 'Create key');
      await sees(page, `${name} is created`);
      const first = await shown(page, 'API key');
      const tryIt = await shown(page, 'Try it');
      expect(await shown(page, '.env')).toContain(first);
      const tryWith = (key: string) => runCurl(tryIt.replace(first, key)).then(({ status }) => status);
      expect(await tryWith(first)).toBe(200);

      // A reload sends the form again.
      await page.reload();
      await reads(page, /This was done already/);
      expect((await page.content()).includes(first)).toBe(false);
      await follow(page, tab === 'Team' ? /Team keys/ : /Personal keys/);
      expect(await page.getByRole('row').filter({ hasText: name }).count()).toBe(1);
      await row(page, name).getByRole('link', { name }).click();

      await follow(page, 'Rotate');
      await check(page, 'Ends in 24 hours');
      await press(page, 'Rotate key');
      await reads(page, /not shown again/);
      const second = await shown(page, 'API key');
      expect([await tryWith(first), await tryWith(second)]).toEqual([200, 200]);
      await follow(page, `Go to ${name}`);
      await follow(page, 'Rotate');
      await check(page, 'Ends now');
      await press(page, 'Rotate key');
      await reads(page, /not shown again/);
      const third = await shown(page, 'API key');
      expect([await tryWith(first), await tryWith(second), await tryWith(third)]).toEqual([401, 401, 200]);
      await follow(page, `Go to ${name}`);

      await follow(page, 'Revoke');
      await sees(page, `Revoke ${name}`);
      await press(page, 'Revoke this key');
      await reads(page, /The key is revoked/);
      expect(await tryWith(third)).toBe(401);
      await follow(page, 'Reinstate');
      await press(page, 'Reinstate this key');
      await reads(page, /The key is good again/);
      expect(await tryWith(third)).toBe(200);

      await follow(page, 'Rename');
      await fill(page, { Name: `${name} 2` });
      await press(page, 'Save');
      await reads(page, /The name is changed/);
      await follow(page, 'Delete');
      await sees(page, `Delete ${name} 2`);
      await press(page, 'Delete this key');
      await reads(page, /It is deleted/);
      expect(
        await page
          .getByRole('row')
          .filter({ hasText: `${name} 2` })
          .count(),
      ).toBe(0);
      expect(await tryWith(third)).toBe(401);
    });
  });
});
