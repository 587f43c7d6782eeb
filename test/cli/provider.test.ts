import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runCommand } from '../../src/cli/index.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';

let all: Credentials;
beforeAll(async () => {
  all = await openCredentials();
  const { rows } = await all.db.query<{ name: string }>('SELECT current_database() AS name');
  const url = new URL(process.env.LATCHKEY_TEST_DATABASE!);
  url.pathname = `/${rows[0]!.name}`;
  Object.assign(process.env, { DATABASE_URL: url.href, SECRET: 's'.repeat(32), ISSUER: 'https://auth.example.com' });
});
afterAll(() => all.close());

async function provider(...args: string[]) {
  const said = { out: '', err: '' };
  const sink = (name: 'out' | 'err') => ({
    write(text: string) {
      said[name] += text;
    },
  });
  return { code: await runCommand(['provider', ...args], sink('out'), sink('err')), ...said };
}

async function json(...args: string[]) {
  const { code, out, err } = await provider(...args, '--json');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out);
}

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
