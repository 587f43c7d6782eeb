/** What a person connected, by its pages: looked at, and disconnected for good. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS } from '../../../src/domain/permissions.ts';
import { type Browser, createBrowser, formOn } from '../../support/browser.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { authorize, createPerson, createTestApp, introspect, redeemCode, refresh } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/account/apps';

let server: TestServer;
let app: Awaited<ReturnType<typeof createTestApp>>;
let person: Awaited<ReturnType<typeof createPerson>>;
let browser: Browser;

beforeAll(async () => {
  server = await startTestServer();
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post', name: 'Trip <b>Planner</b>' });
}, 30_000);
beforeEach(async () => {
  person = await createPerson(server);
  browser = await logInAt(server, person);
});
afterAll(() => server?.close());

const at = (path: string) => `${server.origin}${path}`;
const detailOf = ({ teamId } = person) => `${PATH}/${app.clientId}/${teamId}`;

/** The person lets the app in; its tokens. */
async function connect({ client = app, scope = 'openid offline_access providers:read', teamId = person.teamId } = {}) {
  const request = { params: { scope, prompt: 'consent' }, email: person.email, teamId, clientId: client.clientId };
  const { code, pkce } = await authorize(server, { ...request, browser: createBrowser() });
  return (await redeemCode(server, client, code, pkce)).body;
}

test('a person who connected nothing is told what would be here', async () => {
  const page = await browser.get(at(PATH));
  expect(wordsOf(page)).toContain('You have connected no app');
  expect(wordsOf(page)).toContain('When an app asks to act for you and you allow it');
});

describe('a connected app', () => {
  test('is listed with team, what it may in plain words, and when it was used', async () => {
    const { name } = (await server.domain.authority.teamsOf(person.userId))[0]!;
    await connect();
    await server.domain.lastUsed.flush();
    const page = await browser.get(at(PATH));
    const words = wordsOf(page);
    const may = 'See the data providers of the team. Know who you are and 1 more';
    for (const text of ['Trip <b>Planner</b>', name, may, 'Disconnect']) expect(words).toContain(text);
    expect(page.text).not.toContain('<b>Planner');
    expect(words).not.toContain('Never');
    const detail = wordsOf(await browser.get(at(detailOf())));
    for (const sentence of [
      'See the data providers of the team',
      'Know who you are',
      'Stay connected when you are not using it',
      app.clientId,
    ]) {
      expect(detail).toContain(sentence);
    }
  });

  test('says what the words of other APIs mean, and which API it is', async () => {
    const scopes = [{ name: 'trips:read', description: 'See your trips' }];
    const server_ = { identifier: 'https://trips.example.com', name: 'Trips API', scopes };
    await server.domain.resourceServers.create(server_, OPERATOR);
    const client = await createTestApp(server, {
      tokenEndpointAuthMethod: 'client_secret_post',
      allowedScopes: ['openid', 'trips:read'],
    });
    const params = { scope: 'openid trips:read', resource: 'https://trips.example.com' };
    await authorize(server, { ...person, clientId: client.clientId, params });
    const detail = await browser.get(at(`${PATH}/${client.clientId}/${person.teamId}`));
    expect(wordsOf(detail)).toContain('See your trips (Trips API)');
  });

  test('is there while it has no token, with a last use that never was', async () => {
    const { code } = await authorize(server, { ...person, clientId: app.clientId });
    expect(code).not.toBe('');
    await server.db.query('DELETE FROM oidc_payloads WHERE grant_id IS NOT NULL');
    const words = wordsOf(await browser.get(at(PATH)));
    expect(words).toContain('Trip <b>Planner</b>');
    expect(words).toContain('Never');
  });

  test('of another of their teams is there too, and each team is disconnected by itself', async () => {
    const team = await server.domain.teams.create({ name: `Other ${person.teamId}` }, OPERATOR);
    await server.db.transaction((tx) =>
      server.domain.memberships.assign(
        tx,
        { userId: person.userId, teamId: team.id, roles: [ROLE_IDS.Viewer] },
        OPERATOR,
      ),
    );
    await server.domain.notifications.settle();
    const [here, there] = [await connect(), await connect({ teamId: team.id })];
    expect((await browser.get(at(PATH))).text.match(/Disconnect</g)).toHaveLength(2);
    await fillIn(server, browser, `${detailOf({ ...person, teamId: team.id })}/disconnect`);
    expect((await introspect(server, app, here.access_token)).body.active).toBe(true);
    expect((await introspect(server, app, there.access_token)).body).toEqual({ active: false });
    expect((await browser.get(at(PATH))).text.match(/Disconnect</g)).toHaveLength(1);
  });
});

test('row 39: disconnected means disconnected: consent, refresh and access tokens, at once', async () => {
  const tokens = await connect();
  expect((await introspect(server, app, tokens.access_token)).body.active).toBe(true);
  const asked = wordsOf(await browser.get(at(`${detailOf()}/disconnect`)));
  expect(asked).toContain('Your consent ends');
  expect(asked).toContain('All its refresh tokens and access tokens for that end with it, at once.');
  const done = await fillIn(server, browser, `${detailOf()}/disconnect`);
  expect(done.url).toBe(at(`${PATH}?done=disconnected`));
  expect(wordsOf(done)).toContain('The app is disconnected');
  expect(wordsOf(done)).toContain('You have connected no app');
  expect((await introspect(server, app, tokens.access_token)).body).toEqual({ active: false });
  expect((await refresh(server, app, tokens.refresh_token)).body.error).toBe('invalid_grant');
  const call = await fetch(at('/api/v1/providers'), { headers: { authorization: `Bearer ${tokens.access_token}` } });
  expect(call.status).toBe(401);
  const event = (await server.auditEvents()).findLast(({ action }) => action === 'consent.ended');
  expect(event).toMatchObject({
    ...{ actor_kind: 'user', actor_id: person.userId, team_id: person.teamId, target_id: app.clientId },
    details: { user_id: person.userId, ended_grants: 1 },
  });
});

test('row 110: what another person connected is not found, and goes on', async () => {
  const mine = person;
  const tokens = await connect();
  const stranger = await logInAt(server, await createPerson(server, { teamId: mine.teamId }));
  for (const path of [detailOf(mine), `${detailOf(mine)}/disconnect`, `${PATH}/${app.clientId}/nonsense`]) {
    expect([path, (await stranger.get(at(path))).status]).toEqual([path, 404]);
  }
  const { fields } = formOn(await stranger.get(at('/account/edit')), '/account/edit');
  const answer = await stranger.post(at(`${detailOf(mine)}/disconnect`), { ...fields, user_id: mine.userId });
  expect(answer.status).toBe(404);
  expect((await introspect(server, app, tokens.access_token)).body.active).toBe(true);
});

test('row 113: without the proof nothing is disconnected', async () => {
  const tokens = await connect();
  const { url, fields } = formOn(await browser.get(at(`${detailOf()}/disconnect`)), '/disconnect');
  expect((await browser.post(url, { ...fields, csrf: '' })).status).toBe(403);
  expect((await browser.post(url, fields, { origin: 'https://evil.example' })).status).toBe(403);
  expect((await introspect(server, app, tokens.access_token)).body.active).toBe(true);
});

test('disconnecting what was disconnected meanwhile says so', async () => {
  await connect();
  const page = await browser.get(at(`${detailOf()}/disconnect`));
  await fillIn(server, browser, page, {}, '/disconnect');
  const again = await fillIn(server, browser, page, {}, '/disconnect');
  expect(again.status).toBe(404);
  expect(wordsOf(again)).toContain('It may be disconnected already.');
});

test('many are shown a page at a time', async () => {
  await server.db.query(
    `WITH made AS (
       INSERT INTO oauth_apps (client_id, name, base_url, redirect_uris, allowed_scopes, type, token_endpoint_auth_method)
       SELECT 'app_many_' || n, 'App ' || n, 'https://app.example', '{}', '{}', 'public', 'none'
       FROM generate_series(1, 60) AS n RETURNING client_id)
     INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
     SELECT gen_random_uuid(), $1, $2, client_id, '{}', now() + interval '1 day' FROM made`,
    [person.userId, person.teamId],
  );
  const seen = new Set<string>();
  let pages = 0;
  for (let href: string | undefined = PATH; href !== undefined && pages < 9; pages += 1) {
    const { text }: { text: string } = await browser.get(at(href));
    for (const [, id] of text.matchAll(/\/account\/apps\/(app_many_\d+)\//g)) seen.add(id!);
    href = /href="([^"]*)" rel="next"/.exec(text)?.[1]?.replaceAll('&amp;', '&');
  }
  expect([seen.size, pages]).toEqual([60, 3]);
});
