/** What people do about themselves: log in and out, password, sessions, connected apps, profile. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { authorize, createPerson, createTestApp, PASSWORD, redeemCode, refresh } from '../support/flows.ts';
import { describeInBrowser, openPage, WITH_AND_WITHOUT } from './chromium.ts';
import { logIn } from './log-in.ts';
import { check, choose, fill, follow, goTo, press, row, shown } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('an account', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  describe.each(WITH_AND_WITHOUT)('$scripts', ({ javaScript }) => {
    test('is logged in to, on the way to where one wanted, and out of', async () => {
      const { server } = stage;
      const person = await createPerson(server);
      const page = await openPage({ javaScript, origins: [server.origin] });
      await page.goto(`${server.origin}/account/sessions`);
      await logIn(page, person.email, 'not the password');
      await reads(page, 'Email or password is wrong.');
      await logIn(page, person.email);
      await sees(page, 'Your sessions');
      await page.getByRole('button', { name: 'Log out' }).click();
      await reads(page, /You are logged out/);
      await page.goto(`${server.origin}/account`);
      await sees(page, 'Log in');
    });

    test('has its password changed, and every other session ends', async () => {
      const { server } = stage;
      const person = await createPerson(server);
      const visit = async () => {
        const page = await openPage({ javaScript, origins: [server.origin] });
        await page.goto(`${server.origin}/account`);
        await logIn(page, person.email);
        await sees(page, 'Your profile');
        return page;
      };
      const [page, other] = [await visit(), await visit()];
      await goTo(page, 'Password');
      const next = 'another battery, another staple';
      await fill(page, { 'Current password': 'wrong', 'New password': next, 'New password once more': next });
      await press(page, 'Change password');
      await page.locator('[aria-invalid=true]').first().waitFor();
      await fill(page, { 'Current password': PASSWORD, 'New password': next, 'New password once more': next });
      await press(page, 'Change password');
      await reads(page, /password is changed/i);
      await other.reload();
      await sees(other, 'Log in');
      await logIn(other, person.email, PASSWORD);
      await reads(other, 'Email or password is wrong.');
      await logIn(other, person.email, next);
      await sees(other, 'Your profile');

      await goTo(page, 'Sessions');
      expect(await page.getByRole('row').count()).toBe(3);
      await page.getByRole('row').getByRole('link', { name: 'End' }).click();
      await sees(page, 'End this session?');
      await page.locator('main, dialog[open]').last().locator('form.sheet button').click();
      await reads(page, /ended/);
      await other.reload();
      await sees(other, 'Log in');
    });

    test('has keys of its own, made and ended without the console', async () => {
      const { server } = stage;
      const person = await createPerson(server);
      const page = await stage.visit('/account', { javaScript, state: await stage.stateOf(person) });
      await goTo(page, 'Your keys');
      await follow(page, 'Create a key');
      await sees(page, 'Create a personal key');
      await fill(page, { Name: 'Laptop' });
      await check(page, 'Only what I choose');
      await press(page, 'Create key');
      await reads(page, /Something is not right yet/);
      await check(page, 'Read providers');
      await press(page, 'Create key');
      await reads(page, /not shown again/);
      const key = await shown(page, 'API key');
      const call = async (method: string) => {
        const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
        const body = method === 'POST' ? JSON.stringify({ name: 'Mine' }) : null;
        const path = method === 'POST' ? '/api/v1/providers/custom' : '/api/v1/providers';
        return (await fetch(`${server.origin}${path}`, { method, headers, body })).status;
      };
      expect([await call('GET'), await call('POST')]).toEqual([200, 403]);
      await follow(page, 'Go to Laptop');
      await follow(page, 'Delete');
      await press(page, 'Delete this key');
      await reads(page, /It is deleted/);
      expect(await call('GET')).toBe(401);
    });

    test('is logged out everywhere else at once', async () => {
      const { server } = stage;
      const person = await createPerson(server);
      const states = await Promise.all([1, 2, 3].map(() => stage.stateOf(person)));
      const visit = (state: (typeof states)[number]) => stage.visit('/account/sessions', { javaScript, state });
      const page = await visit(states[0]!);
      expect(await page.getByRole('row').count()).toBe(4);
      await follow(page, 'End all others');
      await sees(page, 'End all other sessions?');
      await press(page, 'End all others');
      await reads(page, 'The sessions have ended.');
      expect(await page.getByRole('row').count()).toBe(2);
      for (const other of states.slice(1)) await sees(await visit(other), 'Log in');
    });

    test('shows its connected apps; disconnected, they can do nothing more', async () => {
      const { server } = stage;
      const person = await createPerson(server);
      const app = await createTestApp(server, { name: 'Report Viewer', tokenEndpointAuthMethod: 'client_secret_post' });
      const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
      const { body: tokens } = await redeemCode(server, app, code, pkce);
      const page = await stage.visit('/account', { javaScript, state: await stage.stateOf(person) });
      await goTo(page, 'Connected apps');
      await row(page, 'Report Viewer').getByRole('link', { name: 'Disconnect' }).click();
      await sees(page, 'Disconnect Report Viewer?');
      await press(page, 'Disconnect');
      await reads(page, /The app is disconnected/);
      await reads(page, 'You have connected no app');
      expect((await refresh(server, app, tokens.refresh_token)).status).toBe(400);
      const asked = await fetch(`${server.origin}/api/v1/providers`, {
        headers: { authorization: `Bearer ${tokens.access_token}` },
      });
      expect(asked.status).toBe(401);
    });

    test('has names and a time zone, and shows times in it', async () => {
      const person = await createPerson(stage.server);
      const page = await stage.visit('/account', { javaScript, state: await stage.stateOf(person) });
      const time = page.getByRole('main').locator('time').first();
      const { shownHere, exact } = { shownHere: await time.textContent(), exact: await time.getAttribute('title') };
      // The browser is in Berlin; without scripts nobody knows that.
      expect(exact).toMatch(javaScript ? /GMT\+0[12]:00/ : /UTC|GMT\+0:00|GMT$|\+00:00|Z$/);
      await follow(page, 'Edit profile');
      await fill(page, { 'Display name': 'Ada <b>L</b>' });
      await choose(page, 'Time zone', 'Asia/Tokyo');
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      await page.getByRole('banner').getByText('Ada <b>L</b>').waitFor();
      expect(await time.textContent()).not.toBe(shownHere);
    });
  });
});
