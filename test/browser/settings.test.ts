/** What holds for everybody: how long logins last, the keys tokens are signed with, the scopes of an API. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { clientCredentials, createPerson, createTestClient } from '../support/flows.ts';
import { describeInBrowser, openPage, WITH_AND_WITHOUT } from './chromium.ts';
import { check, choose, fill, follow, goTo, press, row, sheet } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

describeInBrowser('an administrator', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  describe.each(WITH_AND_WITHOUT)('$scripts', ({ scripts, javaScript }) => {
    test('shortens how long logins last, and those that are too old end', async () => {
      const { server } = stage;
      const state = await stage.stateOf(await createPerson(server));
      const theirs = await openPage({ javaScript, state, origins: [server.origin] });
      await theirs.goto(`${server.origin}/account`);
      await sees(theirs, 'Your profile');

      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Sign-in Settings');
      await follow(page, 'Change');
      await sees(page, 'Sessions');
      await fill(page, { 'A session ends after': '2', 'A session ends unused after': '3' });
      await choose(page, 'A session ends after, in', 'hours');
      await choose(page, 'A session ends unused after, in', 'hours');
      await press(page, 'Save');
      await reads(page, /must not be longer than the session lives/);
      expect(await sheet(page).getByLabel('A session ends after', { exact: true }).inputValue()).toBe('2');
      await fill(page, { 'A session ends unused after': '30' });
      await choose(page, 'A session ends unused after, in', 'minutes');
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      await reads(page, '2 hours');
      await reads(page, '30 minutes');

      await theirs.reload();
      await sees(theirs, 'Your profile');
      // As if an hour had gone by for them.
      await server.db.query(`UPDATE sessions SET last_used_at = now() - interval '1 hour' WHERE user_id <> $1`, [
        stage.admin.userId,
      ]);
      await theirs.reload();
      await sees(theirs, 'Log in');
    });

    test('replaces a signing key that leaked now, after seeing what that does', async () => {
      const { server } = stage;
      const { teamId } = await createPerson(server);
      const client = await createTestClient(server, teamId);
      const keyIdOf = async () => {
        const { body } = await clientCredentials(server, client);
        return (JSON.parse(Buffer.from(body.access_token.split('.')[0], 'base64url').toString()) as { kid: string })
          .kid;
      };
      const former = await keyIdOf();
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Signing keys');
      await follow(page, 'Rotate');
      await check(page, 'ES256 only', /^Now/);
      await press(page, 'Rotate');
      await sees(page, 'Replace the ES256 signing key now');
      await reads(page, /they may refuse new tokens/);
      expect(await keyIdOf()).toBe(former);
      await press(page, 'Replace it now');
      await reads(page, 'New keys are published.');
      const next = await keyIdOf();
      expect(next).not.toBe(former);
      expect(await row(page, former).textContent()).toMatch(/Published/);
      expect(await row(page, next).textContent()).toMatch(/Signing/);
    });

    test('ends a scope of an API after seeing who has it, and it is given to nobody any more', async () => {
      const { server } = stage;
      const { teamId } = await createPerson(server);
      const identifier = `https://${javaScript}.ledger.example.com`;
      const [read, write] = [`ledger-${javaScript}:read`, `ledger-${javaScript}:write`];
      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'Resource servers');
      await follow(page, 'Register an API');
      await fill(page, {
        Identifier: identifier,
        Name: `Ledger ${scripts}`,
        Scopes: `${read} — Read it\n${write} — Change it`,
      });
      await press(page, 'Register');
      await reads(page, 'It is created.');
      const detail = new URL(page.url()).pathname;
      const client = await createTestClient(server, teamId, {
        name: `Booker ${scripts}`,
        allowedScopes: [read, write],
      });
      const ask = (scope: string) => clientCredentials(server, client, { resource: identifier, scope });
      expect((await ask(`${read} ${write}`)).status).toBe(200);

      await page.goto(`${server.origin}${detail}`);
      await follow(page, 'Edit');
      await fill(page, { Scopes: `${read} — Read it` });
      await press(page, 'Save');
      await sees(page, `End a scope of Ledger ${scripts}`);
      await reads(page, `No longer there: ${write}.`);
      await row(page, `Booker ${scripts}`).waitFor();
      expect((await ask(`${read} ${write}`)).status).toBe(200);
      await press(page, 'Save, and end it');
      await reads(page, 'Your changes are saved.');
      expect([(await ask(read)).status, (await ask(write)).body.error]).toEqual([200, 'invalid_scope']);
      expect(await page.getByRole('table', { name: 'Scopes', exact: true }).getByRole('row').count()).toBe(2);

      await follow(page, 'Delete');
      await sees(page, `Delete Ledger ${scripts}`);
      await row(page, `Booker ${scripts}`).waitFor();
      await sheet(page).locator('form.sheet .buttons button').click();
      await reads(page, 'It is deleted.');
      expect((await ask(read)).status).toBe(400);
    });
  });
});
