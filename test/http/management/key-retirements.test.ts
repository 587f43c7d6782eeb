import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, type ApiCall, createApi, fieldsOf } from '../../support/api.ts';
import { later } from '../../support/clock.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const LINK = 'https://example.com/new';
const LATER = '2099-01-31T12:00:00.000Z';
const SUNSET = 'Sat, 31 Jan 2099 12:00:00 GMT';
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);

let server: TestServer;
let api: Api;
let root: string;
let teamId: string;
let admin: string;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
}, 30_000);
afterAll(() => server?.close());
beforeEach(async () => {
  await server.db.query('DELETE FROM retirements');
  teamId = await api.team();
  admin = await api.key('Admin', teamId);
});

const call = (path = '', more: Partial<ApiCall> = {}) =>
  api.call({ as: root, path: `/api/v1/key_retirements${path}`, ...more });

async function create(body: object, as = root) {
  const answer = await call('', { as, body: { retires_at: LATER, ...body } });
  expect([answer.status, answer.body]).toEqual([200, { value: expect.any(Object) }]);
  return answer.body.value;
}

const teamKey = (team = teamId) => server.domain.apiKeys.createTeam({ teamId: team, name: 'Push' }, OPERATOR);
const noticeOf = ({ headers }: { headers: Record<string, unknown> }) => [
  headers.deprecation,
  headers.sunset,
  headers.link,
];
const use = (text: string) => api.call({ as: text, path: '/api/v1/providers' });

test('a retirement is made, read, changed and taken back', async () => {
  const { key } = await teamKey();
  const made = await create({ key_id: key.id, replacement_url: LINK });
  expect(made).toEqual({
    id: expect.any(String),
    key_id: key.id,
    key_name: 'Push',
    team_id: teamId,
    team_name: expect.any(String),
    prefix: null,
    retires_at: LATER,
    replacement_url: LINK,
    set_by_root: true,
    created_by: expect.any(String),
    created_at: TIME,
    updated_at: TIME,
  });
  const read = await call(`/${made.id}`);
  expect([read.status, read.body]).toEqual([200, { value: made }]);
  const changed = await call(`/${made.id}`, {
    method: 'PATCH',
    headers: { 'if-match': read.headers.etag as string },
    body: { ...made, retires_at: '2098-01-31T13:00:00.5+01:00', replacement_url: null },
  });
  expect([changed.status, changed.body.value]).toEqual([
    200,
    { ...made, retires_at: '2098-01-31T12:00:00.500Z', replacement_url: null, updated_at: TIME },
  ]);
  const stale = { method: 'PATCH', headers: { 'if-match': read.headers.etag as string }, body: { retires_at: LATER } };
  expect((await call(`/${made.id}`, stale)).status).toBe(412);
  const deleted = await call(`/${made.id}`, { method: 'DELETE' });
  expect([deleted.status, deleted.body]).toEqual([200, changed.body]);
  expect((await call(`/${made.id}`)).status).toBe(404);
  for (const verb of ['created', 'updated', 'deleted']) {
    const path = `/api/v1/audit_events?filter=action+eq+%22key_retirement.${verb}%22+and+target_id+eq+%22${made.id}%22`;
    expect((await api.call({ as: root, path })).body.values).toHaveLength(1);
  }
});

test('made twice with one Idempotency-Key it is made once; made twice without, the second is told of the first', async () => {
  const body = { team_id: teamId, retires_at: LATER };
  const headers = { 'idempotency-key': 'once' };
  const [one, same] = [await call('', { body, headers }), await call('', { body, headers })];
  expect([one.status, same.status, same.body]).toEqual([200, 200, one.body]);
  const second = await call('', { body });
  expect([second.status, second.body.code]).toEqual([409, 6]);
  expect(second.body.message).toMatch(/change that one/);
});

test('answers to a key that is to be given up say so, and after its day it is refused with the link', async () => {
  const { key, text } = await teamKey();
  expect(noticeOf(await use(text))).toEqual([undefined, undefined, undefined]);
  const made = await create({ key_id: key.id, replacement_url: LINK });
  const notice = [`@${Math.floor(Date.parse(made.created_at) / 1000)}`, SUNSET, `<${LINK}>; rel="deprecation sunset"`];
  const admitted = await use(text);
  expect([admitted.status, ...noticeOf(admitted)]).toEqual([200, ...notice]);
  // Also where the key may not do what is asked for.
  const lacking = await api.call({ as: text, path: '/api/v1/users' });
  expect([lacking.status, ...noticeOf(lacking)]).toEqual([403, ...notice]);

  await call(`/${made.id}`, { method: 'PATCH', body: { retires_at: new Date().toISOString() } });
  const refused = await use(text);
  const unknown = await use(`${text.slice(0, 4)}${'A'.repeat(48)}`);
  expect([refused.status, refused.body.message]).toEqual([401, 'Unauthenticated']);
  expect(refused.headers['www-authenticate']).toMatch(/error="invalid_token"/);
  expect(refused.headers.link).toBe(notice[2]);
  expect(Date.parse(refused.headers.sunset as string)).toBeLessThanOrEqual(Date.now());
  expect(noticeOf(unknown)).toEqual([undefined, undefined, undefined]);

  await call(`/${made.id}`, { method: 'DELETE' });
  const again = await use(text);
  expect([again.status, ...noticeOf(again)]).toEqual([200, undefined, undefined, undefined]);
});

test('the day comes by itself', async () => {
  const { text } = await teamKey();
  await create({ team_id: teamId, retires_at: new Date(Date.now() + 60_000).toISOString() });
  expect((await use(text)).status).toBe(200);
  await later(61, async () => expect((await use(text)).status).toBe(401));
});

test('keys and the inventory show when they are to be given up', async () => {
  const [{ key }, other] = [await teamKey(), await teamKey(await api.team())];
  await create({ team_id: teamId, prefix: 'lkt_' });
  const shown = async (path: string, as = root) => (await api.call({ as, path })).body.value;
  expect((await shown(`/api/preview/teamkeys/${key.id}`)).retires_at).toBe(LATER);
  expect((await shown(`/api/preview/teamkeys/${other.key.id}`)).retires_at).toBeNull();
  const { values } = (await api.call({ as: admin, path: '/api/v1/credentials' })).body;
  const untilOf = (kind: string) => values.find((one: { kind: string }) => one.kind === kind).retires_at;
  expect([untilOf('team_key'), untilOf('personal_key')]).toEqual([LATER, null]);
  const own = (await api.call({ as: admin, path: '/api/v1/apikeys' })).body.values;
  expect(own).toMatchObject([{ retires_at: null }]);
});

test('lists are filtered and ordered', async () => {
  const { key } = await teamKey();
  const early = '2098-01-31T12:00:00.000Z';
  const ids = [
    await create({ team_id: teamId }),
    await create({ key_id: key.id, retires_at: early }),
    await create({ prefix: 'acme_', retires_at: '2097-01-31T12:00:00.000Z' }),
  ].map(({ id }) => id);
  const listed = async (query: string, as = root) =>
    (await call(`?${query}`, { as })).body.values.map(({ id }: { id: string }) => id);
  expect(await listed('')).toEqual(ids);
  expect(await listed('order_by=retires_at')).toEqual(ids.toReversed());
  expect(await listed('order_by=retires_at+desc')).toEqual(ids);
  expect(await listed(`filter=key_id+eq+%22${key.id}%22`)).toEqual([ids[1]]);
  expect(await listed(`filter=team_id+eq+%22${teamId}%22`)).toEqual(ids.slice(0, 2));
  expect(await listed('filter=prefix+eq+%22acme_%22')).toEqual([ids[2]]);
  expect(await listed('', admin)).toEqual(ids.slice(0, 2));
  const page = (await call('?page_size=2')).body;
  const rest = (await call(`?page_size=2&page_token=${encodeURIComponent(page.next_page_token)}`)).body;
  expect([...page.values, ...rest.values].map(({ id }: { id: string }) => id)).toEqual(ids);
});

test('row 110: an administrator of one team retires its keys and reaches no others', async () => {
  const elsewhere = await api.team();
  const [mine, theirs] = [await teamKey(), await teamKey(elsewhere)];
  const foreign = await create({ key_id: theirs.key.id });
  const everywhere = await create({ prefix: 'lkp_' });
  for (const body of [{ key_id: theirs.key.id }, { team_id: elsewhere }, { team_id: ROOT_TEAM_ID, prefix: 'lkt_' }]) {
    expect((await call('', { as: admin, body: { retires_at: LATER, ...body } })).status).toBe(404);
  }
  const global = await call('', { as: admin, body: { retires_at: LATER, prefix: 'lkt_' } });
  expect([global.status, fieldsOf(global)]).toEqual([400, ['team_id']]);
  for (const id of [foreign.id, everywhere.id]) {
    expect((await call(`/${id}`, { as: admin })).status).toBe(404);
    expect((await call(`/${id}`, { as: admin, method: 'PATCH', body: { retires_at: LATER } })).status).toBe(404);
    expect((await call(`/${id}`, { as: admin, method: 'DELETE' })).status).toBe(404);
  }
  await create({ key_id: mine.key.id }, admin);
  expect((await call(`?filter=team_id+eq+%22${elsewhere}%22`, { as: admin })).status).toBe(404);
  expect((await call(`?filter=key_id+eq+%22${theirs.key.id}%22`, { as: admin })).body.values).toEqual([]);
  // The personal key of the administrator itself begins with it.
  expect(noticeOf(await call('', { as: admin }))[1]).toBe(SUNSET);
});

test('row 110: an administrator of a team does not undo what the root team decided', async () => {
  const [theirs, own] = [await create({ team_id: teamId }), await create({ team_id: teamId, prefix: 'lkt_' }, admin)];
  expect([theirs.set_by_root, own.set_by_root]).toEqual([true, false]);
  for (const ask of [{ method: 'PATCH', body: { retires_at: LATER } }, { method: 'DELETE' }]) {
    const answer = await call(`/${theirs.id}`, { as: admin, ...ask });
    expect([answer.status, answer.body.message]).toEqual([403, expect.stringMatching(/root team/)]);
    expect((await call(`/${own.id}`, { as: admin, ...ask })).status).toBe(200);
  }
  expect((await call(`/${theirs.id}`, { as: admin })).body.value).toEqual(theirs);
});

test('after its day a key is INACTIVE in the inventory and among keys', async () => {
  const { key } = await teamKey();
  await create({ key_id: key.id, retires_at: new Date().toISOString() });
  const status = async (path: string, query = '') =>
    (
      await api.call({ as: root, path: `${path}?filter=${encodeURIComponent(`team_id eq "${teamId}"${query}`)}` })
    ).body.values
      .filter((one: { id: string }) => one.id === key.id)
      .map((one: { status: string }) => one.status);
  for (const path of ['/api/v1/credentials', '/api/preview/teamkeys']) {
    expect([path, await status(path)]).toEqual([path, ['INACTIVE']]);
    expect([path, await status(path, ' and status eq "INACTIVE"')]).toEqual([path, ['INACTIVE']]);
    expect([path, await status(path, ' and status eq "ACTIVE"')]).toEqual([path, []]);
  }
});

test('rows 111, 112: what a retirement is for cannot be changed', async () => {
  const [{ key }, other] = [await teamKey(), await teamKey()];
  const made = await create({ key_id: key.id });
  for (const [field, value] of Object.entries({
    ...{ id: other.key.id, key_id: other.key.id, team_id: ROOT_TEAM_ID, prefix: 'lkt_' },
    ...{ created_by: null, created_at: LATER, unknown: 1 },
  })) {
    const answer = await call(`/${made.id}`, { method: 'PATCH', body: { retires_at: LATER, [field]: value } });
    expect([answer.status, fieldsOf(answer)]).toEqual([400, [field]]);
  }
  expect((await call(`/${made.id}`)).body.value).toEqual(made);
});

test('what is wrong is named', async () => {
  const { key } = await teamKey();
  for (const [body, field] of [
    [{}, 'key_id'],
    [{ key_id: key.id, prefix: 'acme_' }, 'prefix'],
    [{ prefix: 'acme_', retires_at: '2020-01-31T00:00:00Z' }, 'retires_at'],
    [{ prefix: 'acme_', retires_at: 'soon' }, 'retires_at'],
    [{ prefix: 'acme_', replacement_url: 'ftp://example.com' }, 'replacement_url'],
    [{ prefix: 7 }, 'prefix'],
  ] as const) {
    const answer = await call('', { body: { retires_at: LATER, ...body } });
    expect([answer.status, fieldsOf(answer)]).toEqual([400, [field]]);
  }
});
