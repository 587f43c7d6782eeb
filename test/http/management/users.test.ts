import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, type ApiCall, createApi, fieldsOf, type TestUser } from '../../support/api.ts';
import {
  authorizationUrl,
  authorize,
  connect,
  createPkce,
  createTestApp,
  redeemCode,
  refresh,
} from '../../support/flows.ts';
import type { RawAnswer } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/api/v1/users';
const PASSWORD = 'a password nobody has';

let server: TestServer;
let api: Api;
/** The only root administrator, and a key of theirs for everything. */
let admin: TestUser;
let root: string;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  admin = await api.user('Admin', ROOT_TEAM_ID);
  root = await api.keyOf(admin);
});
afterAll(() => server.close());

const call = (path: string, options: Omit<ApiCall, 'path'> = {}) =>
  api.call({ as: root, path: `${PATH}${path}`, ...options });
const patch = (id: string, body: object, options: Omit<ApiCall, 'path'> = {}) =>
  call(`/${id}`, { method: 'PATCH', body, ...options });
const roleIn = (teamId: string, role: keyof typeof ROLE_IDS = 'Viewer') => ({
  team_id: teamId,
  role_id: ROLE_IDS[role],
});
/** What refusals left in the audit trail is written first, so that it does not come in between. */
async function tables() {
  await server.domain.audit.flush();
  return api.rows('users', 'memberships', 'membership_roles', 'api_keys', 'grants', 'teams', 'roles', 'audit_events');
}
let count = 0;
const newEmail = () => `new-${++count}@example.com`;

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
const OPTIONS = {
  can_change_password: true,
  has_mfa: false,
  can_change_roles: true,
  can_disable: true,
  can_delete: true,
  can_edit_name: true,
  can_extend_support: false,
  can_remove_from_teams: true,
};

describe('one user', () => {
  let somebody: TestUser | undefined;

  test('is made with an id for an answer, and is read bare and as value', async () => {
    const team = await api.team('Shown');
    const sent = {
      name: 'Ada Lovelace',
      email: 'Ada@Example.com',
      password: PASSWORD,
      persona: 'TECHNICAL',
      team_roles: [roleIn(team, 'Viewer'), roleIn(team, 'Operator')],
      digest_settings: [{ digest_id: 'd1', digest_name: 'Weekly news', frequency: 2 }],
      given_name: 'Ada',
      family_name: 'Lovelace',
      display_name: 'Countess',
      expires_at: '2090-01-31T00:00:00Z',
    };
    const made = await call('', { body: sent });
    expect([made.status, Object.keys(made.body)]).toEqual([200, ['id']]);
    const { password: _, ...kept } = sent;
    const value = {
      ...kept,
      id: made.body.id,
      enabled: true,
      last_login_at: null,
      last_refresh_at: null,
      created_at: TIME,
      updated_at: TIME,
      logins_lifetime: '0',
      auth_provider_type: 'LOCAL',
      auth_provider_id: '',
      options: { ...OPTIONS, can_extend_support: true },
      team_roles: [
        { ...roleIn(team, 'Operator'), team_name: 'Shown', role_name: 'Operator' },
        { ...roleIn(team, 'Viewer'), team_name: 'Shown', role_name: 'Viewer' },
      ],
      digest_settings: [{ digest_id: 'd1', digest_name: 'Weekly news', frequency: 'WEEKLY' }],
      expires_at: '2090-01-31T00:00:00.000Z',
    };
    const read = await call(`/${made.body.id}`);
    expect(read.body).toEqual({ ...value, value });
    expect(read.headers.etag).toMatch(/^"\d+"$/);
    const deleted = await call(`/${made.body.id}`, { method: 'DELETE' });
    expect([deleted.status, deleted.body]).toEqual([200, { value: read.body.value }]);
    expect((await call(`/${made.body.id}`)).status).toBe(404);
  });

  test('is `self` for who calls, and nobody for a caller that is no user', async () => {
    expect((await call('/self')).body.value).toMatchObject({ id: admin.userId, email: admin.email });
    const team = await api.team();
    const member = await api.user('Viewer', team);
    expect((await call('/self', { as: await api.keyOf(member) })).body.value.id).toBe(member.userId);
    const { text } = await server.domain.apiKeys.createTeam({ teamId: team, name: 'Team' }, OPERATOR);
    expect((await call('/self', { as: text })).status).toBe(403);
  });

  test('is changed in what is sent and nothing else; what was read may be sent back', async () => {
    const team = await api.team();
    const { userId } = await api.user('Viewer', team);
    const before = (await call(`/${userId}`)).body;
    expect(before.options).toEqual(OPTIONS);
    const body = {
      display_name: 'Shown',
      given_name: 'Given',
      family_name: 'Family',
      persona: 3,
      auth_provider_type: 1,
      auth_provider_id: 'elsewhere',
      digest_settings: [{ digest_id: 'd', digest_name: '', frequency: 'DAILY' }],
      options: { ...OPTIONS, has_mfa: true },
    };
    const { body: answer } = await patch(userId, { ...before, ...body });
    const after = {
      ...before.value,
      ...body,
      ...{ auth_provider_type: 'LOCAL', persona: 'BUSINESS', options: before.options, updated_at: TIME },
    };
    expect(answer).toEqual({ value: after });
    expect(answer.value.updated_at > before.updated_at).toBe(true);
    // Nothing new is nothing done.
    const rows = await tables();
    expect((await patch(userId, answer.value)).body).toEqual(answer);
    expect((await patch(userId, {})).body).toEqual(answer);
    expect(await tables()).toEqual(rows);
  });

  test('rows 111, 112: keeps what the server sets, whatever a body says', async () => {
    const [{ userId }, other] = [
      await api.user('Viewer', await api.team()),
      await api.user('Viewer', await api.team()),
    ];
    const { team_roles } = (await call(`/${userId}`)).body;
    const before = await tables();
    const changes = {
      id: other.userId,
      created_at: '2020-01-01T00:00:00.000Z',
      updated_at: '2020-01-01T00:00:00.000Z',
      last_login_at: '2020-01-01T00:00:00.000Z',
      last_refresh_at: '2020-01-01T00:00:00.000Z',
      logins_lifetime: '7',
      value: { id: userId },
    };
    for (const [field, value] of Object.entries(changes)) {
      const answer = await patch(userId, { name: 'Moved', [field]: value });
      expect([answer.status, fieldsOf(answer)]).toEqual([400, [field]]);
    }
    const renamed = await patch(userId, { name: 'Moved', team_roles: [{ ...team_roles[0], role_name: 'Admin' }] });
    expect([renamed.status, fieldsOf(renamed)]).toEqual([400, ['team_roles.0.role_name']]);
    for (const field of ['id', 'created_at', 'enabled', 'logins_lifetime', 'options', 'is_admin', 'password_hash']) {
      const answer = await call('', { body: { email: newEmail(), [field]: true } });
      expect([answer.status, fieldsOf(answer)]).toEqual([400, [field]]);
    }
    expect(await tables()).toEqual(before);
  });

  test('row 112: what was read may be sent back after the user was here, also within `value`', async () => {
    const { userId } = await api.user('Viewer', await api.team());
    const digest_settings = [{ digest_id: 'd', digest_name: '', frequency: 'DAILY' }];
    await patch(userId, { digest_settings });
    const login = () =>
      server.db.query(
        'UPDATE users SET last_login_at = now(), last_refresh_at = now(), logins_lifetime = logins_lifetime + 9 WHERE id = $1',
        [userId],
      );
    const read = (await call(`/${userId}`)).body;
    await login();
    const once = (await call(`/${userId}`)).body;
    await login();
    const { value } = (await call(`/${userId}`)).body;
    const numbers = { persona: 1, auth_provider_type: 1, digest_settings: [{ ...digest_settings[0], frequency: 1 }] };
    for (const body of [read, once, { ...once, value: { ...once.value, ...numbers } }]) {
      const answer = await patch(userId, body);
      expect([answer.status, answer.body]).toEqual([200, { value }]);
    }
    const moves = [
      { last_login_at: '2020-01-01T00:00:00.000Z' },
      { last_login_at: '2090-01-01T00:00:00.000Z' },
      { last_login_at: 'never' },
      { last_refresh_at: '2090-01-01T00:00:00.000Z' },
      { last_refresh_at: 0 },
      ...['19', '012', '-1', '1.5', '', 'x', 12, null].map((logins_lifetime) => ({ logins_lifetime })),
    ];
    const others = [{ name: 'x' }, { id: admin.userId }, { persona: 2 }, { persona: '1' }, { digest_settings: [] }];
    const before = await tables();
    for (const one of moves) {
      const answer = await patch(userId, { name: 'Moved', ...one });
      expect([one, answer.status, fieldsOf(answer)]).toEqual([one, 400, Object.keys(one)]);
    }
    for (const one of [...moves, ...others]) {
      const answer = await patch(userId, { name: 'Moved', value: { ...read.value, ...one } });
      expect([one, answer.status, fieldsOf(answer)]).toEqual([one, 400, ['value']]);
    }
    expect(await tables()).toEqual(before);
  });

  test('has roles by id; a name that comes along is that of the id, for new ones too', async () => {
    const [team, next] = [await api.team('First'), await api.team('Next')];
    const { userId } = await api.user('Viewer', team);
    const held = { ...roleIn(team), team_name: 'First', role_name: 'Viewer' };
    const added = { ...roleIn(next, 'Operator'), team_name: 'Next', role_name: 'Operator' };
    const before = await tables();
    const wrong: [string, object[]][] = [
      ['0.team_name', [{ ...held, team_name: 'Next' }]],
      ['0.role_name', [{ ...held, role_id: ROLE_IDS.Operator }]],
      ['1.team_name', [held, { ...added, team_name: '' }]],
      ['1.role_name', [held, { ...added, role_name: 'Admin' }]],
    ];
    for (const [field, team_roles] of wrong) {
      const answer = await patch(userId, { team_roles });
      expect([answer.status, fieldsOf(answer)]).toEqual([400, [`team_roles.${field}`]]);
    }
    expect(await tables()).toEqual(before);
    expect((await patch(userId, { team_roles: [held, added] })).body.value.team_roles).toEqual([held, added]);
  });

  test.each<[string, Record<string, unknown>]>([
    ['email', { email: 'nobody' }],
    ['email', { email: 7 }],
    ['email', { email: null }],
    ['name', { name: 'x'.repeat(256) }],
    ['display_name', { display_name: 'a\u202eb' }],
    ['password', { password: 'short' }],
    ['password', { password: 'password1' }],
    ['persona', { persona: 4 }],
    ['persona', { persona: 'general' }],
    ['expires_at', { expires_at: 'tomorrow' }],
    ['expires_at', { expires_at: '0001-01-01T00:00:00Z' }],
    ['digest_settings.0.frequency', { digest_settings: [{ digest_id: 'a', digest_name: 'b', frequency: 0 }] }],
    ['digest_settings.0.digest_id', { digest_settings: [{ digest_id: '', digest_name: 'b', frequency: 1 }] }],
    ['digest_settings', { digest_settings: Array(21).fill({ digest_id: 'a', digest_name: 'b', frequency: 1 }) }],
    ['team_roles.0.role_id', { team_roles: [{ team_id: ROOT_TEAM_ID, role_id: 'Viewer' }] }],
    ['team_roles', { team_roles: [{ team_id: ROOT_TEAM_ID, role_id: randomUUID() }] }],
    ['team_roles', { team_roles: [{ team_id: ROOT_TEAM_ID, role_id: ROLE_IDS.oaa_push }] }],
    ['team_roles.0.role', { team_roles: [{ team_id: ROOT_TEAM_ID, role_id: ROLE_IDS.Viewer, role: 'Admin' }] }],
  ])('is refused by the name of the field that is wrong: %s', async (field, wrong) => {
    somebody ??= await api.user('Viewer', await api.team());
    const before = await tables();
    const answers = [await call('', { body: { email: newEmail(), ...wrong } }), await patch(somebody.userId, wrong)];
    for (const answer of answers)
      expect([answer.status, answer.body.code, fieldsOf(answer)]).toEqual([400, 3, [field]]);
    expect(await tables()).toEqual(before);
  });

  test('has an email nobody else has, in any case', async () => {
    const [one, two] = [await api.user('Viewer', await api.team()), await api.user('Viewer', await api.team())];
    const taken = { email: one.email.toUpperCase() };
    for (const answer of [await call('', { body: taken }), await patch(two.userId, taken)]) {
      expect([answer.status, answer.body.code]).toEqual([409, 6]);
    }
    expect((await patch(one.userId, taken)).body.value.email).toBe(taken.email);
  });

  test.each(['x', randomUUID(), 'SELF', '%00'])('who does not exist is not found: %s', async (id) => {
    for (const answer of [
      await call(`/${id}`),
      await patch(id, { name: 'x' }),
      await call(`/${id}`, { method: 'DELETE' }),
    ]) {
      expect(answer).toMatchObject({ status: 404, body: { code: 5 } });
    }
  });
});

describe('the list', () => {
  const idsOf = ({ body }: RawAnswer) => body.values.map(({ id }: { id: string }) => id);
  const filtered = (text: string, more = '') => call(`?filter=${encodeURIComponent(text)}${more}`);

  test('is filtered, ordered and paged, each user once', async () => {
    const [team, other] = [await api.team(), await api.team()];
    const people: TestUser[] = [];
    for (let index = 0; index < 5; index += 1) people.push(await api.user('Viewer', team));
    const ids = people.map(({ userId }) => userId);
    await patch(ids[1]!, { name: 'Zoe', team_roles: [roleIn(team), roleIn(team, 'Operator'), roleIn(other)] });
    await patch(ids[3]!, { enabled: false });
    const inTeam = `team_id eq "${team}"`;
    expect(idsOf(await filtered(inTeam))).toEqual(ids);
    expect(idsOf(await filtered(`${inTeam} and enabled eq "false"`))).toEqual([ids[3]]);
    expect(idsOf(await filtered(`${inTeam} and name eq "Zoe"`))).toEqual([ids[1]]);
    expect(idsOf(await filtered(`${inTeam} and team_id eq "${other}"`))).toEqual([ids[1]]);
    expect(idsOf(await filtered(`email eq "${people[2]!.email.toUpperCase()}"`))).toEqual([ids[2]]);
    expect(idsOf(await filtered(inTeam, '&order_by=name+desc'))[0]).toBe(ids[1]);
    const seen: string[] = [];
    let token = '';
    for (let pages = 0; pages < 10; pages += 1) {
      const page = await filtered(inTeam, `&order_by=email+desc&page_size=2&page_token=${encodeURIComponent(token)}`);
      seen.push(...idsOf(page));
      token = page.body.next_page_token;
      if (token === '') break;
    }
    const byEmail = people.toSorted((a, b) => (a.email < b.email ? 1 : -1)).map(({ userId }) => userId);
    expect(seen).toEqual(byEmail);
    const [value] = (await filtered(`email eq "${people[2]!.email}"`)).body.values;
    expect(value).toEqual((await call(`/${ids[2]}`)).body.value);
  });

  test('holds from within a team its members, with their roles there', async () => {
    const [team, other] = [await api.team(), await api.team()];
    const [mine, theirs] = [await api.user('Admin', team), await api.user('Viewer', other)];
    await patch(theirs.userId, { team_roles: [roleIn(team), roleIn(other)] });
    const stranger = await api.user('Viewer', other);
    const as = await api.keyOf(mine);
    const { body } = await call('', { as });
    expect(body.values.map(({ id }: { id: string }) => id)).toEqual([mine.userId, theirs.userId]);
    expect(body.values[1].team_roles).toMatchObject([roleIn(team)]);
    expect((await call(`?filter=${encodeURIComponent(`email eq "${stranger.email}"`)}`, { as })).body.values).toEqual(
      [],
    );
    const borrowed = await call(`?filter=${encodeURIComponent(`team_id eq "${other}"`)}`, { as });
    expect(borrowed.status).toBe(404);
  });
});

describe('from within a team', () => {
  let team: string;
  let other: string;
  let as: string;
  let member: TestUser;
  let stranger: TestUser;
  beforeAll(async () => {
    [team, other] = [await api.team(), await api.team()];
    as = await api.key('Admin', team);
    member = await api.user('Viewer', team);
    stranger = await api.user('Viewer', other);
    await patch(member.userId, { team_roles: [roleIn(team), roleIn(other, 'Operator')] });
  });

  test('row 110: who is no member is not there, and no team can be borrowed', async () => {
    const before = await tables();
    const missing = await call(`/${randomUUID()}`, { as });
    const answers = [
      await call(`/${stranger.userId}`, { as }),
      await patch(stranger.userId, { name: 'Mine' }, { as }),
      await patch(stranger.userId, { team_roles: [roleIn(team)] }, { as }),
    ];
    for (const { status, body } of answers) expect([status, body]).toEqual([404, missing.body]);
    for (const elsewhere of [other, ROOT_TEAM_ID, randomUUID()]) {
      const team_roles = [roleIn(team), roleIn(elsewhere)];
      const made = await call('', { as, body: { email: newEmail(), team_roles } });
      const changed = await patch(member.userId, { team_roles }, { as });
      expect([made.status, changed.status]).toEqual([404, 404]);
    }
    expect(await tables()).toEqual(before);
  });

  test('a user is made with a role in that team, or not at all', async () => {
    for (const body of [{ email: newEmail() }, { email: newEmail(), team_roles: [] }]) {
      expect(fieldsOf(await call('', { as, body }))).toEqual(['team_roles']);
    }
    const made = await call('', { as, body: { email: newEmail(), team_roles: [roleIn(team, 'Admin')] } });
    expect((await call(`/${made.body.id}`, { as })).body.team_roles).toMatchObject([roleIn(team, 'Admin')]);
  });

  test('only the roles there are shown and changed; none left is no member any more', async () => {
    const { body: seen } = await call(`/${member.userId}`, { as });
    expect(seen.team_roles).toMatchObject([roleIn(team)]);
    expect(seen.options).toEqual({
      ...OPTIONS,
      ...{ can_change_password: false, can_disable: false, can_delete: false, can_edit_name: false },
    });
    // All of it sent back, one thing changed.
    const promoted = await patch(member.userId, { ...seen, team_roles: [roleIn(team, 'Operator')] }, { as });
    expect(promoted.body.value.team_roles).toMatchObject([roleIn(team, 'Operator')]);
    const elsewhere = { ...roleIn(other, 'Operator'), role_name: 'Operator' };
    expect((await call(`/${member.userId}`)).body.team_roles).toContainEqual(expect.objectContaining(elsewhere));
    const removed = await patch(member.userId, { team_roles: [] }, { as });
    expect([removed.status, removed.body.value.team_roles]).toEqual([200, []]);
    expect((await call(`/${member.userId}`, { as })).status).toBe(404);
    expect((await call(`/${member.userId}`)).body.team_roles).toMatchObject([elsewhere]);
  });

  test('what a user is everywhere is for the root team', async () => {
    const { userId } = await api.user('Viewer', team);
    const before = await tables();
    const changes = {
      name: 'Mine',
      email: newEmail(),
      password: PASSWORD,
      enabled: false,
      persona: 2,
      expires_at: '2020-01-01T00:00:00Z',
      digest_settings: [{ digest_id: 'a', digest_name: '', frequency: 1 }],
      auth_provider_id: 'x',
    };
    for (const [field, value] of Object.entries(changes)) {
      const { status, body } = await patch(userId, { team_roles: [], [field]: value }, { as });
      expect([field, status, body.code, body.message]).toEqual([field, 403, 7, expect.stringContaining('root team')]);
    }
    expect((await call(`/${userId}`, { as, method: 'DELETE' })).status).toBe(403);
    // Each refusal is noted, and that is all.
    const others = (rows: object) => Object.entries(rows).filter(([name]) => !name.startsWith('audit_events'));
    expect(others(await tables())).toEqual(others(before));
  });
});

describe('nobody gives what they lack', () => {
  test('row 92: a key reaches users only when its scopes say so', async () => {
    const { text } = await server.domain.apiKeys.createPersonal({ ...admin, name: 'All' }, OPERATOR);
    const { userId } = await api.user('Viewer', await api.team());
    expect((await call(`/${userId}`, { as: text })).status).toBe(200);
    const answers = [
      await call('', { as: text, body: { email: newEmail() } }),
      await patch(userId, { name: 'x' }, { as: text }),
      await call(`/${userId}`, { as: text, method: 'DELETE' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
  });

  test('row 89: a role is given by who may all of it, with the credential used', async () => {
    const team = await api.team();
    const { userId } = await api.user('Viewer', team);
    // All a Viewer may, and no more.
    const { permissions } = (await api.call({ as: root, path: '/api/v1/roles' })).body.roles.find(
      ({ name }: { name: string }) => name === 'Viewer',
    );
    const as = await api.keyOf(admin, [...permissions, 'users:write']);
    for (const [role, teamId] of [
      ['Operator', team],
      ['Admin', team],
      ['Admin', ROOT_TEAM_ID],
    ] as const) {
      const team_roles = [roleIn(team), roleIn(teamId, role)];
      const made = await call('', { as, body: { email: newEmail(), team_roles } });
      const changed = await patch(userId, { team_roles }, { as });
      expect([made.status, changed.status]).toEqual([403, 403]);
      expect(changed.body.message).toContain('providers:write');
    }
    expect((await call(`/${userId}`)).body.team_roles).toMatchObject([roleIn(team)]);
    expect((await patch(userId, { team_roles: [roleIn(await api.team())] }, { as })).status).toBe(200);
    // Roles that are held already are no gift, and taking away needs nothing more.
    await patch(userId, { team_roles: [roleIn(team, 'Admin'), roleIn(team, 'Operator')] });
    const fewer = await patch(userId, { team_roles: [roleIn(team, 'Admin')], name: 'Fewer' }, { as });
    expect(fewer.body.value).toMatchObject({ name: 'Fewer', team_roles: [roleIn(team, 'Admin')] });
  });

  test('row 89: an account is taken over or revived only by who may all that it may', async () => {
    const team = await api.team();
    const [weak, strong] = [await api.user('Viewer', team), await api.user('Operator', team)];
    const { permissions } = (await api.call({ as: root, path: '/api/v1/roles?filter=name%20eq%20%22Viewer%22' })).body
      .roles[0];
    const as = await api.keyOf(admin, [...permissions, 'users:write']);
    const takeover = [{ password: PASSWORD }, { email: newEmail() }, { enabled: true }, { expires_at: null }];
    for (const { userId } of [weak, strong]) {
      await patch(userId, { enabled: false, expires_at: '2090-01-01T00:00:00Z' }, { as });
    }
    for (const change of takeover) {
      expect([change, (await patch(strong.userId, change, { as })).status]).toEqual([change, 403]);
    }
    const later = { expires_at: '2091-01-01T00:00:00Z' };
    expect((await patch(strong.userId, later, { as })).status).toBe(403);
    for (const change of takeover)
      expect([change, (await patch(weak.userId, change, { as })).status]).toEqual([change, 200]);
    const options = async (userId: string, key: string) => (await call(`/${userId}`, { as: key })).body.options;
    expect(await options(strong.userId, as)).toMatchObject({ can_change_password: false, can_extend_support: false });
    expect(await options(strong.userId, root)).toMatchObject({ can_change_password: true, can_extend_support: true });
    expect(await options(weak.userId, as)).toMatchObject({ can_change_password: true, can_disable: true });
    // Switching off is what is wanted in a hurry.
    expect((await call(`/${strong.userId}`, { as, method: 'DELETE' })).status).toBe(200);
  });

  test('a key cannot take over its own owner', async () => {
    const as = await api.keyOf(admin, ['users:read', 'users:write']);
    expect((await patch(admin.userId, { password: PASSWORD }, { as })).status).toBe(403);
  });
});

describe('the last root administrator', () => {
  test.each<[string, object | undefined]>([
    ['disabled', { enabled: false }],
    ['demoted', { team_roles: [roleIn(ROOT_TEAM_ID, 'Viewer')] }],
    ['removed', { team_roles: [] }],
    ['given an expiry', { expires_at: '2090-01-01T00:00:00Z' }],
    ['expired', { expires_at: '2020-01-01T00:00:00Z' }],
    ['deleted', undefined],
  ])('cannot be %s', async (_way, change) => {
    const before = await tables();
    const end = (id: string) => (change ? patch(id, change) : call(`/${id}`, { method: 'DELETE' }));
    const { status, body } = await end(admin.userId);
    expect([status, body.code, body.message]).toEqual([400, 9, expect.stringContaining('last root administrator')]);
    expect(await tables()).toEqual(before);
    const { options } = (await call('/self')).body;
    expect(options).toMatchObject({ can_disable: false, can_delete: false, can_remove_from_teams: false });
    // Another one can; the first then is the last again.
    const second = await api.user('Admin', ROOT_TEAM_ID);
    expect((await call('/self')).body.options).toMatchObject({ can_disable: true, can_delete: true });
    expect((await end(second.userId)).status).toBe(200);
  });
});

describe('consequences, at once', () => {
  /** What still opens something: the browser's session, the refresh token, the access token, the personal key. */
  async function connected() {
    const { person, app, browser, tokens } = await connect(server);
    const key = await api.keyOf(person, ['providers:read']);
    const works = async () => {
      const provider = (as: string) => api.call({ as, path: '/api/v1/providers' });
      const page = await browser.get(authorizationUrl(server, app.clientId, createPkce(), { prompt: 'none' }));
      return {
        session: !/error=login_required/.test(page.location ?? ''),
        consent: /[?&]code=/.test(page.location ?? ''),
        accessToken: (await provider(tokens.access_token)).status === 200,
        key: (await provider(key)).status === 200,
        refreshToken: (await refresh(server, app, tokens.refresh_token)).status === 200,
      };
    };
    return { person, app, browser, key, works };
  }
  const ALL = { session: true, consent: true, accessToken: true, key: true, refreshToken: true };
  const NONE = { session: false, consent: false, accessToken: false, key: false, refreshToken: false };

  test('of nothing but a new name: none', async () => {
    const { person, works } = await connected();
    await patch(person.userId, { name: 'Other', digest_settings: [], expires_at: '2090-01-01T00:00:00Z' });
    expect(await works()).toEqual(ALL);
  });

  test.each<[string, object | undefined]>([
    ['disabled', { enabled: false }],
    ['expired', { expires_at: '2020-01-01T00:00:00Z' }],
    ['deleted', undefined],
  ])('row 91: nothing of a user who is %s works any more', async (_way, change) => {
    const { person, works } = await connected();
    const end = change ? patch(person.userId, change) : call(`/${person.userId}`, { method: 'DELETE' });
    expect((await end).status).toBe(200);
    expect(await works()).toEqual(NONE);
    if (change === undefined) return;
    // Letting the user in again brings back the key, which is not the user's session.
    await patch(person.userId, { enabled: true, expires_at: null });
    expect(await works()).toEqual({ ...NONE, key: true });
  });

  test('of a new password: sessions and consents end, keys stay', async () => {
    const { person, works } = await connected();
    expect((await patch(person.userId, { password: PASSWORD })).status).toBe(200);
    expect(await works()).toEqual({ ...NONE, key: true });
    const login = server.domain.login.authenticate({ email: person.email, password: PASSWORD }, {});
    expect(await login).toBe(person.userId);
    expect((await call(`/${person.userId}`)).body).toMatchObject({ logins_lifetime: '2', last_login_at: TIME });
  });

  test('row 91: of leaving a team: the keys and consents of that team end, those of others stay', async () => {
    const { person, app, browser, key, works } = await connected();
    const other = await api.team();
    await patch(person.userId, { team_roles: [roleIn(person.teamId), roleIn(other)] });
    const elsewhere = await api.keyOf({ ...person, teamId: other }, ['providers:read']);
    const second = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const there = await authorize(server, { ...person, teamId: other, clientId: second.clientId, browser });
    const tokens = (await redeemCode(server, second, there.code, there.pkce)).body;
    expect((await patch(person.userId, { team_roles: [roleIn(other)] })).status).toBe(200);
    expect(await works()).toEqual({ ...NONE, session: true });
    for (const as of [elsewhere, tokens.access_token]) {
      expect((await api.call({ as, path: '/api/v1/providers' })).status).toBe(200);
    }
    expect((await refresh(server, second, tokens.refresh_token)).status).toBe(200);
    const { rows } = await server.db.query('SELECT 1 FROM api_keys WHERE user_id = $1 AND team_id = $2', [
      person.userId,
      person.teamId,
    ]);
    expect([rows, key, app.clientId]).toEqual([[], expect.any(String), expect.any(String)]);
  });

  test('row 90: of other roles: a key may what its owner may now', async () => {
    const team = await api.team();
    const owner = await api.user('Operator', team);
    const as = await api.keyOf(owner);
    const create = async () =>
      (await api.call({ as, path: '/api/v1/providers/custom', body: { name: 'Mine', custom_template: 'x' } })).status;
    expect(await create()).toBe(200);
    await patch(owner.userId, { team_roles: [roleIn(team)] });
    expect(await create()).toBe(403);
  });
});

describe('two who change one user', () => {
  test('row 118: of two at once with the same ETag one is told', async () => {
    const team = await api.team();
    for (const changes of [
      [{ name: 'One' }, { name: 'Two' }],
      [{ team_roles: [roleIn(team)] }, { given_name: 'Two' }],
    ]) {
      const { userId } = await api.user('Operator', team);
      const { headers } = await call(`/${userId}`);
      const answers = await Promise.all(
        changes.map((change) => patch(userId, change, { headers: { 'if-match': headers.etag! } })),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
      const won = answers.find(({ status }) => status === 200)!;
      const now = await call(`/${userId}`);
      expect([now.body.value, now.headers.etag]).toEqual([won.body.value, won.headers.etag]);
      const stale = await call(`/${userId}`, { method: 'DELETE', headers: { 'if-match': headers.etag! } });
      expect(stale.status).toBe(412);
      const fresh = await call(`/${userId}`, { method: 'DELETE', headers: { 'if-match': now.headers.etag! } });
      expect(fresh.status).toBe(200);
    }
  });

  test('at once without one: each change counts', async () => {
    const [team, other] = [await api.team(), await api.team()];
    const { userId } = await api.user('Viewer', team);
    const changes = [{ name: 'One' }, { given_name: 'Two' }, { team_roles: [roleIn(other)] }, { persona: 3 }];
    const answers = await Promise.all(changes.map((change) => patch(userId, change)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect((await call(`/${userId}`)).body.value).toMatchObject({
      ...{ name: 'One', given_name: 'Two', persona: 'BUSINESS' },
      team_roles: [roleIn(other)],
    });
  });
});

test('row 117: taking one role from one user touches that user and that role', async () => {
  const team = await api.team();
  const { userId } = await api.user('Viewer', team);
  await patch(userId, { team_roles: [roleIn(team), roleIn(team, 'Operator'), roleIn(await api.team())] });
  const before = new Set(Object.values(await tables()));
  const { team_roles } = (await call(`/${userId}`)).body;
  const kept = team_roles.filter(({ role_id }: { role_id: string }) => role_id !== ROLE_IDS.Operator);
  expect((await patch(userId, { team_roles: kept })).status).toBe(200);
  const after = new Set(Object.values(await tables()));
  const rows = (set: Set<string>) => [...set].map((row) => JSON.parse(row));
  const user = expect.objectContaining({ id: userId });
  expect(rows(before.difference(after))).toEqual([user, expect.objectContaining({ role_id: ROLE_IDS.Operator })]);
  expect(rows(after.difference(before))).toEqual([user, expect.objectContaining({ action: 'membership.changed' })]);
});

test('row 119: each change is in the audit trail once, with who made it and without what is secret', async () => {
  const [team, other] = [await api.team(), await api.team()];
  const email = newEmail();
  const { body, headers } = await call('', { body: { email, password: PASSWORD, team_roles: [roleIn(team)] } });
  const requests = [headers['x-request-id']];
  for (const change of [
    { email: newEmail(), password: `${PASSWORD}!`, enabled: false, team_roles: [roleIn(other)] },
    { enabled: true, name: 'Again' },
    { enabled: true, name: 'Again', team_roles: [roleIn(other)] },
  ]) {
    requests.push((await patch(body.id, change)).headers['x-request-id']);
  }
  requests.push((await call(`/${body.id}`, { method: 'DELETE' })).headers['x-request-id']);
  const events = (await server.auditEvents()).filter((event) => event.target_id === body.id);
  const of = (id: unknown) => events.filter((event) => event.request_id === id).map(({ action }) => action);
  expect(requests.map(of)).toEqual([
    ['user.created', 'membership.changed'],
    ['membership.ended', 'membership.changed', 'user.password_changed', 'user.disabled', 'user.updated'],
    ['user.enabled', 'user.updated'],
    [],
    ['user.deleted'],
  ]);
  expect(new Set(events.map(({ actor_kind }) => actor_kind))).toEqual(new Set(['personal_key']));
  expect(events.find(({ action }) => action === 'user.updated')!.details).toMatchObject({
    fields: ['email'],
    previous_email: email,
  });
  expect(JSON.stringify([events, server.log])).not.toMatch(/a password nobody|argon2/);
});
