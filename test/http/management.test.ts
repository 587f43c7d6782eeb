/** The management API over HTTP, with each of the four kinds of credential (wire contract, Providers). */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { ROLE_IDS } from '../../src/domain/permissions.ts';
import { createSecretText } from '../../src/domain/secret-text.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  redeemCode,
} from '../support/flows.ts';
import { type RawAnswer, send } from '../support/request.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { soon } from '../support/soon.ts';

let server: TestServer;
let port: number;
let person: { userId: string; email: string; teamId: string };

beforeAll(async () => {
  server = await startTestServer();
  port = Number(new URL(server.origin).port);
  person = await createPerson(server);
}, 30_000);

afterAll(() => server?.close());

interface Call {
  bearer?: string | undefined;
  method?: string;
  path?: string;
  body?: unknown;
  headers?: Record<string, string | string[]>;
}

function call({ bearer, method, path = '/providers', body, headers }: Call): Promise<RawAnswer> {
  return send(port, {
    path: `/api/v1${path}`,
    ...(method !== undefined && { method }),
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    headers: {
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
  });
}

async function personalKey(of = person, scopes?: string[]): Promise<{ id: string; text: string }> {
  const key = { userId: of.userId, teamId: of.teamId, name: 'Script', ...(scopes && { scopes }) };
  const { key: made, text } = await server.domain.apiKeys.createPersonal(key, OPERATOR);
  return { id: made.id, text };
}

/** One credential of each kind, all acting in the person's team. */
const KINDS: Record<string, () => Promise<string>> = {
  'a personal key': async () => (await personalKey()).text,
  'a team key': async () =>
    (await server.domain.apiKeys.createTeam({ teamId: person.teamId, name: 'Push' }, OPERATOR)).text,
  "an app's access token": async () => {
    const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const params = { scope: 'providers:read providers:write' };
    const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId, params });
    return (await redeemCode(server, app, code, pkce)).body.access_token;
  },
  "a client's access token": async () => {
    const method = { tokenEndpointAuthMethod: 'client_secret_post' };
    const client = await createTestClient(server, person.teamId, method);
    return (await clientCredentials(server, client)).body.access_token;
  },
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/;

describe.each(Object.keys(KINDS))('with %s', (kind) => {
  test('a provider is made, read, listed, changed and deleted', async () => {
    const bearer = await KINDS[kind]!();
    const made = await call({ bearer, path: '/providers/custom', body: { name: 'Payroll', custom_template: 'hr' } });
    expect([made.status, made.headers['cache-control']]).toEqual([200, 'no-store']);
    const { value } = made.body;
    expect(value).toEqual({
      id: expect.stringMatching(UUID),
      name: 'Payroll',
      type: 'CUSTOM',
      custom_template: 'hr',
      team_id: person.teamId,
      created_at: expect.stringMatching(TIME),
      updated_at: expect.stringMatching(TIME),
    });
    const path = `/providers/custom/${value.id}`;
    expect((await call({ bearer, path })).body).toEqual({ value });
    for (const list of ['/providers', '/providers/custom']) {
      const { body } = await call({ bearer, path: `${list}?page_size=1000` });
      expect(body).toMatchObject({ next_page_token: '', has_more: false });
      expect(body.values).toContainEqual(value);
    }
    // What the server sets may be echoed, as clients that send back what they got do.
    const renamed = await call({ bearer, path, method: 'PATCH', body: { ...value, name: 'Wages' } });
    expect(renamed.body.value).toMatchObject({ id: value.id, name: 'Wages', custom_template: 'hr' });
    expect((await call({ bearer, path, method: 'DELETE' })).body).toEqual({});
    expect((await call({ bearer, path })).status).toBe(404);
    const events = (await server.auditEvents()).filter((event) => event.target_id === value.id);
    expect(events.map(({ action }) => action)).toEqual(['provider.created', 'provider.updated', 'provider.deleted']);
    expect(new Set(events.map(({ request_id }) => request_id)).size).toBe(3);
  });
});

describe('rows 73, 75, 76, 87, 88: who is nobody', () => {
  const flipped = (text: string) => text.slice(0, 20) + (text[20] === 'A' ? 'B' : 'A') + text.slice(21);

  test.each<[string, () => Promise<string> | string, string]>([
    ['not Base64', () => 'not/base64_at-all!', 'Invalid API key'],
    ['Base64 of something else', () => randomBytes(39).toString('base64url'), 'Malformed API key'],
    ['a truncated key', async () => (await personalKey()).text.slice(0, -4), 'Malformed API key'],
    ['a key with one character changed', async () => flipped((await personalKey()).text), 'Malformed API key'],
    ['a client secret', () => createSecretText('lks_').text, 'Malformed API key'],
    ['a key nobody has', () => createSecretText('lkp_').text, 'Unauthenticated'],
    ['a JWT of nobody', () => 'eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl', 'Invalid access token'],
  ])('%s', async (_what, credential, message) => {
    const answer = await call({ bearer: await credential() });
    expect([answer.status, answer.body]).toEqual([401, { code: 16, message, details: [] }]);
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer .*error="invalid_token".*resource_metadata="http/);
    expect(answer.headers['x-request-id']).toMatch(UUID);
  });

  test('revoked, expired, disabled owner, unknown: one answer', async () => {
    const [revoked, expired, owned] = [await personalKey(), await personalKey(), await createPerson(server)];
    const orphan = await personalKey(owned);
    await server.domain.apiKeys.revoke(revoked.id, {}, OPERATOR);
    await server.db.query("UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = $1", [expired.id]);
    await server.domain.users.setEnabled(owned.userId, false, OPERATOR);
    const texts = [revoked.text, expired.text, orphan.text, createSecretText('lkt_').text];
    const answers = await Promise.all(texts.map((bearer) => call({ bearer })));
    const shapes = answers.map(({ status, text, headers }) => [status, text, headers['www-authenticate']]);
    expect(new Set(shapes.map((shape) => JSON.stringify(shape))).size).toBe(1);
    expect(answers[0]!.body).toEqual({ code: 16, message: 'Unauthenticated', details: [] });
  });

  test('rows 10, 73: nothing at all gets the bare challenge, and the address of the metadata', async () => {
    const answer = await call({});
    expect(answer.status).toBe(401);
    const challenge = String(answer.headers['www-authenticate']);
    expect(challenge).toContain(`resource_metadata="${server.origin}/.well-known/oauth-protected-resource/api"`);
    expect(challenge).not.toContain('error=');
  });

  test('row 75: a credential in the query is none, and is not tried', async () => {
    const { text } = await personalKey();
    for (const name of ['access_token', 'api_key', 'apikey', 'key', 'token']) {
      const answer = await call({ path: `/providers?${name}=${text}` });
      expect([name, [400, 401].includes(answer.status)]).toEqual([name, true]);
    }
    expect((await call({ headers: { cookie: `access_token=${text}` } })).status).toBe(401);
    expect(server.log.some((line) => line.includes(text))).toBe(false);
  });

  test('row 76: two credentials are one too many, whichever they are', async () => {
    const { text } = await personalKey();
    const twice: Call[] = [
      { bearer: text, headers: { 'x-api-key': text } },
      { bearer: text, path: `/providers?access_token=${text}` },
      { bearer: `${text}, Bearer ${text}` },
      { headers: { authorization: [`Bearer ${text}`, `Bearer ${text}`] } },
    ];
    for (const one of twice) expect(await call(one)).toMatchObject({ status: 400, body: { code: 3 } });
  });

  test('row 74: the scheme is written as anybody likes', async () => {
    const { text } = await personalKey();
    for (const scheme of ['bearer', 'BEARER', 'BeArEr']) {
      expect((await call({ headers: { authorization: `${scheme} ${text}` } })).status).toBe(200);
    }
    expect((await call({ headers: { authorization: `Basic ${text}` } })).status).toBe(401);
  });
});

describe('what a credential may do', () => {
  test('row 73: reading does not write', async () => {
    const { text: bearer } = await personalKey(person, ['providers:read']);
    expect((await call({ bearer })).status).toBe(200);
    const refused = await call({ bearer, path: '/providers/custom', body: { name: 'x' } });
    expect([refused.status, refused.body.code]).toEqual([403, 7]);
    const challenge = String(refused.headers['www-authenticate']);
    expect(challenge).toMatch(/error="insufficient_scope".*scope="providers:write"/);
  });

  test('row 90: is what its owner may do now: a demotion counts at once, leaving the team ends it', async () => {
    const owner = await createPerson(server, { role: 'Operator' });
    const { text: bearer } = await personalKey(owner);
    const create = async () => (await call({ bearer, path: '/providers/custom', body: { name: 'Mine' } })).status;
    const read = async () => (await call({ bearer })).status;
    expect([await create(), await read()]).toEqual([200, 200]);
    const { memberships } = server.domain;
    const membership = { userId: owner.userId, teamId: owner.teamId };
    await memberships.setRoles({ ...membership, roles: [ROLE_IDS.Viewer] }, OPERATOR);
    expect(await soon(async () => (await create()) === 403)).toBe(true);
    expect(await read()).toBe(200);
    await memberships.remove(membership, OPERATOR);
    expect(await soon(async () => (await read()) === 401)).toBe(true);
    expect(await create()).toBe(401);
  });

  test("row 90: an app's token shrinks with its user as well", async () => {
    const owner = await createPerson(server, { role: 'Operator' });
    const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const params = { scope: 'providers:read providers:write' };
    const { code, pkce } = await authorize(server, { ...owner, clientId: app.clientId, params });
    const bearer = (await redeemCode(server, app, code, pkce)).body.access_token;
    const create = async () => (await call({ bearer, path: '/providers/custom', body: { name: 'Mine' } })).status;
    expect(await create()).toBe(200);
    await server.domain.memberships.setRoles(
      { userId: owner.userId, teamId: owner.teamId, roles: [ROLE_IDS.Viewer] },
      OPERATOR,
    );
    expect(await soon(async () => (await create()) === 403)).toBe(true);
    await server.domain.users.setEnabled(owner.userId, false, OPERATOR);
    expect(await soon(async () => (await create()) === 401)).toBe(true);
  });

  test("rows 89, 110: another team's provider is not there, and its team cannot be borrowed", async () => {
    const other = await createPerson(server);
    const [mine, theirs] = [await personalKey(), await personalKey(other)];
    const made = await call({ bearer: theirs.text, path: '/providers/custom', body: { name: 'Secret' } });
    const path = `/providers/custom/${made.body.value.id}`;
    const missing = await call({ bearer: mine.text, path: `/providers/custom/${randomUUID()}` });
    for (const [method, body] of [['GET'], ['PATCH', { name: 'Mine' }], ['DELETE']] as const) {
      const answer = await call({ bearer: mine.text, path, method, body });
      expect([method, answer.status, answer.text]).toEqual([method, 404, missing.text]);
    }
    const borrowed = { name: 'x', team_id: other.teamId };
    expect((await call({ bearer: mine.text, path: '/providers/custom', body: borrowed })).status).toBe(404);
    const listed = await call({ bearer: mine.text, path: '/providers/custom?page_size=1000' });
    expect(listed.body.values.map(({ team_id }: { team_id: string }) => team_id)).not.toContain(other.teamId);
    expect((await call({ bearer: theirs.text, path })).body.value.name).toBe('Secret');
  });
});

describe('lists and bodies', () => {
  test('a list comes in pages, each row once, whatever is made meanwhile', async () => {
    const owner = await createPerson(server);
    const { text: bearer } = await personalKey(owner);
    const names = Array.from({ length: 7 }, (_, index) => `Provider ${index}`);
    for (const name of names) await call({ bearer, path: '/providers/custom', body: { name } });
    const seen: string[] = [];
    let token = '';
    do {
      const { body } = await call({ bearer, path: `/providers/custom?page_size=3&page_token=${token}` });
      expect(body.values.length).toBeLessThanOrEqual(3);
      expect(body.has_more).toBe(body.next_page_token !== '');
      seen.push(...body.values.map(({ name }: { name: string }) => name));
      token = encodeURIComponent(body.next_page_token);
    } while (token !== '' && seen.length < 20);
    expect(seen).toEqual(names);
  });

  test('a page token is good for the list that gave it out, unchanged', async () => {
    const owner = await createPerson(server);
    const { text: bearer } = await personalKey(owner);
    for (const name of ['a', 'b']) await call({ bearer, path: '/providers/custom', body: { name } });
    const { body } = await call({ bearer, path: '/providers/custom?page_size=1' });
    const token: string = body.next_page_token;
    const bad = [
      `/providers?page_token=${token}`,
      `/providers/custom?page_token=${token.slice(1)}`,
      `/providers/custom?page_token=${token}x`,
      '/providers/custom?page_token=e30.e30',
      `/providers/custom?page_token=${token}&page_token=${token}`,
      '/providers/custom?page_size=0',
      '/providers/custom?page_size=1001',
      '/providers/custom?page_size=ten',
      '/providers/custom?page_size=1&page_size=2',
    ];
    for (const path of bad) {
      const answer = await call({ bearer, path });
      expect([path, answer.status, answer.body.code]).toEqual([path, 400, 3]);
      expect(answer.body.details[0].field_violations[0].field).toMatch(/^page_(token|size)$/);
    }
  });

  test('row 112: what the server sets cannot be changed', async () => {
    const { text: bearer } = await personalKey();
    const { value } = (await call({ bearer, path: '/providers/custom', body: { name: 'Fixed' } })).body;
    const path = `/providers/custom/${value.id}`;
    const changes = {
      id: randomUUID(),
      team_id: randomUUID(),
      type: 'BUILT_IN',
      created_at: '2020-01-01T00:00:00.000Z',
    };
    for (const [field, wanted] of Object.entries(changes)) {
      const answer = await call({ bearer, path, method: 'PATCH', body: { name: 'Moved', [field]: wanted } });
      expect([answer.status, answer.body.details[0]?.field_violations]).toEqual([
        400,
        [{ field, description: 'cannot be changed' }],
      ]);
    }
    expect((await call({ bearer, path })).body).toEqual({ value });
  });

  test('an unknown field is refused by its name, and so is every other fault of a body', async () => {
    const { text: bearer } = await personalKey();
    const send = (body: unknown, headers = {}) => call({ bearer, path: '/providers/custom', body, headers });
    const fields = (answer: RawAnswer) =>
      answer.body.details.flatMap((one: { field_violations: { field: string }[] }) =>
        one.field_violations.map(({ field }) => field),
      );
    const unknown = await send({ name: 'x', owner: 'me', __proto: 1 });
    expect([unknown.status, fields(unknown)]).toEqual([400, ['owner', '__proto']]);
    expect(unknown.body.details[0]['@type']).toBe('type.googleapis.com/google.rpc.BadRequest');
    expect(fields(await send({}))).toEqual(['name']);
    expect(fields(await send({ name: 5 }))).toEqual(['name']);
    expect(fields(await send({ name: '' }))).toEqual(['name']);
    expect(fields(await send({ name: 'x'.repeat(256) }))).toEqual(['name']);
    for (const body of ['', '{', '[]', '"x"', 'null', '1', '{"name":"x"}{}']) {
      expect([body, (await send(body)).body.code]).toEqual([body, 3]);
    }
    expect((await send('name=x', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(400);
    expect((await send('{"name":"x"}', { 'content-type': 'text/plain' })).status).toBe(400);
    expect(await send(`{"name":"${'x'.repeat(600_000)}"}`)).toMatchObject({ status: 413, body: { code: 3 } });
  });

  test('what is not there is 404 in the form of the API', async () => {
    const { text: bearer } = await personalKey();
    for (const path of [
      '/nothing',
      '/providers/custom/x',
      '/providers/custom/%00',
      `/providers/custom/${randomUUID()}`,
    ]) {
      expect(await call({ bearer, path })).toMatchObject({ status: 404, body: { code: 5, details: [] } });
    }
  });
});

test('row 9: the API describes itself where its challenges say', async () => {
  const answer = await send(port, { path: '/.well-known/oauth-protected-resource/api' });
  expect(answer.body).toMatchObject({
    resource: server.audience,
    authorization_servers: [server.issuer],
    bearer_methods_supported: ['header'],
  });
  expect(answer.body.scopes_supported).toContain('providers:read');
  expect(answer.headers['cache-control']).toContain('max-age');
});
