/** What a person sees when an app sends them here: log in, allow or deny, be somebody else, log out. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import type { Page } from 'playwright-core';
import { OPERATOR } from '../../src/domain/audit.ts';
import { ROLE_IDS } from '../../src/domain/permissions.ts';
import { createPerson, createPkce, createTestApp, redeemCode, type TokenClient } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { describeInBrowser, openPage, WITH_AND_WITHOUT } from './chromium.ts';
import { logIn } from './log-in.ts';
import { reads, sees } from './sees.ts';
import { startThirdPartyApp, type ThirdPartyApp } from './third-party-app.ts';

describeInBrowser('an app that sends people here', () => {
  let server: TestServer;
  let site: ThirdPartyApp;
  let app: TokenClient;

  beforeAll(async () => {
    server = await startTestServer();
    site = await startThirdPartyApp();
    app = await createTestApp(server, {
      name: 'Report Viewer',
      baseUrl: site.origin,
      redirectUris: [site.redirectUri],
      postLogoutRedirectUris: [site.logoutUri],
      tokenEndpointAuthMethod: 'client_secret_post',
    });
  });
  afterAll(async () => {
    await server?.close();
    await site?.close();
  });

  describe.each(WITH_AND_WITHOUT)('$scripts', ({ javaScript }) => {
    const visit = () => openPage({ javaScript, origins: [server.origin, site.origin] });
    const pkce = createPkce();

    async function sendHere(page: Page, params: Record<string, string> = {}): Promise<void> {
      const query = new URLSearchParams({
        client_id: app.clientId,
        response_type: 'code',
        redirect_uri: site.redirectUri,
        scope: 'openid offline_access providers:read',
        state: 'a state',
        code_challenge: pkce.challenge,
        code_challenge_method: 'S256',
        ...params,
      });
      await page.goto(`${server.origin}/oauth2/authorize?${query}`);
    }

    const answerOf = (page: Page) => Object.fromEntries(new URL(page.url()).searchParams);

    test('row 97: they log in, allow it, and the app gets a code it can use', async () => {
      const [person, page] = [await createPerson(server), await visit()];
      await sendHere(page);
      await reads(page, 'Report Viewer');
      await logIn(page, person.email, 'not the password');
      await page.getByRole('alert').getByText('Email or password is wrong.').waitFor();
      expect(await page.getByLabel('Email').inputValue()).toBe(person.email);
      expect(await page.getByLabel('Password').inputValue()).toBe('');
      await logIn(page, person.email);
      await sees(page, 'Allow access?');
      await reads(page, person.email);
      await page.getByRole('button', { name: 'Allow' }).click();
      await sees(page, 'Back at the app callback');
      const { code, state } = answerOf(page);
      expect(state).toBe('a state');
      const { status } = await redeemCode(server, app, code!, pkce, { redirect_uri: site.redirectUri });
      expect(status).toBe(200);
    });

    test('row 36: they deny it, and the app is told so', async () => {
      const [person, page] = [await createPerson(server), await visit()];
      await sendHere(page);
      await logIn(page, person.email);
      await page.getByRole('button', { name: 'Deny' }).click();
      await sees(page, 'Back at the app callback');
      expect(answerOf(page)).toMatchObject({ error: 'access_denied', state: 'a state', iss: server.issuer });
    });

    test('row 36: they do not log in, and the app is told so', async () => {
      const page = await visit();
      await sendHere(page);
      await page.getByRole('button', { name: 'Cancel and go back' }).click();
      await sees(page, 'Back at the app callback');
      expect(answerOf(page)).toMatchObject({ error: 'access_denied', state: 'a state' });
    });

    test('they are somebody else, log in anew, and choose one of two teams', async () => {
      const [first, second] = [await createPerson(server), await createPerson(server)];
      const { id: teamId } = await server.domain.teams.create({ name: `Other team ${javaScript}` }, OPERATOR);
      await server.domain.memberships.setRoles({ userId: second.userId, teamId, roles: [ROLE_IDS.Viewer] }, OPERATOR);
      const page = await visit();
      await sendHere(page);
      await logIn(page, first.email);
      await reads(page, first.email);
      await page.getByRole('button', { name: 'Not you? Log in as someone else' }).click();
      await logIn(page, second.email);
      // The engine ends the first person's session by a form that a script would send.
      if (!javaScript) await page.getByRole('button', { name: 'Continue' }).click();
      await reads(page, second.email);
      await page.getByRole('button', { name: 'Allow' }).click();
      expect(await page.evaluate('document.activeElement.name')).toBe('team_id');
      await page.getByLabel(`Other team ${javaScript}`).check();
      await page.getByRole('button', { name: 'Allow' }).click();
      await sees(page, 'Back at the app callback');
      const { body } = await redeemCode(server, app, answerOf(page).code!, pkce, { redirect_uri: site.redirectUri });
      expect(decodeJwt(body.access_token)).toMatchObject({ sub: second.userId, team_id: teamId });
    });

    test('row 100: they log out, by their own will, and are asked to log in the next time', async () => {
      const [person, page] = [await createPerson(server), await visit()];
      await sendHere(page);
      await logIn(page, person.email);
      await page.getByRole('button', { name: 'Allow' }).click();
      await sees(page, 'Back at the app callback');
      const { code } = answerOf(page);
      const { body } = await redeemCode(server, app, code!, pkce, { redirect_uri: site.redirectUri });
      const query = new URLSearchParams({ id_token_hint: body.id_token, post_logout_redirect_uri: site.logoutUri });
      await page.goto(`${server.origin}/oauth2/logout?${query}`);
      await page.getByRole('button', { name: 'Stay logged in' }).click();
      await sendHere(page);
      // Back at once but for the consent, which apps on loopback are asked for each time.
      await sees(page, 'Allow access?');
      await page.goto(`${server.origin}/oauth2/logout?${query}`);
      await page.getByRole('button', { name: 'Log out' }).click();
      await sees(page, 'Back at the app bye');
      await sendHere(page);
      await sees(page, 'Log in');
    });
  });
});
