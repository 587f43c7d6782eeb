import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { later } from '../../support/clock.ts';
import {
  clientCredentials,
  connect,
  createPerson,
  createTestApp,
  createTestClient,
  introspect,
  type TokenClient,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

type Client = Awaited<ReturnType<typeof createTestClient>>;
let server: TestServer;
let connected: Awaited<ReturnType<typeof connect>>;
let personal: Awaited<ReturnType<TestServer['domain']['apiKeys']['createPersonal']>>;
let team: Awaited<ReturnType<TestServer['domain']['apiKeys']['createTeam']>>;
/** May introspect: in the team of the person, in another team, in the root team. */
const guards = {} as { same: Client; other: Client; root: Client };
/** In the team of the person, and may not. */
let plain: Client;

beforeAll(async () => {
  server = await startTestServer();
  connected = await connect(server);
  const { teamId, userId } = connected.person;
  const { apiKeys } = server.domain;
  personal = await apiKeys.createPersonal({ userId, teamId, name: 'mine', scopes: ['providers:read'] }, OPERATOR);
  team = await apiKeys.createTeam({ teamId, name: 'ours', expiresAt: new Date(Date.now() + 3_600_000) }, OPERATOR);
  const allowedScopes = ['credentials:introspect', 'providers:read'];
  guards.same = await createTestClient(server, teamId, { allowedScopes });
  guards.other = await createTestClient(server, (await createPerson(server)).teamId, { allowedScopes });
  guards.root = await createTestClient(server, ROOT_TEAM_ID, { allowedScopes });
  plain = await createTestClient(server, teamId);
});
afterAll(() => server.close());

const ask = async (caller: TokenClient, token: string) => (await introspect(server, caller, token)).body;
const INACTIVE = { active: false };

describe('what is said', () => {
  test('row 77: of an access token: its claims, and what it may do now', async () => {
    const { tokens, app } = connected;
    const claims = decodeJwt(tokens.access_token);
    expect(await ask(app, tokens.access_token)).toEqual({ active: true, token_type: 'Bearer', ...claims });
  });

  test('row 77: of a refresh token: whose it is and until when', async () => {
    const { tokens, app, person } = connected;
    expect(await ask(app, tokens.refresh_token)).toMatchObject({
      active: true,
      client_id: app.clientId,
      sub: person.userId,
      iss: server.issuer,
      scope: 'openid offline_access providers:read',
      exp: expect.any(Number),
    });
  });

  test('row 77: of API keys: kind, owner, team and effective permissions', async () => {
    const { teamId, userId } = connected.person;
    expect(await ask(guards.same, personal.text)).toEqual({
      active: true,
      token_type: 'api_key',
      iss: server.issuer,
      aud: server.audience,
      kind: 'personal',
      key_id: personal.key.id,
      sub: userId,
      team_id: teamId,
      scope: 'providers:read',
      iat: expect.any(Number),
    });
    const { scope, ...rest } = await ask(guards.same, team.text);
    expect(scope.split(' ').sort()).toEqual(['providers:read', 'providers:write']);
    expect(rest).toEqual({
      active: true,
      token_type: 'api_key',
      iss: server.issuer,
      aud: server.audience,
      kind: 'team',
      key_id: team.key.id,
      sub: `team:${teamId}`,
      team_id: teamId,
      exp: Math.floor(team.key.expiresAt!.getTime() / 1000),
      iat: expect.any(Number),
    });
  });
});

describe('who is told', () => {
  test('row 77: the client a token was issued to, and guards of the same or the root team; nobody else', async () => {
    const { tokens, app } = connected;
    const { access_token: machine } = (await clientCredentials(server, plain)).body;
    const stranger = await createTestApp(server);
    for (const [token, owner] of [
      [tokens.access_token, app],
      [tokens.refresh_token, app],
      [machine, plain],
      [personal.text, undefined],
      [team.text, undefined],
    ] as const) {
      for (const caller of [guards.same, guards.root, ...(owner ? [owner] : [])]) {
        expect(await ask(caller, token)).toMatchObject({ active: true });
      }
      for (const caller of [guards.other, stranger, owner === plain ? app : plain]) {
        expect(await ask(caller, token)).toEqual(INACTIVE);
      }
    }
  });

  test('row 77: a public app has no proof of who it is, so it is told nothing', async () => {
    const open = await createTestApp(server, { type: 'public' });
    const { status, body } = await introspect(server, { clientId: open.clientId }, connected.tokens.access_token);
    expect([status, body.error]).toEqual([401, 'invalid_client']);
  });
});

describe('what is not active', () => {
  test('row 78: unknown, damaged, unsigned and foreign credentials get exactly one answer', async () => {
    const { tokens } = connected;
    const [head, payload, signature] = tokens.access_token.split('.') as [string, string, string];
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
    for (const token of [
      'garbage',
      'a.b.c',
      '..',
      '__proto__',
      '\u0000',
      tokens.id_token,
      tokens.access_token.slice(0, -1),
      `${tokens.access_token}A`,
      `${head}.${payload}.`,
      `${none}.${payload}.`,
      `${none}.${payload}.${signature}`,
      `${tokens.refresh_token}A`,
      tokens.refresh_token.slice(0, -1),
      `${personal.text.slice(0, -1)}${personal.text.endsWith('A') ? 'B' : 'A'}`,
      personal.text.slice(0, -1),
      personal.text.replace('lkp_', 'lkt_'),
      `lks_${personal.text.slice(4)}`,
      guards.root.clientSecret,
      connected.person.userId,
      'x'.repeat(10_000),
    ]) {
      const { status, text } = await introspect(server, guards.root, token);
      expect([token.slice(0, 20), status, text]).toEqual([token.slice(0, 20), 200, '{"active":false}']);
    }
  });

  test('row 78: expired, revoked and ended ones get the same', async () => {
    const { apiKeys } = server.domain;
    const { body } = await clientCredentials(server, plain);
    expect(await ask(plain, body.access_token)).toMatchObject({ active: true });
    const month = 31 * 86_400;
    expect(await later(month, () => ask(connected.app, connected.tokens.refresh_token))).toEqual(INACTIVE);

    const { userId, teamId } = connected.person;
    const key = await apiKeys.createPersonal({ userId, teamId, name: 'revoked' }, OPERATOR);
    expect(await ask(guards.root, key.text)).toMatchObject({ active: true });
    await apiKeys.revoke(key.key.id, {}, OPERATOR);
    expect(await soon(async () => !(await ask(guards.root, key.text)).active)).toBe(true);
    expect(await ask(guards.root, key.text)).toEqual(INACTIVE);

    await server.domain.oauthClients.disable(plain.id, {}, OPERATOR);
    expect(await soon(async () => !(await ask(guards.root, body.access_token)).active)).toBe(true);
    expect(await ask(guards.root, body.access_token)).toEqual(INACTIVE);
  });

  test('an access token has ended when its time is over', async () => {
    const { body } = await clientCredentials(server, guards.root);
    const isActive = async () => (await ask(guards.root, body.access_token)).active;
    expect(await later(590, isActive)).toBe(true);
    expect(await later(601, isActive)).toBe(false);
  });
});

test('row 78: whom it does not concern leaves no trace of use in a key', async () => {
  const { userId, teamId } = connected.person;
  const { key, text } = await server.domain.apiKeys.createPersonal({ userId, teamId, name: 'unused' }, OPERATOR);
  const isUsed = async () => {
    await server.domain.lastUsed.flush();
    const used = 'SELECT last_used_hour IS NOT NULL AS used FROM api_keys WHERE id = $1';
    return (await server.db.query<{ used: boolean }>(used, [key.id])).rows[0]!.used;
  };
  for (const caller of [guards.other, connected.app]) expect(await ask(caller, text)).toEqual(INACTIVE);
  expect(await isUsed()).toBe(false);
  expect(await ask(guards.same, text)).toMatchObject({ active: true });
  expect(await isUsed()).toBe(true);
});

test('the token is required', async () => {
  const { status, body } = await introspect(server, guards.root, '');
  expect([status, body.error]).toEqual([400, 'invalid_request']);
});
