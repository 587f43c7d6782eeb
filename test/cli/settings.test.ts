import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';

let all: CommandLine;
beforeAll(async () => {
  all = await openCommandLine();
});
afterAll(() => all.close());

const latchkey = (...args: string[]) => all.run(...args);
const json = (...args: string[]) => all.json(...args);

test('the sign-in settings are shown and set, in the words of the API', async () => {
  expect(await json('settings', 'show')).toEqual({
    oauth2_authorization_server_enabled: true,
    session_lifetime_seconds: 604_800,
    session_idle_seconds: 86_400,
    updated_at: null,
  });
  await json('settings', 'set', 'oauth2_authorization_server_enabled', 'false');
  const changed = await json('settings', 'set', 'session_idle_seconds', '600');
  expect(changed).toMatchObject({ oauth2_authorization_server_enabled: false, session_idle_seconds: 600 });
  expect(await json('settings', 'show')).toEqual(changed);
  expect((await latchkey('settings', 'show')).out).toMatch(/^session_idle_seconds +600$/m);
  expect(await all.events('setting.changed')).toMatchObject([{ actor_kind: 'operator' }, { actor_kind: 'operator' }]);
});

test('what is no setting, or no value for one, is refused by name', async () => {
  for (const [name, value] of [
    ['colour', 'red'],
    ['session_idle_seconds', 'soon'],
    ['session_idle_seconds', '-600'],
    ['oauth2_authorization_server_enabled', '1'],
    ['__proto__', 'true'],
  ] as const) {
    const { code, err } = await latchkey('settings', 'set', '--json', '--', name, value);
    expect([code, JSON.parse(err).error.fields]).toEqual([1, [expect.objectContaining({ field: name })]]);
  }
});

test('a resource server is registered, listed, changed and deleted', async () => {
  const identifier = 'https://reports.example.com';
  const made = await json(
    ...['resource-server', 'create', '--identifier', identifier, '--name', 'Reports', '--ttl', '120', '--alg', 'RS256'],
    ...['--scope', 'reports:read=Read = look at reports', '--scope', 'reports:write'],
  );
  expect(made).toEqual({
    id: expect.any(String),
    identifier,
    name: 'Reports',
    scopes: [
      { name: 'reports:read', description: 'Read = look at reports' },
      { name: 'reports:write', description: '' },
    ],
    access_token_ttl_seconds: 120,
    signing_alg: 'RS256',
    accepts_api_keys: true,
    client_ids: [],
    is_built_in: false,
    created_by: null,
    created_at: expect.any(String),
    updated_at: made.created_at,
  });
  const listed = await json('resource-server', 'list');
  expect(listed).toEqual([
    expect.objectContaining({ identifier: 'https://auth.example.com/api', is_built_in: true }),
    made,
  ]);
  expect(await json('resource-server', 'show', made.id)).toEqual(made);
  const changed = await json('resource-server', 'update', made.id, '--name', 'All', '--scope', 'reports:read');
  expect(changed).toMatchObject({
    name: 'All',
    access_token_ttl_seconds: 120,
    scopes: [{ name: 'reports:read', description: '' }],
  });
  const guard = ['client', 'create', '--name', 'Guard', '--team', 'Root', '--scopes', 'providers:read'];
  const { client_id: clientId } = await json(...guard);
  const update = (...words: string[]) => json('resource-server', 'update', made.id, ...words);
  const closed = await update('--no-api-keys', '--client', clientId);
  expect(closed).toMatchObject({ name: 'All', accepts_api_keys: false, client_ids: [clientId] });
  expect((await latchkey('resource-server', 'show', made.id)).out).toMatch(/^accepts_api_keys +no$/m);
  expect(await update('--api-keys')).toMatchObject({ accepts_api_keys: true, client_ids: [clientId] });
  const last = await update('--client', '');
  expect(last).toEqual({ ...changed, updated_at: last.updated_at });
  expect((await latchkey('resource-server', 'list')).out).toMatch(/^ID +IDENTIFIER[\s\S]*reports\.example\.com +All/);
  expect(await json('resource-server', 'delete', made.id)).toEqual(last);
  expect((await latchkey('resource-server', 'show', made.id)).code).toBe(1);
});

test('the address of the own API cannot be registered, also before any server has run', async () => {
  await all.db.query('DELETE FROM resource_servers');
  const taken = ['resource-server', 'create', '--identifier', 'https://auth.example.com/api', '--name', 'Mine'];
  expect(await latchkey(...taken)).toMatchObject({ code: 1, err: expect.stringContaining('exists already') });
});
