/** People and teams: who comes, what they may do, and what stops when somebody leaves. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { runCurl } from '../support/curl.ts';
import { authorize, createPerson, createTestApp, redeemCode, refresh } from '../support/flows.ts';
import { describeInBrowser, openPage, WITH_AND_WITHOUT } from './chromium.ts';
import { logIn } from './log-in.ts';
import { check, choose, fill, follow, goTo, press, row, shown } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('people', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  describe.each(WITH_AND_WITHOUT)('$scripts', ({ scripts, javaScript }) => {
    test('a team is made, and a user in it who can log in; roles are changed', async () => {
      const { server } = stage;
      const [team, email] = [`Payments ${scripts}`, `new-${javaScript}@example.com`];
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Teams');
      await follow(page, 'Create a team');
      await sees(page, 'Create a team');
      await fill(page, { Name: team, Description: 'Pays' });
      await press(page, 'Create team');
      await sees(page, new RegExp(team));
      await goTo(page, 'Users');
      await follow(page, 'Create a user');
      await sees(page, 'Create a user');
      await fill(page, { Email: email, Name: 'Newcomer', Password: 'first password of theirs' });
      await choose(page, 'Team', team);
      await press(page, 'Create user');
      await sees(page, /Newcomer/);
      await row(page, team).getByRole('link', { name: 'Change roles' }).click();
      await check(page, 'Operator');
      await press(page, 'Save roles');
      await reads(page, 'Your changes are saved.');
      expect(await row(page, team).textContent()).toMatch(/Operator/);

      const theirs = await openPage({ javaScript, origins: [server.origin] });
      await theirs.goto(`${server.origin}/account`);
      await logIn(theirs, email, 'first password of theirs');
      await sees(theirs, 'Your profile');
      await theirs.getByRole('main').getByText(team).waitFor();
    });

    test('somebody leaves: what stops is told, a key is handed over, and then it stops', async () => {
      const { server } = stage;
      const person = await createPerson(server);
      const app = await createTestApp(server, { name: 'Their app', tokenEndpointAuthMethod: 'client_secret_post' });
      const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
      const { body: tokens } = await redeemCode(server, app, code, pkce);
      const { text } = await server.domain.apiKeys.createPersonal({ ...person, name: 'Month end' }, OPERATOR);
      const providers = (key: string) =>
        runCurl(`curl -H 'Authorization: Bearer ${key}' '${server.origin}/api/v1/providers'`);
      expect((await providers(text)).status).toBe(200);
      await server.domain.lastUsed.flush();

      const page = await stage.visit('/console/users', { javaScript });
      await page.getByLabel('Name or email').fill(person.email);
      await press(page, 'Show');
      await row(page, person.email).getByRole('link').first().click();
      await follow(page, 'Delete');
      await sees(page, /^Delete Person/);
      await sees(page, 'Personal keys that end: 1');
      await reads(page, /1 of them was used in the last 30 days/);
      await sees(page, 'Connected apps that are cut off: 1');
      await reads(page, 'Their app');
      await follow(page, 'Hand over');
      await sees(page, 'Hand over Month end');
      await check(page, /^A team key/);
      await press(page, 'Hand over');
      await sees(page, 'Team key Month end');
      const successor = await shown(page, 'API key');
      await follow(page, 'Back to what stops');
      await reads(page, /Team key Month end/);
      await press(page, 'Delete user');
      await reads(page, 'It is deleted.');

      expect([(await providers(text)).status, (await providers(successor)).status]).toEqual([401, 200]);
      expect((await refresh(server, app, tokens.refresh_token)).status).toBe(400);
    });

    test('somebody is renamed, gets another address and password, and comes into another team', async () => {
      const { server } = stage;
      const [person, other] = [await createPerson(server), await createPerson(server)];
      const { name: team } = (await server.domain.teams.find(other.teamId))!;
      const email = `moved-${javaScript}@example.com`;
      const theirs = await openPage({ javaScript, state: await stage.stateOf(person), origins: [server.origin] });
      await theirs.goto(`${server.origin}/account`);
      await sees(theirs, 'Your profile');

      const page = await stage.visit(`/console/users/${person.userId}`, { javaScript });
      await follow(page, 'Edit');
      await sees(page, /^Edit Person/);
      await fill(page, { Email: other.email, 'Display name': 'Ada L' });
      await press(page, 'Save');
      await reads(page, /belongs to another user already/);
      expect(await page.getByLabel('Display name').inputValue()).toBe('Ada L');
      await fill(page, { Email: email });
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      await sees(page, /^Ada L/);
      await follow(page, 'Add to a team');
      await sees(page, 'Add Ada L to a team');
      await choose(page, 'Team', team);
      await check(page, 'Viewer');
      await press(page, 'Add to team');
      await reads(page, 'Your changes are saved.');
      expect(await row(page, team).textContent()).toMatch(/Viewer/);
      await theirs.reload();
      await theirs.getByRole('main').getByText(team).waitFor();

      await follow(page, 'Set password');
      await sees(page, 'Set the password of Ada L');
      await fill(page, { 'New password': 'short' });
      await press(page, 'Set password');
      await reads(page, /must have at least/);
      await fill(page, { 'New password': 'a password set by somebody' });
      await press(page, 'Set password');
      await reads(page, 'Your changes are saved.');
      await theirs.reload();
      await sees(theirs, 'Log in');
      await logIn(theirs, email);
      await reads(theirs, 'Email or password is wrong.');
      await logIn(theirs, email, 'a password set by somebody');
      await sees(theirs, 'Your profile');
    });

    test('somebody is disabled and enabled again, and removed from their team', async () => {
      const { server } = stage;
      const person = await createPerson(server);
      const state = await stage.stateOf(person);
      const theirs = await openPage({ javaScript, state, origins: [server.origin] });
      await theirs.goto(`${server.origin}/account`);
      await sees(theirs, 'Your profile');
      const page = await stage.visit(`/console/users/${person.userId}`, { javaScript });
      await follow(page, 'Disable');
      await sees(page, 'Browser sessions that end: 1');
      await press(page, 'Disable user');
      await reads(page, 'It is switched off.');
      await theirs.reload();
      await sees(theirs, 'Log in');
      await press(page, 'Enable');
      await reads(page, 'It is switched on.');
      await follow(page, 'Remove');
      await sees(page, /^Remove Person/);
      await press(page, 'Remove from team');
      await reads(page, /removed/);
      await logIn(theirs, person.email);
      await reads(theirs, /You are in no team yet/);
    });
  });
});
