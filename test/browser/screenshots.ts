/**
 * Pictures of every page, light, dark and 360 px wide, in `screenshots/`, of a server with a month behind it.
 * `npm run screenshots`, or `npm run screenshots -- users teams` for the pages whose names have one of these words.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import globalSetup from '../support/global-setup.ts';
import globalTeardown from '../support/global-teardown.ts';
import { startTestServer } from '../support/server.ts';
import { launch, newContext } from './launch.ts';
import { stateOf } from './log-in.ts';
import { type As, PAGES, pathOf } from './pages.ts';
import { fill, press } from './person.ts';
import { createSample } from './sample.ts';
import { reads } from './sees.ts';

const FOLDER = 'screenshots';
const LOOKS = [
  { suffix: 'light', scheme: 'light', width: 1280 },
  { suffix: 'dark', scheme: 'dark', width: 1280 },
  { suffix: 'narrow', scheme: 'light', width: 360 },
] as const;

async function photograph(words: readonly string[]): Promise<void> {
  const browser = await launch();
  const server = await startTestServer();
  try {
    const sample = await createSample(server);
    const states = {
      nobody: undefined,
      admin: await stateOf(browser, server.origin, sample.admin.email),
      person: await stateOf(browser, server.origin, sample.ada.email),
    };
    const wanted = PAGES.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
    if (words.length === 0) await rm(FOLDER, { recursive: true, force: true });
    await mkdir(FOLDER, { recursive: true });
    for (const { suffix, ...look } of LOOKS) {
      const pages = {} as Record<As, Page>;
      for (const as of ['nobody', 'person', 'admin'] as const) {
        pages[as] = await (await newContext(browser, { ...look, state: states[as] })).newPage();
      }
      for (const listed of wanted) {
        const page = pages[listed.as];
        await page.goto(`${server.origin}${pathOf(listed, sample)}`);
        await listed.act?.(page, sample);
        await page.screenshot({ path: path.join(FOLDER, `${listed.name}.${suffix}.png`), fullPage: true });
      }
    }
    const names = wanted.map(({ name }) => name);
    if (words.length === 0 || words.includes('setup')) {
      for (const look of LOOKS) await photographSetup(browser, look);
      names.push('setup', 'setup-problem', 'setup-done');
    }
    console.log(`${names.length * LOOKS.length} pictures of ${names.length} pages in ${FOLDER}/`);
  } finally {
    await browser.close();
    await server.close();
  }
}

/** Of a server that has no administrator yet: what only one person ever sees, once. */
async function photographSetup(browser: Browser, { suffix, ...look }: (typeof LOOKS)[number]): Promise<void> {
  const server = await startTestServer();
  try {
    const page = await (await newContext(browser, look)).newPage();
    const take = (name: string) =>
      page.screenshot({ path: path.join(FOLDER, `${name}.${suffix}.png`), fullPage: true });
    await page.goto(`${server.origin}/setup?token=${await server.domain.setup.issueLink()}`);
    await take('setup');
    await fill(page, { Email: 'ada@example.com', 'Your name': 'Ada', Password: '123', 'First team': 'Data platform' });
    await press(page, /./);
    await reads(page, /Password must have at least/);
    await take('setup-problem');
    await fill(page, { Password: 'correct horse battery' });
    await press(page, /./);
    await reads(page, /is the administrator/);
    await take('setup-done');
  } finally {
    await server.close();
  }
}

await globalSetup();
await photograph(process.argv.slice(2)).finally(globalTeardown);
