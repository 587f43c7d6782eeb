/** What holds for every page, in one look: axe-core finds nothing serious, it needs no scrolling sideways, it is not heavy. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { startTestServer, type TestServer } from '../support/server.ts';
import { axeFindings, tooWide } from './checks.ts';
import { chromiumOf, openPage } from './chromium.ts';
import type { Look } from './launch.ts';
import { stateOf } from './log-in.ts';
import { type As, PAGES, pathOf } from './pages.ts';
import { createSample, type Sample } from './sample.ts';

const MOST_BYTES = 100 * 1_024;

/** Declares a test for each page; half of the looks in a file of their own is half of the time. */
export function testEveryPage(look: Look): void {
  let server: TestServer;
  let sample: Sample;
  /** One of each person for all pages: what they have in common is loaded once. */
  const pages = {} as Record<As, Page>;

  beforeAll(async () => {
    server = await startTestServer();
    sample = await createSample(server);
    const people = { nobody: undefined, person: sample.ada.email, admin: sample.admin.email };
    for (const [as, email] of Object.entries(people)) {
      const state = email === undefined ? undefined : await stateOf(await chromiumOf(), server.origin, email);
      pages[as as As] = await openPage({ ...look, state, origins: [server.origin], isKept: true });
    }
  }, 120_000);
  afterAll(() => server?.close());

  test.each([...PAGES])('$name', async (listed) => {
    const page = pages[listed.as];
    const answer = await page.goto(`${server.origin}${pathOf(listed, sample)}`);
    expect((await answer!.body()).length).toBeLessThanOrEqual(listed.mostBytes ?? MOST_BYTES);
    await listed.act?.(page, sample);
    expect(await axeFindings(page)).toEqual([]);
    expect(await tooWide(page)).toEqual([]);
  });
}
