/** The human half of a flow: given the address a client library made, logs in, consents and comes back. */
import { type Browser, createBrowser } from '../support/browser.ts';
import { consent, logIn } from '../support/flows.ts';
import type { TestServer } from '../support/server.ts';

export interface Visitor {
  browser: Browser;
  /** From the address a library built to the one the app is called back at. */
  visit(url: URL): Promise<URL>;
  /** Says yes on the logout page, and gives where that leads. */
  logOut(url: URL): Promise<URL>;
}

export function createVisitor(server: TestServer, person: { email: string; teamId: string }): Visitor {
  const browser = createBrowser();
  return {
    browser,
    async visit(url) {
      let page = await browser.follow(await browser.get(url.href), server.origin);
      if (/\/login"/.test(page.text)) page = await logIn(browser, page, person.email);
      if (/\/consent"/.test(page.text)) page = await consent(browser, page, person.teamId);
      if (page.location === undefined) throw new Error(`no way back: ${page.status} ${page.text.slice(0, 1_000)}`);
      return new URL(page.location);
    },
    async logOut(url) {
      const page = await browser.get(url.href);
      const action = /action="([^"]+)"/.exec(page.text)?.[1];
      const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.text)?.[1];
      const answer = await browser.post(action ?? '', { xsrf: xsrf ?? '', logout: 'yes' });
      return new URL(answer.location ?? 'about:blank');
    },
  };
}
