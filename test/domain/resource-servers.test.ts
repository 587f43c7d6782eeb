import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { PERMISSIONS, ROLE_IDS } from '../../src/domain/permissions.ts';
import {
  createResourceServers,
  holdRegisteredScopes,
  type ResourceServerInput,
  type ResourceServers,
} from '../../src/domain/resource-servers.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { inParallel } from '../support/parallel.ts';
import { TESTER } from '../support/people.ts';

const REPORTS = 'https://reports.example.com';

let all: Credentials;
let servers: ResourceServers;
beforeAll(async () => {
  all = await openCredentials();
  servers = createResourceServers(all);
});
afterAll(() => all.close());
beforeEach(async () => {
  await all.db.query('DELETE FROM resource_servers');
  await all.db.query('DELETE FROM audit_events');
  await all.notifications.settle();
});

const create = (changes: Partial<ResourceServerInput> = {}) =>
  servers.create({ identifier: REPORTS, name: 'Reports', ...changes }, TESTER);
const scopes = (...names: string[]) => names.map((name) => ({ name, description: `May ${name}` }));

describe('what a resource server may be', () => {
  test('without more it has no scopes, and tokens of ten minutes signed with ES256', async () => {
    expect(await create()).toMatchObject({
      identifier: REPORTS,
      scopes: [],
      accessTokenTtlSeconds: 600,
      signingAlg: 'ES256',
      isBuiltIn: false,
    });
  });

  test.each([
    'https://reports.example.com',
    'https://reports.example.com/',
    'https://reports.example.com/v1?tenant=1',
    'http://localhost:8080/api',
    'http://127.0.0.1:8080',
    'http://[::1]:8080',
    'urn:example:reports',
  ])('%s is an identifier', async (identifier) => {
    expect(await create({ identifier })).toMatchObject({ identifier });
  });

  test.each([
    '',
    'reports',
    '/reports',
    'reports.example.com',
    'https://reports.example.com/#',
    'https://reports.example.com/#part',
    'urn:example:reports#part',
    'http://reports.example.com',
    'https://user:pass@reports.example.com',
    'https://user@reports.example.com',
    'HTTPS://reports.example.com',
    'https://Reports.example.com',
    'https://reports.example.com:443/',
    'https://reports.example.com/a/../b',
    ' https://reports.example.com',
    'https://reports.example.com\n',
    'https://bücher.example',
    'ftp://reports.example.com',
    'javascript:alert(1)',
    'urn:x:y z',
    `https://reports.example.com/${'a'.repeat(500)}`,
  ])('%j is none', async (identifier) => {
    await expect(create({ identifier })).rejects.toMatchObject({
      kind: 'invalid_argument',
      fields: [{ field: 'identifier' }],
    });
  });

  test.each<[string, Partial<ResourceServerInput>]>([
    ['name', { name: ' ' }],
    ['access_token_ttl_seconds', { accessTokenTtlSeconds: 59 }],
    ['access_token_ttl_seconds', { accessTokenTtlSeconds: 86_401 }],
    ['access_token_ttl_seconds', { accessTokenTtlSeconds: 60.5 }],
    ['signing_alg', { signingAlg: 'HS256' }],
    ['signing_alg', { signingAlg: 'none' }],
    ['scopes.0.name', { scopes: scopes('') }],
    ['scopes.0.name', { scopes: scopes('two words') }],
    ['scopes.0.name', { scopes: scopes('quoted"') }],
    ['scopes.0.name', { scopes: scopes('back\\slash') }],
    ['scopes.0.name', { scopes: scopes('ä') }],
    ['scopes.0.name', { scopes: scopes('a'.repeat(101)) }],
    ['scopes.0.name', { scopes: scopes('providers:read') }],
    ['scopes.1.name', { scopes: scopes('fine', 'openid') }],
    ['scopes.1.name', { scopes: scopes('twice', 'twice') }],
    ['scopes.0.description', { scopes: [{ name: 'fine', description: 'a\nb' }] }],
    ['scopes', { scopes: scopes(...Array.from({ length: 201 }, (_, index) => `scope:${index}`)) }],
  ])('%s is refused in %j', async (field, changes) => {
    await expect(create(changes)).rejects.toMatchObject({ kind: 'invalid_argument', fields: [{ field }] });
  });

  test('an identifier and a scope belong to one resource server, also when two are registered at once', async () => {
    await create({ scopes: scopes('reports:read') });
    await expect(create()).rejects.toMatchObject({ kind: 'already_exists' });
    const taken = create({ identifier: 'urn:example:b', scopes: scopes('other', 'reports:read') });
    await expect(taken).rejects.toMatchObject({ kind: 'already_exists', fields: [{ field: 'scopes' }] });
    // Once more with the connections open: in the first round they are opened one after the other.
    for (const word of ['first', 'wanted']) {
      const outcomes = await inParallel(5, (index) =>
        create({ identifier: `urn:example:${word}:${index}`, scopes: scopes(word) }).then(
          () => 'made',
          (error) => error.kind,
        ),
      );
      expect(outcomes.sort()).toEqual([...Array(4).fill('already_exists'), 'made']);
    }
    const second = await create({ identifier: 'urn:example:d' });
    const changed = servers.update(second.id, { scopes: scopes('wanted') }, {}, TESTER);
    await expect(changed).rejects.toMatchObject({ kind: 'already_exists' });
  });
});

describe('what is found in memory', () => {
  test('is found by identifier and by scope until it changes, without a statement', async () => {
    const server = await create({ scopes: scopes('reports:read') });
    await all.notifications.settle();
    expect(await servers.findForProtocol(REPORTS)).toMatchObject({ id: server.id });
    expect(await servers.findByScope('reports:read')).toMatchObject({ id: server.id });
    expect(await servers.findForProtocol(`${REPORTS}/`)).toBeUndefined();
    expect(await servers.findByScope('__proto__')).toBeUndefined();
    await servers.update(server.id, { scopes: scopes('reports:write') }, {}, TESTER);
    await all.notifications.settle();
    expect(await servers.findByScope('reports:read')).toBeUndefined();
    expect(await servers.findByScope('reports:write')).toMatchObject({ id: server.id });
  });
});

describe("the server's own API", () => {
  const own = { identifier: 'https://auth.example.com/api', ttl: 600, alg: 'ES256' as const };
  const list = () => servers.list({ limit: 10 });

  test('has one row however many instances start, with permissions for scopes; it follows the configuration', async () => {
    await inParallel(5, () => servers.ensureBuiltIn(own));
    const [row, ...more] = await list();
    expect(more).toEqual([]);
    expect(row).toMatchObject({ identifier: own.identifier, isBuiltIn: true, accessTokenTtlSeconds: 600 });
    expect(row!.scopes).toContainEqual({ name: 'teams:read', description: PERMISSIONS['teams:read'] });
    await servers.ensureBuiltIn(own);
    expect((await list())[0]!.version).toBe(row!.version);
    await servers.ensureBuiltIn({ identifier: 'https://elsewhere.example.com/api', ttl: 300, alg: 'EdDSA' });
    expect(await list()).toMatchObject([
      { id: row!.id, identifier: 'https://elsewhere.example.com/api', accessTokenTtlSeconds: 300, signingAlg: 'EdDSA' },
    ]);
  });

  test('cannot be changed or deleted, nor found as a registered one', async () => {
    await servers.ensureBuiltIn(own);
    const { id } = (await list())[0]!;
    await expect(servers.update(id, { name: 'Mine' }, {}, TESTER)).rejects.toMatchObject({
      kind: 'failed_precondition',
    });
    await expect(servers.delete(id, {}, TESTER)).rejects.toMatchObject({ kind: 'failed_precondition' });
    await expect(create({ identifier: own.identifier })).rejects.toMatchObject({ kind: 'already_exists' });
    expect(await servers.findForProtocol(own.identifier)).toBeUndefined();
    expect(await servers.findByScope('teams:read')).toBeUndefined();
  });

  test('an address that somebody registered before is theirs, and the server starts all the same', async () => {
    await create({ identifier: own.identifier });
    await servers.ensureBuiltIn(own);
    expect(await list()).toMatchObject([{ isBuiltIn: false }]);
  });
});

describe('scopes that end', () => {
  async function party() {
    const server = await create({ scopes: scopes('reports:read', 'reports:write') });
    await create({ identifier: 'urn:example:other', scopes: scopes('other:read') });
    const { id: teamId } = await all.makeTeam();
    const app = { baseUrl: 'https://app.example.com', redirectUris: ['https://app.example.com/callback'] };
    const allowedScopes = ['openid', 'reports:write', 'other:read', 'reports:read'];
    const { app: holder } = await all.apps.create({ ...app, name: 'Holder', allowedScopes }, TESTER);
    const { app: bystander } = await all.apps.create({ ...app, name: 'Bystander' }, TESTER);
    const machine = { name: 'Machine', teamId, allowedScopes: ['providers:read', 'reports:read'] };
    const { client } = await all.clients.create(machine, TESTER);
    return { server, holder, bystander, client };
  }
  const allowed = async (id: string) => (await all.apps.find(id))!.allowedScopes;

  test('are taken from the apps and clients that had them, and from nobody else, each with an event', async () => {
    const { server, holder, bystander, client } = await party();
    const before = await all.rows('oauth_apps');
    await servers.update(server.id, { scopes: scopes('reports:read') }, {}, TESTER);
    expect(await allowed(holder.id)).toEqual(['openid', 'other:read', 'reports:read']);
    expect((await all.clients.find(client.id))!.allowedScopes).toEqual(['providers:read', 'reports:read']);
    expect(await all.events('oauth_client.updated')).toEqual([]);

    await servers.delete(server.id, {}, TESTER);
    expect(await allowed(holder.id)).toEqual(['openid', 'other:read']);
    expect((await all.clients.find(client.id))!.allowedScopes).toEqual(['providers:read']);
    expect((await all.rows('oauth_apps'))[bystander.id]).toBe(before[bystander.id]);
    expect((await all.apps.find(holder.id))!.version).not.toBe(holder.version);
    expect(await all.events('oauth_app.updated')).toMatchObject([
      { target_id: holder.id, details: { ended_scopes: ['reports:write'] } },
      { target_id: holder.id, details: { ended_scopes: ['reports:read'] } },
    ]);
    expect(await all.events('oauth_client.updated')).toMatchObject([{ target_id: client.id, team_id: client.teamId }]);
    expect(await all.events('resource_server.deleted')).toMatchObject([
      { target_id: server.id, actor_id: 'test', details: { identifier: REPORTS, ended_scopes: ['reports:read'] } },
    ]);
  });

  test('whoever was allowed one of them by name can be told before, up to a bound for each kind', async () => {
    const { server, holder, client } = await party();
    const { id: userId } = await all.makeUser({ teamRoles: [{ teamId: client.teamId, roles: [ROLE_IDS.Viewer] }] });
    const key = (name: string, ...scopes: string[]) =>
      all.apiKeys.createPersonal({ userId, teamId: client.teamId, name, scopes }, TESTER);
    await key('laptop', 'reports:write', 'reports:read');
    await key('phone', 'providers:read');
    const words = ['reports:read', 'reports:write'];
    const held = await servers.holdersOf(server, words, 10);
    expect(held).toEqual([
      { kind: 'oauth_app', id: holder.id, name: 'Holder', teamName: null, scopes: ['reports:read', 'reports:write'] },
      { kind: 'oauth_client', id: client.id, name: 'Machine', teamName: client.teamName, scopes: ['reports:read'] },
      { ...held[2], kind: 'personal_key', name: 'laptop', teamName: client.teamName, scopes: words },
    ]);
    expect(await servers.holdersOf(server, ['reports:write'], 10)).toMatchObject([
      { kind: 'oauth_app' },
      { name: 'laptop' },
    ]);
    for (const name of ['one', 'two']) await key(name, 'reports:read');
    expect((await servers.holdersOf(server, words, 2)).map(({ kind }) => kind)).toEqual([
      'oauth_app',
      'oauth_client',
      ...['personal_key', 'personal_key'],
    ]);
    // Permissions of the server itself are named by nearly everything.
    expect(await servers.holdersOf({ isBuiltIn: true }, ['providers:read'], 10)).toEqual([]);
    expect(await servers.holdersOf(server, [], 10)).toEqual([]);
  });

  test('an app or client cannot be given a scope that no resource server has', async () => {
    const { server, holder, client } = await party();
    await servers.delete(server.id, {}, TESTER);
    const change = { allowedScopes: ['reports:read'] };
    await expect(all.apps.update(holder.id, change, TESTER)).rejects.toMatchObject({ kind: 'invalid_argument' });
    await expect(all.clients.update(client.id, change, {}, TESTER)).rejects.toMatchObject({ kind: 'invalid_argument' });
  });

  test('what really changed is recorded by its name on the wire, and a change of nothing is none', async () => {
    const server = await create({ scopes: scopes('reports:read') });
    for (const changes of [{}, { name: server.name, scopes: server.scopes }]) {
      expect(await servers.update(server.id, changes, {}, TESTER)).toEqual(server);
    }
    await servers.update(server.id, { name: server.name, accessTokenTtlSeconds: 60, signingAlg: 'RS256' }, {}, TESTER);
    expect(await all.events('resource_server.updated')).toMatchObject([
      { details: { changed: ['access_token_ttl_seconds', 'signing_alg'] } },
    ]);
  });

  test('a scope given while its resource server ends is not left behind', async () => {
    const { server, bystander } = await party();
    let deleting: Promise<unknown> | undefined;
    await all.db.transaction(async (tx) => {
      expect(await holdRegisteredScopes(tx)).toContain('reports:read');
      deleting = servers.delete(server.id, {}, TESTER);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await tx.query(`UPDATE oauth_apps SET allowed_scopes = allowed_scopes || '{reports:read}' WHERE id = $1`, [
        bystander.id,
      ]);
    });
    await deleting;
    expect(await allowed(bystander.id)).toEqual(bystander.allowedScopes);
  });
});
