import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { createApi } from '../../support/api.ts';
import { type Browser, formOn, type Visit } from '../../support/browser.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { createPerson } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

const PATH = '/console/retirements';
const DAY = 24 * 3600 * 1000;

let server: TestServer;
let api: ReturnType<typeof createApi>;
let root: Browser;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
});
afterAll(() => server.close());

const open = (browser: Browser, rest = '') => browser.get(`${server.origin}${PATH}${rest}`);
/** As a `datetime-local` has it. */
const minute = (at: number) => new Date(at).toISOString().slice(0, 16);
const idIn = (visit: Visit) => new URL(visit.url).pathname.split('/').pop()!;
const subjectsIn = ({ text }: Visit) =>
  [...text.matchAll(/data-label="Keys"><a [^>]*><bdi>([^<]*)/g)].map(([, subject]) => subject!);

async function teamWithAdmin() {
  const person = await createPerson(server);
  const { name } = (await server.domain.teams.find(person.teamId))!;
  return { ...person, teamName: name, browser: await logInAt(server, person) };
}

const teamKey = (teamId: string, name = 'push') => server.domain.apiKeys.createTeam({ teamId, name }, OPERATOR);
const answerTo = (as: string) => api.call({ as, path: '/api/v1/providers' });
const retire = (input: Parameters<typeof server.domain.retirements.create>[0], scope = {}) =>
  server.domain.retirements.create(input, scope, OPERATOR);
/** As if the key had been used, that many days ago. */
const use = async ({ id, teamId }: { id: string; teamId: string }, days: number, requests: number) => {
  await server.db.query(
    `UPDATE api_keys SET created_at = now() - interval '100 days', last_access_at = now() - $2 * interval '1 day' WHERE id = $1`,
    [id, days],
  );
  await server.db.query(
    `INSERT INTO credential_uses (team_id, credential, day, kind, requests)
     VALUES ($1, $2, (now() AT TIME ZONE 'UTC')::date - $3::int, 'team_key', $4)`,
    [teamId, id, days, requests],
  );
};

describe("a team's administrator", () => {
  test('announces a day, of which callers are told, moves it, and takes it back', async () => {
    const { teamId, teamName, browser } = await teamWithAdmin();
    const { text } = await teamKey(teamId);
    expect(wordsOf(await open(browser))).toContain('No keys are to be retired');
    const day = Date.now() + 10 * DAY;
    const made = await fillIn(server, browser, `${PATH}/new`, {
      ...{ prefix: 'lkt_', retires_at: minute(day), replacement_url: 'https://docs.example.com/keys' },
    });
    expect([made.status, wordsOf(made)]).toEqual([200, expect.stringContaining(`All team keys of ${teamName}`)]);
    const told = await answerTo(text);
    expect(told.status).toBe(200);
    expect(told.headers.sunset).toBe(new Date(`${minute(day)}Z`).toUTCString());
    expect(told.headers.link).toContain('https://docs.example.com/keys');

    const at = `/${idIn(made)}`;
    const later = await fillIn(server, browser, `${PATH}${at}/edit`, {
      ...{ retires_at: minute(day + DAY), replacement_url: '' },
    });
    expect(wordsOf(later)).toContain('Your changes are saved.');
    const toldAnew = await answerTo(text);
    expect(toldAnew.headers.sunset).toBe(new Date(`${minute(day + DAY)}Z`).toUTCString());
    expect(toldAnew.headers.link).toBeUndefined();

    const taken = await fillIn(server, browser, `${PATH}${at}/delete`);
    expect(wordsOf(taken)).toContain('It is deleted.');
    const after = await answerTo(text);
    expect([after.status, after.headers.sunset]).toEqual([200, undefined]);
  });

  test('makes keys good again with a later day', async () => {
    const { teamId, browser } = await teamWithAdmin();
    const { text } = await teamKey(teamId);
    const { id } = await retire({ teamId, retiresAt: new Date() }, { teamId });
    expect(await soon(async () => (await answerTo(text)).status === 401)).toBe(true);
    expect(wordsOf(await open(browser, `/${id}`))).toContain('Retired');
    await fillIn(server, browser, `${PATH}/${id}/edit`, { retires_at: minute(Date.now() + DAY) });
    expect((await answerTo(text)).status).toBe(200);
  });

  test('retires one key by its id, and no other', async () => {
    const { teamId, browser } = await teamWithAdmin();
    const [one, other] = [await teamKey(teamId, 'one'), await teamKey(teamId, 'other')];
    const made = await fillIn(
      server,
      browser,
      `${PATH}/new?key_id=${one.key.id}`,
      { retires_at: minute(Date.now() + DAY) },
      `${PATH}/new`,
    );
    expect(wordsOf(made)).toContain('The key “one”');
    expect((await answerTo(one.text)).headers.sunset).toBeDefined();
    expect((await answerTo(other.text)).headers.sunset).toBeUndefined();
  });

  test('is told what is wrong at the field, with everything kept', async () => {
    const { browser } = await teamWithAdmin();
    const send = (changes: Record<string, string>) => fillIn(server, browser, `${PATH}/new`, changes);
    const good = { retires_at: minute(Date.now() + DAY) };
    for (const [changes, problem] of [
      [{ retires_at: minute(Date.now() - DAY) }, 'Refused from (UTC) must not be in the past.'],
      [{ retires_at: 'tomorrow' }, 'Refused from (UTC) must be a time such as'],
      [{ ...good, prefix: 'abc' }, 'Begin with must be 4 to 24 visible characters.'],
      [{ ...good, replacement_url: 'http://evil.example' }, 'must be an https URL'],
      [{ ...good, key_id: 'some-key' }, 'Begin with must be empty for one key.'],
      [{ ...good, prefix: '', key_id: 'no-such-key' }, 'Id of the key is not one within your reach.'],
    ] as const) {
      const again = await send({ prefix: 'kept', ...changes });
      expect([again.status, wordsOf(again)]).toEqual([422, expect.stringContaining(problem)]);
      const { fields } = formOn(again, `${PATH}/new`);
      expect(fields).toMatchObject({ prefix: 'kept', ...changes });
    }
    expect((await send({ ...good, prefix: 'twice' })).status).toBe(200);
    const twice = await send({ ...good, prefix: 'twice' });
    expect([twice.status, wordsOf(twice)]).toEqual([409, expect.any(String)]);
  });

  test('cannot change what the root team set, nor is offered to', async () => {
    const { teamId, browser } = await teamWithAdmin();
    const { id } = await retire({ teamId, retiresAt: new Date(Date.now() + DAY) });
    const page = await open(browser, `/${id}`);
    expect(wordsOf(page)).toContain('The root team It alone can change it');
    expect(page.text).not.toContain(`${id}/edit`);
    const { fields } = formOn(await open(browser, '/new'), `${PATH}/new`);
    const answer = await browser.post(`${server.origin}${PATH}/${id}/delete`, fields);
    expect(answer.status).toBe(403);
    expect(await server.domain.retirements.find(id)).toBeDefined();
  });

  test('does not overwrite what somebody changed meanwhile', async () => {
    const { teamId, browser } = await teamWithAdmin();
    const { id, retiresAt } = await retire({ teamId, retiresAt: new Date(Date.now() + DAY) }, { teamId });
    const form = await open(browser, `/${id}/edit`);
    await server.domain.retirements.update(id, { replacementUrl: 'https://a.example/' }, { teamId }, OPERATOR);
    const late = await fillIn(server, browser, form, { retires_at: minute(Date.now() + 9 * DAY) });
    expect(late.status).toBe(412);
    expect((await server.domain.retirements.find(id))!.retiresAt).toEqual(retiresAt);
  });
});

test('a form that was not touched changes nothing, not even the seconds', async () => {
  const { teamId, browser } = await teamWithAdmin();
  const { id, retiresAt } = await retire({ teamId, retiresAt: new Date(Date.now() + DAY) }, { teamId });
  await fillIn(server, browser, `${PATH}/${id}/edit`, { replacement_url: 'https://b.example/' });
  expect((await server.domain.retirements.find(id))!).toMatchObject({
    retiresAt,
    replacementUrl: 'https://b.example/',
  });
});

test('the root team retires keys that begin alike in every team, or in one it names', async () => {
  const { teamId, teamName } = await teamWithAdmin();
  const retires_at = minute(Date.now() + 5 * DAY);
  const all = await fillIn(server, root, `${PATH}/new`, { prefix: 'legacy_', retires_at });
  expect(wordsOf(all)).toContain('Keys that begin with legacy_ of every team');
  const one = await fillIn(server, root, `${PATH}/new`, { prefix: 'legacy_', team_id: teamId, retires_at });
  expect(wordsOf(one)).toContain(`Keys that begin with legacy_ of ${teamName}`);
  expect((await fillIn(server, root, `${PATH}/new`, { retires_at })).status).toBe(422);
  expect(subjectsIn(await open(root, `?team=${teamId}`))).toEqual([`Keys that begin with legacy_ of ${teamName}`]);
});

test('says who still calls with the keys, the last used first, with how many requests', async () => {
  const { teamId, browser } = await teamWithAdmin();
  const [busy, quiet, long, revoked] = [
    (await teamKey(teamId, 'busy')).key,
    (await teamKey(teamId, 'quiet')).key,
    (await teamKey(teamId, 'long-ago')).key,
    (await teamKey(teamId, 'revoked')).key,
  ];
  await teamKey(teamId, 'never');
  const elsewhere = await teamWithAdmin();
  const other = (await teamKey(elsewhere.teamId, 'other-team')).key;
  await use(busy, 1, 1_200);
  await use(quiet, 3, 4);
  await use(long, 40, 9);
  await use(revoked, 1, 9);
  await use(other, 1, 9);
  await server.domain.apiKeys.revoke(revoked.id, {}, OPERATOR);
  const { id } = await retire({ teamId, prefix: 'lkt_', retiresAt: new Date(Date.now() + DAY) }, { teamId });
  const rows = ({ text }: Visit) =>
    [...text.matchAll(/data-label="Key"><bdi>([^<]*)[\s\S]*?data-label="Requests in 30 days"><bdi>([^<]*)/g)].map(
      ([, name, requests]) => [name, requests],
    );
  expect(rows(await open(browser, `/${id}/keys`))).toEqual([
    ['busy', '1,200'],
    ['quiet', '4'],
  ]);
  const everywhere = await retire({ prefix: 'lkt_', retiresAt: new Date(Date.now() + DAY) });
  expect(rows(await open(root, `/${everywhere.id}/keys`)).map(([name]) => name)).toEqual(
    expect.arrayContaining(['busy', 'quiet', 'other-team']),
  );
  await server.domain.retirements.delete(everywhere.id, {}, OPERATOR);
  const ofKey = await retire({ keyId: quiet.id, retiresAt: new Date(Date.now() + DAY) }, { teamId });
  expect(rows(await open(browser, `/${ofKey.id}/keys`))).toEqual([['quiet', '4']]);
});

test('the keys that are still used go on page by page, each once', async () => {
  const { teamId, browser } = await teamWithAdmin();
  await server.db.query(
    `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id, created_at, last_access_at)
     SELECT 'team', sha256(($1 || n)::bytea), 'lkt_abcd', 'wxyz', 'n' || n, $1::uuid, now() - interval '9 days',
       now() - (n / 10) * interval '1 hour' FROM generate_series(1, 60) AS n`,
    [teamId],
  );
  const { id } = await retire({ teamId, retiresAt: new Date(Date.now() + DAY) }, { teamId });
  const names: string[] = [];
  for (let next: string | undefined = `/${id}/keys`; next !== undefined; ) {
    const page: Visit = await open(browser, next);
    names.push(...[...page.text.matchAll(/data-label="Key"><bdi>([^<]*)/g)].map(([, name]) => name!));
    next = /href="[^"]*\/retirements([^"]*)" rel="next"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&');
  }
  expect(names).toHaveLength(60);
  expect(new Set(names).size).toBe(60);
});

test('row 110: retirements of other teams are not there, by their id either, and no key of theirs can be named', async () => {
  const [mine, other] = [await teamWithAdmin(), await teamWithAdmin()];
  const { key } = await teamKey(other.teamId);
  const { id } = await retire(
    { teamId: other.teamId, retiresAt: new Date(Date.now() + DAY) },
    { teamId: other.teamId },
  );
  const everywhere = await retire({ prefix: 'elsewhere_', retiresAt: new Date(Date.now() + DAY) });
  expect(subjectsIn(await open(mine.browser, `?team=${other.teamId}`))).toEqual([]);
  for (const one of [id, everywhere.id, 'x']) {
    for (const rest of ['', '/edit', '/delete', '/keys']) {
      expect([rest, (await open(mine.browser, `/${one}${rest}`)).status]).toEqual([rest, 404]);
    }
  }
  const { fields } = formOn(await open(mine.browser, '/new'), `${PATH}/new`);
  const retires_at = minute(Date.now() + 2 * DAY);
  for (const rest of ['/edit', '/delete']) {
    expect((await mine.browser.post(`${server.origin}${PATH}/${id}${rest}`, { ...fields, retires_at })).status).toBe(
      404,
    );
  }
  // A team in the form is no way out of one's own.
  const made = await fillIn(server, mine.browser, `${PATH}/new`, {
    team_id: other.teamId,
    prefix: 'mine_',
    retires_at,
  });
  expect(wordsOf(made)).toContain(`Keys that begin with mine_ of ${mine.teamName}`);
  expect((await fillIn(server, mine.browser, `${PATH}/new`, { key_id: key.id, retires_at })).status).toBe(422);
  expect(await server.domain.retirements.find(id)).toBeDefined();
});

test('row 113: without the token of the session nothing is announced, moved or taken back', async () => {
  const { teamId, browser } = await teamWithAdmin();
  const { id, version } = await retire({ teamId, retiresAt: new Date(Date.now() + DAY) }, { teamId });
  const fields = { ...formOn(await open(browser, '/new'), `${PATH}/new`).fields, csrf: 'x', prefix: 'abcd' };
  for (const rest of ['/new', `/${id}/edit`, `/${id}/delete`]) {
    const body = { ...fields, version, retires_at: minute(Date.now() + 9 * DAY) };
    expect((await browser.post(`${server.origin}${PATH}${rest}`, body)).status).toBe(403);
  }
  expect(await server.domain.retirements.list({ teamId }, { limit: 9 })).toEqual([
    expect.objectContaining({ version }),
  ]);
});

test('who may only see credentials is offered nothing to change, and refused it', async () => {
  const { teamId, browser: boss } = await teamWithAdmin();
  const { id } = await retire({ teamId, retiresAt: new Date(Date.now() + DAY) }, { teamId });
  expect((await open(boss, `/${id}`)).text).toContain(`${id}/edit`);
  const operator = await logInAt(server, await createPerson(server, { role: 'Operator', teamId }));
  const page = await open(operator, `/${id}`);
  expect(page.status).toBe(200);
  expect(page.text).not.toContain(`${id}/edit`);
  expect((await open(operator)).text).not.toContain(`${PATH}/new`);
  for (const rest of ['/new', `/${id}/edit`, `/${id}/delete`]) expect((await open(operator, rest)).status).toBe(403);
});
