/** OAuth2 Clients, from their making to their end. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runCurl } from '../support/curl.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { check, choose, fill, follow, goTo, press, row, sheet, shown } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('an OAuth2 Client', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  test.each(WITH_AND_WITHOUT)(
    'is made, used, given another secret, disabled, enabled, deleted $scripts',
    async ({ scripts, javaScript }) => {
      const name = `Nightly export ${scripts}`;
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'API Keys');
      await follow(page, 'OAuth2 Clients');
      await follow(page, 'Create a client');
      await sees(page, 'Create a client');
      expect(await page.getByRole('dialog').count()).toBe(javaScript ? 1 : 0);

      await fill(page, { Name: name });
      await choose(page, 'Team', 'Root');
      await sheet(page).getByRole('checkbox', { name: 'Read providers' }).uncheck();
      await press(page, 'Create client');
      await reads(page, /name at least one/);
      expect(await sheet(page).getByLabel('Name', { exact: true }).inputValue()).toBe(name);
      await check(page, 'Read providers');
      await press(page, 'Create client');
      await sees(page, `${name} is created`);
      const [clientId, secret] = [await shown(page, 'Client ID'), await shown(page, 'Client secret')];
      const [getToken, callApi] = [await shown(page, 'Get a token'), await shown(page, /^Call an API/)];
      const token = await runCurl(getToken);
      expect(token.status).toBe(200);
      expect((await runCurl(callApi, { ACCESS_TOKEN: token.body.access_token! })).status).toBe(200);
      const withSecret = (other: string) => runCurl(getToken.replace(secret, other));

      await follow(page, `Go to ${name}`);
      const detail = page.url();
      await follow(page, 'New secret');
      await check(page, /^Ends in 24 hours/);
      await press(page, 'Create secret');
      await sees(page, `New secret for ${name}`);
      const second = await shown(page, 'Client secret');
      expect([(await withSecret(secret)).status, (await withSecret(second)).status]).toEqual([200, 200]);
      await page.goto(detail);
      await row(page, secret.slice(-4)).getByRole('link', { name: 'End' }).click();
      await sees(page, /^End the secret/);
      await press(page, 'End this secret');
      await reads(page, 'It has ended.');
      expect([(await withSecret(secret)).status, (await withSecret(second)).status]).toEqual([401, 200]);

      await follow(page, 'Disable');
      await press(page, 'Disable this client');
      await reads(page, 'It is switched off.');
      expect((await withSecret(second)).status).toBe(401);
      await press(page, 'Enable');
      await reads(page, 'It is switched on.');
      expect((await withSecret(second)).status).toBe(200);
      await follow(page, 'Delete');
      await sees(page, `Delete ${name}`);
      await press(page, /^Delete this client/);
      await reads(page, 'It is deleted.');
      expect((await withSecret(second)).status).toBe(401);
      expect(clientId).toMatch(/^svc_/);
    },
  );
});
