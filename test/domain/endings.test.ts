import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createEndings, type Endings } from '../../src/domain/endings.ts';
import { createResourceServers, type ResourceServers } from '../../src/domain/resource-servers.ts';
import { digestOf } from '../../src/domain/secret-text.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';

let all: Credentials;
let endings: Endings;
let resourceServers: ResourceServers;
beforeAll(async () => {
  all = await openCredentials();
  resourceServers = createResourceServers(all);
  endings = createEndings({ ...all, clientSecrets: all.secrets, resourceServers });
});
afterAll(() => all.close());

async function makeApp() {
  const { app } = await all.apps.create(
    { name: 'Reports', baseUrl: 'https://app.example.com', redirectUris: ['https://app.example.com/cb'] },
    TESTER,
  );
  return app;
}

async function makeMember() {
  const team = await all.makeTeam();
  const user = await all.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] });
  return { userId: user.id, teamId: team.id };
}

async function consent(
  clientId: string,
  { userId, teamId }: { userId: string; teamId: string },
  { life = '1 day', used = null as string | null } = {},
): Promise<string> {
  const id = randomUUID();
  await all.db.query(
    `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at, last_used_at)
     VALUES ($1, $2, $3, $4, '{}', now() + $5::interval, now() - $6::interval)`,
    [id, userId, teamId, clientId, life, used],
  );
  return id;
}

async function token(grantId: string, { model = 'RefreshToken', life = '1 day', consumed = false } = {}) {
  await all.db.query(
    `INSERT INTO oidc_payloads (model, id, grant_id, payload, expires_at, consumed_at)
     VALUES ($1, $2, $3, '', now() + $4::interval, CASE WHEN $5 THEN now() END)`,
    [model, digestOf(randomUUID()), grantId, life, consumed],
  );
}

describe('of an app', () => {
  test('nobody, when nobody connected it', async () => {
    const app = await makeApp();
    expect(await endings.ofApp(app)).toEqual({
      users: 0,
      consents: 0,
      tokens: 0,
      consentsInUse: 0,
      secrets: 1,
      isMore: false,
    });
  });

  test('what is told before is what the act ends: people, consents, and tokens that are good for a use', async () => {
    const [app, other] = [await makeApp(), await makeApp()];
    const [ada, bob] = [await makeMember(), await makeMember()];
    const first = await consent(app.clientId, ada, { used: '1 minute' });
    const second = await consent(app.clientId, ada, { used: '3 days' });
    const third = await consent(app.clientId, bob);
    const expired = await consent(app.clientId, bob, { life: '-1 hour' });
    await token(await consent(other.clientId, bob));
    await token(first);
    await token(first, { model: 'AuthorizationCode' });
    await token(second);
    await token(first, { consumed: true });
    await token(third, { life: '-1 second' });
    await token(third, { model: 'Interaction' });
    await token(expired);

    const told = await endings.ofApp(app);
    expect(told).toEqual({ users: 2, consents: 3, tokens: 3, consentsInUse: 1, secrets: 1, isMore: false });
    const { ended } = await all.apps.disable(app.id, TESTER);
    expect(ended).toEqual({ grants: told.consents, tokens: told.tokens });
    expect(await endings.ofApp(app)).toMatchObject({ users: 0, consents: 0, tokens: 0, consentsInUse: 0, secrets: 1 });
    expect(await endings.ofApp(other)).toMatchObject({ users: 1, consents: 1, tokens: 1 });
  });

  test('of more than 1,000 consents it counts no further, and says so', async () => {
    const app = await makeApp();
    const { userId, teamId } = await makeMember();
    await all.db.query(
      `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
       SELECT gen_random_uuid(), $1, $2, $3, '{}', now() + interval '1 day' FROM generate_series(1, 1001)`,
      [userId, teamId, app.clientId],
    );
    expect(await endings.ofApp(app)).toMatchObject({ users: 1, consents: 1_000, isMore: true });
    await all.db.query('DELETE FROM grants WHERE id = (SELECT id FROM grants WHERE client_id = $1 LIMIT 1)', [
      app.clientId,
    ]);
    expect(await endings.ofApp(app)).toMatchObject({ users: 1, consents: 1_000, isMore: false });
  });
});

describe('of a client', () => {
  test('its secrets, tokens it may have, and the resource servers that ask as it', async () => {
    const team = await all.makeTeam();
    const { client } = await all.clients.create(
      { name: 'Reports API', teamId: team.id, allowedScopes: ['providers:read'] },
      TESTER,
    );
    expect(await endings.ofClient(client)).toEqual({ secrets: 1, mayHaveTokens: false, resourceServers: [] });
    await all.secrets.add({ kind: 'client', id: client.id }, {}, TESTER);
    // Not written down yet.
    all.lastUsed.touch('oauth_clients', client.id);
    const server = await resourceServers.create(
      {
        identifier: 'https://reports.example.com',
        name: 'Reports',
        scopes: [{ name: 'reports:read', description: 'Read reports' }],
        clientIds: [client.clientId],
      },
      TESTER,
    );
    await all.notifications.settle();
    expect(await endings.ofClient(client)).toEqual({
      secrets: 2,
      mayHaveTokens: true,
      resourceServers: [{ name: server.name, identifier: server.identifier }],
    });
    const { client: second } = await all.clients.create(
      { name: 'Second', teamId: team.id, allowedScopes: ['providers:read'] },
      TESTER,
    );
    await resourceServers.update(server.id, { clientIds: [client.clientId, second.clientId] }, {}, TESTER);
    await all.notifications.settle();
    expect(await endings.ofClient(client)).toMatchObject({ resourceServers: [] });
  });

  test('one that was used long ago has no token any more', async () => {
    const team = await all.makeTeam();
    const { client } = await all.clients.create(
      { name: 'Old', teamId: team.id, allowedScopes: ['providers:read'] },
      TESTER,
    );
    all.lastUsed.touch('oauth_clients', client.id, new Date(Date.now() - 3 * 86_400_000));
    await all.lastUsed.flush();
    expect(await endings.ofClient(client)).toMatchObject({ mayHaveTokens: false });
  });
});
