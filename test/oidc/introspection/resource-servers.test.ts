/** Introspection as the resource servers see it that a credential is for, and as everybody else does. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  introspect,
  redeemCode,
  type TokenClient,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const REPORTS = 'https://reports.example.com';
const LEDGER = 'https://ledger.example.com';
const INACTIVE = '{"active":false}';

type Client = Awaited<ReturnType<typeof createTestClient>>;

let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
/** Who asks. `reports` and `ledger` are those resource servers and belong to a team of their own; the others are none. */
const asks = {} as Record<'reports' | 'ledger' | 'both' | 'unrelated' | 'sameTeam' | 'otherTeam' | 'rootTeam', Client>;
let app: Awaited<ReturnType<typeof createTestApp>>;
let machine: Client;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  const elsewhere = await createPerson(server);
  const guard = { allowedScopes: ['credentials:introspect'] };
  asks.reports = await createTestClient(server, elsewhere.teamId);
  asks.ledger = await createTestClient(server, elsewhere.teamId);
  asks.both = await createTestClient(server, person.teamId, guard);
  asks.unrelated = await createTestClient(server, person.teamId);
  asks.sameTeam = await createTestClient(server, person.teamId, guard);
  asks.otherTeam = await createTestClient(server, elsewhere.teamId, guard);
  asks.rootTeam = await createTestClient(server, ROOT_TEAM_ID, guard);
  await register(REPORTS, ['reports:read', 'reports:write'], [asks.reports, asks.both]);
  await register(LEDGER, ['ledger:read'], [asks.ledger], { acceptsApiKeys: false });
  app = await createTestApp(server, {
    tokenEndpointAuthMethod: 'client_secret_post',
    allowedScopes: ['openid', 'offline_access', 'providers:read', 'reports:read'],
  });
  const allowedScopes = ['providers:read', 'reports:read', 'ledger:read'];
  machine = await createTestClient(server, person.teamId, { allowedScopes });
  await server.domain.notifications.settle();
}, 30_000);
afterAll(() => server?.close());

async function register(identifier: string, words: string[], clients: Client[], more: object = {}) {
  const scopes = words.map((name) => ({ name }));
  const clientIds = clients.map(({ clientId }) => clientId);
  const made = { identifier, name: 'An API', scopes, clientIds, ...more };
  return server.domain.resourceServers.create(made, OPERATOR);
}

const ask = (caller: TokenClient, token: string) => introspect(server, caller, token);

/** For each of `asks` the scopes it is told of, or that it is told nothing. */
async function told(token: string): Promise<Record<string, string | false>> {
  const answers = Object.entries(asks).map(async ([name, caller]) => {
    const { text, body } = await ask(caller, token);
    if (body.active !== true) expect(text).toBe(INACTIVE);
    return [name, body.active === true && body.scope] as const;
  });
  return Object.fromEntries(await Promise.all(answers));
}

const NOBODY = Object.fromEntries(
  ['reports', 'ledger', 'both', 'unrelated', 'sameTeam', 'otherTeam', 'rootTeam'].map((name) => [name, false]),
);

async function tokensFor(scope: string, ...resources: string[]) {
  const params = Object.fromEntries(resources.map((resource) => ['resource', resource]));
  const flow = await authorize(server, { ...person, clientId: app.clientId, params: { scope, ...params } });
  return (await redeemCode(server, app, flow.code, flow.pkce)).body;
}

async function personalKey(scopes?: string[]) {
  const key = { userId: person.userId, teamId: person.teamId, name: 'mine', ...(scopes && { scopes }) };
  return server.domain.apiKeys.createPersonal(key, OPERATOR);
}

describe('an access token', () => {
  test('row 77: for a registered API is told to its clients of any team, and not to who may introspect for the own API', async () => {
    const ofMachine = (await clientCredentials(server, machine, { resource: REPORTS })).body.access_token;
    const ofPerson = (await tokensFor('offline_access reports:read', REPORTS)).access_token;
    for (const token of [ofMachine, ofPerson]) {
      expect(await told(token)).toEqual({ ...NOBODY, reports: 'reports:read', both: 'reports:read' });
    }
    expect((await ask(machine, ofMachine)).body).toMatchObject({ active: true, aud: REPORTS, scope: 'reports:read' });
    expect((await ask(app, ofPerson)).body).toMatchObject({ active: true, aud: REPORTS, sub: person.userId });
    expect((await ask(app, ofMachine)).text).toBe(INACTIVE);
  });

  test('row 77: for the own API is told to who may introspect, in its team or from the root team', async () => {
    const { access_token: token } = (await clientCredentials(server, machine)).body;
    const scope = 'providers:read';
    expect(await told(token)).toEqual({ ...NOBODY, both: scope, sameTeam: scope, rootTeam: scope });
  });
});

describe('a refresh token', () => {
  test('row 77: is told to the API its consent names, with the scopes of that one alone', async () => {
    const { refresh_token: token } = await tokensFor('offline_access reports:read', REPORTS);
    expect(await told(token)).toEqual({ ...NOBODY, reports: 'reports:read', both: 'reports:read' });
    expect((await ask(app, token)).body.scope).toBe('offline_access reports:read');
  });

  test('row 77: of the own API is told to who may introspect there', async () => {
    const { refresh_token: token } = await tokensFor('openid offline_access providers:read');
    const scope = 'openid offline_access providers:read';
    expect(await told(token)).toEqual({ ...NOBODY, both: scope, sameTeam: scope, rootTeam: scope });
  });

  test('row 78: is told of as long as its user may act, with what its app may do now', async () => {
    const { refresh_token: token } = await tokensFor('offline_access providers:read');
    const scopes = async () => (await told(token)).sameTeam;
    const settled = () => server.domain.notifications.settle();
    await server.domain.oauthApps.update(app.id, { allowedScopes: ['offline_access', 'reports:read'] }, OPERATOR);
    await settled();
    expect(await scopes()).toBe('offline_access');
    const expire = (at: string) =>
      server.db.query(`UPDATE users SET expires_at = ${at} WHERE id = $1`, [person.userId]);
    await expire('now()');
    await settled();
    expect([(await ask(app, token)).text, await told(token)]).toEqual([INACTIVE, NOBODY]);
    await expire('NULL');
    await settled();
    expect(await scopes()).toBe('offline_access');
  });
});

describe('an API key', () => {
  test('row 77: is told to every API that takes keys, each with its own scopes', async () => {
    const { text } = await personalKey(['providers:read', 'reports:read', 'ledger:read']);
    const own = 'providers:read';
    expect(await told(text)).toEqual({
      ...NOBODY,
      reports: 'reports:read',
      both: 'providers:read reports:read',
      sameTeam: own,
      rootTeam: own,
    });
    const audiences = [asks.reports, asks.both, asks.sameTeam].map(async (one) => (await ask(one, text)).body.aud);
    expect(await Promise.all(audiences)).toEqual([REPORTS, [server.audience, REPORTS], server.audience]);
  });

  test('without scopes has none of a registered API; neither has a team key', async () => {
    const { text: team } = await server.domain.apiKeys.createTeam({ teamId: person.teamId, name: 'ours' }, OPERATOR);
    for (const text of [(await personalKey()).text, team]) {
      expect((await ask(asks.reports, text)).body).toMatchObject({ active: true, scope: '', aud: REPORTS });
      const { scope } = (await ask(asks.sameTeam, text)).body;
      expect(scope.split(' ')).toEqual(expect.arrayContaining(['providers:read', 'providers:write']));
    }
  });

  test('that is to be given up says so to whoever is told of it; after its day it is inactive, and says why', async () => {
    const { text, key } = await personalKey(['reports:read']);
    const retiresAt = new Date(Date.now() + 3_600_000);
    const replacementUrl = 'https://docs.example.com/tokens';
    await server.domain.retirements.create({ keyId: key.id, retiresAt, replacementUrl }, {}, OPERATOR);
    await server.domain.notifications.settle();
    const notice = async (caller: Client) => {
      const { headers, text: answer } = await ask(caller, text);
      return [answer, ...['deprecation', 'sunset', 'link'].map((name) => headers.get(name))];
    };
    const said = [
      expect.stringMatching(/^@\d+$/),
      retiresAt.toUTCString(),
      `<${replacementUrl}>; rel="deprecation sunset"`,
    ];
    expect(await notice(asks.reports)).toEqual([expect.stringContaining('"active":true'), ...said]);
    expect(await notice(asks.unrelated)).toEqual([INACTIVE, null, null, null]);

    await server.db.query(`UPDATE retirements SET retires_at = now() - interval '1 second' WHERE key_id = $1`, [
      key.id,
    ]);
    await server.domain.notifications.settle();
    expect(await notice(asks.reports)).toEqual([INACTIVE, said[0], expect.any(String), said[2]]);
    for (const caller of [asks.ledger, asks.unrelated, asks.otherTeam]) {
      expect(await notice(caller)).toEqual([INACTIVE, null, null, null]);
    }
    // Once: by the one whom it concerns.
    await server.domain.credentialUses.flush();
    const { rows } = await server.db.query('SELECT kind, requests FROM credential_uses WHERE credential = $1', [
      key.id,
    ]);
    expect(rows).toEqual([{ kind: 'personal_key', requests: '1' }]);
  });
});

test('row 77: who is no client of the resource server any more, or is disabled, is told nothing from then on', async () => {
  const spare = await createTestClient(server, person.teamId);
  const made = await register('urn:example:spare', ['spare:read'], [spare, asks.unrelated]);
  await server.domain.notifications.settle();
  const { text } = await personalKey(['spare:read']);
  const active = async (caller: Client) => (await ask(caller, text)).body.active;
  expect([await active(spare), await active(asks.unrelated)]).toEqual([true, true]);
  await server.domain.resourceServers.update(made.id, { clientIds: [spare.clientId] }, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect([await active(spare), await active(asks.unrelated)]).toEqual([true, false]);
  await server.domain.oauthClients.disable(spare.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  const { status, body } = await ask(spare, text);
  expect([status, body.error]).toEqual([401, 'invalid_client']);
});

test('row 78: what was issued before the resource server was registered anew is not active', async () => {
  const made = await register('urn:example:again', ['again:read'], [asks.unrelated]);
  const holder = await createTestClient(server, person.teamId, { allowedScopes: ['again:read'] });
  await server.domain.notifications.settle();
  const { access_token: token } = (await clientCredentials(server, holder, { resource: 'urn:example:again' })).body;
  expect((await ask(asks.unrelated, token)).body.active).toBe(true);
  await server.domain.resourceServers.delete(made.id, {}, OPERATOR);
  await register('urn:example:again', [], [asks.unrelated]);
  await server.db.query(`UPDATE resource_servers SET created_at = now() + interval '2 seconds' WHERE identifier = $1`, [
    'urn:example:again',
  ]);
  await server.domain.notifications.settle();
  expect((await ask(asks.unrelated, token)).text).toBe(INACTIVE);
});
