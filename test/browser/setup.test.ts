/** From the link in the log to the page with the three integrations, and on to the console. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestServer, type TestServer } from '../support/server.ts';
import { axeFindings, tooWide } from './checks.ts';
import { describeInBrowser, openPage, WITH_AND_WITHOUT } from './chromium.ts';
import { fill, follow, press, shown } from './person.ts';
import { reads, sees } from './sees.ts';

describeInBrowser('setup', () => {
  describe.each(WITH_AND_WITHOUT)('$scripts', ({ javaScript }) => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startTestServer();
    });
    afterAll(() => server?.close());

    test('row 99: the link makes the first administrator and team once, and leads to the three integrations', async () => {
      const link = `${server.origin}/setup?token=${await server.domain.setup.issueLink()}`;
      const page = await openPage({ javaScript, origins: [server.origin], width: 360 });
      const check = async () => {
        expect(await tooWide(page)).toEqual([]);
        if (!javaScript) return;
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme });
          expect(await axeFindings(page)).toEqual([]);
        }
      };
      await page.goto(link);
      await check();
      const typed = { Email: 'ada@example.com', 'Your name': 'Ada <b>Lovelace</b>', 'First team': 'Engines & more' };
      await fill(page, { ...typed, Password: '123' });
      await press(page, /./);
      await reads(page, /Password must have at least/);
      expect(await page.getByLabel('First team').inputValue()).toBe('Engines & more');
      await check();
      await fill(page, { Password: 'correct horse battery' });
      await press(page, /./);
      await reads(page, /ada@example.com is the administrator/);
      await check();
      expect(await shown(page, 'Command that creates an app')).toContain('latchkey app create');
      expect(await shown(page, 'Command that creates a client')).toContain("--team 'Engines & more'");
      expect(await shown(page, 'Command that creates a team key')).toContain("--team 'Engines & more'");
      if (javaScript) {
        await press(page, 'Copy Command that creates a team key');
        const copied = await page.evaluate('navigator.clipboard.readText()');
        expect(copied).toBe(await shown(page, 'Command that creates a team key'));
      }
      await follow(page, 'Open the console');
      await sees(page, /Overview|Welcome/);
      await page.getByRole('banner').getByText('Ada <b>Lovelace</b>').waitFor();
      await page.goto(link);
      await sees(page, 'This setup link does not work');
    });
  });
});
