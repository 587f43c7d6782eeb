/** Scopes of registered resource servers in keys, as the management API gives and ignores them. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type Api, createApi, type TestUser } from '../../support/api.ts';
import { postForm } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let api: Api;
let user: TestUser;
let reports: { id: string };
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  user = await api.user('Admin', await api.team());
  const scopes = [{ name: 'reports:read' }];
  const made = { identifier: 'https://reports.example.com', name: 'Reports', scopes };
  reports = await server.domain.resourceServers.create(made, OPERATOR);
  await server.domain.notifications.settle();
}, 30_000);
afterAll(() => server?.close());

const make = (as: string, scopes?: string[]) =>
  api.call({ as, path: '/api/v1/apikeys', body: { name: 'k', team_id: user.teamId, ...(scopes && { scopes }) } });
const read = (as: string) => api.call({ as, path: '/api/v1/apikeys' });

test('row 92: a key gives on the scopes it has, and no others; a token for this API has none of another one', async () => {
  const maker = await api.keyOf(user, ['apikeys:write', 'reports:read']);
  const made = await make(maker, ['reports:read']);
  expect([made.status, made.body.value]).toMatchObject([200, { scopes: ['reports:read'], is_narrowed: true }]);
  const other = await api.keyOf(user, ['apikeys:write']);
  const exchanged = await postForm(`${server.origin}/oauth2/token`, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:latchkey:token-type:api_key',
    subject_token: maker,
  });
  expect(exchanged.body.scope).toBe('apikeys:write');
  for (const as of [other, exchanged.body.access_token]) {
    const { status, body } = await make(as, ['reports:read']);
    expect([status, body.code]).toEqual([403, 7]);
  }
  const inherited = await make(await api.keyOf(user, ['apikeys:write', 'apikeys:read', 'reports:read']));
  expect(inherited.body.value.scopes).toEqual(['apikeys:read']);
});

test('for this API such a scope opens nothing; a key that lost its only one still does not', async () => {
  const key = await api.keyOf(user, ['reports:read']);
  expect((await read(key)).status).toBe(403);
  await server.domain.resourceServers.delete(reports.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect((await read(key)).status).toBe(403);
  const { body } = await read(await api.keyOf(user, ['apikeys:read']));
  expect(body.values[0]).toMatchObject({ is_narrowed: true });
  const emptied = body.values.filter((one: { scopes: string[] }) => one.scopes.length === 0);
  expect(emptied.map((one: { is_narrowed: boolean }) => one.is_narrowed)).toEqual(emptied.map(() => true));
  expect(emptied.length).toBeGreaterThan(0);
});
