/** OAuth2 Apps, from their registration to their end, as whoever registers one would go about it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runCurl } from '../support/curl.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { check, fill, follow, goTo, press, sheet, shown } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('an OAuth2 App', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  test.each(WITH_AND_WITHOUT)(
    'is registered, used, given another secret, disabled, enabled, deleted $scripts',
    async ({ scripts, javaScript }) => {
      const { site } = stage;
      const name = `Dashboards ${scripts}`;
      // A login of its own: what this browser allows an app gives its session a new id.
      const page = await stage.visit('/console', { javaScript, state: await stage.stateOf(stage.admin) });
      await goTo(page, 'API Keys');
      await follow(page, 'OAuth2 Apps');
      await follow(page, 'Create an app');
      await sees(page, 'Create an app');
      expect(await page.getByRole('dialog').count()).toBe(javaScript ? 1 : 0);

      await fill(page, { Name: name, 'Base URL': site.origin, 'Redirect URIs': 'http://app.example.com/callback' });
      await check(page, 'Read providers');
      await press(page, 'Create app');
      await reads(page, /must be https; plain http is for loopback only/);
      expect(await sheet(page).getByLabel('Name', { exact: true }).inputValue()).toBe(name);
      await fill(page, { 'Redirect URIs': site.redirectUri });
      await press(page, 'Create app');
      await sees(page, `${name} is created`);
      const [clientId, secret] = [await shown(page, 'Client ID'), await shown(page, 'Client secret')];
      expect(await shown(page, '.env')).toContain(`CLIENT_ID=${clientId}\nCLIENT_SECRET=${secret}\n`);
      if (javaScript) {
        await page.getByRole('button', { name: 'Copy Client secret' }).click();
        await page.getByRole('status').getByText('Copied').waitFor({ state: 'attached' });
        expect(await page.evaluate('navigator.clipboard.readText()')).toBe(secret);
      }
      const [tryIt, getTokens] = [await shown(page, /^Try it/), await shown(page, /^Then get tokens/)];
      await follow(page, `Go to ${name}`);
      await sees(page, new RegExp(name));
      const detail = page.url();

      await page.goto(tryIt);
      await sees(page, 'Allow access?');
      await page.getByRole('button', { name: 'Allow' }).click();
      await sees(page, 'Back at the app callback');
      const code = new URL(page.url()).searchParams.get('code')!;
      const tokens = await runCurl(getTokens, { CODE: code });
      expect([tokens.status, Object.keys(tokens.body)]).toEqual([
        200,
        expect.arrayContaining(['access_token', 'refresh_token']),
      ]);
      const refresh = (token: string, clientSecret: string) =>
        runCurl(`curl '${stage.server.origin}/oauth2/token' --user "${clientId}:${clientSecret}" \\
        --data-urlencode grant_type=refresh_token --data-urlencode 'refresh_token=${token}'`);

      await page.goto(detail);
      await follow(page, 'New secret');
      await check(page, /^Ends now/);
      await press(page, 'Create secret');
      await sees(page, `New secret for ${name}`);
      const second = await shown(page, 'Client secret');
      expect((await refresh(tokens.body.refresh_token!, secret)).status).toBe(401);
      const refreshed = await refresh(tokens.body.refresh_token!, second);
      expect(refreshed.status).toBe(200);

      await page.goto(detail);
      await follow(page, 'Disable');
      await sees(page, `Disable ${name}`);
      await reads(page, /1 user is disconnected/);
      await press(page, /^Disable this app \(1 user/);
      await reads(page, 'It is switched off.');
      await reads(page, 'Disabled');
      expect((await refresh(refreshed.body.refresh_token!, second)).status).toBeGreaterThanOrEqual(400);
      await page.goto(tryIt);
      await reads(page, /not|disabled/i);
      expect(new URL(page.url()).origin).toBe(stage.server.origin);

      await page.goto(detail);
      await press(page, 'Enable');
      await reads(page, 'It is switched on.');
      await follow(page, 'Edit');
      await fill(page, { Name: `${name} 2` });
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      await follow(page, 'Delete');
      await sees(page, `Delete ${name} 2`);
      await press(page, /^Delete this app/);
      await reads(page, 'It is deleted.');
      await page.goto(detail);
      await reads(page, /no such OAuth2 app/);
    },
  );
});
