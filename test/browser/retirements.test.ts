/** Keys that are to be given up: a day is announced, moved, comes, and is taken back, and callers notice each of it. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { createPerson } from '../support/flows.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { choose, fill, follow, goTo, press, row } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

const DAY = 24 * 3600 * 1000;
/** As a `datetime-local` has it. */
const minute = (days: number) => new Date(Date.now() + days * DAY).toISOString().slice(0, 16);

describeInBrowser('a retirement of keys', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  /** A key made elsewhere, which a caller goes on using. */
  async function importKey(text: string, teamId: string) {
    const { domain } = stage.server;
    const digest = createHash('sha256').update(text).digest('hex');
    const fields = {
      digest,
      algorithm: 'sha256',
      prefix: text.slice(0, 10),
      last_four: text.slice(-4),
      name: 'Old export',
    };
    const { failed } = await domain.keyImport.run(
      [{ line: 1, fields: { ...fields, team: teamId } }],
      { source: 'keys.csv' },
      OPERATOR,
    );
    expect(failed).toBe(0);
    await domain.notifications.settle();
  }

  test.each(WITH_AND_WITHOUT)(
    'is announced for imported keys, told to callers, moved, comes, and is taken back $scripts',
    async ({ javaScript }) => {
      const { server } = stage;
      const { teamId } = await createPerson(server);
      const { name: team } = (await server.domain.teams.find(teamId))!;
      const prefix = javaScript ? 'acme_live_' : 'acme_test_';
      const old = `${prefix}5d1f7c0e9b2a4863`;
      await importKey(old, teamId);
      const { text: other } = await server.domain.apiKeys.createTeam({ teamId, name: 'New export' }, OPERATOR);
      const call = async (key: string) => {
        const answer = await fetch(`${server.origin}/api/v1/providers`, {
          headers: { authorization: `Bearer ${key}` },
        });
        return { status: answer.status, sunset: answer.headers.get('sunset'), link: answer.headers.get('link') };
      };
      expect(await call(old)).toEqual({ status: 200, sunset: null, link: null });
      await server.domain.lastUsed.flush();

      const page = await stage.visit('/console', { javaScript });
      await follow(page, 'Key retirements');
      await follow(page, 'Announce a day');
      await sees(page, 'Announce a day for keys');
      await choose(page, 'Team', team);
      await fill(page, { 'Begin with': prefix, 'Refused from (UTC)': minute(-1) });
      await press(page, 'Announce it');
      await reads(page, /must not be in the past/);
      const [first, second] = [minute(10), minute(20)];
      await fill(page, {
        'Refused from (UTC)': first,
        'Link to what replaces them': 'https://docs.example.com/new-keys',
      });
      await press(page, 'Announce it');
      await reads(page, 'It is created.');
      await sees(page, new RegExp(`Keys that begin with ${prefix} of ${team}`));
      await reads(page, 'Scheduled');
      const detail = page.url();
      expect(await call(old)).toEqual({
        status: 200,
        sunset: new Date(`${first}Z`).toUTCString(),
        link: expect.stringContaining('https://docs.example.com/new-keys'),
      });
      expect((await call(other)).sunset).toBeNull();
      await follow(page, 'Keys that are still used');
      await sees(page, 'Keys that are still used');
      await row(page, 'Old export').waitFor();
      expect(await row(page, 'New export').count()).toBe(0);

      await page.goto(detail);
      await follow(page, 'Edit');
      await sees(page, 'Change the day or the link');
      expect(await page.getByLabel('Refused from (UTC)').inputValue()).toBe(first);
      await fill(page, { 'Refused from (UTC)': second, 'Link to what replaces them': '' });
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      expect(await call(old)).toEqual({ status: 200, sunset: new Date(`${second}Z`).toUTCString(), link: null });

      // Nobody can wait until the day has come.
      const id = new URL(detail).pathname.split('/').pop()!;
      await server.domain.retirements.update(id, { retiresAt: new Date() }, {}, OPERATOR);
      await server.domain.notifications.settle();
      expect([(await call(old)).status, (await call(other)).status]).toEqual([401, 200]);
      await goTo(page, 'Overview');
      await follow(page, 'Key retirements');
      await row(page, prefix).getByText('Retired', { exact: true }).waitFor();
      await row(page, prefix).getByRole('link').first().click();
      await follow(page, 'Take back');
      await sees(page, 'Take it back');
      await reads(page, 'The keys work as before, also when their day had come.');
      await press(page, 'Take it back');
      await reads(page, 'It is deleted.');
      expect(await page.getByRole('row').filter({ hasText: prefix }).count()).toBe(0);
      expect(await call(old)).toEqual({ status: 200, sunset: null, link: null });
    },
  );
});
