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
async function rights(sub: string, clientId: string, team = teamId, derivedFrom?: unknown) {
  await all.notifications.settle();
  const claims = {
    sub,
    client_id: clientId,
    team_id: team,
    ...(derivedFrom !== undefined && { derived_from: derivedFrom }),
  };
  const found = await rightsBehind(all, claims);
  return found && [...found].sort();
}
const client = async (allowedScopes: string[], team = teamId) =>
  (await all.clients.create({ name: 'client', teamId: team, allowedScopes }, TESTER)).client;

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

test('a token got for a key: what the key may do now, for its own user and team only', async () => {
  const userId = await member('Viewer');
  const { key } = await all.apiKeys.createPersonal({ userId, teamId, name: 'k', scopes: ['providers:read'] }, TESTER);
  const from = [`key:${key.id}`];
  expect(await rights(userId, from[0]!, teamId, from)).toEqual(['providers:read']);
  for (const [sub, clientId, team, words] of [
    [await member('Admin'), from[0]!, teamId, from],
    [`team:${teamId}`, from[0]!, teamId, from],
    [userId, from[0]!, ROOT_TEAM_ID, from],
    [userId, `key:${randomUUID()}`, teamId, from],
    [userId, from[0]!, teamId, undefined],
    [userId, from[0]!, teamId, [`key:${randomUUID()}`]],
    [userId, from[0]!, teamId, ['key:x']],
    [userId, from[0]!, teamId, [...from, ...from]],
    [userId, from[0]!, teamId, [...from, 'token:x', 'client:y']],
  ] as const) {
    expect([clientId, words, await rights(sub, clientId, team, words)]).toEqual([clientId, words, undefined]);
  }
  await all.apiKeys.revoke(key.id, {}, TESTER);
  expect(await rights(userId, from[0]!, teamId, from)).toBeUndefined();
  await all.apiKeys.reinstate(key.id, {}, TESTER);
  expect(await rights(userId, from[0]!, teamId, from)).toEqual(['providers:read']);
  await all.users.update(userId, { enabled: false }, {}, TESTER);
  expect(await rights(userId, from[0]!, teamId, from)).toBeUndefined();
});

test('a key that has been retired by what it is, or by how it begins: nothing for its tokens either', async () => {
  const made = [await all.makeTeam(), await all.makeTeam()];
  for (const [which, { id }] of made.entries()) {
    const { key } = await all.apiKeys.createTeam({ teamId: id, name: 't' }, TESTER);
    const of = () => rights(`team:${id}`, `key:${key.id}`, id, [`key:${key.id}`]);
    expect(await of()).toBeDefined();
    const subject = which === 0 ? { keyId: key.id } : { teamId: id, prefix: 'lkt_' };
    await all.retirements.create({ ...subject, retiresAt: new Date() }, {}, TESTER);
    expect(await of()).toBeUndefined();
  }
});

test('a key without scopes: its token has nothing that only scopes can name; a team key is its team', async () => {
  const userId = await member('Admin');
  const { key } = await all.apiKeys.createPersonal({ userId, teamId, name: 'k' }, TESTER);
  const own = await rights(userId, `key:${key.id}`, teamId, [`key:${key.id}`]);
  expect(own).toContain('providers:write');
  expect(own).not.toContain('apikeys:write');
  const team = (await all.apiKeys.createTeam({ teamId, name: 't' }, TESTER)).key;
  const both = ['providers:read', 'providers:write'];
  expect(await rights(`team:${teamId}`, `key:${team.id}`, teamId, [`key:${team.id}`])).toEqual(both);
  await all.apiKeys.delete(team.id, {}, TESTER);
  expect(await rights(`team:${teamId}`, `key:${team.id}`, teamId, [`key:${team.id}`])).toBeUndefined();
});

test('a client that asked with a key: it must be there, and narrows nothing', async () => {
  const userId = await member('Viewer');
  const { key } = await all.apiKeys.createPersonal({ userId, teamId, name: 'k', scopes: ['providers:read'] }, TESTER);
  const asking = await client(['teams:read']);
  expect(await rights(userId, asking.clientId, teamId, [`key:${key.id}`])).toEqual(['providers:read']);
  await all.clients.disable(asking.id, {}, TESTER);
  expect(await rights(userId, asking.clientId, teamId, [`key:${key.id}`])).toBeUndefined();
});

test('a token that was passed on: what app, user and whoever acts may all do, while everybody on the way is there', async () => {
  const userId = await member('Admin');
  const [first, second] = [await client(['providers:read', 'teams:read']), await client(['users:write'])];
  const from = ['token:a', `client:${app.clientId}`];
  expect(await rights(userId, app.clientId, teamId, from)).toEqual(['openid', 'providers:read', 'users:write']);
  expect(await rights(userId, first.clientId, teamId, from)).toEqual(['providers:read']);
  const twice = [...from, 'token:b', `client:${first.clientId}`];
  expect(await rights(userId, second.clientId, teamId, twice)).toEqual(['users:write']);
  expect(await rights(await member('Viewer'), second.clientId, teamId, twice)).toEqual([]);
  // With the API it was for before.
  expect(await rights(userId, first.clientId, teamId, [...from, 'aud:urn:a:b'])).toEqual(['providers:read']);
  for (const words of [
    [],
    'client:x',
    ['client:x'],
    ['token:a'],
    ['token:a', `client:${first.clientId}`],
    ['token:a', `client:app_${'a'.repeat(22)}`],
    [...from, 'other:x'],
    ['aud:x'],
    [...from, 'aud:x', 'aud:y'],
  ]) {
    expect([words, await rights(userId, second.clientId, teamId, words)]).toEqual([words, undefined]);
  }
  await all.clients.disable(first.id, {}, TESTER);
  expect(await rights(userId, second.clientId, teamId, twice)).toBeUndefined();
  expect(await rights(userId, first.clientId, teamId, from)).toBeUndefined();
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
