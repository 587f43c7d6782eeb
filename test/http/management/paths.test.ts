/** Row 114: other spellings of a path, other methods and headers that claim another request change nothing. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { createPerson } from '../../support/flows.ts';
import { type RawAnswer, send } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let port: number;
let bearer: string;
let paths: Record<string, string>;

beforeAll(async () => {
  server = await startTestServer();
  port = Number(new URL(server.origin).port);
  const person = await createPerson(server);
  bearer = (await server.domain.apiKeys.createPersonal({ ...person, name: 'Script' }, OPERATOR)).text;
  const { key } = await server.domain.apiKeys.createTeam({ teamId: person.teamId, name: 'Push' }, OPERATOR);
  const provider = await server.domain.providers.createCustom({ name: 'HR', teamId: person.teamId }, OPERATOR);
  paths = {
    'team_keys.list': '/api/preview/teamkeys',
    'team_keys.get': `/api/preview/teamkeys/${key.id}`,
    'teams.list': '/api/v1/teams',
    'custom_providers.get': `/api/v1/providers/custom/${provider.id}`,
  };
}, 30_000);

afterAll(() => server?.close());

const OPERATIONS = ['team_keys.list', 'team_keys.get', 'teams.list', 'custom_providers.get'];

type Headers = Record<string, string>;

function get(path: string, headers: Headers = {}, method = 'GET'): Promise<RawAnswer> {
  return send(port, { path, method, headers });
}

function authorization(): Headers {
  return { authorization: `Bearer ${bearer}` };
}

/** Everything that can be changed here, as text. */
async function everything(): Promise<string> {
  const { rows } = await server.db.query<{ all: string }>(
    `SELECT string_agg(row, E'\\n' ORDER BY row) AS all FROM (
       SELECT (to_jsonb(k) - 'last_access_at' - 'last_used_hour')::text AS row FROM api_keys AS k UNION ALL
       SELECT to_jsonb(p)::text FROM providers AS p) AS rows`,
  );
  return rows[0]!.all;
}

/** `/api/v1/x/y` in another spelling. */
const SPELLINGS: Record<string, (path: string) => string> = {
  'two slashes at the front': (path) => `/${path}`,
  'two slashes inside': (path) => path.replace(/(\/api\/\w+)\//, '$1//'),
  'a slash at the end': (path) => `${path}/`,
  'two slashes at the end': (path) => `${path}//`,
  'a parameter of the last segment': (path) => `${path};a=b`,
  'a parameter of the first segment': (path) => path.replace('/api', '/api;a=b'),
  'an encoded letter in the noun': (path) => path.replace(/(\/api\/\w+\/)(.)/, (_, start, c) => start + encoded(c)),
  'an encoded letter in the prefix': (path) => path.replace('/api', '/%61pi'),
  'an encoded slash': (path) => path.replace(/(\/api\/\w+)\//, '$1%2f'),
  'an encoded slash at the end': (path) => `${path}%2F`,
  'dots inside': (path) => path.replace(/(\/api\/)(\w+)\//, '$1$2/../$2/'),
  'a dot inside': (path) => path.replace(/(\/api\/\w+)\//, '$1/./'),
  'encoded dots at the front': (path) => `/%2e%2e${path}`,
  'encoded dots inside': (path) => path.replace(/(\/api\/)(\w+)\//, '$1$2/%2e%2e/$2/'),
  'dots behind a public document': (path) => `/oauth2/jwks/..${path.replace('/api', '/../api')}`,
  'a prefix in capitals': (path) => path.replace('/api', '/API'),
  'a noun in capitals': (path) => path.replace(/(\/api\/\w+\/)(\w+)/, (_, start, noun) => start + noun.toUpperCase()),
  'a backslash': (path) => path.replace(/(\/api\/\w+)\//, '$1\\'),
  'an encoded NUL at the end': (path) => `${path}%00`,
  'an encoded line break at the end': (path) => `${path}%0a`,
  'an encoded space at the end': (path) => `${path}%20`,
  'a file ending': (path) => `${path}.json`,
  'half an encoding at the end': (path) => `${path}%`,
};

function encoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16)}`;
}

describe.each(OPERATIONS)('row 114: %s', (operation) => {
  test('itself is for those with a credential', async () => {
    const path = paths[operation]!;
    expect([(await get(path)).status, (await get(path, authorization())).status]).toEqual([401, 200]);
  });

  test.each(Object.keys(SPELLINGS))('with %s is nothing, to whoever asks', async (spelling) => {
    const path = SPELLINGS[spelling]!(paths[operation]!);
    expect(path).not.toBe(paths[operation]);
    const [nobody, somebody] = [await get(path), await get(path, authorization())];
    // A path below an object may be that of an object that is not there: then only those with a credential are told so.
    expect([400, 401, 404]).toContain(nobody.status);
    expect([400, 404]).toContain(somebody.status);
    for (const { text } of [nobody, somebody]) expect(text).not.toMatch(/"values?":/);
  });

  test('as HEAD is GET without its body', async () => {
    const path = paths[operation]!;
    const [nobody, somebody] = [await get(path, {}, 'HEAD'), await get(path, authorization(), 'HEAD')];
    expect([nobody.status, nobody.text, somebody.status, somebody.text]).toEqual([401, '', 200, '']);
  });

  test.each(['OPTIONS', 'TRACE', 'PROPFIND', 'LINK'])('as %s is nothing', async (method) => {
    const path = paths[operation]!;
    const before = await everything();
    for (const headers of [{}, authorization()]) {
      const answer = await get(path, headers, method);
      expect([method, answer.status]).toEqual([method, 404]);
      expect(answer.headers).not.toHaveProperty('allow');
    }
    expect(await everything()).toBe(before);
  });

  test.each<[string, Headers]>([
    ['X-HTTP-Method-Override', { 'x-http-method-override': 'DELETE' }],
    ['X-HTTP-Method', { 'x-http-method': 'DELETE' }],
    ['X-Method-Override', { 'x-method-override': 'DELETE' }],
    ['X-Original-URL', { 'x-original-url': '/livez' }],
    ['X-Rewrite-URL', { 'x-rewrite-url': '/livez' }],
    ['X-Forwarded-Prefix', { 'x-forwarded-prefix': '/oauth2/jwks' }],
    ['X-Forwarded-Path', { 'x-forwarded-path': '/livez' }],
  ])('with %s is what its own line says', async (_, headers) => {
    const path = paths[operation]!;
    const before = await everything();
    const plain = await get(path, authorization());
    const answer = await get(path, { ...authorization(), ...headers });
    expect([answer.status, answer.body]).toEqual([200, plain.body]);
    expect((await get(path, headers)).status).toBe(401);
    expect((await get(`${path}?_method=DELETE`)).status).toBe(401);
    expect(await everything()).toBe(before);
  });

  // RFC 9112 §3.2.2: a server must understand the form that proxies send.
  test('with a whole URL as its target is itself, whatever host that names', async () => {
    const path = paths[operation]!;
    for (const target of [`http://localhost:${port}${path}`, `http://evil.example${path}`]) {
      expect((await get(target)).status).toBe(401);
      expect((await get(target, authorization())).status).toBe(200);
    }
    for (const target of [`http://localhost:${port}/livez/..${path}`, `http://localhost:${port}/${path}`]) {
      expect((await get(target, authorization())).status).toBe(404);
    }
  });

  test('is found by no other header than the request line', async () => {
    const path = paths[operation]!;
    const headers = { ...authorization(), 'x-original-url': path, 'x-rewrite-url': path };
    const answer = await get(`/nothing-${randomUUID()}`, headers);
    expect(answer.status).toBe(404);
    expect(answer.text).not.toMatch(/"values?":/);
  });
});
