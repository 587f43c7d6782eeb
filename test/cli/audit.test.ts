import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';
import { TESTER } from '../support/people.ts';

const LATCHKEY = join(import.meta.dirname, '../../src/cli/latchkey.js');

let all: CommandLine;
let team: { id: string; name: string };
beforeAll(async () => {
  all = await openCommandLine();
  team = await all.makeTeam('Sales');
});
afterAll(() => all?.close());

const latchkey = (...args: string[]) => all.run(...args);
const json = (...args: string[]) => all.json(...args);

describe('audit list', () => {
  beforeAll(async () => {
    await all.apiKeys.createTeam({ teamId: team.id, name: 'Key' }, TESTER);
  });

  test('shows the newest first, as the API does', async () => {
    const events = await json('audit', 'list');
    expect(events[0]).toMatchObject({
      id: expect.stringMatching(/^\d+$/),
      action: 'api_key.created',
      outcome: 'success',
      actor: { kind: TESTER.kind, id: TESTER.id },
      team_id: team.id,
      target: { kind: 'api_key', id: expect.any(String) },
    });
    expect(Object.keys(events[0]).toSorted()).toEqual([
      'action',
      'actor',
      'details',
      'id',
      'ip',
      'occurred_at',
      'outcome',
      'request_id',
      'target',
      'team_id',
    ]);
    const { out } = await latchkey('audit', 'list', '--limit', '1');
    expect(out).toMatch(/^TIME +ACTION .*\n\d{4}-\S+Z {2}api_key\.created {2}success {2}operator:test /);
    expect(out).toContain('There may be more');
  });

  test.each([
    [['--action', 'team.created'], ['team.created']],
    [
      ['--team', 'sales'],
      ['api_key.created', 'team.created'],
    ],
    [['--team', 'Sales', '--target-kind', 'team'], ['team.created']],
    [
      ['--actor', 'test', '--actor-kind', 'operator'],
      ['api_key.created', 'team.created'],
    ],
    [['--actor', 'nobody'], []],
    [['--actor-kind', 'user'], []],
    [['--target', 'nothing'], []],
    [['--outcome', 'refused'], []],
    [
      ['--since', '5m'],
      ['api_key.created', 'team.created'],
    ],
    [['--until', '5m'], []],
    [['--since', '2999-01-01'], []],
    [['--limit', '1'], ['api_key.created']],
  ])('narrowed by %j', async (options, actions) => {
    const events = await json('audit', 'list', ...options);
    expect(events.map(({ action }: { action: string }) => action)).toEqual(actions);
  });

  test('what is not understood, and what is not there', async () => {
    for (const option of [
      ['--limit', '0'],
      ['--limit', '1001'],
      ['--since', 'monday'],
      ['--outcome', 'maybe'],
    ]) {
      expect((await latchkey('audit', 'list', ...option)).code).toBe(2);
    }
    expect(await latchkey('audit', 'list', '--team', 'nowhere')).toMatchObject({
      code: 1,
      err: expect.stringContaining('no such team'),
    });
    expect((await latchkey('audit', 'list', '--actor', 'nobody')).out).toBe('There are no such events.\n');
  });
});

describe('audit tail', () => {
  /** The program itself: what ends it is a signal. */
  function tail(...args: string[]) {
    const child = spawn(process.execPath, [LATCHKEY, 'audit', 'tail', ...args], { env: all.env, timeout: 20_000 });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += text;
    });
    return {
      async next(): Promise<string> {
        const { value, done } = await lines.next();
        if (done) throw new Error(`it ended: ${errors}`);
        return value;
      },
      async end(signal: NodeJS.Signals) {
        child.kill(signal);
        const [code] = await once(child, 'exit');
        return { code, errors };
      },
    };
  }

  test('prints what was, then what comes, one JSON object a line, until Ctrl-C', async () => {
    const since = new Date().toISOString();
    await all.makeTeam('First');
    const following = tail('--since', since, '--action', 'team.created', '--json');
    expect(JSON.parse(await following.next())).toMatchObject({ action: 'team.created', details: { name: 'First' } });
    const key = await all.apiKeys.createTeam({ teamId: team.id, name: 'Unseen' }, TESTER);
    await all.makeTeam('Second');
    expect(JSON.parse(await following.next())).toMatchObject({ action: 'team.created', details: { name: 'Second' } });
    expect(await following.end('SIGINT')).toEqual({ code: 0, errors: '' });
    expect(key.key.name).toBe('Unseen');
  });

  test('for people it is one line an event, without what a terminal would obey', async () => {
    const since = new Date().toISOString();
    await all.audit.record(all.db, { action: 'odd.thing', actor: { kind: 'user', id: '\u001b[2Jx' }, teamId: team.id });
    const following = tail('--since', since);
    expect(await following.next()).toMatch(/^\d{4}-\S+Z {2}odd\.thing {2}success {2}user:x {2}- {2}[0-9a-f-]{36}$/);
    expect(await following.end('SIGTERM')).toEqual({ code: 0, errors: '' });
  });
});

test('credential list is the inventory, narrowed as asked', async () => {
  const support = await all.makeTeam('Support');
  await all.apiKeys.createTeam({ teamId: support.id, name: 'Push' }, TESTER);
  await all.clients.create({ teamId: support.id, name: 'Service', allowedScopes: ['providers:read'] }, TESTER);
  const list = (...options: string[]) => json('credential', 'list', '--team', 'support', ...options);
  const [key, client, ...more] = await list('--never-used', '--active');
  expect(more).toEqual([]);
  expect(key).toMatchObject({
    kind: 'team_key',
    team_name: 'Support',
    owner: null,
    last_used_at: null,
    status: 'ACTIVE',
  });
  expect(client).toMatchObject({ kind: 'oauth2_client', name: 'Service', client_id: expect.stringMatching(/^svc_/) });
  expect(Object.keys(key)).not.toContain('sort_key');
  expect(await list('--kind', 'oauth2_client')).toEqual([client]);
  for (const none of [['--used'], ['--unused-since', '1d'], ['--expires-before', '90d']]) {
    expect([none, await list(...none)]).toEqual([none, []]);
  }
  const { out } = await latchkey('credential', 'list', '--team', 'Support');
  expect(out).toMatch(/^ID +KIND +NAME .*\n[0-9a-f-]{36} {2}team_key +Push +Support +- +ACTIVE {2}lkt_\S* +never/);
  const mistakes = [
    ['--used', '--never-used'],
    ['--kind', 'cookie'],
    ['--unused-since', 'monday'],
  ];
  for (const mistake of mistakes) expect((await latchkey('credential', 'list', ...mistake)).code).toBe(2);
  expect((await latchkey('credential', 'list', '--user', 'nobody@example.com')).code).toBe(1);
});
