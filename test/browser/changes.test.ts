/** Changing what is registered: what is saved counts for the very next request, and what was typed is never lost. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import {
  authorizationUrl,
  authorize,
  clientCredentials,
  createPerson,
  createPkce,
  createTestApp,
  createTestClient,
  REDIRECT_URI,
  redeemCode,
  refresh,
} from '../support/flows.ts';
import { describeInBrowser, WITH_AND_WITHOUT } from './chromium.ts';
import { check, choose, fill, follow, goTo, press, row, sheet } from './person.ts';
import { reads, sees } from './sees.ts';
import { type Stage, setStage } from './stage.ts';

const SECRET_POST = { tokenEndpointAuthMethod: 'client_secret_post' };

describeInBrowser('a change', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await setStage();
  });
  afterAll(() => stage?.close());

  const statusWith = async (token: unknown) =>
    (await fetch(`${stage.server.origin}/api/v1/providers`, { headers: { authorization: `Bearer ${token}` } })).status;

  describe.each(WITH_AND_WITHOUT)('$scripts', ({ scripts, javaScript }) => {
    test('of a client: its scopes and how it proves who it is', async () => {
      const { server } = stage;
      const { teamId } = await createPerson(server);
      const name = `Exporter ${scripts}`;
      const client = await createTestClient(server, teamId, { name });
      const both = await clientCredentials(server, client);
      expect([both.status, both.body.scope]).toEqual([200, 'providers:read providers:write']);

      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'API Keys');
      await follow(page, 'OAuth2 Clients');
      await row(page, name).getByRole('link', { name }).click();
      await follow(page, 'Edit');
      await sees(page, `Edit ${name}`);
      await fill(page, { Name: `${name} 2`, Description: 'Ask <the data team>' });
      for (const scope of ['Read providers', 'Write providers']) {
        await sheet(page).getByRole('checkbox', { name: scope }).uncheck();
      }
      await press(page, 'Save');
      await reads(page, /name at least one/);
      await check(page, 'Read providers');
      // Somebody else was quicker.
      await server.domain.oauthClients.update(client.id, { description: 'Ask me' }, {}, OPERATOR);
      await press(page, 'Save');
      await reads(page, /Somebody changed this client while you did/);
      await reads(page, 'Ask me');
      expect(await sheet(page).getByLabel('Description').inputValue()).toBe('Ask <the data team>');
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      await sees(page, new RegExp(`^${name} 2`));
      await reads(page, 'Ask <the data team>');

      const narrow = await clientCredentials(server, client);
      expect([narrow.status, narrow.body.scope]).toEqual([200, 'providers:read']);
      const wide = await clientCredentials(server, client, { scope: 'providers:read providers:write' });
      expect([wide.status, wide.body.error]).toEqual([400, 'invalid_scope']);

      await follow(page, 'Edit');
      await sheet(page).getByText('Advanced', { exact: true }).click();
      await choose(page, 'How it proves who it is', 'A key pair of its own (private_key_jwt)');
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      await fill(page, { 'Public keys': JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] }) });
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      expect((await clientCredentials(server, client)).status).toBe(401);
    });

    test('of an app: where users are sent back to, and what it may ask for', async () => {
      const { server } = stage;
      const person = await createPerson(server);
      const name = `Viewer ${scripts}`;
      const app = await createTestApp(server, { ...SECRET_POST, name });
      const { code, pkce, browser } = await authorize(server, { ...person, clientId: app.clientId });
      const { body: tokens } = await redeemCode(server, app, code, pkce);
      expect(await statusWith(tokens.access_token)).toBe(200);

      const page = await stage.visit('/console', { javaScript });
      await goTo(page, 'API Keys');
      await follow(page, 'OAuth2 Apps');
      await row(page, name).getByRole('link', { name }).click();
      await follow(page, 'Edit');
      await sees(page, `Edit ${name}`);
      expect(await sheet(page).getByLabel('Redirect URIs', { exact: true }).inputValue()).toBe(REDIRECT_URI);
      const moved = 'https://app.example.com/signed-in';
      await fill(page, { 'Redirect URIs': 'https://app.example.com/#part' });
      await sheet(page).getByRole('checkbox', { name: 'Read providers' }).uncheck();
      await press(page, 'Save');
      await reads(page, /Redirect URIs .*fragment/);
      await fill(page, { 'Redirect URIs': moved });
      await press(page, 'Save');
      await reads(page, 'Your changes are saved.');
      await row(page, moved).waitFor();
      expect(await page.getByRole('row').filter({ hasText: REDIRECT_URI }).count()).toBe(0);

      const ask = (changes: Record<string, string>) =>
        browser.get(authorizationUrl(server, app.clientId, createPkce(), changes));
      const former = await ask({});
      expect([former.status, former.location]).toEqual([400, undefined]);
      const scope = await ask({ redirect_uri: moved });
      expect(new URL(scope.location!).searchParams.get('error')).toBe('invalid_scope');
      expect(await statusWith(tokens.access_token)).toBe(403);
      const { body: refreshed } = await refresh(server, app, tokens.refresh_token);
      expect(String(refreshed.scope ?? '').split(' ')).not.toContain('providers:read');
    });
  });
});
