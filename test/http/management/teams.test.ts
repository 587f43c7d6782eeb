/** Teams over HTTP (wire contract, Teams). */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, createApi, fieldsOf } from '../../support/api.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  introspect,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import type { RawAnswer } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const TEAMS = '/api/v1/teams';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/;

let server: TestServer;
let api: Api;
let root: string;
let provider: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
  provider = await makeProvider('AWS', ROOT_TEAM_ID);
}, 30_000);

afterAll(() => server?.close());

async function makeProvider(name: string, teamId: string): Promise<string> {
  return (await server.domain.providers.createCustom({ name, teamId }, OPERATOR)).id;
}

async function make(settings: object = {}) {
  const { body, headers } = await api.call({ as: root, path: TEAMS, body: { name: randomUUID(), ...settings } });
  return { value: body.value, path: `${TEAMS}/${body.value.id}`, etag: headers.etag! };
}

function change(path: string, body: object, { as = root, method = 'PATCH', headers = {} } = {}): Promise<RawAnswer> {
  return api.call({ as, method, path, body, headers });
}

const read = async (path: string) => (await api.call({ as: root, path })).body.value;

describe('a team', () => {
  const sent = () => ({
    name: `AWS Dev Team ${randomUUID()}`,
    policy_type: 'PROVIDER_ID_SET',
    providers: [{ id: provider }],
    description: 'Limited to aws_dev account',
    sso_alias: 'AWS Dev Team',
  });

  test('is made, read, listed and deleted, in the form of the contract', async () => {
    const body = sent();
    const made = await api.call({ as: root, path: TEAMS, body });
    const value = {
      id: expect.stringMatching(UUID),
      ...body,
      providers: [{ id: provider, name: 'AWS', type: 'CUSTOM' }],
      created_at: expect.stringMatching(TIME),
      updated_at: expect.stringMatching(TIME),
      user_count: 0,
      provider_types: [],
    };
    expect([made.status, made.body]).toEqual([200, { value }]);
    const path = `${TEAMS}/${made.body.value.id}`;
    const got = await api.call({ as: root, path });
    expect([got.body, got.headers.etag]).toEqual([made.body, made.headers.etag]);
    const filter = encodeURIComponent(`name eq "${body.name.toUpperCase()}"`);
    expect((await api.call({ as: root, path: `${TEAMS}?filter=${filter}` })).body).toEqual({
      values: [made.body.value],
      next_page_token: '',
      has_more: false,
    });
    const ended = await api.call({ as: root, method: 'DELETE', path });
    expect([ended.status, ended.body]).toEqual([200, {}]);
    expect(await api.call({ as: root, path })).toMatchObject({ status: 404, body: { code: 5 } });
    expect(await api.call({ as: root, method: 'DELETE', path })).toMatchObject({ status: 404 });
  });

  test('PUT replaces: what is left out becomes its default, and the name must be there', async () => {
    const { value, path } = await make({ ...sent(), provider_types: [1] });
    // With integers, its id, and what it must not change: as clients generated from such an API send it.
    const whole = { id: value.id, name: value.name, policy_type: 2, providers: [{ id: provider }] };
    const echoed = { ...whole, description: 'Whole', sso_alias: 'w', provider_types: [1] };
    const replaced = await change(path, echoed, { method: 'PUT' });
    expect(replaced).toMatchObject({
      status: 200,
      body: {
        value: { ...echoed, policy_type: 'PROVIDER_ID_SET', provider_types: ['CUSTOM'], created_at: value.created_at },
      },
    });
    const bare = await change(path, { name: value.name }, { method: 'PUT' });
    const defaults = { policy_type: 'UNBOUND', providers: [], description: '', sso_alias: '', provider_types: [] };
    expect(bare.body.value).toMatchObject({ ...defaults, id: value.id, name: value.name });
    expect(await read(path)).toEqual(bare.body.value);
    const nameless = await change(path, { description: 'x' }, { method: 'PUT' });
    expect([nameless.status, fieldsOf(nameless)]).toEqual([400, ['name']]);
  });

  test('PATCH changes what is sent', async () => {
    const { value, path } = await make(sent());
    const changes = [{ description: 'Other' }, { policy_type: 1 }, { providers: [] }, { provider_types: ['CUSTOM'] }];
    let expected = value;
    for (const one of [...changes, { sso_alias: '' }, {}]) {
      const { status, body } = await change(path, one);
      expected = { ...expected, ...one, updated_at: body.value.updated_at };
      if ('policy_type' in one) expected.policy_type = 'UNBOUND';
      expect([status, body.value]).toEqual([200, expected]);
    }
    expect(await read(path)).toEqual(expected);
  });

  test('sent back whole, as it was read, it stays as it is', async () => {
    const { value, path } = await make({ ...sent(), provider_types: ['CUSTOM'] });
    for (const method of ['PUT', 'PATCH']) {
      const answer = await change(path, value, { method });
      expect([method, answer.status, answer.body]).toEqual([method, 200, { value }]);
    }
  });

  test('row 112: sent back after somebody joined or left, its count is not held against the sender', async () => {
    const { value, path } = await make(sent());
    await api.user('Viewer', value.id);
    for (const method of ['PUT', 'PATCH']) {
      for (const user_count of [0, 1, 7]) {
        const answer = await change(path, { ...value, user_count }, { method });
        expect([method, answer.status, answer.body]).toEqual([method, 200, { value: { ...value, user_count: 1 } }]);
      }
      for (const user_count of [1.5, '1', null, [1], 1e300]) {
        const answer = await change(path, { ...value, user_count }, { method });
        expect([method, answer.status, fieldsOf(answer)]).toEqual([method, 400, ['user_count']]);
      }
    }
  });

  test('rows 111, 112: what the server sets cannot be changed, and another id in the body is refused', async () => {
    const { value, path } = await make();
    const before = await api.rows('teams');
    const wanted = { id: randomUUID(), user_count: -1, created_at: '2020-01-01T00:00:00Z', updated_at: value.id };
    for (const [field, other] of Object.entries(wanted)) {
      for (const method of ['PUT', 'PATCH']) {
        const answer = await change(path, { name: 'Taken over', [field]: other }, { method });
        expect([method, answer.status, fieldsOf(answer)]).toEqual([method, 400, [field]]);
      }
      const made = await api.call({ as: root, path: TEAMS, body: { name: 'New', [field]: other } });
      expect([made.status, fieldsOf(made)]).toEqual([400, [field]]);
    }
    expect(await api.rows('teams')).toEqual(before);
  });

  test.each([
    ['policy_type', 'BOUND'],
    ['policy_type', 3],
    ['policy_type', '1'],
    ['policy_type', null],
    ['policy_type', 1.5],
    ['provider_types.0', 'AWS', { provider_types: ['AWS'] }],
    ['provider_types.1', 2, { provider_types: [1, 2] }],
    ['provider_types', 'CUSTOM'],
    ['providers.0.type', 'AWS', { providers: [{ id: randomUUID(), type: 'AWS' }] }],
    ['providers.0.id', 'none', { providers: [{}] }],
    ['providers.0.owner', 'x', { providers: [{ id: randomUUID(), owner: 'x' }] }],
    ['is_root', true],
    ['name', 5],
    ['name', ''],
    ['description', 'x'.repeat(1_001)],
    ['sso_alias', 'x'.repeat(256)],
  ])('a bad %s is refused by name (case %#)', async (field, value, body: object = { [field]: value }) => {
    const { path } = await make();
    const answers = [await change(path, body), await change(TEAMS, { name: 'x', ...body }, { method: 'POST' })];
    for (const answer of answers)
      expect([answer.status, answer.body.code, fieldsOf(answer)]).toEqual([400, 3, [field]]);
  });

  test('names providers that exist, by what they are', async () => {
    const { value, path } = await make();
    for (const id of [randomUUID(), 'x']) {
      const answer = await change(path, { providers: [{ id: provider }, { id }] });
      expect([answer.status, answer.body.code, fieldsOf(answer)]).toEqual([404, 5, ['providers.1.id']]);
      const made = await api.call({ as: root, path: TEAMS, body: { name: 'x', providers: [{ id }] } });
      expect([made.status, fieldsOf(made)]).toEqual([404, ['providers.0.id']]);
    }
    const renamed = await change(path, { providers: [{ id: provider, name: 'Mine' }] });
    expect([renamed.status, fieldsOf(renamed)]).toEqual([400, ['providers.0.name']]);
    expect(await read(path)).toEqual(value);
    const echoed = await change(path, { providers: [{ id: provider, name: 'AWS', type: 1 }] });
    expect(echoed.body.value.providers).toEqual([{ id: provider, name: 'AWS', type: 'CUSTOM' }]);
  });

  test('has a name of its own, whatever its case', async () => {
    const { value } = await make();
    const { path } = await make();
    const taken = { status: 409, body: { code: 6, message: 'A team with this name exists already.' } };
    const name = value.name.toUpperCase();
    expect(await api.call({ as: root, path: TEAMS, body: { name } })).toMatchObject(taken);
    expect(await change(path, { name })).toMatchObject(taken);
    expect(await change(path, { name }, { method: 'PUT' })).toMatchObject(taken);
  });

  test('which is the root team can be neither deleted nor bound', async () => {
    const path = `${TEAMS}/${ROOT_TEAM_ID}`;
    const before = await api.rows('teams');
    const refusals = [
      await api.call({ as: root, method: 'DELETE', path }),
      await change(path, { policy_type: 'PROVIDER_ID_SET' }),
      await change(path, { provider_types: [1] }),
      await change(path, { name: 'Root', policy_type: 2 }, { method: 'PUT' }),
    ];
    for (const one of refusals) expect(one).toMatchObject({ status: 400, body: { code: 9 } });
    expect(await api.rows('teams')).toEqual(before);
  });
});

describe('who may do what', () => {
  test('row 110: to a team, other teams do not exist', async () => {
    const [mine, theirs] = [await api.team(), await make({ description: 'Theirs' })];
    const as = await api.key('Admin', mine);
    const before = await api.rows('teams', 'team_providers');
    const nowhere = `${TEAMS}/${randomUUID()}`;
    for (const [method, body] of [['GET'], ['PUT', { name: 'Mine' }], ['PATCH', { name: 'Mine' }]] as const) {
      const [answer, missing] = [theirs.path, nowhere].map((path) => api.call({ as, method, path, body }));
      expect([method, (await answer)!.status, (await answer)!.text]).toEqual([method, 404, (await missing)!.text]);
    }
    // Not even what is wrong with a request tells of them.
    expect((await change(theirs.path, { user_count: 99 }, { as })).status).toBe(404);
    for (const query of ['', `?filter=name+eq+%22${theirs.value.name}%22`, '?order_by=name+desc&page_size=1000']) {
      const { values } = (await api.call({ as, path: `${TEAMS}${query}` })).body;
      expect(values.map(({ id }: { id: string }) => id)).toEqual(query.startsWith('?filter') ? [] : [mine]);
    }
    expect(await api.rows('teams', 'team_providers')).toEqual(before);
  });

  test('a team changes its own name and description; the rest it may only send as it is', async () => {
    const { value, path } = await make({ providers: [{ id: provider }], sso_alias: 'own' });
    const as = await api.key('Admin', value.id);
    const { name, policy_type, providers, sso_alias, provider_types } = value;
    const whole = { id: value.id, name, policy_type: 1, providers: [{ id: provider }], sso_alias, provider_types: [] };
    const described = await change(path, { ...whole, description: 'Ours' }, { as, method: 'PUT' });
    expect([described.status, described.body.value.description]).toEqual([200, 'Ours']);
    const renamed = await change(path, { name: `${name} 2` }, { as });
    expect(renamed.body.value).toMatchObject({ name: `${name} 2`, policy_type, providers, sso_alias, provider_types });
    const before = await api.rows('teams', 'team_providers');
    const others = { policy_type: 2, providers: [], provider_types: [1], sso_alias: 'x' };
    for (const [field, other] of Object.entries(others)) {
      const answer = await change(path, { description: 'Not this', [field]: other }, { as });
      expect([answer.status, answer.body.code, fieldsOf(answer)]).toEqual([403, 7, [field]]);
    }
    const bare = await change(path, { name }, { as, method: 'PUT' });
    expect([bare.status, fieldsOf(bare)]).toEqual([403, ['providers', 'sso_alias']]);
    expect(await api.rows('teams', 'team_providers')).toEqual(before);
  });

  test('teams are made and deleted with a credential of the root team alone', async () => {
    const { value, path } = await make();
    const as = await api.key('Admin', value.id);
    const answers = [
      await api.call({ as, path: TEAMS, body: { name: 'Sub' } }),
      await api.call({ as, method: 'DELETE', path }),
    ];
    for (const one of answers) expect(one).toMatchObject({ status: 403, body: { code: 7 } });
    expect(await read(path)).toEqual({ ...value, user_count: 1 });
  });

  test.each(['Viewer', 'Operator'] as const)('row 73: a %s reads and does not write', async (role) => {
    const { value, path } = await make();
    const as = await api.key(role, value.id);
    expect((await api.call({ as, path })).body.value.id).toBe(value.id);
    expect(await change(path, { description: 'x' }, { as })).toMatchObject({ status: 403, body: { code: 7 } });
  });
});

describe('lists', () => {
  const names = ({ body }: RawAnswer): string[] => body.values.map(({ name }: { name: string }) => name);
  const query = (params: Record<string, string>) => `${TEAMS}?${new URLSearchParams(params)}`;

  test('are filtered and ordered', async () => {
    const alias = randomUUID();
    for (const name of ['list c', 'List a', 'list B']) await make({ name, sso_alias: alias, policy_type: 2 });
    const listed = async (filter: string, order_by = '') =>
      names(await api.call({ as: root, path: query({ filter, order_by }) }));
    const ofAlias = `sso_alias eq "${alias}"`;
    expect(await listed(ofAlias)).toEqual(['list c', 'List a', 'list B']);
    expect(await listed(ofAlias, 'created_at desc')).toEqual(['list B', 'List a', 'list c']);
    expect(await listed(ofAlias, 'name asc')).toEqual(['List a', 'list B', 'list c']);
    expect(await listed(`${ofAlias} and policy_type eq "PROVIDER_ID_SET" and name eq "LIST A"`)).toEqual(['List a']);
    expect(await listed(`${ofAlias} and policy_type eq "1"`)).toEqual([]);
    const wrong: Record<string, string>[] = [
      { filter: 'policy_type eq "BOUND"' },
      { filter: 'is_root eq "true"' },
      { order_by: 'description' },
    ];
    for (const one of wrong) {
      const answer = await api.call({ as: root, path: query(one) });
      expect([answer.status, fieldsOf(answer)]).toEqual([400, Object.keys(one)]);
    }
  });

  test.each(['created_at asc', 'name asc', 'name desc'])(
    'by %s come page by page: nothing twice and nothing left out, whatever is made meanwhile',
    async (order_by) => {
      const alias = randomUUID();
      const settings = (letter: string) => ({ name: `${letter} ${randomUUID()}`, sso_alias: alias });
      const there = await Promise.all([...'bdfhj'].map(async (letter) => (await make(settings(letter))).value.name));
      const seen: string[] = [];
      let page_token = '';
      for (let rounds = 0; rounds < 20; rounds += 1) {
        const params = { filter: `sso_alias eq "${alias}"`, order_by, page_size: '2', page_token };
        const answer = await api.call({ as: root, path: query(params) });
        expect(answer.body.has_more).toBe(answer.body.next_page_token !== '');
        seen.push(...names(answer));
        page_token = answer.body.next_page_token;
        if (page_token === '') break;
        if (rounds < 3) await make(settings('aeg'[rounds]!));
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen).toEqual(expect.arrayContaining(there));
    },
  );
});

describe('changes', () => {
  test('row 117: of one team leave every other row as it was', async () => {
    const [{ value, path }] = [await make({ providers: [{ id: provider }] }), await make()];
    const tables = ['teams', 'team_providers', 'providers', 'memberships', 'membership_roles', 'api_keys'];
    const { [`teams ${value.id}`]: before, ...others } = await api.rows(...tables);
    await change(path, { sso_alias: 'narrow' });
    const { [`teams ${value.id}`]: after, ...othersAfter } = await api.rows(...tables);
    expect(othersAfter).toEqual(others);
    expect(JSON.parse(after!)).toEqual({
      ...JSON.parse(before!),
      sso_alias: 'narrow',
      updated_at: expect.not.stringMatching(JSON.parse(before!).updated_at),
    });
  });

  test.each([
    ['PATCH', { description: 'x' }],
    ['PATCH', { providers: [] }],
    ['PUT', { name: 'Replaced' }],
  ])('row 118: two at once (%s %j), one is made and one is told', async (method, body) => {
    const { path, etag } = await make({ providers: [{ id: provider }] });
    const headers = { 'if-match': etag };
    const answers = await Promise.all([1, 2].map(() => change(path, body, { method, headers })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    const won = answers.find(({ status }) => status === 200)!;
    const now = await api.call({ as: root, path });
    expect([now.headers.etag, now.body]).toEqual([won.headers.etag, won.body]);
    expect(now.headers.etag).not.toBe(etag);
    expect((await api.call({ as: root, method: 'DELETE', path, headers })).status).toBe(412);
    expect((await api.call({ as: root, path })).status).toBe(200);
  });
});

test('with a team everything that can act for it ends, at once, and is in the audit trail once', async () => {
  const { value, path } = await make();
  const secret = { tokenEndpointAuthMethod: 'client_secret_post' };
  const member = await createPerson(server, { teamId: value.id });
  const { apiKeys } = server.domain;
  const [teamKey, ownKey, service, app] = [
    (await apiKeys.createTeam({ teamId: value.id, name: 'Push' }, OPERATOR)).text,
    (await apiKeys.createPersonal({ userId: member.userId, teamId: value.id, name: 'Own' }, OPERATOR)).text,
    await createTestClient(server, value.id, secret),
    await createTestApp(server, secret),
  ];
  const issued = (await clientCredentials(server, service)).body.access_token;
  const flow = { ...member, clientId: app.clientId };
  const { code, pkce, browser } = await authorize(server, flow);
  const tokens = (await redeemCode(server, app, code, pkce)).body;
  const pending = await authorize(server, { ...flow, browser });
  const observer = await createTestClient(server, ROOT_TEAM_ID, {
    ...secret,
    allowedScopes: ['credentials:introspect'],
  });
  const own = await makeProvider('Own', value.id);
  const bound = await make({ providers: [{ id: own }] });
  const credentials = [teamKey, ownKey, issued, tokens.access_token];
  const statuses = () =>
    Promise.all(credentials.map(async (as) => (await api.call({ as, path: '/api/v1/providers' })).status));
  const active = () =>
    Promise.all(
      [issued, tokens.access_token].map(async (one) => (await introspect(server, observer, one)).body.active),
    );
  expect([await statuses(), await active()]).toEqual([Array(4).fill(200), [true, true]]);
  const before = await api.rows('teams', 'users', 'oauth_apps', 'oauth_clients');

  expect((await api.call({ as: root, method: 'DELETE', path })).status).toBe(200);

  expect([await statuses(), await active()]).toEqual([Array(4).fill(401), [false, false]]);
  const refused = [
    await clientCredentials(server, service),
    await refresh(server, app, tokens.refresh_token),
    await redeemCode(server, app, pending.code, pending.pkce),
  ];
  expect(refused.map(({ body }) => body.error)).toEqual(['invalid_client', 'invalid_grant', 'invalid_grant']);
  const { rows: left } = await server.db.query(
    `SELECT 1 FROM memberships WHERE team_id = $1 UNION ALL SELECT 1 FROM api_keys WHERE team_id = $1
     UNION ALL SELECT 1 FROM oauth_clients WHERE team_id = $1 UNION ALL SELECT 1 FROM grants WHERE team_id = $1
     UNION ALL SELECT 1 FROM providers WHERE team_id = $1 UNION ALL SELECT 1 FROM team_providers WHERE team_id = $1
     UNION ALL SELECT 1 FROM client_secrets WHERE oauth_client_id = $2`,
    [value.id, service.id],
  );
  expect(left).toEqual([]);
  expect((await read(bound.path)).providers).toEqual([]);
  // Its member and the app are everybody's, and stay.
  const gone = [`teams ${value.id}`, `oauth_clients ${service.id}`, `teams ${bound.value.id}`];
  const after = await api.rows('teams', 'users', 'oauth_apps', 'oauth_clients');
  expect(Object.entries(after)).toEqual(
    expect.arrayContaining(Object.entries(before).filter(([id]) => !gone.includes(id))),
  );
  const events = (await server.auditEvents()).filter(({ action }) => action === 'team.deleted');
  expect(events.filter(({ target_id }) => target_id === value.id)).toMatchObject([
    { outcome: 'success', actor_kind: 'personal_key', team_id: value.id, details: { name: value.name } },
  ]);
});
