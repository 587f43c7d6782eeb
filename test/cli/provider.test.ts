import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';

let all: CommandLine;
beforeAll(async () => {
  all = await openCommandLine();
});
afterAll(() => all.close());

const provider = (...args: string[]) => all.run('provider', ...args);
const json = (...args: string[]) => all.json('provider', ...args);

test('a provider is made, shown, changed, listed and deleted, in the words of the API', async () => {
  const team = await all.makeTeam();
  const made = await json('create', '--name', 'Payroll', '--team', team.name, '--template', 'hr');
  expect(made).toEqual({
    id: expect.any(String),
    name: 'Payroll',
    type: 'CUSTOM',
    custom_template: 'hr',
    team_id: team.id,
    created_at: expect.any(String),
    updated_at: expect.any(String),
  });
  expect(await json('show', made.id)).toEqual(made);
  expect(await json('update', made.id, '--name', 'Pay')).toMatchObject({ name: 'Pay', custom_template: 'hr' });
  expect((await json('list', '--team', team.id)).map(({ name }: { name: string }) => name)).toEqual(['Pay']);
  expect(await json('delete', made.id)).toMatchObject({ id: made.id, name: 'Pay' });
  expect(await provider('show', made.id)).toMatchObject({ code: 1, err: 'error: There is no such provider.\n' });
});
