import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createCredentialUses, lastDays } from '../../src/domain/credential-uses.ts';
import { later } from '../support/clock.ts';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';
import { TESTER } from '../support/people.ts';

const DAY = 24 * 3600;

let all: CommandLine;
let team: { id: string; name: string };
let keyId: string;
beforeAll(async () => {
  all = await openCommandLine();
  team = await all.makeTeam();
  const user = await all.makeUser({ email: 'ada@example.com', teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] });
  const made = await all.apiKeys.createPersonal({ userId: user.id, teamId: team.id, name: 'laptop' }, TESTER);
  keyId = made.key.id;
  const uses = createCredentialUses(all);
  uses.count({ teamId: team.id, kind: 'personal_key', credential: keyId }, 3);
  uses.count({ teamId: team.id, kind: 'oauth2_client', credential: 'svc_x' });
  await later(-3 * DAY, async () => uses.count({ teamId: team.id, kind: 'personal_key', credential: keyId }, 9));
  await uses.close();
});
afterAll(() => all.close());

const { from, to } = lastDays(4);

test('`credential usage` says how requests are shared, the newest day first', async () => {
  const common = { team_id: team.id, team_name: team.name };
  expect(await all.json('credential', 'usage', '--team', team.name)).toEqual([
    { ...common, day: to, kind: 'personal_key', requests: 3, share: 0.75 },
    { ...common, day: to, kind: 'oauth2_client', requests: 1, share: 0.25 },
    { ...common, day: from, kind: 'personal_key', requests: 9, share: 1 },
  ]);
  expect(await all.json('credential', 'usage', '--days', '3')).toHaveLength(2);
  const { out } = await all.run('credential', 'usage');
  expect(out).toMatch(/^DAY +TEAM +KIND +REQUESTS +SHARE\n.*personal_key +3 +75\.0 %\n/);
});

test('a small share is not called none', async () => {
  const other = await all.makeTeam();
  const uses = createCredentialUses(all);
  uses.count({ teamId: other.id, kind: 'team_key', credential: keyId });
  uses.count({ teamId: other.id, kind: 'oauth2_app', credential: 'app_x' }, 1_000_000);
  await uses.close();
  const { out } = await all.run('credential', 'usage', '--team', other.id);
  expect(out).toMatch(/ 1 +<0\.1 %\n/);
  await all.db.query('DELETE FROM teams WHERE id = $1', [other.id]);
});

test('`credential callers` says who still calls with keys', async () => {
  const [one, ...others] = await all.json('credential', 'callers', '--team', team.id);
  expect(others).toEqual([]);
  expect(one).toEqual({
    ...{
      key_id: keyId,
      kind: 'personal_key',
      name: 'laptop',
      team_id: team.id,
      team_name: team.name,
      external_id: null,
    },
    ...{ prefix: expect.stringMatching(/^lkp_/), last_four: expect.any(String), retires_at: null },
    ...{ owner: { id: expect.any(String), email: 'ada@example.com' }, requests: 12, last_day: to },
  });
  const { out } = await all.run('credential', 'callers', '--days', '1');
  expect(out).toMatch(/laptop +lkp_\S+ +.* +ada@example\.com +3 +/);
  await all.apiKeys.delete(keyId, {}, TESTER);
  expect((await all.run('credential', 'callers')).out).toContain('(deleted)');
  expect(await all.json('credential', 'callers')).toMatchObject([{ key_id: keyId, name: null, owner: null }]);
});

test('what cannot be is said', async () => {
  for (const days of ['0', '401', 'all']) {
    expect(await all.run('credential', 'usage', '--days', days)).toMatchObject({ code: 2 });
  }
  const other = await all.makeTeam();
  expect((await all.run('credential', 'usage', '--team', other.id)).out).toBe('No requests were counted.\n');
  expect((await all.run('credential', 'callers', '--team', other.id)).out).toBe('Nobody called with a key.\n');
});
