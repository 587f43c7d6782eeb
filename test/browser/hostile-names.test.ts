/** Names nobody means well with: on every page they are text, and nothing but text. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { startTestServer, type TestServer } from '../support/server.ts';
import { tooWide } from './checks.ts';
import { chromiumOf, describeInBrowser, openPage } from './chromium.ts';
import { stateOf } from './log-in.ts';
import { type As, PAGES, pathOf } from './pages.ts';
import { choose, fill, follow, press, sheet } from './person.ts';
import { createSample, type Sample } from './sample.ts';
import { reads, sees } from './sees.ts';

const LONGEST = 255;

const DISGUISES: ((plain: string) => string)[] = [
  (plain) => `<script>window.hostile=1</script><img data-hostile src=x onerror="window.hostile=1">${plain}`,
  (plain) => `"><b data-hostile onmouseover='window.hostile=1'>${plain}</b>\`\${7*7}{{7*7}}<%= it %>`,
  (plain) => `</title></textarea></select></pre><svg data-hostile onload=window.hostile=1>${plain}`,
  (plain) => `👩‍👩‍👧‍👦🏴‍☠️ \u200Fمرحبا בעולם ${plain} Z\u0351\u0343\u0300\u0322`,
  (plain) => `${plain}${'W'.repeat(LONGEST - plain.length)}`,
  (plain) => `&lt;${plain}&amp;#x3c;javascript:window.hostile=1 %3Cscript%3E ../../../etc/passwd\u00A0\u200B`,
];

/** What must be read in full on a page, by its plain name. */
const MUST_READ: Record<string, string[]> = {
  users: ['Ada', 'Grace Hopper', 'Alan Turing'],
  user: ['Ada', 'Payments', 'Data platform'],
  'user-delete': ['Ada', 'Month end report', 'Report Viewer'],
  'user-remove': ['Ada', 'Payments'],
  teams: ['Payments', 'Data platform', 'Mobile apps'],
  team: ['Payments', 'What Payments builds and runs'],
  'team-members': ['Payments', 'Ada'],
  'team-key': ['Build pipeline', 'Payments'],
  'team-key-delete': ['Build pipeline', 'Payments'],
  'personal-keys': ['Laptop', 'Report script', 'Old notebook'],
  'personal-key-rename': ['Report script'],
  'account-keys': ['Laptop', 'Report script'],
  apps: ['Report Viewer', 'Phone app', 'Retired dashboard'],
  'app-edit': ['Report Viewer'],
  clients: ['Nightly export', 'Paused sync', 'Gateway'],
  client: ['Nightly export', 'Nightly export of the night', 'Payments'],
  'account-apps': ['Report Viewer'],
  'account-app-disconnect': ['Report Viewer'],
  'account-profile': ['Grace Hopper'],
  'app-consent': ['Report Viewer', 'Grace Hopper'],
  'app-login': ['Report Viewer'],
  'resource-servers': ['Reports'],
  'resource-server': ['Reports', 'Read reports'],
  'resource-server-delete': ['Reports'],
  'acting-team': ['Payments'],
};

describeInBrowser('hostile names', () => {
  let server: TestServer;
  let sample: Sample;
  const names = new Map<string, string>();
  const pages = {} as Record<As, Page>;

  function disguised(plain: string): string {
    const name = DISGUISES[names.size % DISGUISES.length]!(plain).normalize('NFC').trim();
    names.set(plain, name);
    return name;
  }

  beforeAll(async () => {
    server = await startTestServer();
    sample = await createSample(server, disguised);
    const people = { nobody: undefined, person: sample.ada.email, admin: sample.admin.email };
    for (const [as, email] of Object.entries(people)) {
      const state = email === undefined ? undefined : await stateOf(await chromiumOf(), server.origin, email);
      pages[as as As] = await openPage({ width: 360, state, origins: [server.origin], isKept: true });
    }
  }, 120_000);
  afterAll(() => server?.close());

  /** Everything a person or a screen reader can read: text, what is typed into fields, labels. */
  async function textOf(page: Page): Promise<string> {
    return (await page.evaluate(`[
      document.documentElement.textContent,
      ...[...document.querySelectorAll('input, textarea')].map((one) => one.value),
    ].join('\\n')`)) as string;
  }

  async function problemsOn(page: Page, name: string): Promise<string[]> {
    const text = await textOf(page);
    return [
      ...((await page.evaluate('window.hostile')) === undefined ? [] : ['a script ran']),
      ...((await page.locator('[data-hostile]').count()) === 0 ? [] : ['markup in a name became an element']),
      ...(await tooWide(page)),
      ...(MUST_READ[name] ?? [])
        .filter((plain) => !text.includes(names.get(plain)!))
        .map((plain) => `${plain} is not read`),
    ].map((problem) => `${name}: ${problem}`);
  }

  test('are text on every page, run nothing, and fit into 360 px', async () => {
    const problems: string[] = [];
    for (const listed of PAGES) {
      const page = pages[listed.as];
      await page.goto(`${server.origin}${pathOf(listed, sample)}`);
      await listed.act?.(page, sample);
      problems.push(...(await problemsOn(page, listed.name)));
    }
    expect(problems).toEqual([]);
    const listed = new Set(PAGES.map(({ name }) => name));
    expect(Object.keys(MUST_READ).filter((name) => !listed.has(name))).toEqual([]);
  }, 240_000);

  test('are text in a dialog, too', async () => {
    const page = pages.admin;
    await page.goto(`${server.origin}/console/teams/${sample.teams.payments}`);
    await follow(page, 'Edit');
    await page.getByRole('dialog').waitFor();
    const name = sheet(page).getByLabel('Name', { exact: true });
    expect(await name.inputValue()).toBe(names.get('Payments'));
    expect(await problemsOn(page, 'team-edit')).toEqual([]);
  });

  test('that turn the direction of text are refused; where there are some already, they are text', async () => {
    const page = pages.admin;
    await page.goto(`${server.origin}/console/api-keys/team/new`);
    const turned = 'Invoice \u202Efdp.exe';
    await fill(page, { Name: turned });
    await choose(page, 'Team', 'Root');
    await press(page, 'Create key');
    await reads(page, /must not have control characters/);
    expect(await sheet(page).getByLabel('Name', { exact: true }).inputValue()).toBe(turned);
    // As an import from elsewhere might have left them.
    await server.db.query('UPDATE api_keys SET name = $2 WHERE id = $1', [sample.keys.team, turned]);
    await page.goto(`${server.origin}/console/api-keys/team/${sample.keys.team}`);
    await sees(page, /Invoice/);
    const heading = page.getByRole('heading', { level: 1 }).locator('bdi').first();
    expect(await heading.textContent()).toBe(turned);
  });
});
