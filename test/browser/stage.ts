/** A server, an app on an address of its own, and an administrator who is logged in. */
import type { Page } from 'playwright-core';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { createPerson } from '../support/flows.ts';
import { startTestServer } from '../support/server.ts';
import { chromiumOf, openPage } from './chromium.ts';
import type { Look } from './launch.ts';
import { stateOf } from './log-in.ts';
import { startThirdPartyApp } from './third-party-app.ts';

export type Stage = Awaited<ReturnType<typeof setStage>>;

export async function setStage() {
  const server = await startTestServer();
  const site = await startThirdPartyApp();
  const admin = await createPerson(server, { teamId: ROOT_TEAM_ID });
  const state = await stateOf(await chromiumOf(), server.origin, admin.email);

  return {
    server,
    site,
    admin,
    /** A page of the server, in a browser where the administrator is logged in. */
    async visit(path: string, look: Look = {}): Promise<Page> {
      const page = await openPage({ state, ...look, origins: [server.origin, site.origin] });
      await page.goto(`${server.origin}${path}`);
      return page;
    },
    /** Somebody else, logged in. */
    async stateOf({ email }: { email: string }) {
      return stateOf(await chromiumOf(), server.origin, email);
    },
    async close() {
      await server.close();
      await site.close();
    },
  };
}
