import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createSettings, type SettingValues } from '../../src/domain/settings.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { inParallel } from '../support/parallel.ts';
import { TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

const ENABLED = 'oauth2_authorization_server_enabled';
const lifetimes = { session: 604_800, sessionIdle: 86_400 };

let people: Credentials;
beforeAll(async () => {
  people = await openCredentials();
});
afterAll(() => people.close());
beforeEach(async () => {
  await people.db.query('DELETE FROM settings');
  await people.db.query('DELETE FROM audit_events');
  await people.notifications.settle();
});

const open = (db = people.db) => createSettings({ ...people, db, lifetimes });

test('the server is on until it is switched off, which every instance sees and the audit trail keeps', async () => {
  const [settings, otherInstance] = [open(), open()];
  expect((await otherInstance.current())[ENABLED]).toBe(true);
  for (const value of [false, true]) {
    await settings.update({ [ENABLED]: value }, {}, TESTER);
    expect(await soon(async () => (await otherInstance.current())[ENABLED] === value)).toBe(true);
    expect(otherInstance.latest[ENABLED]).toBe(value);
  }
  expect(await people.events('setting.changed')).toMatchObject([
    { target_id: ENABLED, actor_id: 'test', details: { value: false, former: true } },
    { target_id: ENABLED, actor_id: 'test', details: { value: true, former: false } },
  ]);
});

test('lifetimes are those of the configuration until they are set', async () => {
  const settings = open();
  expect(await settings.read()).toEqual({
    values: { [ENABLED]: true, session_lifetime_seconds: 604_800, session_idle_seconds: 86_400 },
    updatedAt: null,
    version: '0',
  });
  const changed = await settings.update({ session_idle_seconds: 300 }, {}, TESTER);
  expect(changed.values).toMatchObject({ session_lifetime_seconds: 604_800, session_idle_seconds: 300 });
  expect(changed.updatedAt!.getTime()).toBeGreaterThan(Date.now() - 60_000);
  expect(await settings.read()).toEqual(changed);
});

test('several are changed together, one event each, and what is that already is left alone', async () => {
  const settings = open();
  const before = await settings.update({ session_lifetime_seconds: 3_600, session_idle_seconds: 600 }, {}, TESTER);
  const again = await settings.update({ session_lifetime_seconds: 3_600, [ENABLED]: true }, {}, TESTER);
  expect(again).toEqual(before);
  const names = (await people.events('setting.changed')).map(({ target_id }) => target_id);
  expect(names.sort()).toEqual(['session_idle_seconds', 'session_lifetime_seconds']);
});

test('what is refused changes nothing, also not the settings sent with it', async () => {
  const settings = open();
  const refused = settings.update({ [ENABLED]: false, session_idle_seconds: 604_801 }, {}, TESTER);
  await expect(refused).rejects.toMatchObject({ fields: [{ field: 'session_idle_seconds' }] });
  expect(await settings.read()).toMatchObject({ version: '0' });
  expect(await people.events('setting.changed')).toEqual([]);
});

test('settings and events are written together or not at all', async () => {
  let events = 0;
  const audit: typeof people.audit = {
    ...people.audit,
    async record(tx, event) {
      await people.audit.record(tx, event);
      events += 1;
      if (events === 2) throw new Error('no more');
    },
  };
  const settings = createSettings({ ...people, audit, lifetimes });
  const changes = { session_lifetime_seconds: 3_600, session_idle_seconds: 600 };
  await expect(settings.update(changes, {}, TESTER)).rejects.toThrow('no more');
  expect([events, await people.events('setting.changed'), (await settings.read()).version]).toEqual([2, [], '0']);
});

test('row 118: of parallel changes from one version one is made, also of the first, which has no row to lock', async () => {
  const settings = open();
  for (const seconds of [3_600, 7_200]) {
    const { version } = await settings.read();
    const outcomes = await inParallel(6, (index) =>
      settings.update({ session_idle_seconds: seconds + index }, { version }, TESTER).then(
        () => 'made',
        (error) => error.kind,
      ),
    );
    expect(outcomes.sort()).toEqual(['made', ...Array(5).fill('precondition_failed')]);
    expect((await settings.read()).version).not.toBe(version);
  }
});

test('what is current is not asked for again and again', async () => {
  let statements = 0;
  const settings = open({
    ...people.db,
    query: (text, values) => {
      statements += 1;
      return people.db.query(text, values);
    },
  });
  for (let round = 0; round < 50; round += 1) await settings.current();
  expect(statements).toBe(1);
});

test.each([
  [ENABLED, 'false'],
  [ENABLED, null],
  [ENABLED, 1],
  ['session_lifetime_seconds', 299],
  ['session_lifetime_seconds', 7_776_001],
  ['session_lifetime_seconds', 3_600.5],
  ['session_lifetime_seconds', '3600'],
  ['session_lifetime_seconds', 86_399],
  ['session_idle_seconds', 299],
  ['session_idle_seconds', 604_801],
  ['session_idle_seconds', Number.NaN],
  ['setup_links', []],
  ['toString', true],
])('%s cannot be set to %j', async (name, value) => {
  const changes = Object.fromEntries([[name, value]]) as Partial<SettingValues>;
  await expect(open().update(changes, {}, TESTER)).rejects.toMatchObject({
    kind: 'invalid_argument',
    fields: [{ field: name }],
  });
});

test('what is in use is what is switched on, counted up to a bound, with those used last in front', async () => {
  const { apps, clients, db } = people;
  const app = { baseUrl: 'https://app.example.com', redirectUris: ['https://app.example.com/callback'] };
  const made = await Promise.all(['Used', 'Off', 'Never'].map((name) => apps.create({ ...app, name }, TESTER)));
  const [used, off] = made.map(({ app: { id } }) => id);
  const { id: teamId, name: teamName } = await people.makeTeam();
  for (let index = 0; index < 12; index += 1) {
    const { client } = await clients.create(
      { name: `Client ${index}`, teamId, allowedScopes: ['providers:read'] },
      TESTER,
    );
    await db.query("UPDATE oauth_clients SET last_used_at = now() - $2 * interval '50 minutes' WHERE id = $1", [
      client.id,
      index,
    ]);
  }
  await db.query("UPDATE oauth_apps SET last_used_at = now() - interval '1 hour' WHERE id = ANY ($1)", [[used, off]]);
  await apps.disable(off!, TESTER);

  const use = await open().inUse();
  expect(use).toMatchObject({ apps: 2, clients: 12, consents: 0, mostCounted: 1_000 });
  expect(use.latest.map(({ name }) => name)).toEqual([
    ...['Client 0', 'Client 1', 'Used'],
    ...[2, 3, 4, 5, 6, 7, 8].map((index) => `Client ${index}`),
  ]);
  expect(use.latest[0]).toMatchObject({ kind: 'oauth_client', teamName, lastUsedAt: expect.any(Date) });
  expect(use.latest[2]).toMatchObject({ kind: 'oauth_app', id: used, teamName: null });
});
