import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Api, type ApiCall, createApi } from '../../support/api.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const ENABLED = 'oauth2_authorization_server_enabled';
const DEFAULTS = { [ENABLED]: true, session_lifetime_seconds: 604_800, session_idle_seconds: 86_400, updated_at: null };

let server: TestServer;
let api: Api;
let root: string;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
}, 30_000);
afterAll(() => server?.close());
beforeEach(async () => {
  await server.db.query('DELETE FROM settings');
});

const call = (more: Partial<ApiCall> = {}) => api.call({ as: root, path: '/api/v1/settings/sign-in', ...more });
const patch = (body: unknown, headers: Record<string, string> = {}) => call({ method: 'PATCH', body, headers });

test('the settings are read with their ETag, changed in part, and read back', async () => {
  const first = await call();
  expect([first.status, first.body]).toEqual([200, { value: DEFAULTS }]);
  const changed = await patch({ session_idle_seconds: 600 }, { 'if-match': first.headers.etag! });
  expect([changed.status, changed.body]).toEqual([
    200,
    { value: { ...DEFAULTS, session_idle_seconds: 600, updated_at: expect.stringMatching(/^\d{4}-.*\.\d+Z$/) } },
  ]);
  expect(changed.headers.etag).not.toBe(first.headers.etag);
  const second = await call();
  expect([second.body, second.headers.etag]).toEqual([changed.body, changed.headers.etag]);
});

test('what was read can be sent back, also when the configuration starts outside the range', async () => {
  const wide = await startTestServer({ env: { SESSION_TTL: '9000000', SESSION_IDLE_TTL: '120' } });
  const on = createApi(wide);
  const [as, path] = [await on.key('Admin'), '/api/v1/settings/sign-in'];
  const { updated_at: _, ...read } = (await on.call({ as, path })).body.value;
  const sent = await on.call({ as, path, method: 'PATCH', body: { ...read, [ENABLED]: false } });
  expect([sent.status, sent.body.value]).toMatchObject([200, { ...read, [ENABLED]: false }]);
  expect((await on.call({ as, path, method: 'PATCH', body: { session_idle_seconds: 119 } })).status).toBe(400);
  await wide.close();
});

test('row 118: of parallel changes with one ETag one is made, the other gets 412', async () => {
  for (const round of [1, 2]) {
    const headers = { 'if-match': (await call()).headers.etag! };
    const answers = await Promise.all(
      [600, 900].map((seconds) => patch({ session_idle_seconds: seconds + round }, headers)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    const made = answers.find(({ status }) => status === 200)!;
    expect((await call()).body).toEqual(made.body);
  }
});

test.each<[string, object, string]>([
  ['an unknown field', { session_lifetime: 600 }, 'session_lifetime'],
  ['text for a switch', { [ENABLED]: 'false' }, ENABLED],
  ['too short a time', { session_idle_seconds: 299 }, 'session_idle_seconds'],
  ['too long a time', { session_lifetime_seconds: 7_776_001 }, 'session_lifetime_seconds'],
  ['a fraction', { session_idle_seconds: 600.5 }, 'session_idle_seconds'],
  ['null', { session_idle_seconds: null }, 'session_idle_seconds'],
  ['idleness above the lifetime', { session_idle_seconds: 604_801 }, 'session_idle_seconds'],
  ['row 112: another time of change', { updated_at: '2030-01-31T00:00:00Z' }, 'updated_at'],
])('%s is refused by name, and nothing is changed', async (_, body, field) => {
  const { status, body: answer } = await patch({ [ENABLED]: true, ...body });
  expect([status, answer.details?.[0].field_violations.map((one: { field: string }) => one.field)]).toEqual([
    400,
    [field],
  ]);
  expect((await call()).body.value).toEqual(DEFAULTS);
});

test('what was read may be sent back whole', async () => {
  await patch({ session_idle_seconds: 600 });
  const { body, headers } = await call();
  const answer = await patch({ ...body.value, session_idle_seconds: 900 });
  expect([answer.status, answer.body.value.session_idle_seconds]).toEqual([200, 900]);
  expect(answer.headers.etag).not.toBe(headers.etag);
});

describe('row 109: who may', () => {
  test('only callers of the root team with the permission', async () => {
    const team = await api.team();
    const callers = [
      [undefined, 401, 401],
      [await api.key('Admin', team), 403, 403],
      [await api.key('Viewer'), 403, 403],
      [await api.key('Admin', undefined, ['settings:read']), 200, 403],
      [await api.key('Admin', undefined, ['providers:read']), 403, 403],
    ] as const;
    for (const [as, read, write] of callers) {
      const answers = [await call({ as }), await call({ as, method: 'PATCH', body: { session_idle_seconds: 600 } })];
      expect(answers.map(({ status }) => status)).toEqual([read, write]);
    }
    expect((await call()).body.value).toEqual(DEFAULTS);
  });
});

test('row 119: one event for each name that changed, with who did it', async () => {
  await server.db.query('DELETE FROM audit_events');
  await patch({ [ENABLED]: true, session_lifetime_seconds: 7_200, session_idle_seconds: 3_600 });
  const events = (await server.auditEvents()).filter(({ action }) => action === 'setting.changed');
  expect(events).toMatchObject([
    { target_id: 'session_lifetime_seconds', actor_kind: 'personal_key', details: { value: 7_200, former: 604_800 } },
    { target_id: 'session_idle_seconds', actor_kind: 'personal_key', details: { value: 3_600, former: 86_400 } },
  ]);
});
