/** Teams: what they are called and see, who is in them, and what stops when one is deleted. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  redeemCode,
  refresh,
} from '../support/flows.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { check, fill, follow, goTo, press, row, sheet } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

const SECRET_POST = { tokenEndpointAuthMethod: 'client_secret_post' };

describeInBrowser('a team', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  const callWith = (credential: string) =>
    fetch(`${stage.server.origin}/api/v1/providers`, { headers: { authorization: `Bearer ${credential}` } });

  describe.each(WITH_AND_WITHOUT)('$scripts', ({ scripts, javaScript }) => {
    test('is renamed and bound to chosen providers, and its keys see no other', async () => {
      const { domain } = stage.server;
      const { teamId } = await createPerson(stage.server);
      const elsewhere = (await createPerson(stage.server)).teamId;
      for (const name of ['Payroll', 'Ledger']) {
        await domain.providers.createCustom({ name: `${name} ${scripts}`, teamId: elsewhere }, OPERATOR);
      }
      const { text } = await domain.apiKeys.createTeam({ teamId, name: 'Reader' }, OPERATOR);
      const seen = async () => {
        const { values } = (await (await callWith(text)).json()) as { values: { name: string }[] };
        return values.map(({ name }) => name);
      };
      expect(await seen()).toEqual(expect.arrayContaining([`Payroll ${scripts}`, `Ledger ${scripts}`]));

      const { name: taken } = (await domain.teams.find(elsewhere))!;
      const page = await stage.visit(`/console/teams/${teamId}`, { javaScript });
      await follow(page, 'Edit');
      await sees(page, /^Edit Team/);
      await fill(page, { Name: taken, Description: 'Pays <everybody>' });
      await check(page, /^Chosen providers/, `Payroll ${scripts}`);
      await sheet(page).getByText('More', { exact: true }).click();
      await fill(page, { 'SSO alias': `treasury-${javaScript}` });
      await press(page, 'Save');
      await reads(page, /is the name of another team/);
      expect(await sheet(page).getByLabel('Description').inputValue()).toBe('Pays <everybody>');
      expect(await sheet(page).getByLabel(`Payroll ${scripts}`).isChecked()).toBe(true);
      await fill(page, { Name: `Treasury ${scripts}` });
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      await sees(page, `Treasury ${scripts}`);
      await reads(page, 'Pays <everybody>');
      await reads(page, `treasury-${javaScript}`);
      expect(await page.getByRole('table', { name: 'Chosen providers' }).getByRole('row').count()).toBe(2);
      expect(await seen()).toEqual([`Payroll ${scripts}`]);

      await follow(page, 'Edit');
      await check(page, /^Every provider/);
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      expect(await seen()).toContain(`Ledger ${scripts}`);
    });

    test('gets a member who has an account already, and their roles count', async () => {
      const { teamId } = await createPerson(stage.server);
      const person = await createPerson(stage.server);
      const page = await stage.visit(`/console/teams/${teamId}`, { javaScript });
      await follow(page, 'Members');
      await follow(page, 'Add a member');
      await sees(page, /^Add a member to Team/);
      await fill(page, { Email: 'nobody@example.com' });
      await press(page, 'Add member');
      await reads(page, /belongs to nobody here/);
      await fill(page, { Email: person.email });
      await press(page, 'Add member');
      await reads(page, 'Your changes are saved.');
      expect(await row(page, person.email).textContent()).toMatch(/Viewer/);
      const theirs = { userId: person.userId, teamId, name: 'Theirs' };
      const { text } = await stage.server.domain.apiKeys.createPersonal(theirs, OPERATOR);
      expect((await callWith(text)).status).toBe(200);
    });

    test('is deleted: what ends is told before, and then nothing acts for it any more', async () => {
      const { server } = stage;
      const { domain } = server;
      const person = await createPerson(server);
      const { teamId } = person;
      const { name } = (await domain.teams.find(teamId))!;
      const app = await createTestApp(server, SECRET_POST);
      const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
      const { body: tokens } = await redeemCode(server, app, code, pkce);
      const client = await createTestClient(server, teamId, SECRET_POST);
      const { body: own } = await clientCredentials(server, client);
      const team = await domain.apiKeys.createTeam({ teamId, name: 'Push' }, OPERATOR);
      const personal = await domain.apiKeys.createPersonal({ ...person, name: 'Pull' }, OPERATOR);
      const bearers = [team.text, personal.text, own.access_token, tokens.access_token] as string[];
      const statuses = () => Promise.all(bearers.map(async (one) => (await callWith(one)).status));
      expect(await statuses()).toEqual([200, 200, 200, 200]);

      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Teams');
      await page.getByRole('searchbox', { name: 'Name' }).fill(name);
      await press(page, 'Show');
      await row(page, name).getByRole('link', { name }).click();
      await follow(page, 'Delete');
      await sees(page, `Delete ${name}`);
      await reads(page, /1 personal key, 1 team key, 1 OAuth2 Client, 1 connected app, with all their tokens/);
      await reads(page, '1 member leaves it; the users themselves stay.');
      await follow(page, 'Cancel');
      await sees(page, name);
      expect(await statuses()).toEqual([200, 200, 200, 200]);
      await follow(page, 'Delete');
      await press(page, 'Delete team');
      await reads(page, 'It is deleted.');
      await page.getByRole('searchbox', { name: 'Name' }).fill(name);
      await press(page, 'Show');
      await reads(page, /Nothing here matches/);
      expect(await statuses()).toEqual([401, 401, 401, 401]);
      expect((await clientCredentials(server, client)).status).toBe(401);
      expect((await refresh(server, app, tokens.refresh_token)).status).toBe(400);

      const theirs = await stage.visit('/account', { javaScript, state: await stage.stateOf(person) });
      await sees(theirs, 'Your profile');
      await reads(theirs, /You are in no team yet|No team/);
    });
  });
});
