/** What every operation has in common: bodies, answers, ETags, Idempotency-Key. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hash } from '../../../src/domain/argon2id.ts';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type Api, createApi } from '../../support/api.ts';
import { createBrowser } from '../../support/browser.ts';
import { authorize, createTestApp, PASSWORD, redeemCode } from '../../support/flows.ts';
import type { RawAnswer } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

const KEYS = '/api/preview/teamkeys';
let server: TestServer;
let other: TestServer;
let api: Api;
let team: string;
let operator: string;

beforeAll(async () => {
  server = await startTestServer();
  other = await startTestServer({ connectionString: server.connectionString, secret: server.secret });
  api = createApi(server);
  team = await api.team();
  operator = await api.key('Operator', team);
}, 30_000);

afterAll(async () => {
  await other?.close();
  await server?.close();
});

const cheapHash = () => hash(PASSWORD, { memoryKib: 64, passes: 1, lanes: 1 });

async function make(name = 'Key'): Promise<{ path: string; etag: string; text: string }> {
  const made = await api.call({ as: operator, path: KEYS, body: { name, team_id: team } });
  return { path: `${KEYS}/${made.body.value.id}`, etag: made.headers.etag!, text: made.body.value.access_key };
}

function rename(path: string, name: string, ifMatch?: string): Promise<RawAnswer> {
  return api.call({
    as: operator,
    method: 'PATCH',
    path,
    body: { name },
    ...(ifMatch !== undefined && { headers: { 'if-match': ifMatch } }),
  });
}

describe('ETag and If-Match', () => {
  test('row 118: of ten changes that read the same version, one is made', async () => {
    const { path, etag } = await make();
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => rename(path, `Name ${index}`, etag)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(412)]);
    const winner = answers.find(({ status }) => status === 200)!;
    expect(winner.headers.etag).not.toBe(etag);
    const read = await api.call({ as: operator, path });
    expect([read.body, read.headers.etag]).toEqual([winner.body, winner.headers.etag]);
    const lost = answers.find(({ status }) => status === 412)!;
    expect(lost.body).toEqual({ code: 9, message: expect.stringContaining('changed since you read it'), details: [] });
  });

  test('row 118: a delete of an older version deletes nothing', async () => {
    const { path, etag } = await make();
    await rename(path, 'Newer');
    const headers = { 'if-match': etag };
    expect((await api.call({ as: operator, method: 'DELETE', path, headers })).status).toBe(412);
    expect((await api.call({ as: operator, path })).status).toBe(200);
  });

  test.each([
    ['the version it is', (etag: string) => etag, 200],
    ['any version', () => '*', 200],
    ['a weak tag', (etag: string) => `W/${etag}`, 412],
    ['another tag', () => '"1"', 412],
    ['a tag without quotes', (etag: string) => etag.slice(1, -1), 400],
    ['several tags', (etag: string) => `${etag}, "1"`, 400],
    ['an asterisk in quotes', () => '"*"', 412],
  ])('%s', async (_what, header, status) => {
    const { path, etag } = await make();
    expect((await rename(path, 'Renamed', header(etag))).status).toBe(status);
  });

  test('using a key does not change its version', async () => {
    const { path, etag, text } = await make();
    await api.call({ as: text, path: '/api/v1/providers' });
    await server.domain.lastUsed.flush();
    const read = await api.call({ as: operator, path });
    expect(read.body.value.last_access_at).not.toBe(read.body.value.created_at);
    expect(read.headers.etag).toBe(etag);
  });

  test('what has no version takes no If-Match', async () => {
    const headers = { 'if-match': '"1"' };
    const made = await api.call({ as: operator, path: KEYS, body: { name: 'Key', team_id: team }, headers });
    expect(made.status).toBe(412);
  });
});

describe('Idempotency-Key', () => {
  const create = (key: string, name: string, as = operator, on = api) =>
    on.call({ as, path: KEYS, body: { name, team_id: team }, headers: { 'idempotency-key': key } });
  const named = async (name: string) =>
    (await api.call({ as: operator, path: `${KEYS}?filter=${encodeURIComponent(`name eq "${name}"`)}` })).body.values;

  test('a request sent again is answered again, with the secret, and not done again', async () => {
    const first = await create('once', 'Only once');
    const second = await create('once', 'Only once');
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.body).toEqual(first.body);
    expect([first.headers['idempotency-replayed'], second.headers['idempotency-replayed']]).toEqual([
      undefined,
      'true',
    ]);
    expect(second.headers.etag).toBe(first.headers.etag);
    expect(await named('Only once')).toHaveLength(1);
  });

  test('twenty at once on two instances make one', async () => {
    const apis = [api, createApi(other)];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => create('race', 'Raced', operator, apis[index % 2])),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]!.status).toBe(200);
    expect(await named('Raced')).toHaveLength(1);
  });

  test('a failure is not kept: the same word may be tried again', async () => {
    expect((await create('again', '')).status).toBe(400);
    expect((await create('again', 'Worked')).status).toBe(200);
  });

  test('the same word for another request is refused and named', async () => {
    await create('taken', 'First');
    const second = await create('taken', 'Second');
    expect(second.status).toBe(400);
    expect(second.body.details[0].field_violations[0].field).toBe('idempotency-key');
    expect(await named('Second')).toEqual([]);
  });

  test('the same word of another caller is another word', async () => {
    const colleague = await api.key('Operator', team);
    const [mine, theirs] = [await create('common', 'Mine'), await create('common', 'Mine', colleague)];
    expect(theirs.body.value.id).not.toBe(mine.body.value.id);
  });

  test.each([
    ['a space', 'a b'],
    ['too long', 'x'.repeat(256)],
  ])('a word with %s is none', async (_what, key) => {
    expect((await create(key, 'Never')).status).toBe(400);
  });

  test("a narrower credential of the same user, or another team's, does not get the answer of a wider one", async () => {
    const [one, two] = [await api.team(), await api.team()];
    const { id: userId, email } = await server.domain.users.create(
      {
        email: 'both@example.com',
        teamRoles: [one, two].map((teamId) => ({ teamId, roles: ['Admin'] })),
      },
      OPERATOR,
    );
    await server.db.query('UPDATE users SET password_hash = $2 WHERE id = $1', [userId, await cheapHash()]);
    const scopes = ['apikeys:write', 'teamkeys:write'];
    const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post', allowedScopes: scopes });
    const browser = createBrowser();
    const tokenFor = async (scope: string, teamId: string) => {
      const params = { scope, prompt: 'consent' };
      const { code, pkce } = await authorize(server, { email, teamId, clientId: app.clientId, params, browser });
      return (await redeemCode(server, app, code, pkce)).body.access_token as string;
    };
    const wide = await tokenFor('apikeys:write teamkeys:write', one);
    const narrow = await tokenFor('apikeys:write', one);
    const elsewhere = await tokenFor('apikeys:write teamkeys:write', two);
    const ask = (as: string) =>
      api.call({
        as,
        path: '/api/v1/apikeys',
        body: { name: 'Wide', team_id: one, scopes },
        headers: { 'idempotency-key': 'shared' },
      });
    const first = await ask(wide);
    expect([first.status, (await ask(wide)).body.value.id]).toEqual([200, first.body.value.id]);
    for (const [as, status] of [
      [narrow, 403],
      [elsewhere, 404],
    ] as const) {
      const other = await ask(as);
      expect([other.status, other.text.includes(first.body.value.access_key)]).toEqual([status, false]);
    }
  });

  test('waiting for the first does not keep others from the database', async () => {
    const waiting: Promise<RawAnswer>[] = [];
    await server.db.transaction(async (tx) => {
      // The pool has five connections: this one is taken, and everybody with the same word waits for what it holds.
      await tx.query('LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE');
      for (let count = 0; count < 20; count += 1) waiting.push(create('slow', 'Slow'));
      const others = await Promise.all([1, 2, 3].map(() => api.call({ as: operator, path: KEYS })));
      expect(others.map(({ status }) => status)).toEqual([200, 200, 200]);
    });
    const answers = await Promise.all(waiting);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]!.status).toBe(200);
  });

  test('the secret in a kept answer cannot be read in the database', async () => {
    const { body } = await create('sealed', 'Sealed');
    const { rows } = await server.db.query<{ text: string }>(
      `SELECT encode(answer, 'escape') AS text FROM idempotency_keys`,
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter(({ text }) => text.includes(body.value.access_key) || text.includes('access_key'))).toEqual([]);
  });

  test('what it made works like anything else, and its audit event is there once', async () => {
    const { body } = await create('audited', 'Audited');
    expect((await api.call({ as: body.value.access_key, path: '/api/v1/providers' })).status).toBe(200);
    await create('audited', 'Audited');
    const events = (await server.auditEvents()).filter(({ target_id }) => target_id === body.value.id);
    expect(events.map(({ action }) => action)).toEqual(['api_key.created']);
  });
});

describe('bodies', () => {
  const cases: [string, unknown, string][] = [
    ['an unknown field', { name: 'Key', team_id: 'T', colour: 'red' }, 'colour'],
    ['a missing field', { team_id: 'T' }, 'name'],
    ['a field of another type', { name: 7, team_id: 'T' }, 'name'],
    ['a field that is null', { name: null, team_id: 'T' }, 'name'],
    ['an empty name', { name: ' ', team_id: 'T' }, 'name'],
    ['a time that is none', { name: 'Key', team_id: 'T', expires_at: '2030-02-31T00:00:00Z' }, 'expires_at'],
    ['no body', '', 'name'],
    ['an array', [], 'body'],
  ];
  test.each(cases)('with %s are refused, and the field is named', async (_what, body, field) => {
    const sent = typeof body === 'string' ? body : JSON.stringify(body).replace('"T"', JSON.stringify(team));
    const answer = await api.call({ as: operator, method: 'POST', path: KEYS, body: sent });
    expect([answer.status, answer.body.code]).toEqual([400, 3]);
    const violations = answer.body.details[0].field_violations as { field: string }[];
    expect(violations.map((one) => one.field)).toContain(field);
  });

  test('row 112: what the server sets may be sent back as it is, and not otherwise', async () => {
    const { path } = await make();
    const { value } = (await api.call({ as: operator, path })).body;
    const echoed = await api.call({ as: operator, method: 'PATCH', path, body: { ...value, name: 'Echoed' } });
    expect([echoed.status, echoed.body.value.name]).toEqual([200, 'Echoed']);
    const changes = { id: team, team_id: value.id, status: 'INACTIVE', created_at: '2020-01-01T00:00:00.000Z' };
    for (const [field, to] of Object.entries(changes)) {
      const answer = await api.call({ as: operator, method: 'PATCH', path, body: { name: 'Never', [field]: to } });
      expect([answer.status, answer.body.details[0].field_violations[0].field]).toEqual([400, field]);
    }
    expect((await api.call({ as: operator, path })).body.value.name).toBe('Echoed');
  });

  test('row 112: a time that use moves, and a name by its number, may be echoed within reason', async () => {
    const { path, text } = await make();
    const { value: read } = (await api.call({ as: operator, path })).body;
    await api.call({ as: text, path: '/api/v1/providers' });
    await server.domain.lastUsed.flush();
    const { value: used } = (await api.call({ as: operator, path })).body;
    expect(used.last_access_at > read.last_access_at).toBe(true);
    const change = (body: object) => api.call({ as: operator, method: 'PATCH', path, body });
    for (const body of [read, { ...read, status: 1 }, used]) {
      const answer = await change(body);
      expect([answer.status, answer.body]).toEqual([200, { value: used }]);
    }
    const times = ['2020-01-01T00:00:00.000Z', '2090-01-01T00:00:00.000Z', '', 'yesterday', '2026-02-31T00:00:00Z', 1];
    const states = [2, '1', 1.5, null];
    for (const wrong of [
      ...times.map((last_access_at) => ({ last_access_at })),
      ...states.map((status) => ({ status })),
    ]) {
      const answer = await change({ ...read, name: 'Never', ...wrong });
      const [field] = Object.keys(wrong);
      expect([answer.status, answer.body.details[0].field_violations]).toMatchObject([400, [{ field }]]);
    }
    expect((await api.call({ as: operator, path })).body.value).toEqual(used);
  });

  test('a body that is wrong in thousands of places gets a short answer', async () => {
    const fields = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`x${index}`, 1]));
    const unknown = await api.call({ as: operator, path: KEYS, body: { name: 'Key', team_id: team, ...fields } });
    expect([unknown.status, unknown.text.length < 5_000]).toEqual([400, true]);
    const long = await api.call({ as: operator, path: KEYS, body: { [`${'x'.repeat(50_000)}`]: 'a\0' } });
    expect([long.status, long.text.length < 2_000]).toEqual([400, true]);
    const root = await api.key('Admin');
    const many = { name: 'x', email: 'a@example.com', digest_settings: Array.from({ length: 20_000 }, () => ({})) };
    const array = await api.call({ as: root, path: '/api/v1/users', body: many });
    expect([array.status, array.text.length < 2_000]).toEqual([400, true]);
  });

  test('too large a body, and a packed one, are refused as what they are', async () => {
    const large = await api.call({ as: operator, path: KEYS, body: { name: 'x'.repeat(600_000), team_id: team } });
    expect([large.status, large.body]).toEqual([
      413,
      { code: 3, message: expect.stringContaining('512 KB'), details: [] },
    ]);
    const headers = { 'content-encoding': 'gzip' };
    const packed = await api.call({ as: operator, path: KEYS, body: { name: 'Key', team_id: team }, headers });
    expect([packed.status, packed.body.code]).toEqual([415, 3]);
  });

  test('a verb takes no fields, an empty object at most', async () => {
    const { path } = await make();
    const revoke = (body?: unknown) => api.call({ as: operator, method: 'POST', path: `${path}:revoke`, body });
    expect([(await revoke()).status, (await revoke({})).status, (await revoke({ name: 'x' })).status]).toEqual([
      200, 200, 400,
    ]);
  });
});

describe('queries', () => {
  test.each([
    ['a parameter it does not know', 'colour=red', 'colour'],
    ['a parameter every object has', '__proto__=x', '__proto__'],
    ['an operator of another kind of field', 'filter=name+gt+%22a%22', 'filter'],
    ['a status every object has', 'filter=status+eq+%22toString%22', 'filter'],
    ['a parameter twice', 'page_size=1&page_size=2', 'page_size'],
    ['a page of nothing', 'page_size=0', 'page_size'],
    ['too large a page', 'page_size=1001', 'page_size'],
    ['an order it does not have', 'order_by=access_key', 'order_by'],
    ['an order in no direction', 'order_by=name+up', 'order_by'],
    ['a page token of its own making', 'page_token=e30.e30', 'page_token'],
    ['bytes that are no text', 'filter=%ff', 'filter'],
  ])('%s is refused and named', async (_what, query, field) => {
    const answer = await api.call({ as: operator, path: `${KEYS}?${query}` });
    expect([answer.status, answer.body.details?.[0]?.field_violations[0].field]).toEqual([400, field]);
  });
});

test('a change is seen at once where it was made, and within a second elsewhere', async () => {
  const elsewhere = createApi(other);
  for (let round = 0; round < 20; round += 1) {
    const { path, text } = await make();
    const use = (on: Api) => on.call({ as: text, path: '/api/v1/providers' });
    expect([(await use(api)).status, (await use(elsewhere)).status]).toEqual([200, 200]);
    await api.call({ as: operator, method: 'POST', path: `${path}:revoke` });
    expect((await use(api)).status).toBe(401);
    expect(await soon(async () => (await use(elsewhere)).status === 401)).toBe(true);
  }
});
