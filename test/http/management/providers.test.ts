/** Providers over HTTP beyond what the four kinds of credential have in common (see ../management.test.ts). */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type Api, createApi, fieldsOf } from '../../support/api.ts';
import type { RawAnswer } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const SEEN = '/api/v1/providers';
const CUSTOM = '/api/v1/providers/custom';

let server: TestServer;
let api: Api;
let root: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
}, 30_000);

afterAll(() => server?.close());

async function caller() {
  const teamId = await api.team();
  return { teamId, as: await api.key('Operator', teamId) };
}

async function make(as: string, body: object = {}) {
  const made = await api.call({ as, path: CUSTOM, body: { name: 'Payroll', ...body } });
  return { value: made.body.value, path: `${CUSTOM}/${made.body.value.id}`, etag: made.headers.etag! };
}

const names = ({ body }: RawAnswer): string[] => body.values.map(({ name }: { name: string }) => name);
const query = (params: Record<string, string>) => `?${new URLSearchParams(params)}`;

describe('which providers there are', () => {
  test("is decided by the team's policy", async () => {
    const [mine, theirs] = [await caller(), await caller()];
    const own = await make(mine.as, { name: 'own' });
    const foreign = await make(theirs.as, { name: 'foreign' });
    const seen = async () => {
      const ids = (await api.call({ as: mine.as, path: `${SEEN}?page_size=1000` })).body.values.map(
        ({ id }: { id: string }) => id,
      );
      return [own, foreign].map(({ value }) => ids.includes(value.id));
    };
    const bind = (body: object) => api.call({ as: root, method: 'PATCH', path: `/api/v1/teams/${mine.teamId}`, body });
    expect(await seen()).toEqual([true, true]);
    await bind({ policy_type: 'PROVIDER_ID_SET' });
    expect(await seen()).toEqual([true, false]);
    await bind({ providers: [{ id: foreign.value.id }] });
    expect(await seen()).toEqual([true, true]);
    // Seen is not the same as within reach: not even what is wrong with a request tells of it.
    for (const [method, body] of [['GET'], ['PATCH', { type: 'AWS' }]] as const) {
      expect((await api.call({ as: mine.as, method, path: foreign.path, body })).status).toBe(404);
    }
    await bind({ policy_type: 'UNBOUND', providers: [], provider_types: ['CUSTOM'] });
    expect(await seen()).toEqual([true, true]);
  });

  test('is filtered and ordered', async () => {
    const { as, teamId } = await caller();
    for (const name of ['c', 'a', 'b']) await make(as, { name });
    for (const path of [SEEN, CUSTOM]) {
      const listed = async (filter: string, order_by = '') =>
        names(await api.call({ as, path: path + query({ filter, order_by }) }));
      const ours = `team_id eq "${teamId}"`;
      expect(await listed(ours)).toEqual(['c', 'a', 'b']);
      expect(await listed(ours, 'name asc')).toEqual(['a', 'b', 'c']);
      expect(await listed(ours, 'created_at desc')).toEqual(['b', 'a', 'c']);
      expect(await listed(`${ours} and name eq "b"`)).toEqual(['b']);
      const wrong: Record<string, string>[] = [{ filter: 'team_id eq "x"' }, { order_by: 'team_id' }];
      for (const one of wrong) {
        const answer = await api.call({ as, path: path + query(one) });
        expect([answer.status, fieldsOf(answer)]).toEqual([400, Object.keys(one)]);
      }
    }
  });

  test('comes page by page, nothing twice and nothing left out, whatever is made meanwhile', async () => {
    const { as } = await caller();
    for (const name of ['b', 'd', 'f']) await make(as, { name });
    const seen: string[] = [];
    let page_token = '';
    for (let rounds = 0; rounds < 10; rounds += 1) {
      const answer = await api.call({ as, path: CUSTOM + query({ page_size: '1', order_by: 'name asc', page_token }) });
      seen.push(...names(answer));
      page_token = answer.body.next_page_token;
      if (page_token === '') break;
      if (rounds === 0) for (const name of ['a', 'c']) await make(as, { name });
    }
    expect(seen).toEqual(['b', 'c', 'd', 'f']);
  });
});

describe('whose they are', () => {
  test('the root team makes, reads and changes them for every team that exists', async () => {
    const { as, teamId } = await caller();
    const made = await make(root, { team_id: teamId });
    expect(made.value.team_id).toBe(teamId);
    const renamed = await api.call({ as: root, method: 'PATCH', path: made.path, body: { name: 'Renamed' } });
    expect((await api.call({ as, path: made.path })).body).toEqual(renamed.body);
    for (const team_id of [randomUUID(), 'x']) {
      const answer = await api.call({ as: root, path: CUSTOM, body: { name: 'x', team_id } });
      expect(answer).toMatchObject({ status: 404, body: { code: 5, message: 'There is no such team.' } });
    }
  });

  test('a team key reads and writes them, and nothing else', async () => {
    const { teamId } = await caller();
    const { text: as } = await server.domain.apiKeys.createTeam({ teamId, name: 'Push' }, OPERATOR);
    const { value, path } = await make(as);
    expect((await api.call({ as, method: 'PATCH', path, body: { custom_template: 'hr' } })).status).toBe(200);
    expect((await api.call({ as, path: SEEN })).status).toBe(200);
    const elsewhere = ['/api/v1/teams', `/api/v1/teams/${teamId}`, '/api/preview/teamkeys', '/api/v1/users'];
    for (const other of [...elsewhere, '/api/v1/roles', '/api/v1/apikeys', '/api/v1/audit_events']) {
      expect([other, (await api.call({ as, path: other })).status]).toEqual([other, 403]);
    }
    const ended = await api.call({ as, method: 'DELETE', path });
    expect([ended.status, ended.body]).toEqual([200, {}]);
    expect((await api.call({ as, path: `${CUSTOM}/${value.id}` })).status).toBe(404);
  });
});

describe('changes', () => {
  test('row 112: what the server sets may be sent back as it is, the type by its number too', async () => {
    const { as } = await caller();
    const { value, path } = await make(as);
    for (const type of ['CUSTOM', 1]) {
      const echoed = await api.call({ as, method: 'PATCH', path, body: { ...value, type, name: value.name } });
      expect([echoed.status, { ...echoed.body.value, updated_at: '' }]).toEqual([200, { ...value, updated_at: '' }]);
      value.updated_at = echoed.body.value.updated_at;
    }
    for (const type of ['AWS', 2, null]) {
      const answer = await api.call({ as, method: 'PATCH', path, body: { type } });
      expect([answer.status, fieldsOf(answer)]).toEqual([400, ['type']]);
    }
  });

  test('a PATCH that changes nothing leaves the version as it is, and no trace', async () => {
    const { as } = await caller();
    const { value, path, etag } = await make(as);
    const since = (await server.auditEvents()).length;
    for (const body of [{}, value, { name: value.name }]) {
      const answer = await api.call({ as, method: 'PATCH', path, body, headers: { 'if-match': etag } });
      expect([answer.status, answer.headers.etag, answer.body.value]).toEqual([200, etag, value]);
    }
    expect(await server.auditEvents()).toHaveLength(since);
  });

  test('row 118: two at once, one is made and one is told', async () => {
    const { as } = await caller();
    const { path, etag } = await make(as);
    const headers = { 'if-match': etag };
    const patch = (name: string) => api.call({ as, method: 'PATCH', path, body: { name }, headers });
    const answers = await Promise.all([patch('one'), patch('two')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    const won = answers.find(({ status }) => status === 200)!;
    const now = await api.call({ as, path });
    expect([now.body, now.headers.etag]).toEqual([won.body, won.headers.etag]);
    expect((await api.call({ as, method: 'DELETE', path, headers })).status).toBe(412);
    const current = { 'if-match': now.headers.etag! };
    expect((await api.call({ as, method: 'DELETE', path, headers: current })).status).toBe(200);
  });
});
