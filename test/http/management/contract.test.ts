/**
 * The contract with existing clients. The requests of the seeds beside the project (`../shared/seeds`) are sent byte for
 * byte, host, ids and placeholders substituted, and the answers held against those shown there. Without that folder these
 * are reported as skipped; the shapes written down below are always checked.
 */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS } from '../../../src/domain/permissions.ts';
import { type Api, createApi, type TestUser } from '../../support/api.ts';
import type { RawAnswer } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const SEEDS = '../shared/seeds/team-user-teamkey-api.txt';
// biome-ignore lint/suspicious/noExplicitAny: whatever JSON an example shows
type Json = any;

let server: TestServer;
let api: Api;
let admin: TestUser;
let key: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  admin = await api.user('Admin', '00000000-0000-4000-8000-000000000010');
  key = await api.keyOf(admin);
}, 30_000);

afterAll(() => server?.close());

// Shown as a number where another example shows the name; names are sent.
const ENUMERATIONS = new Set([
  'status',
  'policy_type',
  'type',
  'provider_types',
  'auth_provider_type',
  'persona',
  'frequency',
]);

/** What is shown must be there, with that type; more may be there (the contract adds fields of ours). */
function expectLike(actual: Json, shown: Json, at: string): void {
  if (Array.isArray(shown)) {
    expect([at, Array.isArray(actual)]).toEqual([at, true]);
    if (shown.length > 0 && actual.length > 0) expectLike(actual[0], shown[0], `${at}[0]`);
  } else if (typeof shown === 'object') {
    expect([at, typeof actual]).toEqual([at, 'object']);
    for (const name of Object.keys(shown)) {
      expect([`${at}.${name}`, Object.hasOwn(actual, name)]).toEqual([`${at}.${name}`, true]);
      expectLike(actual[name], shown[name], `${at}.${name}`);
    }
  } else {
    const name = /(\w+)(\[0\])?$/.exec(at)?.[1] ?? '';
    expect([at, typeof actual]).toEqual([at, ENUMERATIONS.has(name) ? 'string' : typeof shown]);
  }
}

/** A team with a provider, a user who has done everything a user can, and a team key: what the examples speak of. */
async function makeObjects() {
  const { domain, db } = server;
  const provider = await domain.providers.createCustom({ name: 'AWS', teamId: admin.teamId }, OPERATOR);
  const team = await api.call({
    as: key,
    path: '/api/v1/teams',
    body: { name: `Team ${Math.random()}`, policy_type: 2, providers: [{ id: provider.id }], provider_types: [1] },
  });
  const teamId: string = team.body.value.id;
  const user = await api.user('Viewer', teamId);
  const settings = [{ digest_id: 'weekly', digest_name: 'Weekly', frequency: 2 }];
  const changed = await api.call({
    as: key,
    method: 'PATCH',
    path: `/api/v1/users/${user.userId}`,
    body: { digest_settings: settings, expires_at: '2099-01-01T00:00:00Z' },
  });
  expect(changed.status).toBe(200);
  await db.query('UPDATE users SET last_login_at = now(), last_refresh_at = now() WHERE id = $1', [user.userId]);
  const { key: teamKey } = await domain.apiKeys.createTeam({ teamId, name: 'AWS Team Key' }, OPERATOR);
  return { teamId, providerId: provider.id, userId: user.userId, email: user.email, keyId: teamKey.id };
}

describe('shapes', () => {
  const TEAM_KEY = {
    id: '',
    access_key: '',
    name: '',
    created_at: '',
    last_access_at: '',
    status: '',
    team_id: '',
    team_name: '',
  };
  const TEAM = {
    id: '',
    name: '',
    policy_type: '',
    providers: [{ id: '', name: '', type: '' }],
    created_at: '',
    updated_at: '',
    description: '',
    user_count: 0,
    sso_alias: '',
    provider_types: [''],
  };
  const OPTIONS = [
    ...['can_change_password', 'has_mfa', 'can_change_roles', 'can_disable', 'can_delete', 'can_edit_name'],
    ...['can_extend_support', 'can_remove_from_teams'],
  ];
  const USER = {
    ...{ id: '', name: '', display_name: '', given_name: '', family_name: '', email: '', enabled: true },
    ...{ last_login_at: '', last_refresh_at: '', created_at: '', updated_at: '', logins_lifetime: '' },
    ...{ auth_provider_type: '', auth_provider_id: '', persona: '', expires_at: '' },
    options: Object.fromEntries(OPTIONS.map((name) => [name, true])),
    team_roles: [{ team_id: '', team_name: '', role_id: '', role_name: '' }],
    digest_settings: [{ digest_id: '', digest_name: '', frequency: '' }],
  };
  const ROLE = {
    ...{ id: '', name: '', permissions: [''], description: '' },
    ...{ is_available_in_root_team: true, is_available_in_non_root_team: true },
  };
  const page = (values: object) => ({ values: [values], next_page_token: '', has_more: true });

  const CASES: [string, string, object, object?][] = [
    ['GET', '/api/preview/teamkeys', page(TEAM_KEY)],
    ['GET', '/api/preview/teamkeys/KEY', { value: TEAM_KEY }],
    ['POST', '/api/preview/teamkeys', { value: TEAM_KEY }, { name: 'New', team_id: 'TEAM' }],
    ['PATCH', '/api/preview/teamkeys/KEY', { value: TEAM_KEY }, { id: 'KEY', name: 'Updated', team_id: 'TEAM' }],
    ['POST', '/api/preview/teamkeys/KEY:revoke', {}],
    ['POST', '/api/preview/teamkeys/KEY:reinstate', {}],
    ['DELETE', '/api/preview/teamkeys/KEY', { value: TEAM_KEY }],
    ['GET', '/api/v1/teams', page(TEAM)],
    ['GET', '/api/v1/teams/TEAM', { value: TEAM }],
    ['POST', '/api/v1/teams', { value: TEAM }, { name: 'Made here', policy_type: 'UNBOUND' }],
    ['PUT', '/api/v1/teams/TEAM', { value: TEAM }, { id: 'TEAM', name: 'Replaced', policy_type: 1, providers: [] }],
    ['PATCH', '/api/v1/teams/TEAM', { value: TEAM }, { description: 'Changed' }],
    ['DELETE', '/api/v1/teams/TEAM', {}],
    ['GET', '/api/v1/users', page(USER)],
    ['GET', '/api/v1/users/USER', { value: USER, ...USER }],
    ['GET', '/api/v1/users/self', { value: { ...USER, last_login_at: null, last_refresh_at: null, expires_at: null } }],
    ['PATCH', '/api/v1/users/USER', { value: USER }, { enabled: false }],
    ['DELETE', '/api/v1/users/USER', { value: USER }],
    ['GET', '/api/v1/roles', { roles: [ROLE], next_page_token: '', has_more: true }],
  ];

  test.each(CASES.map(([method, path, shape, body]) => [method, path, shape, body] as const))(
    '%s %s',
    async (method, path, shape, body) => {
      const { keyId, teamId, userId } = await makeObjects();
      const real = (text: string) =>
        text.replaceAll('KEY', keyId).replaceAll('TEAM', teamId).replaceAll('USER', userId);
      const sent = body && real(JSON.stringify(body));
      // The newest are what was just made.
      const query =
        path.endsWith('s') && method === 'GET' && !path.includes('roles') ? '?order_by=created_at+desc' : '';
      const answer = await api.call({ as: key, method, path: real(path) + query, ...(sent && { body: sent }) });
      expect(answer.status).toBe(200);
      expectShape(answer.body, shape, '');
      if (Object.keys(shape).length === 0) expect(answer.body).toEqual({});
    },
  );

  /** As `expectLike`, and null where the shape has null. */
  function expectShape(actual: Json, shape: Json, at: string): void {
    if (shape === null) expect([at, actual]).toEqual([at, null]);
    else if (typeof shape === 'object' && !Array.isArray(shape)) {
      for (const [name, one] of Object.entries(shape)) expectShape(actual[name], one, `${at}.${name}`);
    } else expectLike(actual, shape, at);
  }

  test('a team key is deleted as INACTIVE, named as it was last, and its text is shown once', async () => {
    const { teamId } = await makeObjects();
    const made = await api.call({ as: key, path: '/api/preview/teamkeys', body: { name: 'New', team_id: teamId } });
    const path = `/api/preview/teamkeys/${made.body.value.id}`;
    expect(made.body.value).toMatchObject({
      access_key: expect.stringMatching(/^lkt_[\w-]{48}$/),
      last_access_at: made.body.value.created_at,
      status: 'ACTIVE',
    });
    await api.call({ as: key, method: 'PATCH', path, body: { name: 'Updated API Key' } });
    const deleted = await api.call({ as: key, method: 'DELETE', path });
    expect(deleted.body.value).toMatchObject({ access_key: '', name: 'Updated API Key', status: 'INACTIVE' });
    expect((await api.call({ as: key, path })).status).toBe(404);
  });

  test('a user is made with an answer that is its id alone', async () => {
    const { teamId } = await makeObjects();
    const body = {
      name: 'Demo User',
      email: 'demo@example.com',
      password: 'correct horse battery',
      team_roles: [{ team_id: teamId, role_id: ROLE_IDS.Operator }],
    };
    const made = await api.call({ as: key, path: '/api/v1/users', body });
    expect(Object.keys(made.body)).toEqual(['id']);
  });

  test('every answer has its request id, and a failure is a google.rpc.Status', async () => {
    const answers = await Promise.all([
      api.call({ as: key, path: '/api/v1/teams' }),
      api.call({ path: '/api/v1/teams' }),
      api.call({ as: key, path: '/api/v1/teams/none' }),
      api.call({ as: key, path: '/api/v1/nothing' }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 404, 404]);
    expect(answers.every(({ headers }) => headers['x-request-id'] !== undefined)).toBe(true);
    for (const { body } of answers.slice(1)) {
      expect(body).toEqual({ code: expect.any(Number), message: expect.any(String), details: [] });
    }
    expect(answers[1]!.headers['www-authenticate']).toMatch(/^Bearer /);
  });
});

interface Example {
  title: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
  /** The answer shown behind the request, if there is one. */
  shown: Json;
}

const describeSeeds = existsSync(SEEDS) ? describe : describe.skip;

describeSeeds('the requests of the seeds', () => {
  const examples = existsSync(SEEDS) ? readExamples(readFileSync(SEEDS, 'utf8')) : [];

  test('all of them are found', () => {
    expect(examples.filter(({ title }) => title.startsWith('curl'))).toHaveLength(6);
    expect(examples.filter(({ title }) => title.startsWith('http'))).toHaveLength(17);
  });

  test.each(examples.map((one) => [one.title, one] as const))('%s', async (_title, example) => {
    const objects = await makeObjects();
    const path = substitutePath(example.path, objects);
    const body = example.body && substituteBody(example, path, objects);
    const authorization = `Bearer ${key}`;
    const { host: _host, 'content-length': _length, ...headers } = example.headers;
    const answer: RawAnswer = await api.call({
      method: example.method,
      path,
      ...(body !== undefined && { body }),
      headers: { ...headers, authorization },
    });
    expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
    if (example.shown !== undefined) expectLike(answer.body, example.shown, '');
  });
});

/** `curl -X …` commands, and requests written as they go over the wire. */
function readExamples(text: string): Example[] {
  const curls = [
    ...text.matchAll(/curl -X (\w+) "https:\/\/<base-url>([^"]+)" \\\n((?:-[Hd] (?:"[^"]*"|'[^']*')[\s\\]*)+)/g),
  ];
  const requests = [...text.matchAll(/(GET|POST|PUT|PATCH|DELETE) (\/\S+) HTTP\/1\.1\n((?:[\w-]+: .*\n)+)/g)];
  return [
    ...curls.map((match) => {
      const [all, method, path, options] = match as unknown as [string, string, string, string];
      const headers = [...options.matchAll(/-H "([^:]+): ([^"]*)"/g)].map(([, name, value]) => [name, value] as const);
      return {
        title: `curl ${method} ${path.split('?')[0]}`,
        method,
        path,
        headers: Object.fromEntries(headers),
        body: /-d '([^']*)'/.exec(options)?.[1],
        shown: readJson(text, match.index + all.length)?.value,
      };
    }),
    ...requests.map((match) => {
      const [all, method, path, lines] = match as unknown as [string, string, string, string];
      const headers = lines
        .trim()
        .split('\n')
        .map((line) => line.split(': ') as [string, string])
        .map(([name, value]) => [name.toLowerCase(), value] as const);
      const first = readJson(text, match.index + all.length);
      const hasBody = headers.some(([name]) => name === 'content-length');
      const shown = hasBody ? readJson(text, first?.end ?? text.length) : first;
      return {
        title: `http ${method} ${path}`,
        method,
        path,
        headers: Object.fromEntries(headers),
        body: hasBody ? first?.text : undefined,
        // The page of team keys is printed behind another request.
        shown: method === 'PATCH' && shown?.value.values !== undefined ? undefined : shown?.value,
      };
    }),
  ];
}

/** The JSON value that begins at this place of the text, if one does. */
function readJson(text: string, from: number): { value: Json; text: string; end: number } | undefined {
  const start = from + (/^\s*/.exec(text.slice(from))?.[0].length ?? 0);
  if (text[start] !== '{') return undefined;
  for (let end = text.indexOf('}', start); end !== -1; end = text.indexOf('}', end + 1)) {
    try {
      return { value: JSON.parse(text.slice(start, end + 1)), text: text.slice(start, end + 1), end: end + 1 };
    } catch {
      // Not the last brace yet.
    }
  }
  return undefined;
}

type Objects = Awaited<ReturnType<typeof makeObjects>>;

function substitutePath(path: string, { teamId, userId, keyId }: Objects): string {
  const id = path.includes('/users') ? userId : path.includes('/teamkeys') ? keyId : teamId;
  return path
    .replace(/(filter=team_id\+eq\+%22)[0-9a-f-]+/, `$1${teamId}`)
    .replace(/(\/teamkeys\/)[0-9a-f-]{36}/, `$1${keyId}`)
    .replace(/\{(value\.)?id\}/, id);
}

/** Ids and the word "text" stand for something real; all else goes as it is written. */
function substituteBody({ body = '' }: Example, path: string, objects: Objects): string {
  const { teamId, userId, providerId, keyId } = objects;
  const ids: Record<string, string> = { team_id: teamId, role_id: ROLE_IDS.Viewer };
  const own = path.includes('/users') ? userId : path.includes('/teamkeys') ? keyId : teamId;
  const words: Record<string, string> = {
    name: `Name ${Math.random()}`,
    email: `e${Math.random()}@example.com`,
    password: 'correct horse battery',
    // Set by the server: sent back as it is.
    auth_provider_id: '',
  };
  return body
    .replace(
      /"(\w+)": ?"text"/g,
      (_all, name: string) => `"${name}": "${ids[name] ?? words[name] ?? (name === 'id' ? own : 'text')}"`,
    )
    .replace(/("providers": \[\s*\{\s*"id": )"[^"]*"/, `$1"${providerId}"`)
    .replace(/"team_id": ?"[0-9a-f-]{36}"/, `"team_id":"${teamId}"`)
    .replace(/"has_mfa": true/, '"has_mfa": false')
    .replace(/"can_extend_support": true/, '"can_extend_support": false');
}
