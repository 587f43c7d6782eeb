/** Team API keys over HTTP: their life, from the answer that shows the text to the one that says it is gone. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { createSecretText } from '../../../src/domain/secret-text.ts';
import { type Api, createApi, fieldsOf, type TestUser } from '../../support/api.ts';
import { later } from '../../support/clock.ts';
import { countStatuses, inParallel } from '../../support/parallel.ts';
import type { RawAnswer } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const KEYS = '/api/preview/teamkeys';

let server: TestServer;
let api: Api;
let operator: TestUser;
/** The operator's credential. */
let as: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  operator = await api.user('Operator', await api.team());
  as = await api.keyOf(operator);
}, 30_000);

afterAll(() => server?.close());

async function make(body: object = {}) {
  const answer = await api.call({ as, path: KEYS, body: { name: 'push', team_id: operator.teamId, ...body } });
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  const key = answer.body.value;
  return { key, path: `${KEYS}/${key.id}`, etag: String(answer.headers.etag) };
}

const uses = async (text: string) => (await api.call({ as: text, path: '/api/v1/providers' })).status;
const list = async (query: string, by = as) =>
  api.call({ as: by, path: `${KEYS}?${new URLSearchParams(query).toString()}` });
const names = ({ body }: RawAnswer) => body.values.map(({ name }: { name: string }) => name);

describe('the life of a key', () => {
  test('its text is in the answer that makes it and in none after it', async () => {
    const { key, path } = await make({ expires_at: '2099-01-31T00:00:00Z' });
    expect(key).toEqual({
      id: expect.any(String),
      access_key: expect.stringMatching(/^lkt_[\w-]{48}$/),
      name: 'push',
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      last_access_at: key.created_at,
      status: 'ACTIVE',
      team_id: operator.teamId,
      team_name: expect.any(String),
      prefix: key.access_key.slice(0, 8),
      last_four: key.access_key.slice(-4),
      expires_at: '2099-01-31T00:00:00.000Z',
      retires_at: null,
      created_by: operator.userId,
    });
    const shown = { ...key, access_key: '' };
    const read = await api.call({ as, path });
    expect(read.body).toEqual({ value: shown });
    expect((await list(`filter=team_id eq "${operator.teamId}"`)).body.values).toContainEqual(shown);
    const renamed = await api.call({ as, path, method: 'PATCH', body: { name: ' Updated ' } });
    expect(renamed.body).toEqual({ value: { ...shown, name: 'Updated' } });
    expect(renamed.headers.etag).not.toBe(read.headers.etag);
    const deleted = await api.call({ as, path, method: 'DELETE' });
    expect([deleted.status, deleted.body]).toEqual([200, { value: { ...shown, name: 'Updated', status: 'INACTIVE' } }]);
    expect(await api.call({ as, path })).toMatchObject({ status: 404, body: { code: 5 } });
    expect(await api.call({ as, path, method: 'DELETE' })).toMatchObject({ status: 404 });
  });

  test('row 88: deleted, revoked, expired, replaced and unknown keys get one and the same 401', async () => {
    const [deleted, revoked, expired, replaced] = [
      await make(),
      await make(),
      await make({ expires_at: new Date(Date.now() + 30_000).toISOString() }),
      await make(),
    ];
    for (const { key } of [deleted, revoked, expired, replaced]) expect(await uses(key.access_key)).toBe(200);
    await api.call({ as, path: deleted.path, method: 'DELETE' });
    await api.call({ as, path: `${replaced.path}:rotate`, method: 'POST' });
    for (let times = 0; times < 2; times += 1) {
      expect(await api.call({ as, path: `${revoked.path}:revoke`, method: 'POST' })).toMatchObject({
        status: 200,
        body: {},
      });
    }
    expect((await api.call({ as, path: revoked.path })).body.value.status).toBe('INACTIVE');
    const { text: unknown } = createSecretText('lkt_');
    const refused = async (text: string) => {
      const { status, text: body, headers } = await api.call({ as: text, path: KEYS });
      return [status, body, headers['www-authenticate']];
    };
    await later(31, async () => {
      const texts = [deleted, revoked, expired, replaced].map(({ key }) => key.access_key);
      const answers = [];
      for (const text of [unknown, ...texts]) answers.push(await refused(text));
      expect(answers[0]![0]).toBe(401);
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      for (const verb of ['revoke', 'reinstate']) {
        expect((await api.call({ as, path: `${expired.path}:${verb}`, method: 'POST' })).status).toBe(200);
      }
      expect(await uses(expired.key.access_key)).toBe(401);
    });
    for (let times = 0; times < 2; times += 1) {
      expect(await api.call({ as, path: `${revoked.path}:reinstate`, method: 'POST' })).toMatchObject({
        status: 200,
        body: {},
      });
    }
    expect(await uses(revoked.key.access_key)).toBe(200);
  });

  test('row 94: rotated with an overlap both texts work, and the stated instant ends the old one', async () => {
    const { key, path } = await make();
    const rotated = await api.call({ as, path: `${path}:rotate`, body: { overlap_seconds: 60 } });
    const { access_key: text, prefix, last_four } = rotated.body.value;
    expect(rotated.body.value).toEqual({
      ...key,
      access_key: text,
      prefix: text.slice(0, 8),
      last_four: text.slice(-4),
    });
    expect([prefix, last_four]).not.toEqual([key.prefix, key.last_four]);
    expect([await uses(key.access_key), await uses(text)]).toEqual([200, 200]);
    await later(61, async () => expect([await uses(key.access_key), await uses(text)]).toEqual([401, 200]));
    const again = await api.call({ as, path: `${path}:rotate`, method: 'POST' });
    expect([await uses(text), await uses(again.body.value.access_key)]).toEqual([401, 200]);
    expect(await uses(key.access_key)).toBe(401);
    for (const overlap_seconds of [-1, 0.5, 2_592_001, '60', null]) {
      const refused = await api.call({ as, path: `${path}:rotate`, body: { overlap_seconds } });
      expect([overlap_seconds, refused.status, fieldsOf(refused)]).toEqual([overlap_seconds, 400, ['overlap_seconds']]);
    }
  });

  test('row 91: it survives its creator, and ends with its team', async () => {
    const teamId = await api.team();
    const creator = await api.user('Operator', teamId);
    const body = { name: 'kept', team_id: teamId };
    const made = await api.call({ as: await api.keyOf(creator), path: KEYS, body });
    const text = made.body.value.access_key;
    await server.domain.users.delete(creator.userId, OPERATOR);
    await server.domain.notifications.settle();
    expect(await uses(text)).toBe(200);
    await server.domain.teams.delete(teamId, OPERATOR);
    await server.domain.notifications.settle();
    expect(await uses(text)).toBe(401);
  });
});

describe('what cannot be changed', () => {
  test('rows 111, 112: protected fields may be echoed as they are, and are refused by name otherwise', async () => {
    const { key, path } = await make();
    await uses(key.access_key);
    await server.domain.lastUsed.flush();
    const echo = await api.call({
      as,
      path,
      method: 'PATCH',
      body: { ...key, access_key: '', name: 'Echoed', status: 1 },
    });
    expect([echo.status, echo.body.value?.name]).toEqual([200, 'Echoed']);
    const before = await api.rows('api_keys');
    const wrong = {
      id: operator.userId,
      access_key: 'lkt_mine',
      created_at: '2020-01-01T00:00:00.000Z',
      last_access_at: '2020-01-01T00:00:00.000Z',
      status: 'INACTIVE',
      team_id: ROOT_TEAM_ID,
      team_name: 'Root',
      prefix: 'lkt_zzzz',
      last_four: 'zzzz',
      expires_at: '2099-01-01T00:00:00Z',
      created_by: null,
      scopes: ['users:write'],
      user_id: operator.userId,
      version: '1',
    };
    for (const [field, value] of Object.entries(wrong)) {
      const answer = await api.call({ as, path, method: 'PATCH', body: { name: 'Moved', [field]: value } });
      expect([field, answer.status, fieldsOf(answer)]).toEqual([field, 400, [field]]);
    }
    for (const field of ['id', 'status', 'access_key', 'created_by', 'scopes', 'user_id']) {
      const body = { name: 'x', team_id: operator.teamId, [field]: 'x' };
      const answer = await api.call({ as, path: KEYS, body });
      expect([field, answer.status, fieldsOf(answer)]).toEqual([field, 400, [field]]);
    }
    expect(await api.rows('api_keys')).toEqual(before);
  });

  test('row 117: what is done to one key is done to no other', async () => {
    const { key, path } = await make();
    const id = `api_keys ${key.id}`;
    for (const [method, suffix, body] of [
      ['PATCH', '', { name: 'Narrow' }],
      ['POST', ':rotate', { overlap_seconds: 60 }],
      ['POST', ':revoke', undefined],
      ['POST', ':reinstate', undefined],
      ['DELETE', '', undefined],
    ] as const) {
      const { [id]: mine, ...others } = await api.rows('api_keys', 'users', 'teams', 'memberships', 'membership_roles');
      expect((await api.call({ as, method, path: path + suffix, body })).status).toBe(200);
      const { [id]: now, ...after } = await api.rows('api_keys', 'users', 'teams', 'memberships', 'membership_roles');
      expect(after).toEqual(others);
      expect(now).not.toEqual(mine);
    }
  });

  test('row 118: of two edits of what was read one is made, and the other is told', async () => {
    const { path, etag } = await make();
    const rename = (index: number) =>
      api.call({ as, path, method: 'PATCH', body: { name: `Edit ${index}` }, headers: { 'if-match': etag } });
    const answers = await inParallel(8, rename);
    expect(countStatuses(answers)).toEqual({ 200: 1, 412: 7 });
    const winner = answers.find(({ status }) => status === 200)!;
    expect((await api.call({ as, path })).body).toEqual(winner.body);
    for (const [method, suffix] of [
      ['POST', ':revoke'],
      ['POST', ':rotate'],
      ['DELETE', ''],
    ] as const) {
      const stale = await api.call({ as, method, path: path + suffix, headers: { 'if-match': etag } });
      expect([stale.status, stale.body.code]).toEqual([412, 9]);
    }
    const current = String(winner.headers.etag);
    expect((await api.call({ as, path, method: 'DELETE', headers: { 'if-match': current } })).status).toBe(200);
  });
});

describe('lists', () => {
  test('without a filter: the keys of the team, for the root team those of all', async () => {
    await make();
    const other = await api.user('Operator', await api.team());
    const theirs = await api.call({
      as: await api.keyOf(other),
      path: KEYS,
      body: { name: 'theirs', team_id: other.teamId },
    });
    const teams = ({ body }: RawAnswer) => new Set(body.values.map((one: { team_id: string }) => one.team_id));
    expect(teams(await list('page_size=1000'))).toEqual(new Set([operator.teamId]));
    const everything = await list('page_size=1000', await api.key('Viewer'));
    expect([...teams(everything)]).toEqual(expect.arrayContaining([operator.teamId, other.teamId]));
    const refused = await list(`filter=team_id eq "${other.teamId}"`);
    expect([refused.status, (await api.call({ as, path: `${KEYS}/${theirs.body.value.id}` })).status]).toEqual([
      404, 404,
    ]);
  });

  test('filters narrow, together too, and names or numbers stand for a status', async () => {
    const teamId = await api.team();
    const admin = await api.key('Admin', teamId);
    for (const name of ['b', 'a', 'say "hi"'])
      await api.call({ as: admin, path: KEYS, body: { name, team_id: teamId } });
    const [first] = (await list('', admin)).body.values;
    await api.call({ as: admin, path: `${KEYS}/${first.id}:revoke`, method: 'POST' });
    const found = async (query: string) => names(await list(query, admin));
    expect(await found('filter=status eq "INACTIVE"')).toEqual(['b']);
    expect(await found('filter=status eq "2"')).toEqual(['b']);
    expect(await found('filter=name eq "say \\"hi\\""')).toEqual(['say "hi"']);
    expect(await found(`filter=team_id eq "${teamId}" and status eq "ACTIVE"&order_by=name desc`)).toEqual([
      'say "hi"',
      'a',
    ]);
    expect(await found('order_by=name')).toEqual(['a', 'b', 'say "hi"']);
    for (const query of ['filter=kind eq "team"', 'filter=user_id eq "x"', 'order_by=status', 'filter=status eq "3"']) {
      const answer = await list(query, admin);
      expect([query, answer.status, fieldsOf(answer)]).toEqual([query, 400, [query.split('=')[0]]]);
    }
  });

  test.each(['created_at', 'name desc'])('by %s, a page token survives what is made meanwhile', async (order) => {
    const teamId = await api.team();
    const reader = await api.key('Viewer', teamId);
    const add = (name: string) => server.domain.apiKeys.createTeam({ teamId, name }, OPERATOR);
    await inParallel(12, (index) => add(`Key ${index % 4}`));
    const before = (await list('page_size=1000', reader)).body.values.map(({ id }: { id: string }) => id);
    const seen: string[] = [];
    let [token, pages] = ['', 0];
    do {
      const page = await list(`page_size=3&order_by=${order}&page_token=${token}`, reader);
      expect(page.status).toBe(200);
      seen.push(...page.body.values.map(({ id }: { id: string }) => id));
      expect(page.body.has_more).toBe(page.body.next_page_token !== '');
      token = page.body.next_page_token;
      pages += 1;
      if (pages < 4) await inParallel(2, (index) => add(`Key ${index * 9}`));
    } while (token !== '' && pages < 20);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(before));
  });
});
