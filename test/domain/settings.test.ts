import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createSettings } from '../../src/domain/settings.ts';
import { openPeople, type People, TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

let people: People;
beforeAll(async () => {
  people = await openPeople();
});
afterAll(() => people.close());

const NAME = 'oauth2_authorization_server_enabled';

test('the server is on until it is switched off, which every instance sees and the audit trail keeps', async () => {
  const [settings, otherInstance] = [createSettings(people), createSettings(people)];
  expect(await otherInstance.get(NAME)).toBe(true);
  for (const value of [false, true]) {
    await settings.set(NAME, value, TESTER);
    expect(await soon(async () => (await otherInstance.get(NAME)) === value)).toBe(true);
  }
  expect(await people.events('setting.changed')).toMatchObject([
    { target_id: NAME, actor_id: 'test', details: { value: false } },
    { target_id: NAME, actor_id: 'test', details: { value: true } },
  ]);
});

test('a default is not asked for again and again', async () => {
  let statements = 0;
  const db: typeof people.db = {
    ...people.db,
    query: (text, values) => {
      statements += 1;
      return people.db.query(text, values);
    },
  };
  await people.db.query('DELETE FROM settings');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const settings = createSettings({ ...people, db });
  for (let round = 0; round < 50; round += 1) await settings.get(NAME);
  expect(statements).toBe(1);
});

test.each([
  [NAME, 'false'],
  [NAME, undefined],
  ['setup_links', []],
  ['__proto__', true],
])('%s cannot be set to %j', async (name, value) => {
  const settings = createSettings(people);
  await expect(settings.set(name as typeof NAME, value as boolean, TESTER)).rejects.toMatchObject({
    kind: 'invalid_argument',
  });
});
