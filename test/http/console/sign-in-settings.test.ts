import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, createApi } from '../../support/api.ts';
import { type Browser, createBrowser, formOn } from '../../support/browser.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import {
  authorizationUrl,
  clientCredentials,
  createPerson,
  createPkce,
  createTestApp,
  createTestClient,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/console/sign-in-settings';
const ENABLED = 'oauth2_authorization_server_enabled';
const [LIFETIME, IDLE] = ['session_lifetime_seconds', 'session_idle_seconds'];

let server: TestServer;
let api: Api;
let admin: Browser;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  admin = await logInAt(server, await createPerson(server, { role: 'Admin', teamId: ROOT_TEAM_ID }));
}, 30_000);
afterAll(() => server?.close());
beforeEach(async () => {
  await server.db.query('DELETE FROM settings');
  await server.domain.notifications.settle();
});

const open = (path = '') => admin.get(`${server.origin}${PATH}${path}`);
const values = async () => (await server.domain.settings.read()).values;

describe('the switch', () => {
  test('off refuses tokens and logins of apps; keys and the key set go on; and the console switches it on again', async () => {
    const client = await createTestClient(server, await api.team(), { tokenEndpointAuthMethod: 'client_secret_post' });
    const app = await createTestApp(server);
    const key = await api.key('Admin');
    const issued = await clientCredentials(server, client);
    expect(issued.status).toBe(200);

    const off = await fillIn(server, admin, `${PATH}/switch-off`);
    expect([off.status, new URL(off.url).pathname, wordsOf(off)]).toEqual([200, PATH, expect.stringContaining('Off')]);
    expect(wordsOf(off)).toContain('It is switched off.');
    const asks = () => createBrowser().get(authorizationUrl(server, app.clientId, createPkce()));
    expect((await clientCredentials(server, client)).status).toBe(503);
    expect((await asks()).status).toBe(503);
    expect((await api.call({ as: key, path: '/api/v1/providers' })).status).toBe(200);
    expect((await api.call({ as: issued.body.access_token, path: '/api/v1/providers' })).status).toBe(200);
    expect((await api.call({ path: '/oauth2/jwks' })).body.keys).toHaveLength(3);

    // Whoever has no session yet gets in, too: nobody else could switch it on.
    const other = await logInAt(server, await createPerson(server, { role: 'Admin', teamId: ROOT_TEAM_ID }));
    const on = await fillIn(server, other, PATH, {}, `${PATH}/switch-on`);
    expect(wordsOf(on)).toContain('It is switched on.');
    expect((await clientCredentials(server, client)).status).toBe(200);
    expect((await asks()).status).toBe(303);
  });

  test('before it is switched off the page says what that means and what is in use', async () => {
    const team = await api.team('Payroll');
    const client = await createTestClient(server, team, {
      name: 'Nightly <b>export</b>',
      tokenEndpointAuthMethod: 'client_secret_post',
    });
    await clientCredentials(server, client);
    await server.domain.lastUsed.flush();
    const page = await open('/switch-off');
    expect(page.status).toBe(200);
    const words = wordsOf(page);
    expect(words).toContain('API keys, personal and team, keep working.');
    expect(words).toMatch(/Apps that are enabled \d+ Clients that are enabled [1-9]/);
    expect(words).toMatch(/Nightly <b>export<\/b> OAuth2 Client Payroll/);
    expect(page.text).toContain(`href="/console/api-keys/clients/${client.id}"`);
    expect(page.text).not.toContain('<b>export');
    expect((await values())[ENABLED]).toBe(true);
  });

  test('row 118: when somebody else changed the settings meanwhile, it is not switched off unseen', async () => {
    const page = await open('/switch-off');
    await server.domain.settings.update({ session_idle_seconds: 600 }, {}, OPERATOR);
    const refused = await fillIn(server, admin, page);
    expect([refused.status, wordsOf(refused)]).toEqual([412, expect.stringContaining('changed since you read it')]);
    expect((await values())[ENABLED]).toBe(true);
    expect((await fillIn(server, admin, refused)).status).toBe(200);
    expect((await values())[ENABLED]).toBe(false);
    // What is off already cannot be switched off.
    expect((await open('/switch-off')).location).toBe(`${server.origin}${PATH}`);
  });
});

describe('sessions', () => {
  test('lifetimes are shown and set in days, hours and minutes', async () => {
    expect(wordsOf(await open())).toMatch(/Ends after 7 days .* Ends unused after 1 day /);
    const form = formOn(await open('/sessions'), '/sessions');
    expect(form.fields).toMatchObject({
      [LIFETIME]: '7',
      [`${LIFETIME}_unit`]: 'days',
      [IDLE]: '1',
      [`${IDLE}_unit`]: 'days',
    });
    const saved = await fillIn(server, admin, `${PATH}/sessions`, {
      [LIFETIME]: '36',
      [`${LIFETIME}_unit`]: 'hours',
      [IDLE]: '45',
      [`${IDLE}_unit`]: 'minutes',
    });
    expect([saved.status, wordsOf(saved)]).toEqual([200, expect.stringContaining('Your changes are saved.')]);
    expect(wordsOf(saved)).toMatch(/Ends after 36 hours .* Ends unused after 45 minutes /);
    expect(await values()).toMatchObject({ [LIFETIME]: 129_600, [IDLE]: 2_700 });
  });

  test('sent back as it is, nothing changes', async () => {
    await fillIn(server, admin, `${PATH}/sessions`);
    expect((await server.domain.settings.read()).version).toBe('0');
  });

  test.each<[string, Record<string, string>, string, string]>([
    ['too short', { [IDLE]: '4', [`${IDLE}_unit`]: 'minutes' }, IDLE, 'must be 5 minutes to 90 days'],
    ['too long', { [LIFETIME]: '91' }, LIFETIME, 'must be 5 minutes to 90 days'],
    ['no number', { [LIFETIME]: 'a week' }, LIFETIME, 'must be 5 minutes to 90 days, in whole numbers'],
    ['a fraction', { [LIFETIME]: '1.5' }, LIFETIME, 'must be 5 minutes to 90 days, in whole numbers'],
    ['no unit there is', { [`${LIFETIME}_unit`]: '__proto__' }, LIFETIME, 'must be 5 minutes to 90 days'],
    ['longer unused than used', { [IDLE]: '8' }, IDLE, 'must not be longer than the session lives'],
  ])('%s is told at its field, in words of people, and what was typed stays', async (_, changes, field, problem) => {
    const page = await fillIn(server, admin, `${PATH}/sessions`, changes);
    expect(page.status).toBe(422);
    expect(page.text).toMatch(new RegExp(`id="f-${field}-problem">[^<]*${problem}`));
    expect(wordsOf(page)).not.toContain('seconds,');
    if (changes[field] !== undefined) expect(formOn(page, '/sessions').fields[field]).toBe(changes[field]);
    expect((await server.domain.settings.read()).version).toBe('0');
  });

  test('row 118: of two who change it at once one is told, sees what it says now, and may go on', async () => {
    const page = await open('/sessions');
    const [first, second] = await Promise.all(
      ['2', '3'].map((days) => fillIn(server, admin, page, { [LIFETIME]: days })),
    );
    expect([first!.status, second!.status].sort()).toEqual([200, 412]);
    const [lost, kept] = first!.status === 412 ? [first!, '3 days'] : [second!, '2 days'];
    const seconds = kept === '3 days' ? 259_200 : 172_800;
    expect((await values())[LIFETIME as 'session_lifetime_seconds']).toBe(seconds);
    expect(wordsOf(lost)).toContain('What it says now');
    expect((await fillIn(server, admin, lost)).status).toBe(200);
    expect((await values())[LIFETIME as 'session_lifetime_seconds']).not.toBe(seconds);
  });
});

describe('row 109: who may', () => {
  const paths = ['', '/switch-off', '/sessions'];

  test('nobody logged in is sent to log in; who may not, is refused, to see as to change', async () => {
    const stranger = await createBrowser().get(`${server.origin}${PATH}`);
    expect(stranger.location).toBe(`${server.origin}/login?return_to=${encodeURIComponent(PATH)}`);
    for (const person of [
      await createPerson(server),
      await createPerson(server, { role: 'Viewer', teamId: ROOT_TEAM_ID }),
    ]) {
      const browser = await logInAt(server, person);
      const statuses = await Promise.all(
        paths.map(async (path) => (await browser.get(`${server.origin}${PATH}${path}`)).status),
      );
      expect(statuses).toEqual([403, 403, 403]);
      const { csrf } = formOn(await browser.get(`${server.origin}/account`), '/logout').fields;
      const sent = await browser.post(`${server.origin}${PATH}/switch-off`, { csrf: csrf!, team: person.teamId });
      expect(sent.status).toBe(403);
    }
    expect((await values())[ENABLED]).toBe(true);
  });

  test('row 113: a form without our token, or from elsewhere, changes nothing', async () => {
    const form = formOn(await open('/switch-off'), '/switch-off');
    const without = await admin.post(form.url, { ...form.fields, csrf: '' });
    const elsewhere = await admin.post(form.url, form.fields, { origin: 'https://evil.example' });
    expect([without.status, elsewhere.status]).toEqual([403, 403]);
    expect((await values())[ENABLED]).toBe(true);
  });

  test('row 112: a field that is not in the form changes nothing', async () => {
    await fillIn(server, admin, `${PATH}/sessions`, { [ENABLED]: 'false', updated_at: '2020-01-01' });
    expect((await values())[ENABLED]).toBe(true);
  });
});

test('row 119: switching it off is one event with who did it', async () => {
  await server.db.query('DELETE FROM audit_events');
  await fillIn(server, admin, `${PATH}/switch-off`);
  const events = (await server.auditEvents()).filter(({ action }) => action === 'setting.changed');
  expect(events).toMatchObject([{ target_id: ENABLED, actor_kind: 'user', details: { value: false, former: true } }]);
});
