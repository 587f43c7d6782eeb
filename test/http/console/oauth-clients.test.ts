import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Browser, createBrowser, formOn, type Visit } from '../../support/browser.ts';
import { copiedFrom, fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { runCurl } from '../../support/curl.ts';
import { clientCredentials, createPerson, createTestClient } from '../../support/flows.ts';
import { createClientKey, signAssertion } from '../../support/proofs.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const CLIENTS = '/console/api-keys/clients';
const [GET, CALL] = ['Get a token', 'Call an API with it'];

let server: TestServer;
let root: Browser;
let admin: Browser;
let teamId: string;
beforeAll(async () => {
  server = await startTestServer();
  root = await logInAt(server, await createPerson(server, { teamId: ROOT_TEAM_ID }));
  const person = await createPerson(server);
  teamId = person.teamId;
  admin = await logInAt(server, person);
});
afterAll(() => server.close());

const open = (path: string, browser = admin) => browser.get(`${server.origin}${path}`);
const create = (changes: Record<string, string | undefined> = {}, browser = admin) =>
  fillIn(server, browser, `${CLIENTS}/new`, {
    name: 'Nightly export',
    'allowed_scopes:providers:read': 'on',
    ...changes,
  });

async function madeOn(page: Visit) {
  const clientId = copiedFrom(page)['Client ID']!;
  const client = (await server.domain.oauthClients.find(clientId))!;
  return { client, clientId, clientSecret: copiedFrom(page)['Client secret']! };
}

/** Runs both commands as they are printed, the second with the token of the first. */
async function run(copied: Record<string, string>, variables: Record<string, string> = {}) {
  const token = await runCurl(copied[GET]!, variables);
  const call = await runCurl(copied[CALL]!, { ...variables, ACCESS_TOKEN: token.body.access_token ?? '' });
  return { token, call };
}

const publicJwks = () => ({
  keys: [generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })],
});

describe('creating a client', () => {
  test('the commands shown after it work as they stand', async () => {
    const page = await create({ description: 'Exports at night', 'allowed_scopes:providers:write': 'on' });
    const { client, clientId, clientSecret } = await madeOn(page);
    expect(client).toMatchObject({
      ...{ name: 'Nightly export', description: 'Exports at night', teamId },
      allowedScopes: ['providers:read', 'providers:write'],
      tokenEndpointAuthMethod: 'client_secret_basic',
      createdBy: expect.any(String),
    });
    const copied = copiedFrom(page);
    expect(copied['.env']!.split('\n')).toEqual([
      `ISSUER=${server.issuer}`,
      `CLIENT_ID=${clientId}`,
      `CLIENT_SECRET=${clientSecret}`,
    ]);
    const { token, call } = await run(copied);
    expect([token.status, token.body.scope]).toEqual([200, 'providers:read providers:write']);
    expect([call.status, call.body.values]).toEqual([200, []]);
  });

  test('the call fetches its token itself where none was set', async () => {
    const copied = copiedFrom(await create());
    expect(copied[CALL]).toContain(`\${ACCESS_TOKEN:-$(curl --silent ${copied[GET]!.slice('curl '.length)} |`);
  });

  test('what is refused says so in the title, with the focus at what to mend', async () => {
    const page = await create({ 'allowed_scopes:providers:read': undefined });
    expect(page.status).toBe(422);
    expect(page.text).toContain('<title>Problem: Create a client');
    expect(page.text.match(/<[^>]*autofocus[^>]*>/g)).toEqual([
      '<input type="checkbox" name="allowed_scopes:providers:read" value="on" autofocus>',
    ]);
  });

  test('on its page a variable stands for the secret', async () => {
    const { client, clientSecret } = await madeOn(await create());
    const copied = copiedFrom(await open(`${CLIENTS}/${client.id}`));
    const { token, call } = await run(copied, { CLIENT_SECRET: clientSecret });
    expect([token.status, call.status]).toEqual([200, 200]);
  });

  test.each<[what: string, changes: Record<string, string | undefined>]>([
    ['with the secret as a parameter', { token_endpoint_auth_method: 'client_secret_post' }],
    ['that may not read providers', { 'allowed_scopes:providers:read': undefined, 'allowed_scopes:users:read': 'on' }],
  ])('also for one %s', async (_, changes) => {
    const { token, call } = await run(copiedFrom(await create(changes)));
    expect([token.status, call.status]).toEqual([200, 200]);
  });

  test('also for one that is for another API only', async () => {
    const word = `s${randomUUID().slice(0, 8)}:read`;
    await server.domain.resourceServers.create(
      {
        identifier: 'https://reports.example.com',
        name: 'Reports',
        scopes: [{ name: word, description: 'Read them' }],
      },
      OPERATOR,
    );
    await server.domain.notifications.settle();
    const page = await create({ 'allowed_scopes:providers:read': undefined, [`allowed_scopes:${word}`]: 'on' });
    const { token, call } = await run(copiedFrom(page));
    expect([token.status, token.body.scope, call.status]).toEqual([200, word, 200]);
  });

  test('one with keys of its own has no secret, and its command says what to sign', async () => {
    const key = await createClientKey();
    const page = await create({ token_endpoint_auth_method: 'private_key_jwt', jwks: JSON.stringify(key.jwks) });
    const { client, clientSecret } = await madeOn(page);
    expect([client.tokenEndpointAuthMethod, clientSecret]).toEqual(['private_key_jwt', undefined]);
    const copied = copiedFrom(page);
    expect(copied[GET]).toContain(`iss and sub ${client.clientId}, aud ${server.issuer}`);
    const { client_assertion: ASSERTION = '' } = await signAssertion(server.issuer, client.clientId, key);
    const { token, call } = await run(copied, { ASSERTION });
    expect([token.status, call.status]).toEqual([200, 200]);
    expect(copied['.env']).not.toContain('SECRET');
  });

  test('row 86: sent twice it is made once, and the secret is not shown again', async () => {
    const form = formOn(await open(`${CLIENTS}/new`), `${CLIENTS}/new`);
    const fields = { ...form.fields, name: 'Only once', 'allowed_scopes:providers:read': 'on' };
    const { client, clientSecret } = await madeOn(await admin.post(form.url, fields));
    const second = await admin.post(form.url, fields);
    expect(second.location).toBe(`${server.origin}${CLIENTS}/${client.id}?done=already`);
    const pages = [await admin.follow(second, server.origin), await open(CLIENTS)];
    expect(pages.map(({ text }) => text).join()).not.toContain(clientSecret.slice(8, -4));
    expect(server.log.join()).not.toContain(clientSecret.slice(8, -4));
    const { rows } = await server.db.query('SELECT id FROM oauth_clients WHERE name = $1', ['Only once']);
    expect(rows).toHaveLength(1);
  });

  test('nobody is offered, or can give, what they may not do themselves', async () => {
    const operator = await logInAt(server, await createPerson(server, { role: 'Operator' }));
    const page = await open(`${CLIENTS}/new`, operator);
    expect(page.status).toBe(200);
    expect(page.text).toContain('name="allowed_scopes:providers:read"');
    expect(page.text).not.toContain('name="allowed_scopes:users:write"');
    const refused = await create({ 'allowed_scopes:users:write': 'on' }, operator);
    expect([refused.status, wordsOf(refused)]).toEqual([403, expect.stringContaining('users:write')]);
    expect(formOn(refused, '/new').fields.name).toBe('Nightly export');
  });

  test('row 110: in no other team; from the root team in any', async () => {
    const other = await server.domain.teams.create({ name: `Other ${randomUUID()}` }, OPERATOR);
    const refused = await create({ team_id: other.id });
    expect(refused.status).toBe(404);
    const named = await create({ team_id: other.id, name: 'From above' }, root);
    expect((await madeOn(named)).client.teamId).toBe(other.id);
    const nowhere = await create({ team_id: 'no such team' }, root);
    expect([nowhere.status, wordsOf(nowhere)]).toEqual([422, expect.stringContaining('Team')]);
    expect((await create({ team_id: '' }, root)).status).toBe(422);
  });

  test.each<[what: string, changes: Record<string, string | undefined>, complaint: string]>([
    ['without a scope', { 'allowed_scopes:providers:read': undefined }, 'Allowed scopes name at least one'],
    ['with a word that is no scope', { 'allowed_scopes:root': 'on' }, 'is not a permission'],
    ['with a private key', { jwks: '{"keys":[{"kty":"oct","k":"x"}]}' }, 'Public keys'],
    ['with keys at a private address', { jwks_uri: 'https://169.254.169.254/keys' }, 'public internet'],
    ['that proves nothing', { token_endpoint_auth_method: 'none' }, 'public apps only'],
  ])('one %s is refused', async (_, changes, complaint) => {
    const page = await create(changes);
    expect([page.status, wordsOf(page)]).toEqual([422, expect.stringContaining(complaint)]);
  });
});

describe('the list', () => {
  test('row 110: shows those of the team, from the root team all; searched and filtered', async () => {
    const name = `Zulu${randomUUID().slice(0, 8)}`;
    const [own, other] = [await createPerson(server), await createPerson(server)];
    await createTestClient(server, own.teamId, { name: `${name} own` });
    await createTestClient(server, other.teamId, { name: `${name} other` });
    const browser = await logInAt(server, own);
    const mine = wordsOf(await open(`${CLIENTS}?q=${name}`, browser));
    expect([mine.includes(`${name} own`), mine.includes(`${name} other`)]).toEqual([true, false]);
    const stranger = wordsOf(await open(`${CLIENTS}?q=${name}&team=${other.teamId}`, browser));
    expect(stranger).not.toContain(`${name} other`);
    const all = wordsOf(await open(`${CLIENTS}?q=${name}`, root));
    expect([all.includes(`${name} own`), all.includes(`${name} other`)]).toEqual([true, true]);
    const one = wordsOf(await open(`${CLIENTS}?q=${name}&team=${other.teamId}&enabled=true`, root));
    expect([one.includes(`${name} own`), one.includes(`${name} other`)]).toEqual([false, true]);
    expect(wordsOf(await open(`${CLIENTS}?q=${name}&enabled=false`, root))).not.toContain(`${name} own`);
    for (const sort of ['name', '-created_at', 'last_used_at', '-last_used_at']) {
      expect((await open(`${CLIENTS}?sort=${sort}`, root)).status).toBe(200);
    }
  });

  test('an empty one says what a client is for', async () => {
    const browser = await logInAt(server, await createPerson(server));
    expect(wordsOf(await open(CLIENTS, browser))).toContain('Create a client for a service');
  });

  test('row 109: whoever may only look finds nothing to change', async () => {
    const looker = await createPerson(server, { role: 'Viewer' });
    const { id } = await createTestClient(server, looker.teamId);
    const browser = await logInAt(server, looker);
    expect((await open(CLIENTS, browser)).status).toBe(403);
    await server.db.query(
      `WITH made AS (INSERT INTO roles (name, permissions) VALUES ('Looker', '{oauth2clients:read}') RETURNING id)
       INSERT INTO membership_roles (user_id, team_id, role_id) SELECT $1, $2, id FROM made`,
      [looker.userId, looker.teamId],
    );
    await server.domain.notifications.settle();
    expect((await open(CLIENTS, browser)).text).not.toContain(`${CLIENTS}/new`);
    const page = await open(`${CLIENTS}/${id}`, browser);
    expect(page.status).toBe(200);
    for (const action of ['edit', 'disable', 'delete', 'secrets/new']) {
      expect(page.text).not.toContain(`/${id}/${action}`);
      expect((await open(`${CLIENTS}/${id}/${action}`, browser)).status).toBe(403);
    }
    expect((await createBrowser().get(`${server.origin}${CLIENTS}/${id}`)).location).toContain('/login?return_to=');
  });
});

describe('row 110: a client of another team', () => {
  test('is not found, on no page and by no form', async () => {
    const other = await createPerson(server);
    const made = await createTestClient(server, other.teamId, { name: 'Not yours' });
    const [secret] = await server.domain.clientSecrets.list({ kind: 'client', id: made.id });
    const { fields } = formOn(await open(`${CLIENTS}/new`), '/new');
    const { csrf = '', team = '' } = fields;
    for (const reference of [made.id, made.clientId]) {
      for (const path of ['', '/edit', '/disable', '/delete', '/secrets/new', `/secrets/${secret!.id}/end`]) {
        expect((await open(`${CLIENTS}/${reference}${path}`)).status).toBe(404);
      }
      for (const path of ['edit', 'enable', 'disable', 'delete', 'secrets/new', `secrets/${secret!.id}/end`]) {
        const answer = await admin.post(`${server.origin}${CLIENTS}/${reference}/${path}`, {
          ...{ csrf, team, name: 'Taken', 'allowed_scopes:providers:read': 'on', overlap: '', ends: '', last: 'yes' },
        });
        expect([path, answer.status]).toEqual([path, 404]);
      }
    }
    expect((await clientCredentials(server, made)).status).toBe(200);
    expect((await server.domain.oauthClients.find(made.id))?.name).toBe('Not yours');
  });

  test('nor can its secret be ended by way of an own client', async () => {
    const other = await createPerson(server);
    const [mine, theirs] = [await createTestClient(server, teamId), await createTestClient(server, other.teamId)];
    const [secret] = await server.domain.clientSecrets.list({ kind: 'client', id: theirs.id });
    const { fields } = formOn(await open(`${CLIENTS}/new`), '/new');
    const { csrf = '', team = '' } = fields;
    const path = `${CLIENTS}/${mine.id}/secrets/${secret!.id}/end`;
    expect((await open(path)).status).toBe(404);
    expect((await admin.post(server.origin + path, { csrf, team, last: 'yes' })).status).toBe(404);
    expect(await server.domain.clientSecrets.list({ kind: 'client', id: theirs.id })).toHaveLength(1);
  });
});

describe('changing a client', () => {
  test('row 112: what is saved is what it is, but its team and ID', async () => {
    const { id, clientId } = await createTestClient(server, teamId);
    const page = await fillIn(server, admin, `${CLIENTS}/${id}/edit`, {
      ...{ name: 'Renamed', description: 'New', 'allowed_scopes:providers:write': undefined },
      ...{ team_id: ROOT_TEAM_ID, client_id: 'svc_mine', enabled: 'off' },
    });
    expect(wordsOf(page)).toContain('Your changes are saved');
    expect(await server.domain.oauthClients.find(id)).toMatchObject({
      ...{ name: 'Renamed', description: 'New', allowedScopes: ['providers:read'] },
      ...{ teamId, clientId, enabled: true, tokenEndpointAuthMethod: 'client_secret_basic' },
    });
  });

  test('scopes that the person may not give are kept, when they are left as they are', async () => {
    const operator = await createPerson(server, { role: 'Operator' });
    const { id } = await createTestClient(server, operator.teamId, {
      allowedScopes: ['providers:read', 'users:write'],
    });
    const browser = await logInAt(server, operator);
    const page = await fillIn(server, browser, `${CLIENTS}/${id}/edit`, { name: 'Renamed' });
    expect(wordsOf(page)).toContain('Your changes are saved');
    expect((await server.domain.oauthClients.find(id))?.allowedScopes).toEqual(['providers:read', 'users:write']);
    const secret = await fillIn(server, browser, `${CLIENTS}/${id}/secrets/new`, { overlap: '0' });
    expect([secret.status, wordsOf(secret)]).toEqual([403, expect.stringContaining('users:write')]);
  });

  test('from a secret to keys of its own, and its secrets end', async () => {
    const made = await createTestClient(server, teamId, { tokenEndpointAuthMethod: 'client_secret_post' });
    const page = await fillIn(server, admin, `${CLIENTS}/${made.id}/edit`, {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: JSON.stringify(publicJwks()),
    });
    expect(wordsOf(page)).toContain('private_key_jwt');
    expect((await clientCredentials(server, made)).status).toBe(401);
    const again = formOn(await open(`${CLIENTS}/${made.id}/edit`), '/edit').fields;
    expect([again.token_endpoint_auth_method, again.jwks]).toEqual([
      'private_key_jwt',
      expect.stringContaining('"keys"'),
    ]);
  });

  test('row 118: of two who change it at once one is told, with what was typed and what it says now', async () => {
    const { id } = await createTestClient(server, teamId, { name: 'Before' });
    const mine = await open(`${CLIENTS}/${id}/edit`);
    await fillIn(server, admin, `${CLIENTS}/${id}/edit`, {
      name: 'Theirs',
      'allowed_scopes:providers:write': undefined,
    });
    const told = await fillIn(server, admin, mine, { name: 'Mine' });
    const words = wordsOf(told);
    expect(told.status).toBe(412);
    expect(words).toContain('Somebody changed this client while you did');
    // What is as usual on both sides is no difference.
    expect(words).toContain('Name Theirs Allowed scopes providers:read Name What the service is called.');
    expect(formOn(told, '/edit').fields.name).toBe('Mine');
    expect((await server.domain.oauthClients.find(id))?.name).toBe('Theirs');
    await fillIn(server, admin, told);
    expect((await server.domain.oauthClients.find(id))?.name).toBe('Mine');
  });

  test('row 113: not with a form of another session, or from another place', async () => {
    const { id } = await createTestClient(server, teamId, { name: 'Untouched' });
    const form = formOn(await open(`${CLIENTS}/${id}/edit`), '/edit');
    const foreign = formOn(await open(`${CLIENTS}/${id}/edit`, root), '/edit');
    const across = { origin: 'https://evil.example' };
    const csrf = foreign.fields.csrf ?? '';
    expect((await admin.post(form.url, { ...form.fields, csrf, name: 'Forged' })).status).toBe(403);
    expect((await admin.post(form.url, { ...form.fields, name: 'Forged' }, across)).status).toBe(403);
    expect((await server.domain.oauthClients.find(id))?.name).toBe('Untouched');
  });

  test('row 38: names and descriptions, whatever is in them, are text', async () => {
    const hostile = `<script>alert(1)</script>"'&\u200f😀`;
    const { client } = await madeOn(await create({ name: hostile, description: hostile }));
    for (const path of ['', `/${client.id}`, `/${client.id}/edit`, `/${client.id}/delete`]) {
      const { status, text } = await open(CLIENTS + path);
      expect([status, text.includes('<script>alert'), text.includes('&lt;script&gt;alert')]).toEqual([
        200,
        false,
        true,
      ]);
    }
  });
});

describe('its secrets', () => {
  test('a new one works at once, the old one until the overlap is over', async () => {
    const made = await createTestClient(server, teamId, { tokenEndpointAuthMethod: 'client_secret_post' });
    const path = `${CLIENTS}/${made.id}/secrets/new`;
    const page = await fillIn(server, admin, path, { overlap: '604800' });
    const second = { ...made, clientSecret: copiedFrom(page)['Client secret']! };
    expect((await clientCredentials(server, made)).status).toBe(200);
    expect((await clientCredentials(server, second)).status).toBe(200);
    expect((await runCurl(copiedFrom(page)[GET]!)).status).toBe(200);
    const third = await fillIn(server, admin, path, { overlap: '0' });
    expect((await clientCredentials(server, made)).status).toBe(401);
    expect((await clientCredentials(server, second)).status).toBe(401);
    const newest = { ...made, clientSecret: copiedFrom(third)['Client secret']! };
    expect((await clientCredentials(server, newest)).status).toBe(200);
  });

  test('an overlap nobody offered is refused', async () => {
    const { id } = await createTestClient(server, teamId);
    const page = await fillIn(server, admin, `${CLIENTS}/${id}/secrets/new`, { overlap: '99999999' });
    expect(page.status).toBe(422);
    expect(await server.domain.clientSecrets.list({ kind: 'client', id })).toHaveLength(1);
  });
});

describe('switching it off, and deleting it', () => {
  test('both say before what ends, and for whom; then it does', async () => {
    const made = await createTestClient(server, teamId, { tokenEndpointAuthMethod: 'client_secret_post' });
    await server.domain.resourceServers.create(
      { identifier: 'https://checks.example.com', name: 'Checks', scopes: [], clientIds: [made.clientId] },
      OPERATOR,
    );
    await server.domain.notifications.settle();
    const unused = wordsOf(await open(`${CLIENTS}/${made.id}/disable`));
    expect(unused).toContain('None of its access tokens is good any more');
    expect(unused).toContain('Last used Never');
    expect((await clientCredentials(server, made)).status).toBe(200);
    await server.domain.lastUsed.flush();

    const page = await open(`${CLIENTS}/${made.id}/delete`);
    const words = wordsOf(page);
    expect(words).toContain('its access tokens are refused within five seconds');
    expect(words).toContain('Checks (https://checks.example.com) checks API keys as this client');
    expect(words).toContain('Delete this client (1 secret)');
    const after = await fillIn(server, admin, page);
    expect(after.url).toBe(`${server.origin}${CLIENTS}?done=deleted`);
    expect((await clientCredentials(server, made)).status).toBe(401);
    expect((await open(`${CLIENTS}/${made.id}`)).status).toBe(404);
  });

  test('disabled, it gets no token; enabled, it does', async () => {
    const made = await createTestClient(server, teamId, { tokenEndpointAuthMethod: 'client_secret_post' });
    const page = await fillIn(server, admin, `${CLIENTS}/${made.id}/disable`);
    expect(wordsOf(page)).toContain('Disabled');
    expect((await clientCredentials(server, made)).status).toBe(401);
    await fillIn(server, admin, page, {}, '/enable');
    expect((await clientCredentials(server, made)).status).toBe(200);
  });
});
