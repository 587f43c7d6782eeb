import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';

let all: CommandLine;
beforeAll(async () => {
  all = await openCommandLine();
});
afterAll(() => all.close());

const latchkey = (...args: string[]) => all.run(...args);
const json = (...args: string[]) => all.json(...args);

const URI = 'https://app.example.com/callback';

test('an app is listed, shown, changed, switched off and on, and deleted', async () => {
  const { client_secret, discovery_url, ...made } = await json(
    ...['app', 'create', '--name', 'Web', '--base-url', 'https://app.example.com', '--redirect-uri', URI],
  );
  expect(Object.keys(made)).not.toEqual(expect.arrayContaining(['jwks']));
  expect(await json('app', 'list')).toEqual([made]);
  expect(await json('app', 'show', made.client_id)).toEqual(made);
  const changed = await json('app', 'update', made.id, '--name', 'Shop', '--logo-url', 'https://cdn.example.com/a.png');
  expect(changed).toMatchObject({ name: 'Shop', logo_url: 'https://cdn.example.com/a.png', redirect_uris: [URI] });
  expect(await json('app', 'disable', made.id)).toEqual({ ended_grants: 0, ended_tokens: 0 });
  expect((await json('app', 'show', made.id)).enabled).toBe(false);
  expect((await json('app', 'enable', made.client_id)).enabled).toBe(true);
  expect((await latchkey('app', 'show', made.id)).out).toContain('Shop');
  const refused = await latchkey('app', 'update', made.id, '--redirect-uri', '*');
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('any redirect URI')]);
  expect(await json('app', 'delete', made.id)).toMatchObject({ value: { id: made.id }, ended_grants: 0 });
  expect(await latchkey('app', 'show', made.id)).toMatchObject({ code: 1, err: expect.stringContaining('no such') });
  expect((await latchkey('app', 'list')).out).toBe('There are no apps.\n');
});

test('a client is listed, shown, changed, switched off and on, and deleted, and its secrets with it', async () => {
  const team = await all.makeTeam();
  const create = ['client', 'create', '--name', 'Service', '--team', team.name, '--scopes', 'providers:read'];
  const { client_secret, token_endpoint, ...made } = await json(...create);
  expect(await json('client', 'list', '--team', team.id)).toEqual([made]);
  expect(await json('client', 'list', '--team', 'Root')).toEqual([]);
  expect(await json('client', 'show', made.client_id)).toEqual(made);
  expect(await json('client', 'update', made.id, '--scopes', 'teams:read')).toMatchObject({
    allowed_scopes: ['teams:read'],
  });
  expect((await json('client', 'disable', made.id)).enabled).toBe(false);
  expect((await json('client', 'enable', made.id)).enabled).toBe(true);

  const added = await json('client', 'secret', 'add', made.id);
  const listed = await json('client', 'secret', 'list', made.client_id);
  expect(listed).toEqual([...made.secrets, { ...listed[1], id: added.id, prefix: added.client_secret.slice(0, 8) }]);
  const text = (await latchkey('client', 'secret', 'list', made.id)).out;
  expect(text).not.toContain(client_secret.slice(8));
  expect(await json('client', 'secret', 'delete', made.id, added.id)).toEqual({});
  const last = ['client', 'secret', 'delete', made.id, made.secrets[0].id];
  expect(await latchkey(...last)).toMatchObject({ code: 1, err: expect.stringContaining('last live secret') });
  expect(await json(...last, '--force')).toEqual({});
  expect((await latchkey('client', 'secret', 'list', made.id)).out).toBe('It has no secret.\n');

  const keys = ['--auth-method', 'private_key_jwt', '--jwks-uri', 'https://keys.example.com/jwks'];
  expect(await json('client', 'update', made.id, ...keys)).toMatchObject({ jwks_uri: 'https://keys.example.com/jwks' });
  expect(await json('client', 'delete', made.id)).toMatchObject({ value: { id: made.id } });
  expect((await latchkey('client', 'list', '--team', team.id)).out).toBe('There are no clients.\n');
});
