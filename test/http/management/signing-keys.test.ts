import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { type Api, type ApiCall, createApi, fieldsOf } from '../../support/api.ts';
import { clientCredentials, createTestClient } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);

let server: TestServer;
let api: Api;
let root: string;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
}, 30_000);
afterAll(() => server?.close());

const call = (path = '', more: Partial<ApiCall> = {}) =>
  api.call({ as: root, path: `/api/v1/signing_keys${path}`, ...more });
const rotate = (body: object, more: Partial<ApiCall> = {}) => call(':rotate', { body, ...more });
const statesOf = async (alg: string) =>
  (await call(`?filter=alg+eq+%22${alg}%22`)).body.values.map((key: { kid: string; state: string }) => [
    key.kid,
    key.state,
  ]);
const published = async () => {
  const { keys } = (await api.call({ path: '/oauth2/jwks' })).body;
  return keys.map(({ kid }: { kid: string }) => kid).sort();
};

test('the keys are listed with what each does, as the key set has them, and without the keys themselves', async () => {
  const { status, body } = await call();
  expect([status, body]).toEqual([200, { values: expect.any(Array), next_page_token: '', has_more: false }]);
  expect(body.values.map(({ alg }: { alg: string }) => alg).sort()).toEqual(['ES256', 'EdDSA', 'RS256']);
  for (const key of body.values) {
    expect(key).toEqual({
      kid: expect.any(String),
      alg: expect.any(String),
      state: 'signing',
      created_at: TIME,
      signs_from: TIME,
      expires_at: null,
    });
  }
  expect(await published()).toEqual(body.values.map(({ kid }: { kid: string }) => kid).sort());
});

test('a key is rotated: the new one is published at once and waits, the old one signs', async () => {
  const [[old]] = await statesOf('EdDSA');
  const { status, body } = await rotate({ alg: 'EdDSA' });
  expect([status, body]).toEqual([
    200,
    {
      values: [
        {
          kid: expect.any(String),
          alg: 'EdDSA',
          state: 'waiting',
          created_at: TIME,
          signs_from: TIME,
          expires_at: null,
        },
      ],
    },
  ]);
  const [made] = body.values;
  expect(await published()).toContain(made.kid);
  expect(Date.parse(made.signs_from)).toBeGreaterThan(Date.now() + 300_000);
  const { values } = (await call('?order_by=created_at')).body;
  expect(values.at(-1)).toEqual(made);
  const former = values.find(({ kid }: { kid: string }) => kid === old);
  expect(former).toMatchObject({ state: 'signing', expires_at: TIME });
  expect(Date.parse(former.expires_at)).toBeGreaterThan(Date.parse(made.signs_from) + 86_400_000);
});

test('a key that leaked is replaced now: it signs no more, and what it signed stays valid', async () => {
  const client = await createTestClient(server, await api.team(), { tokenEndpointAuthMethod: 'client_secret_post' });
  const signed = async () => (await clientCredentials(server, client)).body.access_token as string;
  const [[old]] = await statesOf('ES256');
  const before = await signed();
  expect(decodeProtectedHeader(before).kid).toBe(old);
  const [made] = (await rotate({ alg: 'ES256', now: true })).body.values;
  expect(made.state).toBe('signing');
  expect(decodeProtectedHeader(await signed()).kid).toBe(made.kid);
  expect(await statesOf('ES256')).toEqual([
    [made.kid, 'signing'],
    [old, 'published'],
  ]);
  expect(await published()).toEqual(expect.arrayContaining([old, made.kid]));
  expect((await api.call({ as: before, path: '/api/v1/providers' })).status).toBe(200);
});

test('all of them are rotated when none is named, once for one Idempotency-Key', async () => {
  const before = (await published()).length;
  const headers = { 'idempotency-key': 'rotate-once' };
  const answers = await Promise.all([rotate({}, { headers }), rotate({}, { headers })]);
  const again = await rotate({}, { headers });
  expect(again.status).toBe(200);
  expect(again.body.values.map(({ alg }: { alg: string }) => alg)).toEqual(['ES256', 'RS256', 'EdDSA']);
  for (const { status, body } of answers) expect(status === 200 ? body : again.body).toEqual(again.body);
  expect(await published()).toHaveLength(before + 3);
});

test('pages of one follow each other to the end', async () => {
  const all = (await call()).body.values;
  const seen = [];
  let token = '';
  do {
    const { body } = await call(`?page_size=1${token && `&page_token=${encodeURIComponent(token)}`}`);
    seen.push(...body.values);
    token = body.next_page_token;
  } while (token !== '');
  expect(seen).toEqual(all);
});

test.each<[string, object, string]>([
  ['an algorithm there is none of', { alg: 'HS256' }, 'alg'],
  ['text for now', { now: 'yes' }, 'now'],
  ['row 112: a kid of its own', { kid: 'mine' }, 'kid'],
])('%s is refused by name, and nothing is rotated', async (_, body, field) => {
  const before = await published();
  const answer = await rotate(body);
  expect([answer.status, fieldsOf(answer)]).toEqual([400, [field]]);
  expect(await published()).toEqual(before);
});

test('row 119: one event for each key, with who did it', async () => {
  await server.db.query('DELETE FROM audit_events');
  const [made] = (await rotate({ alg: 'RS256' })).body.values;
  const events = (await server.auditEvents()).filter(({ action }) => action === 'signing_key.rotated');
  expect(events).toMatchObject([
    { target_id: made.kid, actor_kind: 'personal_key', details: { alg: 'RS256', now: false } },
  ]);
});
