/** What an administrator does besides making credentials: looks at what acts, ends many at once, settings, keys, APIs, audit. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { OPERATOR } from '../../src/domain/audit.ts';
import { clientCredentials, createPerson, createTestClient } from '../support/flows.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { fill, follow, goTo, press, row, sheet } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('an administrator', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  describe.each(WITH_AND_WITHOUT)('$scripts', ({ scripts, javaScript }) => {
    test('ends several credentials at once, after seeing which', async () => {
      const { server } = stage;
      const { teamId } = await createPerson(server);
      const name = `Bulk ${scripts}`;
      const key = await server.domain.apiKeys.createTeam({ teamId, name: `${name} key` }, OPERATOR);
      await server.domain.apiKeys.createTeam({ teamId, name: `${name} other` }, OPERATOR);
      const method = { tokenEndpointAuthMethod: 'client_secret_post' };
      const client = await createTestClient(server, teamId, { ...method, name: `${name} client` });
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Credentials');
      await page.getByRole('main').getByRole('searchbox').fill(name);
      await press(page, 'Show');
      for (const one of ['key', 'client']) await row(page, `${name} ${one}`).getByRole('checkbox').check();
      await press(page, 'Revoke selected');
      await sees(page, 'Revoke 2 credentials');
      expect(await row(page, `${name} other`).count()).toBe(0);
      await press(page, 'Revoke them');
      await sees(page, 'All of them have ended');
      const answer = await fetch(`${server.origin}/api/v1/providers`, {
        headers: { authorization: `Bearer ${key.text}` },
      });
      expect(answer.status).toBe(401);
      expect((await clientCredentials(server, client)).status).toBe(401);
    });

    test('switches the authorization server off and on, and sets how long sessions live', async () => {
      const { server } = stage;
      const { teamId } = await createPerson(server);
      const client = await createTestClient(server, teamId, { tokenEndpointAuthMethod: 'client_secret_post' });
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Sign-in Settings');
      await follow(page, 'Switch off');
      await sees(page, 'Switch the authorization server off');
      await reads(page, /API keys, personal and team, keep working/);
      await press(page, 'Switch it off');
      await reads(page, 'It is switched off.');
      expect((await clientCredentials(server, client)).status).toBeGreaterThanOrEqual(400);
      await press(page, 'Switch on');
      await reads(page, 'It is switched on.');
      expect((await clientCredentials(server, client)).status).toBe(200);
      await follow(page, 'Change');
      await sees(page, 'Sessions');
      await press(page, 'Save');
      await reads(page, /saved|nothing|changed/i);
    });

    test('rotates signing keys, and tokens of before stay good; deletes one, and they do not', async () => {
      const { server } = stage;
      const { teamId } = await createPerson(server);
      const client = await createTestClient(server, teamId, { tokenEndpointAuthMethod: 'client_secret_post' });
      const { body } = await clientCredentials(server, client);
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Signing keys');
      await follow(page, 'Rotate');
      await sees(page, 'Rotate signing keys');
      await press(page, 'Rotate');
      await reads(page, 'New keys are published.');
      await row(page, 'Waiting').waitFor();
      const works = async () =>
        (
          await fetch(`${server.origin}/api/v1/providers`, {
            headers: { authorization: `Bearer ${body.access_token}` },
          })
        ).status;
      expect(await works()).toBe(200);
      // It leaked.
      const leaked = row(page, decodeProtectedHeader(body.access_token).kid!);
      await leaked.getByRole('link', { name: 'Delete' }).click();
      await sees(page, 'Delete the ES256 key');
      await press(page, 'Delete this key');
      await reads(page, 'It is deleted.');
      expect(await leaked.count()).toBe(0);
      expect(await works()).toBe(401);
    });

    test('registers an API, changes it, and takes it away', async () => {
      const identifier = `https://${javaScript}.reports.example.com`;
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Resource servers');
      await follow(page, /^(Register|Create|Add)/);
      await sheet(page).locator('form.sheet').waitFor();
      await fill(page, { Identifier: identifier, Name: `Reports ${scripts}` });
      await sheet(page).locator('form.sheet .buttons button').click();
      await reads(page, `Reports ${scripts}`);
      await follow(page, 'Edit');
      await sees(page, /^Edit/);
      await fill(page, { Name: `Reports 2 ${scripts}` });
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      await follow(page, 'Delete');
      await sees(page, /^Delete/);
      await sheet(page).locator('form.sheet .buttons button').click();
      await reads(page, 'It is deleted.');
      expect(await page.getByRole('row').filter({ hasText: identifier }).count()).toBe(0);
    });

    test('finds in the audit trail what was done, and takes it along as CSV', async () => {
      const { teamId } = await createPerson(stage.server);
      const name = `Audited ${scripts}`;
      const { key } = await stage.server.domain.apiKeys.createTeam({ teamId, name }, OPERATOR);
      await stage.server.domain.audit.flush();
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Audit');
      await page.getByRole('row').nth(1).waitFor();
      const download = page.waitForEvent('download');
      await page.getByRole('link', { name: /CSV/ }).first().click();
      const file = await (await download).path();
      expect(await readFile(file, 'utf8')).toMatch(new RegExp(`api_key\\.created.*${key.id}`));
      await page.getByRole('row').nth(1).getByRole('link').first().click();
      await page.waitForURL(/\/console\/audit\/[^/]+$/);
    });

    test('acts in another team: sees what is there, and nothing of others', async () => {
      const person = await createPerson(stage.server);
      const { id } = await stage.server.domain.teams.create({ name: `zz ${scripts}` }, OPERATOR);
      const roles = ['00000000-0000-4000-8000-000000000001'];
      await stage.server.domain.memberships.setRoles({ userId: person.userId, teamId: id, roles }, OPERATOR);
      await stage.server.domain.apiKeys.createTeam({ teamId: id, name: 'There' }, OPERATOR);
      const page = await stage.visit('/console/api-keys/team', { javaScript, state: await stage.stateOf(person) });
      expect(await row(page, 'There').count()).toBe(0);
      await page.getByRole('banner').getByRole('link', { name: /^Team/ }).click();
      await row(page, `zz ${scripts}`).getByRole('button', { name: 'Act in this team' }).click();
      await goTo(page, 'API Keys');
      await follow(page, 'Team');
      await row(page, 'There').waitFor();
    });
  });
});
