import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';
import { TESTER } from '../support/people.ts';

let all: CommandLine;
beforeAll(async () => {
  all = await openCommandLine();
});
afterAll(() => all.close());

const retirement = (...args: string[]) => all.run('retirement', ...args);
const json = (...args: string[]) => all.json('retirement', ...args);

test('keys are retired, put off and taken back', async () => {
  const team = await all.makeTeam();
  const { key, text } = await all.apiKeys.createTeam({ teamId: team.id, name: 'push' }, TESTER);
  const made = await json('create', '--key', key.id, '--at', '90d', '--replacement', 'https://example.com/new');
  expect(made).toEqual({
    ...{
      id: expect.any(String),
      key_id: key.id,
      key_name: 'push',
      team_id: team.id,
      team_name: team.name,
      prefix: null,
    },
    ...{ retires_at: expect.any(String), replacement_url: 'https://example.com/new', set_by_root: true },
    ...{ created_at: expect.any(String), updated_at: expect.any(String), created_by: null },
  });
  expect(Math.round((Date.parse(made.retires_at) - Date.now()) / 86_400_000)).toBe(90);
  await json('create', '--team', team.name, '--prefix', 'lkt_', '--at', '2098-01-31');
  expect(await json('show', made.id)).toEqual(made);
  const listed = await json('list', '--team', team.id);
  expect(listed.map((one: { prefix: string }) => one.prefix)).toEqual([null, 'lkt_']);
  expect(await json('list', '--key', key.id)).toEqual([made]);
  expect((await retirement('list')).out).toMatch(/^ID +KEY +TEAM +PREFIX +DEPRECATED +RETIRES +REPLACEMENT\n.*push/);

  const changed = await json('update', made.id, '--at', '2099-01-31', '--replacement', '');
  expect(changed).toMatchObject({ retires_at: '2099-01-31T00:00:00.000Z', replacement_url: null });
  await all.notifications.settle();
  expect((await all.apiKeys.verify(text))?.retirement).toMatchObject({ prefix: 'lkt_' });
  expect((await all.json('key', 'show', key.id)).retires_at).toBe('2098-01-31T00:00:00.000Z');
  for (const { id } of listed) expect(await json('delete', id)).toMatchObject({ id });
  expect(await retirement('list', '--team', team.id)).toMatchObject({ code: 0, out: 'No key is to be given up.\n' });
});

test('what is not there or cannot be is said', async () => {
  const missing = { code: 1, err: 'error: There is no such retirement.\n' };
  expect(await retirement('show', 'nope')).toMatchObject(missing);
  expect(await retirement('update', 'nope', '--at', '1d')).toMatchObject(missing);
  expect(await retirement('delete', 'nope')).toMatchObject(missing);
  expect(await retirement('create', '--prefix', 'acme_')).toMatchObject({ code: 2 });
  expect(await retirement('create', '--at', '1d')).toMatchObject({ code: 1, err: expect.stringContaining('key_id') });
  expect(await retirement('list', '--key', 'nope')).toMatchObject({ code: 1, err: expect.stringContaining('UUID') });
  const linked = await retirement('create', '--prefix', 'acme_', '--at', '1d', '--replacement', 'docs');
  expect(linked).toMatchObject({ code: 1, err: expect.stringContaining('https://') });
});

test('it is said how many keys one concerns', async () => {
  const team = await all.makeTeam();
  const create = async (...more: string[]) =>
    (await retirement('create', '--team', team.id, '--at', '1d', ...more)).out;
  expect(await create()).toMatch(/concerns 0 keys now/);
  await all.apiKeys.createTeam({ teamId: team.id, name: 'push' }, TESTER);
  expect(await create('--prefix', 'lkt_')).toMatch(/concerns 1 key now/);
});
