/** A person's own keys, of all their teams, whichever they act in. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import type { Browser } from '../../support/browser.ts';
import { copiedFrom, fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { runCurl } from '../../support/curl.ts';
import { createPerson } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const KEYS = '/account/keys';

let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let other: string;
let browser: Browser;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server, { role: 'Viewer' });
  other = (await server.domain.teams.create({ name: 'The other team' }, OPERATOR)).id;
  const teamRoles = [
    { teamId: person.teamId, roles: ['Viewer'] },
    { teamId: other, roles: ['Operator'] },
  ];
  await server.domain.users.update(person.userId, { teamRoles }, {}, OPERATOR);
  browser = await logInAt(server, person);
}, 30_000);

afterAll(() => server?.close());

const open = (path: string) => browser.get(`${server.origin}${path}`);

async function create(changes: Record<string, string>) {
  const page = await fillIn(server, browser, `${KEYS}/new`, { name: 'Mine', ...changes });
  expect([page.status, wordsOf(page)]).toEqual([200, expect.stringContaining('Copy the key now')]);
  const id = /\/account\/keys\/([0-9a-f-]{36})/.exec(page.text)![1]!;
  return { page, path: `${KEYS}/${id}`, key: (await server.domain.apiKeys.find(id))! };
}

test('are made in any of them, and only with what the person may do there', async () => {
  const here = await create({ team_id: person.teamId });
  expect(here.key).toMatchObject({ teamId: person.teamId, userId: person.userId });
  const some = { access: 'some', 'scopes:providers:write': 'on' };
  const there = await create({ team_id: other, ...some });
  expect(there.key).toMatchObject({ teamId: other, scopes: ['providers:write'] });
  const refused = await fillIn(server, browser, `${KEYS}/new`, { name: 'More', team_id: person.teamId, ...some });
  expect([refused.status, wordsOf(refused)]).toEqual([403, expect.stringContaining('more than you may do')]);
  const strange = (await createPerson(server)).teamId;
  expect((await fillIn(server, browser, `${KEYS}/new`, { name: 'More', team_id: strange })).status).toBe(422);
});

test('are all listed, narrowed by team, and reached whichever team the person acts in', async () => {
  const [one, two] = [
    await create({ team_id: person.teamId, name: 'One' }),
    await create({ team_id: other, name: 'Two' }),
  ];
  const colleague = await createPerson(server, { teamId: other });
  const theirs = { userId: colleague.userId, teamId: other, name: 'Not mine' };
  await server.domain.apiKeys.createPersonal(theirs, OPERATOR);
  await server.domain.apiKeys.createTeam({ teamId: other, name: 'Not mine either' }, OPERATOR);
  const words = wordsOf(await open(KEYS));
  expect([words.includes('One'), words.includes('Two'), words.includes('Not mine')]).toEqual([true, true, false]);
  expect(wordsOf(await open(`${KEYS}?team=${other}&q=one`))).toContain('Nothing here matches');
  for (const { path, page, key } of [one, two]) {
    const text = copiedFrom(page)['API key']!;
    await fillIn(server, browser, `${path}/rename`, { name: `New ${key.name}` });
    expect(wordsOf(await open(path))).toContain(`New ${key.name}`);
    const rotated = copiedFrom(await fillIn(server, browser, `${path}/rotate`, { overlap_seconds: '0' }))['Try it']!;
    expect((await runCurl(rotated)).status).toBe(200);
    expect((await runCurl(copiedFrom(page)['Try it']!)).status).toBe(401);
    expect(text).not.toBe(rotated);
    await fillIn(server, browser, `${path}/revoke`);
    expect((await runCurl(rotated)).status).toBe(401);
    await fillIn(server, browser, `${path}/reinstate`);
    expect((await runCurl(rotated)).status).toBe(200);
    expect(new URL((await fillIn(server, browser, `${path}/delete`)).url).pathname).toBe(KEYS);
    expect((await open(path)).status).toBe(404);
  }
});

test('row 109: what the person may not do in the team of a key is refused there', async () => {
  const { path, key } = await create({ team_id: other });
  await server.db.query('DELETE FROM membership_roles WHERE user_id = $1 AND team_id = $2', [person.userId, other]);
  await server.domain.notifications.settle();
  const may = (await server.domain.authority.permissionsIn(person.userId, other))!;
  expect(may.has('apikeys:write')).toBe(false);
  expect((await open(`${path}/delete`)).status).toBe(403);
  expect((await server.domain.apiKeys.find(key.id))?.id).toBe(key.id);
});
