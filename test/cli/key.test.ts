import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';
import { TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

let all: CommandLine;
beforeAll(async () => {
  all = await openCommandLine();
});
afterAll(() => all.close());

const key = (...args: string[]) => all.run('key', ...args);
const json = (...args: string[]) => all.json('key', ...args);

test('a key is shown, renamed, rotated and found again', async () => {
  const team = await all.makeTeam();
  const { key: made, text } = await all.apiKeys.createTeam({ teamId: team.id, name: 'push' }, TESTER);
  const shown = await json('show', made.id);
  expect(shown).toMatchObject({ id: made.id, name: 'push', status: 'ACTIVE', team_id: team.id, access_key: '' });
  expect(await json('rename', made.id, 'pull')).toMatchObject({ id: made.id, name: 'pull' });
  expect((await json('list', '--name', 'pull', '--status', 'active')).map(({ id }: { id: string }) => id)).toEqual([
    made.id,
  ]);
  expect(await json('list', '--name', 'push')).toEqual([]);
  expect(await json('list', '--team', team.name, '--status', 'inactive')).toEqual([]);

  const rotated = await json('rotate', made.id, '--overlap', '600');
  expect(rotated.access_key).toMatch(/^lkt_/);
  expect(Date.parse(rotated.previous_expires_at) - Date.now()).toBeGreaterThan(590_000);
  for (const one of [text, rotated.access_key]) expect((await all.apiKeys.verify(one))?.id).toBe(made.id);
  const again = await key('rotate', made.id);
  expect(again.out).toContain('The one before is refused from now on.');
  const last = /lkt_[\w-]{48}/.exec(again.out)?.[0];
  expect((await all.apiKeys.verify(last!))?.id).toBe(made.id);
  expect(await soon(async () => (await all.apiKeys.verify(rotated.access_key)) === undefined)).toBe(true);
});

test('row 92: a personal key makes no keys, unless its scopes say so; `all` says everything', async () => {
  const team = await all.makeTeam();
  const user = await all.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Operator'] }] });
  const make = (...more: string[]) =>
    json('create', '--name', 'Script', '--team', team.id, '--user', user.id, ...more).then(({ access_key: text }) =>
      all.apiKeys.verify(text),
    );
  expect((await make())?.scopes.has('teamkeys:write')).toBe(false);
  expect((await make('--scopes', 'providers:read,teamkeys:write'))?.scopes).toEqual(
    new Set(['providers:read', 'teamkeys:write']),
  );
  const owners = await all.authority.permissionsIn(user.id, team.id);
  expect(owners?.has('teamkeys:write')).toBe(true);
  expect((await make('--scopes', 'all'))?.scopes).toEqual(owners);
});

test('what is not there or cannot be is said', async () => {
  const missing = { code: 1, err: 'error: There is no such API key.\n' };
  expect(await key('show', 'nope')).toMatchObject(missing);
  expect(await key('rename', 'nope', 'x')).toMatchObject(missing);
  expect(await key('rotate', 'nope')).toMatchObject(missing);
  expect(await key('rotate', 'nope', '--overlap', '1d')).toMatchObject({ code: 2 });
  expect(await key('list', '--status', 'gone')).toMatchObject({ code: 2 });
});
