import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type Browser, createBrowser } from '../../support/browser.ts';
import { later } from '../../support/clock.ts';
import {
  authorize,
  createPerson,
  createTestApp,
  introspect,
  redeemCode,
  refresh,
  type TokenClient,
} from '../../support/flows.ts';
import { countStatuses, inParallel } from '../../support/parallel.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

const DAY = 86_400;
let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let app: Awaited<ReturnType<typeof createTestApp>>;
const browser: Browser = createBrowser();

beforeAll(async () => {
  server = await startTestServer({ env: { REFRESH_TOKEN_TTL: String(2 * DAY), GRANT_TTL: String(5 * DAY) } });
  person = await createPerson(server);
  app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
});
afterAll(() => server.close());

const INVALID_GRANT = { status: 400, body: { error: 'invalid_grant' } };

/** A new family: consent asked and given again, so that it has a grant of its own. */
async function connect({ who = person, to = app as TokenClient, using = browser, prompt = 'consent' } = {}) {
  const flow = await authorize(server, { ...who, clientId: to.clientId, browser: using, params: { prompt } });
  return (await redeemCode(server, to, flow.code, flow.pkce)).body;
}

async function pastTheGrace(): Promise<void> {
  await server.db.query(`UPDATE oidc_payloads SET consumed_at = consumed_at - interval '11 seconds'
    WHERE model = 'RefreshToken' AND consumed_at IS NOT NULL`);
}

describe('rotation', () => {
  test('row 61: each use gives a new one and ends the old one, for public and confidential apps', async () => {
    const open = { clientId: (await createTestApp(server, { type: 'public' })).clientId };
    for (const to of [app, open]) {
      const first = await connect({ to });
      const second = await refresh(server, to, first.refresh_token);
      expect(second.status).toBe(200);
      expect(second.body.refresh_token).toMatch(/^[\w-]{43}$/);
      expect(second.body.refresh_token).not.toBe(first.refresh_token);
      expect(await refresh(server, to, first.refresh_token)).toMatchObject(INVALID_GRANT);
      expect((await refresh(server, to, second.body.refresh_token)).status).toBe(200);
    }
  });

  test('row 62: one sent again within the grace fails, and the newest goes on working', async () => {
    const first = await connect();
    const { body: second } = await refresh(server, app, first.refresh_token);
    expect(await refresh(server, app, first.refresh_token)).toMatchObject(INVALID_GRANT);
    expect((await introspect(server, app, second.access_token)).body.active).toBe(true);
    expect((await refresh(server, app, second.refresh_token)).status).toBe(200);
  });

  test('row 62: one sent again later ends the whole family', async () => {
    const first = await connect();
    const { body: second } = await refresh(server, app, first.refresh_token);
    await pastTheGrace();
    expect(await refresh(server, { ...app, clientSecret: 'wrong' }, first.refresh_token)).toMatchObject({
      status: 401,
    });
    expect((await introspect(server, app, second.access_token)).body.active).toBe(true);

    expect(await refresh(server, app, first.refresh_token)).toMatchObject(INVALID_GRANT);
    expect(await refresh(server, app, second.refresh_token)).toMatchObject(INVALID_GRANT);
    for (const token of [first.access_token, second.access_token, second.refresh_token]) {
      expect((await introspect(server, app, token)).body).toEqual({ active: false });
    }
    const headers = { authorization: `Bearer ${second.access_token}` };
    expect((await fetch(`${server.origin}/oauth2/userinfo`, { headers })).status).toBe(401);
  });

  test('row 63: of 20 parallel refreshes exactly one succeeds, and one family is left, four times over', async () => {
    let current = (await connect()).refresh_token as string;
    for (let round = 0; round < 4; round += 1) {
      const answers = await inParallel(20, () => refresh(server, app, current));
      expect(countStatuses(answers)).toEqual({ 200: 1, 400: 19 });
      for (const { status, body } of answers) if (status !== 200) expect(body.error).toBe('invalid_grant');
      current = answers.find(({ status }) => status === 200)!.body.refresh_token;
      const { count } = await server.db.query(
        `SELECT FROM oidc_payloads WHERE model = 'RefreshToken' AND consumed_at IS NULL AND grant_id =
           (SELECT grant_id FROM oidc_payloads WHERE model = 'RefreshToken' ORDER BY created_at DESC LIMIT 1)`,
      );
      expect(count).toBe(1);
    }
    expect((await introspect(server, app, current)).body.active).toBe(true);
  });
});

describe('what it is bound to', () => {
  test('row 64: the app it was issued to, with that app proven', async () => {
    const { refresh_token: token } = await connect();
    const other = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const open = await createTestApp(server, { type: 'public' });
    expect(await refresh(server, { clientId: app.clientId }, token)).toMatchObject({ status: 401 });
    expect(await refresh(server, { ...app, clientSecret: 'wrong' }, token)).toMatchObject({ status: 401 });
    expect(await refresh(server, other, token)).toMatchObject(INVALID_GRANT);
    expect(await refresh(server, { clientId: open.clientId }, token)).toMatchObject(INVALID_GRANT);
    expect(await refresh(server, app, `${token}a`)).toMatchObject(INVALID_GRANT);
    expect((await refresh(server, app, token)).status).toBe(200);
  });

  test('row 65: scope may shrink for one answer, and never grows', async () => {
    const { refresh_token: token } = await connect();
    for (const scope of ['openid providers:write', 'email', 'openid teams:write', 'evil']) {
      const { status, body } = await refresh(server, app, token, { scope });
      expect([scope, status, body.error]).toEqual([scope, 400, 'invalid_scope']);
    }
    const less = await refresh(server, app, token, { scope: 'openid' });
    expect(less.body.scope).toBe('openid');
    const all = await refresh(server, app, less.body.refresh_token);
    expect(all.body.scope).toBe('openid offline_access providers:read');
  });

  test('row 66: an unused one ends, and all of them end with the consent', async () => {
    const idle = await connect();
    expect(await later(2 * DAY + 60, () => refresh(server, app, idle.refresh_token))).toMatchObject(INVALID_GRANT);

    let { refresh_token: token } = await connect();
    for (const day of [1, 2, 3, 4]) {
      const answer = await later(day * DAY, () => refresh(server, app, token));
      expect([day, answer.status]).toEqual([day, 200]);
      token = answer.body.refresh_token;
    }
    // Two days from the last use are not over, five from the consent are.
    expect(await later(5 * DAY + 60, () => refresh(server, app, token))).toMatchObject(INVALID_GRANT);
  });
});

describe('what ends it', () => {
  const dead = async (to: TokenClient, tokens: Awaited<ReturnType<typeof connect>>) => {
    const answer = await refresh(server, to, tokens.refresh_token);
    expect([400, 401]).toContain(answer.status);
    expect(answer.body.error).toMatch(/^invalid_(grant|client)$/);
    const headers = { authorization: `Bearer ${tokens.access_token}` };
    expect((await fetch(`${server.origin}/oauth2/userinfo`, { headers })).status).toBe(401);
    return answer.status;
  };
  const newPerson = async (prompt?: string) => {
    const who = await createPerson(server);
    const using = createBrowser();
    return { who, using, tokens: await connect({ who, using, ...(prompt && { prompt }) }) };
  };

  test('row 67: the user is disabled, deleted, or has a new password', async () => {
    const { users } = server.domain;
    for (const end of [
      (id: string) => users.setEnabled(id, false, OPERATOR),
      (id: string) => users.delete(id, OPERATOR),
      (id: string) => users.setPassword(id, 'another long enough password', OPERATOR),
    ]) {
      const { who, tokens } = await newPerson();
      await end(who.userId);
      expect(await dead(app, tokens)).toBe(400);
      expect((await introspect(server, app, tokens.access_token)).body).toEqual({ active: false });
    }
  });

  test('row 67: the user leaves the team, or the team is deleted', async () => {
    const { memberships, teams } = server.domain;
    for (const end of [
      (who: typeof person) => memberships.remove(who, OPERATOR),
      (who: typeof person) => teams.delete(who.teamId, OPERATOR),
    ]) {
      const { who, tokens } = await newPerson();
      await end(who);
      expect(await dead(app, tokens)).toBe(400);
      expect((await introspect(server, app, tokens.access_token)).body).toEqual({ active: false });
      const headers = { authorization: `Bearer ${tokens.access_token}` };
      expect(
        await soon(async () => (await fetch(`${server.origin}/api/v1/providers`, { headers })).status === 401),
      ).toBe(true);
    }
  });

  test('row 67: the app is disabled or deleted, and enabling it again revives nothing', async () => {
    const { oauthApps } = server.domain;
    for (const end of ['disable', 'delete'] as const) {
      const to = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
      const tokens = await connect({ to });
      await oauthApps[end](to.id, OPERATOR);
      expect(await soon(async () => (await refresh(server, to, tokens.refresh_token)).status === 401)).toBe(true);
      expect(await dead(to, tokens)).toBe(401);
      if (end === 'delete') continue;
      await oauthApps.enable(to.id, OPERATOR);
      expect(await soon(async () => (await refresh(server, to, tokens.refresh_token)).status === 400)).toBe(true);
      expect((await introspect(server, to, tokens.access_token)).body).toEqual({ active: false });
    }
  });
});
