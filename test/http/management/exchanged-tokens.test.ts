/** A token that was got for an API key is that key at the management API, and nothing more. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { createExchange } from '../../oidc/token-exchange/exchange.ts';
import { ALL_SCOPES, createApi } from '../../support/api.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let api: ReturnType<typeof createApi>;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof exchange.person>>;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  exchange = createExchange(server);
  person = await exchange.person();
});
afterAll(() => server.close());

const tokenOf = async (text: string, scope?: string, client?: { clientId: string; clientSecret: string }) =>
  (await exchange.key(text, scope === undefined ? {} : { scope }, client)).body.access_token as string;
const create = (as: string, path: string, body: object, headers = {}) => api.call({ as, path, body, headers });

test('the trail names the key, not its owner nor whoever asked for the token', async () => {
  const client = await exchange.client(person.teamId);
  const [personal, team] = [await exchange.personalKey(person), await exchange.teamKey(person.teamId)];
  for (const [key, kind, name, as] of [
    [personal, 'personal_key', 'one', undefined],
    [personal, 'personal_key', 'two', client],
    [team, 'team_key', 'three', undefined],
  ] as const) {
    const { status } = await create(await tokenOf(key.text, undefined, as), '/api/v1/providers/custom', { name });
    expect([name, status]).toEqual([name, 200]);
    const [event] = (await server.auditEvents()).filter(({ action }) => action === 'provider.created').slice(-1);
    expect(event).toMatchObject({ actor_kind: kind, actor_id: key.id, team_id: person.teamId });
  }
});

test('row 92: it mints no keys unless the key’s scopes name that, and then none that are wider', async () => {
  const body = { name: 'child', team_id: person.teamId };
  const without = await exchange.personalKey(person, {});
  expect((await create(await tokenOf(without.text), '/api/v1/apikeys', body)).status).toBe(403);
  const having = await exchange.personalKey(person, { scopes: [...ALL_SCOPES] });
  const narrow = await tokenOf(having.text, 'apikeys:write providers:read');
  const wide = await create(narrow, '/api/v1/apikeys', { ...body, scopes: ['providers:write'] });
  expect(wide.status).toBe(403);
  const made = await create(narrow, '/api/v1/apikeys', { ...body, scopes: ['providers:read'] });
  expect(made.status).toBe(200);
  const silent = await create(narrow, '/api/v1/apikeys', body);
  expect([silent.status, silent.body.value.scopes]).toEqual([200, ['providers:read']]);
});

test('a team key’s token has no user: nothing that belongs to users is within its reach', async () => {
  const { text } = await exchange.teamKey(person.teamId);
  const token = await tokenOf(text);
  for (const path of [
    '/api/v1/apikeys',
    '/api/v1/users/self/connected_apps',
    '/api/v1/teams',
    '/api/preview/teamkeys',
  ]) {
    expect([path, (await api.call({ as: token, path })).status]).toEqual([path, 403]);
  }
});

test('an Idempotency-Key of the key is not that of its token, nor of a narrower token', async () => {
  const key = await exchange.personalKey(person);
  const headers = { 'idempotency-key': 'the-same-for-all-of-them' };
  const body = { name: 'Once' };
  const answers = [];
  for (const as of [key.text, await tokenOf(key.text), await tokenOf(key.text, 'providers:write')]) {
    const first = await create(as, '/api/v1/providers/custom', body, headers);
    const again = await create(as, '/api/v1/providers/custom', body, headers);
    expect([first.status, again.headers['idempotency-replayed'], again.body]).toEqual([200, 'true', first.body]);
    answers.push(first.body.value.id);
  }
  expect(new Set(answers).size).toBe(3);
});

test('what the key loses its token loses at once: a role of the owner, the client that asked, the key itself', async () => {
  const one = await exchange.person();
  const key = await exchange.personalKey(one);
  const client = await exchange.client(one.teamId);
  const [own, asked] = [await tokenOf(key.text), await tokenOf(key.text, undefined, client)];
  const write = (as: string) => create(as, '/api/v1/providers/custom', { name: 'x' });
  expect([(await write(own)).status, (await write(asked)).status]).toEqual([200, 200]);
  await server.domain.oauthClients.disable(client.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect([(await write(own)).status, (await write(asked)).status]).toEqual([200, 401]);
  const viewer = '00000000-0000-4000-8000-000000000003';
  await server.domain.memberships.setRoles({ ...one, roles: [viewer] }, OPERATOR);
  await server.domain.notifications.settle();
  expect((await write(own)).status).toBe(403);
  await server.domain.apiKeys.delete(key.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect((await write(own)).status).toBe(401);
});
