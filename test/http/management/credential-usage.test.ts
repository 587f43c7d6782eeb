import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, createApi, fieldsOf } from '../../support/api.ts';
import { later } from '../../support/clock.ts';
import { clientCredentials, createTestClient, credentials, postForm } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const DAY = 24 * 3600;
const dayOf = (ago: number) => new Date(Date.now() - ago * DAY * 1000).toISOString().slice(0, 10);

let server: TestServer;
let api: Api;
let root: string;
let teamId: string;
let teamName: string;
let operator: string;
let person: { userId: string; email: string };
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
  teamName = 'Counted';
  teamId = await api.team(teamName);
  const user = await api.user('Operator', teamId);
  person = user;
  operator = await api.keyOf(user);
}, 30_000);
afterAll(() => server?.close());

const get = async (path: string, as = root) => {
  await server.domain.credentialUses.flush();
  return api.call({ as, path: `/api/v1/credential_usage${path}` });
};

test('requests with every kind of credential are counted, each with its share of the day', async () => {
  const team = await server.domain.apiKeys.createTeam({ teamId, name: 'Push' }, OPERATOR);
  const client = await createTestClient(server, teamId);
  const { body } = await clientCredentials(server, client);
  const use = (as: string, path = '/api/v1/providers') => api.call({ as, path });
  for (let time = 0; time < 5; time += 1) await use(team.text);
  for (let time = 0; time < 3; time += 1) await use(operator);
  // What is not allowed is a request all the same; what is not admitted is none.
  await use(operator, '/api/v1/settings/sign-in');
  await use(`${team.text.slice(0, -1)}x`);
  await use(body.access_token);

  const filter = encodeURIComponent(`team_id eq "${teamId}"`);
  const answer = await get(`?filter=${filter}`);
  expect(answer.status).toBe(200);
  const common = { day: dayOf(0), team_id: teamId, team_name: teamName };
  expect(answer.body.values).toEqual([
    { ...common, kind: 'oauth2_client', requests: 1, share: 0.1 },
    { ...common, kind: 'personal_key', requests: 4, share: 0.4 },
    { ...common, kind: 'team_key', requests: 5, share: 0.5 },
  ]);
  const one = await get(`?filter=${filter}+and+kind+eq+%22team_key%22`);
  expect(one.body.values).toMatchObject([{ kind: 'team_key', share: 0.5 }]);

  const keys = (await get(`/keys?team_id=${teamId}&order_by=requests+desc`)).body.values;
  expect(keys).toEqual([
    {
      ...{ key_id: team.key.id, kind: 'team_key', name: 'Push', owner: null, requests: 5 },
      ...{ prefix: team.key.prefix, last_four: team.key.lastFour, external_id: null },
      ...{ team_id: teamId, team_name: teamName, last_day: dayOf(0), retires_at: null },
    },
    expect.objectContaining({ kind: 'personal_key', owner: { id: person.userId, email: person.email }, requests: 4 }),
  ]);
});

test('a token that was got for a key counts as exchanged, also when a client of another team asked for it', async () => {
  const [id, elsewhere] = [await api.team(), await api.team()];
  const { text, key } = await server.domain.apiKeys.createTeam({ teamId: id, name: 'Push' }, OPERATOR);
  const client = await createTestClient(server, elsewhere);
  const { body } = await postForm(`${server.origin}/oauth2/token`, {
    ...{ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: text },
    ...{ subject_token_type: 'urn:latchkey:token-type:api_key', ...credentials(client) },
  });
  expect((await api.call({ as: body.access_token, path: '/api/v1/providers' })).status).toBe(200);
  await server.domain.credentialUses.flush();
  const { rows } = await server.db.query('SELECT kind, credential FROM credential_uses WHERE team_id = $1', [id]);
  expect(rows).toEqual([{ kind: 'exchanged_token', credential: `key:${key.id}` }]);
});

test('who still calls with a key that has been given up is found', async () => {
  const id = await api.team();
  const { text, key } = await server.domain.apiKeys.createTeam({ teamId: id, name: 'Forgotten' }, OPERATOR);
  await server.domain.retirements.create({ teamId: id, retiresAt: new Date(Date.now() - 1_000) }, {}, OPERATOR);
  await server.domain.notifications.settle();
  for (let time = 0; time < 2; time += 1) {
    expect((await api.call({ as: text, path: '/api/v1/providers' })).status).toBe(401);
  }
  expect((await get(`/keys?team_id=${id}`)).body.values).toMatchObject([
    { key_id: key.id, kind: 'team_key', requests: 2, retires_at: expect.any(String) },
  ]);
});

test('days are asked for by a filter or by from and to; without, it is the last thirty', async () => {
  const id = await api.team();
  const use = { teamId: id, kind: 'oauth2_client' as const, credential: 'svc_x' };
  for (const ago of [0, 1, 29, 30, 90]) {
    await later(-ago * DAY, async () => server.domain.credentialUses.count(use));
  }
  const days = async (query: string) => {
    const { status, body } = await get(`?${query}`);
    expect(status).toBe(200);
    return body.values.filter((one: { team_id: string }) => one.team_id === id).map(({ day }: { day: string }) => day);
  };
  expect(await days('')).toEqual([29, 1, 0].map(dayOf));
  expect(await days('order_by=day+desc')).toEqual([0, 1, 29].map(dayOf));
  expect(await days(`from=${dayOf(30)}&to=${dayOf(1)}`)).toEqual([30, 29, 1].map(dayOf));
  expect(await days(`from=${dayOf(90)}`)).toEqual([90, 30, 29, 1, 0].map(dayOf));
  expect(await days(`to=${dayOf(30)}`)).toEqual([30].map(dayOf));
  const filter = (text: string) => `filter=${encodeURIComponent(text)}`;
  expect(await days(filter(`day ge "${dayOf(90)}" and day lt "${dayOf(1)}"`))).toEqual([90, 30, 29].map(dayOf));
  expect(await days(filter(`day eq "${dayOf(90)}" and team_id eq "${id}"`))).toEqual([dayOf(90)]);

  const page = (await get(`?page_size=2&${filter(`team_id eq "${id}"`)}`)).body;
  expect(page.has_more).toBe(true);
  const rest = `?page_size=2&${filter(`team_id eq "${id}"`)}&page_token=${encodeURIComponent(page.next_page_token)}`;
  expect((await get(rest)).body).toMatchObject({ values: [{ day: dayOf(0) }], has_more: false });
});

test('callers are listed by pages', async () => {
  const id = await api.team();
  const made = await Promise.all(
    Array.from({ length: 3 }, () => server.domain.apiKeys.createTeam({ teamId: id, name: 'Push' }, OPERATOR)),
  );
  for (const [index, { key }] of made.entries()) {
    server.domain.credentialUses.count({ teamId: id, kind: 'team_key', credential: key.id }, index + 1);
  }
  const ids = (body: { values: { key_id: string }[] }) => body.values.map(({ key_id }) => key_id);
  for (const [order, expected] of [
    ['', made.map(({ key }) => key.id).toSorted()],
    ['&order_by=requests', made.map(({ key }) => key.id)],
    ['&order_by=requests+desc', made.map(({ key }) => key.id).toReversed()],
  ] as const) {
    const query = `/keys?team_id=${id}&page_size=2${order}`;
    const { body } = await get(query);
    const rest = await get(`${query}&page_token=${encodeURIComponent(body.next_page_token)}`);
    expect([...ids(body), ...ids(rest.body)]).toEqual(expected);
  }
});

test('row 110: nobody sees the usage of another team', async () => {
  const theirs = encodeURIComponent(`team_id eq "${ROOT_TEAM_ID}"`);
  await api.call({ as: operator, path: '/api/v1/providers' });
  for (const path of [`?filter=${theirs}`, `/keys?team_id=${ROOT_TEAM_ID}`, `/keys?filter=${theirs}`]) {
    expect((await get(path, operator)).status).toBe(404);
  }
  for (const path of ['', '/keys']) {
    const { values } = (await get(path, operator)).body;
    expect(new Set(values.map((one: { team_id: string }) => one.team_id))).toEqual(new Set([teamId]));
  }
});

test('what is wrong is named', async () => {
  for (const [query, field] of [
    ['?from=2030-02-30', 'from'],
    ['?to=yesterday', 'to'],
    ['/keys?from=0001-01-01', 'from'],
    ['/keys?from=2030-01-02&to=2030-01-01', 'from'],
    ['/keys?team_id=x', 'team_id'],
    ['?filter=day+eq+%22today%22', 'filter'],
    ['?filter=kind+eq+%22session%22', 'filter'],
    ['?order_by=requests', 'order_by'],
  ] as const) {
    const answer = await get(query);
    expect([query, answer.status, fieldsOf(answer)]).toEqual([query, 400, [field]]);
  }
});
