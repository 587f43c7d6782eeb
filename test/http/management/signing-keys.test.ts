import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { type Api, type ApiCall, createApi, fieldsOf } from '../../support/api.ts';
import { clientCredentials, createTestClient, introspect } from '../../support/flows.ts';
import { digestOf, readFeed } from '../../support/revocation-feed.ts';
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

describe('a key that somebody else has', () => {
  const remove = (kid: string) => call(`/${kid}`, { method: 'DELETE' });

  test('row 81: is deleted: what was signed with it is refused at once, and another signs', async () => {
    const client = await createTestClient(server, await api.team(), { tokenEndpointAuthMethod: 'client_secret_post' });
    const signed = async () => (await clientCredentials(server, client)).body.access_token as string;
    const works = async (token: string) => (await api.call({ as: token, path: '/api/v1/providers' })).status;
    const before = await signed();
    const { kid } = decodeProtectedHeader(before);
    expect([await works(before), (await introspect(server, client, before)).body.active]).toEqual([200, true]);

    const { status, body } = await remove(kid!);
    expect([status, body.value.kid, body.value.state]).toEqual([200, kid, 'signing']);
    expect(body.replaced_by).toEqual({ ...body.replaced_by, alg: 'ES256', state: 'signing', expires_at: null });
    expect([await works(before), (await introspect(server, client, before)).body]).toEqual([401, { active: false }]);
    expect(await published()).not.toContain(kid);
    expect((await readFeed(server)).payload.revocations[digestOf(`kid:${kid}`)]).toBe(0);
    const after = await signed();
    expect([decodeProtectedHeader(after).kid, await works(after)]).toEqual([body.replaced_by.kid, 200]);
    expect((await remove(kid!)).status).toBe(404);
    expect(await server.auditEvents()).toContainEqual(
      expect.objectContaining({
        action: 'signing_key.deleted',
        target_id: kid,
        details: { alg: 'ES256', state: 'signing' },
      }),
    );
  });

  test('waits for its time: another waits in its place, and the one that signs goes on', async () => {
    const [[signing]] = (await statesOf('RS256')) as [[string, string]];
    const [waiting] = (await rotate({ alg: 'RS256' })).body.values;
    const { body } = await remove(waiting.kid);
    expect([body.value.state, body.replaced_by.state]).toEqual(['waiting', 'waiting']);
    expect(await statesOf('RS256')).toEqual([
      [body.replaced_by.kid, 'waiting'],
      [signing, 'signing'],
    ]);
  });

  test('signs, while another waits: neither that one nor a former one signs in its place', async () => {
    await rotate({ alg: 'EdDSA', now: true });
    await rotate({ alg: 'EdDSA' });
    const [, signing] = (await statesOf('EdDSA')).map(([kid]: [string]) => kid);
    const { body } = await remove(signing);
    expect(body.value.state).toBe('signing');
    const states = await statesOf('EdDSA');
    expect(states[0]).toEqual([body.replaced_by.kid, 'signing']);
    expect(new Set(states.slice(1).map(([, state]: [string, string]) => state))).toEqual(new Set(['published']));
  });

  test('signs no more: nothing is made in its place', async () => {
    const states = await statesOf('EdDSA');
    const { body } = await remove(states.at(-1)[0]);
    expect([body.value.state, body.replaced_by]).toEqual(['published', null]);
    expect(await statesOf('EdDSA')).toEqual(states.slice(0, -1));
  });

  test('is deleted by two at once: one of them is told that it is gone, and one key is made', async () => {
    const [kid] = (await statesOf('ES256')).find(([, state]: [string, string]) => state === 'signing');
    const before = await published();
    const answers = await Promise.all([remove(kid), remove(kid)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404]);
    expect(await published()).toHaveLength(before.length);
  });

  test('one that has left the key set by itself is not in the feed', async () => {
    const [made] = (await rotate({ alg: 'RS256' })).body.values;
    await server.db.query("UPDATE signing_keys SET expires_at = now() - interval '1 second' WHERE kid = $1", [
      made.kid,
    ]);
    expect((await remove(made.kid)).status).toBe(404);
    await server.db.query('DELETE FROM signing_keys WHERE kid = $1', [made.kid]);
    await server.domain.notifications.settle();
    expect((await readFeed(server)).payload.revocations).not.toHaveProperty(digestOf(`kid:${made.kid}`));
    await rotate({ alg: 'RS256' });
  });
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
