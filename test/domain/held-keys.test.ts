/** The last look at a key before a token is issued for it: what the database says at that moment. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';

let all: Credentials;
let teamId: string;
beforeAll(async () => {
  all = await openCredentials();
  teamId = (await all.makeTeam()).id;
});
afterAll(() => all.close());

const soon = () => new Date(Date.now() + 600_000);

test('the newest text ends with its key, the one before with the overlap, any other one holds nothing', async () => {
  const expiresAt = new Date(Date.now() + 3_600_000);
  const { key, text } = await all.apiKeys.createTeam({ teamId, name: 'k', expiresAt }, TESTER);
  const hold = (one: string) => all.apiKeys.holdForToken(key.id, one, soon());
  expect(await hold(text)).toEqual({ now: expect.any(Date), expiresAt, textExpiresAt: null });
  const second = await all.apiKeys.rotate(key.id, { overlapSeconds: 60 }, {}, TESTER);
  const { previousExpiresAt } = second.key;
  expect(await hold(text)).toEqual({ now: expect.any(Date), expiresAt, textExpiresAt: previousExpiresAt });
  expect((await hold(second.text))?.textExpiresAt).toBeNull();
  const third = await all.apiKeys.rotate(key.id, {}, {}, TESTER);
  expect([await hold(text), await hold(second.text)]).toEqual([undefined, undefined]);
  expect(await hold(third.text)).toBeDefined();
  expect(
    await all.apiKeys.holdForToken(
      (await all.apiKeys.createTeam({ teamId, name: 'o' }, TESTER)).key.id,
      third.text,
      soon(),
    ),
  ).toBeUndefined();
});

test('what its tokens live until only grows, is no change of the key, and empties no cache', async () => {
  const { key, text } = await all.apiKeys.createTeam({ teamId, name: 'k' }, TESTER);
  const heard: (string | undefined)[] = [];
  all.notifications.on('api_keys', (id) => void heard.push(id));
  const [far, near] = [new Date(Date.now() + 900_000), soon()];
  for (const until of [far, near]) await all.apiKeys.holdForToken(key.id, text, until);
  const { rows } = await all.db.query('SELECT tokens_until FROM api_keys WHERE id = $1', [key.id]);
  expect(rows).toEqual([{ tokens_until: far }]);
  expect((await all.apiKeys.find(key.id))?.version).toBe(key.version);
  await all.notifications.settle();
  expect(heard).not.toContain(key.id);
});

test('a key that is switched off, has expired or is gone holds nothing', async () => {
  const { key, text } = await all.apiKeys.createTeam({ teamId, name: 'k' }, TESTER);
  const hold = () => all.apiKeys.holdForToken(key.id, text, soon());
  await all.apiKeys.revoke(key.id, {}, TESTER);
  expect(await hold()).toBeUndefined();
  await all.apiKeys.reinstate(key.id, {}, TESTER);
  expect(await hold()).toBeDefined();
  await all.db.query(`UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = $1`, [key.id]);
  expect(await hold()).toBeUndefined();
  await all.apiKeys.delete(key.id, {}, TESTER);
  expect(await hold()).toBeUndefined();
});
