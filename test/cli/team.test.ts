import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';
import { TESTER } from '../support/people.ts';

let all: CommandLine;
beforeAll(async () => {
  all = await openCommandLine();
});
afterAll(() => all.close());

const team = (...args: string[]) => all.run('team', ...args);
const json = (...args: string[]) => all.json('team', ...args);

test('a team is made, shown, listed, changed and deleted, in the words of the API', async () => {
  const { id: provider } = await all.providers.createCustom({ name: 'AWS', teamId: ROOT_TEAM_ID }, TESTER);
  const bound = ['--policy', 'PROVIDER_ID_SET', '--provider', provider];
  const made = await json('create', '--name', 'Sales', '--sso-alias', 'sales', ...bound);
  expect(made).toEqual({
    id: expect.any(String),
    name: 'Sales',
    description: '',
    policy_type: 'PROVIDER_ID_SET',
    providers: [{ id: provider, name: 'AWS', type: 'CUSTOM' }],
    provider_types: [],
    sso_alias: 'sales',
    user_count: 0,
    created_at: expect.any(String),
    updated_at: made.created_at,
  });
  expect(await json('show', 'SALES')).toEqual(made);
  expect((await json('list')).map(({ name }: { name: string }) => name)).toEqual(['Root', 'Sales']);
  const described = await json('update', 'sales', '--description', 'Who sells');
  expect(described).toEqual({ ...made, description: 'Who sells', updated_at: described.updated_at });
  const open = await json('update', made.id, '--name', 'Sellers', '--policy', 'UNBOUND', '--no-providers');
  expect(open).toMatchObject({ name: 'Sellers', policy_type: 'UNBOUND', providers: [], sso_alias: 'sales' });
  expect(await json('delete', 'Sellers')).toEqual({});
  expect((await json('list')).length).toBe(1);
});

test('people read it in columns', async () => {
  const { id: provider } = await all.providers.createCustom({ name: 'GCP', teamId: ROOT_TEAM_ID }, TESTER);
  await team('create', '--name', 'Columns', '--provider', provider, '--sso-alias', 'narrow');
  const [listed, shown] = [await team('list'), await team('show', 'Columns')];
  expect(listed.out).toMatch(/^ID +NAME +POLICY +USERS +DESCRIPTION$/m);
  expect(listed.out).toMatch(/^[\w-]{36} +Columns +UNBOUND +0 +-$/m);
  expect(shown.out).toMatch(new RegExp(`^providers +GCP \\(${provider}\\)$`, 'm'));
  expect(shown.out).toMatch(/^sso_alias +narrow$/m);
  expect((await team('delete', 'Columns')).out).toContain('The team Columns is deleted');
});

test('what cannot be done is said', async () => {
  const words = await Promise.all([
    team('show', 'nobody'),
    team('delete', 'Root'),
    team('update', 'Root', '--policy', 'PROVIDER_ID_SET'),
    team('update', 'Root', '--policy', 'BOUND'),
    team('update', 'Root', '--provider', ROOT_TEAM_ID, '--no-providers'),
  ]);
  expect(words.map(({ code }) => code)).toEqual([1, 1, 1, 2, 2]);
  expect(words.map(({ err }) => err)).toEqual([
    'error: There is no such team.\n',
    'error: The root team cannot be deleted.\n',
    expect.stringContaining('cannot be bound'),
    expect.stringContaining('Allowed choices are UNBOUND, PROVIDER_ID_SET'),
    expect.stringContaining('cannot be used with'),
  ]);
});
