import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OauthApp } from '../../src/domain/oauth-apps.ts';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { rightsBehind } from '../../src/domain/token-rights.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';

let all: Credentials;
let teamId: string;
let app: OauthApp;
beforeAll(async () => {
  all = await openCredentials();
  teamId = (await all.makeTeam()).id;
  const input = { name: 'Reports', baseUrl: 'https://a.example.com', redirectUris: ['https://a.example.com/cb'] };
  const allowedScopes = ['openid', 'providers:read', 'users:write'];
  ({ app } = await all.apps.create({ ...input, allowedScopes }, TESTER));
});
afterAll(() => all.close());

const member = async (role: 'Admin' | 'Viewer', team = teamId) =>
  (await all.makeUser({ teamRoles: [{ teamId: team, roles: [role] }] })).id;
async function rights(subject: string, clientId: string, team = teamId) {
  await all.notifications.settle();
  const found = await rightsBehind(all, { subject, clientId, teamId: team });
  return found && [...found].sort();
}

test('an app for a member of the team: what both of them may do, and scopes that need no permission', async () => {
  expect(await rights(await member('Viewer'), app.clientId)).toEqual(['openid', 'providers:read']);
  expect(await rights(await member('Admin'), app.clientId)).toEqual(['openid', 'providers:read', 'users:write']);
});

test('an app for somebody who is no member of the team: nothing', async () => {
  const elsewhere = (await all.makeTeam()).id;
  for (const user of [await member('Viewer', elsewhere), await member('Admin', ROOT_TEAM_ID), randomUUID(), 'x']) {
    expect(await rights(user, app.clientId)).toBeUndefined();
  }
});

test('a client for itself in its team: what it is allowed; for anybody or anywhere else: nothing', async () => {
  const input = { name: 'billing', teamId, allowedScopes: ['providers:read', 'teams:read'] };
  const { clientId } = (await all.clients.create(input, TESTER)).client;
  expect(await rights(clientId, clientId)).toEqual(['providers:read', 'teams:read']);
  expect(await rights(await member('Admin'), clientId)).toBeUndefined();
  expect(await rights(clientId, clientId, ROOT_TEAM_ID)).toBeUndefined();
});

test('what is switched off or gone: nothing', async () => {
  const user = await member('Viewer');
  await all.apps.disable(app.id, TESTER);
  expect(await rights(user, app.clientId)).toBeUndefined();
  expect(await rights(user, `app_${'a'.repeat(22)}`)).toBeUndefined();
  const team = (await all.makeTeam()).id;
  const { client } = await all.clients.create({ name: 'n', teamId: team, allowedScopes: ['teams:read'] }, TESTER);
  await all.clients.disable(client.id, {}, TESTER);
  expect(await rights(client.clientId, client.clientId, team)).toBeUndefined();
  await all.clients.enable(client.id, {}, TESTER);
  // As by hand, with the client left behind.
  await all.db.transaction(async (tx) => {
    await tx.query('SET LOCAL session_replication_role = replica');
    await tx.query('DELETE FROM teams WHERE id = $1', [team]);
  });
  expect(await rights(client.clientId, client.clientId, team)).toBeUndefined();
});
