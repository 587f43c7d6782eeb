import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { createApi } from '../../support/api.ts';
import { type Browser, createBrowser, formOn } from '../../support/browser.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { createPerson } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/console/signing-keys';

let server: TestServer;
let admin: Browser;
beforeAll(async () => {
  server = await startTestServer();
  admin = await logInAt(server, await createPerson(server, { role: 'Admin', teamId: ROOT_TEAM_ID }));
}, 30_000);
afterAll(() => server?.close());

const open = (path = '') => admin.get(`${server.origin}${PATH}${path}`);

/** The ids in the published key set. */
async function published(alg?: string): Promise<string[]> {
  const { keys } = (await createApi(server).call({ path: '/oauth2/jwks' })).body;
  return (keys as { alg: string; kid: string }[])
    .filter((key) => alg === undefined || key.alg === alg)
    .map(({ kid }) => kid);
}

const signer = async (alg: string) =>
  (await server.domain.signingKeys.current()).signing.find((jwk) => jwk.alg === alg)!.kid;

test('the list says of every key what it does, and shows nothing of the private part', async () => {
  const page = await open();
  expect(page.status).toBe(200);
  const words = wordsOf(page);
  for (const kid of await published()) expect(words).toContain(kid);
  expect(words.match(/Signing/g)!.length).toBeGreaterThanOrEqual(3);
  for (const { d } of (await server.domain.signingKeys.current()).signing) expect(page.text).not.toContain(d);
  expect(words).toContain(`${server.issuer}/oauth2/jwks`);
});

test('one algorithm is rotated: the new key is in the key set at once, and waits', async () => {
  const [old] = await published('RS256');
  const done = await fillIn(server, admin, `${PATH}/rotate`, { alg: 'RS256' });
  expect([done.status, new URL(done.url).pathname]).toEqual([200, PATH]);
  expect(wordsOf(done)).toContain('New keys are published.');
  expect(wordsOf(done)).toMatch(/RS256 Waiting signs in (9|10) minutes/);
  const now = await published('RS256');
  expect([now.length, now.includes(old!), await signer('RS256')]).toEqual([2, true, old]);
  expect(await published('ES256')).toHaveLength(1);
  // Narrowed to it, nothing else is shown.
  const narrowed = wordsOf(await open('?alg=RS256'));
  expect(narrowed).toContain(old!);
  expect(narrowed).not.toContain((await published('ES256'))[0]);
});

test('a key that leaked is replaced now, after the page has said what that does', async () => {
  const [old] = await published('ES256');
  const ask = await fillIn(server, admin, `${PATH}/rotate`, { alg: 'ES256', when: 'now' });
  expect([ask.status, await published('ES256')]).toEqual([200, [old]]);
  expect(wordsOf(ask)).toContain('may refuse new tokens');
  const done = await fillIn(server, admin, ask, {}, `${PATH}/rotate`);
  expect([done.status, new URL(done.url).pathname]).toEqual([200, PATH]);
  expect(await published('ES256')).toHaveLength(2);
  expect(await signer('ES256')).not.toBe(old);
  expect(wordsOf(done)).toMatch(/ES256 Signing .* ES256 Published /);
});

test('a key that leaked is deleted from the list, after the page has said what that does', async () => {
  const kid = await signer('ES256');
  const list = await open();
  expect(list.text).toContain(`href="${PATH}/${kid}/delete"`);
  const ask = await open(`/${kid}/delete`);
  expect(wordsOf(ask)).toContain('A new key is made in its place and signs at once.');
  const waiting = (await server.domain.signingKeys.list()).find(({ state }) => state === 'waiting')!;
  expect(wordsOf(await open(`/${waiting.kid}/delete`))).not.toContain('signs at once');
  const done = await fillIn(server, admin, ask);
  expect([done.status, wordsOf(done)]).toEqual([200, expect.stringContaining('It is deleted.')]);
  expect(wordsOf(done)).not.toContain(kid);
  expect(await published()).not.toContain(kid);
  expect(await signer('ES256')).not.toBe(kid);
  expect((await fillIn(server, admin, ask)).status).toBe(404);
});

test('all are rotated, once however often the form is sent', async () => {
  const before = (await published()).length;
  const form = formOn(await open('/rotate'), '/rotate');
  const answers = [
    ...(await Promise.all([1, 2].map(() => admin.post(form.url, form.fields)))),
    await admin.post(form.url, form.fields),
  ];
  const done = answers.filter(({ status }) => status === 303);
  expect(done.length).toBeGreaterThanOrEqual(2);
  for (const { location } of done) expect(location).toBe(`${server.origin}${PATH}?done=rotated`);
  expect(await published()).toHaveLength(before + 3);
});

test.each<[string, Record<string, string | undefined>]>([
  ['an algorithm there is none of', { alg: 'HS256' }],
  ['no algorithm', { alg: undefined }],
  ['another time', { when: 'yesterday' }],
  ['no time', { when: undefined }],
])('row 112: %s is refused, and nothing is rotated', async (_, changes) => {
  const before = await published();
  const page = await fillIn(server, admin, `${PATH}/rotate`, changes);
  expect([page.status, wordsOf(page)]).toEqual([422, expect.stringContaining('must be one of these')]);
  expect(await published()).toEqual(before);
});

describe('row 109: who may', () => {
  test('nobody logged in is sent to log in; who may not, is refused, to see as to rotate', async () => {
    const before = await published();
    const stranger = await createBrowser().get(`${server.origin}${PATH}`);
    expect(stranger.location).toBe(`${server.origin}/login?return_to=${encodeURIComponent(PATH)}`);
    for (const person of [
      await createPerson(server),
      await createPerson(server, { role: 'Viewer', teamId: ROOT_TEAM_ID }),
    ]) {
      const browser = await logInAt(server, person);
      const seen = await Promise.all(['', '/rotate'].map((path) => browser.get(`${server.origin}${PATH}${path}`)));
      expect(seen.map(({ status }) => status)).toEqual([403, 403]);
      const { csrf } = formOn(await browser.get(`${server.origin}/account`), '/logout').fields;
      const fields = { csrf: csrf!, team: person.teamId, alg: '', when: 'later', once: 'x' };
      expect((await browser.post(`${server.origin}${PATH}/rotate`, fields)).status).toBe(403);
      expect((await browser.post(`${server.origin}${PATH}/${before[0]}/delete`, fields)).status).toBe(403);
    }
    expect(await published()).toEqual(before);
  });

  test('row 113: a form without our token, or from elsewhere, rotates nothing', async () => {
    const before = await published();
    const form = formOn(await open('/rotate'), '/rotate');
    const without = await admin.post(form.url, { ...form.fields, csrf: '' });
    const elsewhere = await admin.post(form.url, form.fields, { origin: 'https://evil.example' });
    expect([without.status, elsewhere.status]).toEqual([403, 403]);
    expect(await published()).toEqual(before);
  });
});
