/** Scopes of registered resource servers in personal keys: who gives them, and how they end. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Actor } from '../../src/domain/audit.ts';
import { createKeyImport, type ImportLine } from '../../src/domain/key-import.ts';
import { ROLE_IDS } from '../../src/domain/permissions.ts';
import { createResourceServers, type ResourceServer } from '../../src/domain/resource-servers.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';

let all: Credentials;
let resourceServers: ReturnType<typeof createResourceServers>;
let reports: ResourceServer;
let team: { id: string };
let userId: string;

beforeAll(async () => {
  all = await openCredentials();
  resourceServers = createResourceServers(all);
  team = await all.makeTeam();
  userId = (await all.makeUser({ teamRoles: [{ teamId: team.id, roles: [ROLE_IDS.Viewer] }] })).id;
});
afterAll(() => all.close());
beforeEach(async () => {
  await all.db.query('DELETE FROM resource_servers');
  reports = await register();
});

const words = (...names: string[]) => names.map((name) => ({ name }));
const register = (...names: string[]) => {
  const scopes = words(...(names.length > 0 ? names : ['reports:read', 'reports:write']));
  return resourceServers.create({ identifier: 'urn:example:reports', name: 'Reports', scopes }, TESTER);
};

const make = (scopes: string[] | undefined, actor: Actor = TESTER) =>
  all.apiKeys.createPersonal({ userId, teamId: team.id, name: 'k', ...(scopes && { scopes }) }, actor);

async function scopesOf(text: string): Promise<string[] | undefined> {
  await all.notifications.settle();
  const key = await all.apiKeys.verify(text);
  return key && [...key.scopes];
}

/** A person without a credential in between, and one through a key that may do these things. */
const person = (): Actor => ({ kind: 'user', id: userId, userId });
const through = (...permissions: string[]): Actor => ({
  ...{ kind: 'personal_key', id: 'a key', userId },
  permissions: new Set(permissions),
});

describe('giving', () => {
  test('a key has a scope of a registered API only by its name, and beside its owner’s permissions', async () => {
    expect(await scopesOf((await make(['providers:read', 'reports:read'])).text)).toEqual([
      'providers:read',
      'reports:read',
    ]);
    expect(await scopesOf((await make(undefined)).text)).not.toContain('reports:read');
    expect(await scopesOf((await make(['users:write', 'reports:read'])).text)).toEqual(['reports:read']);
  });

  test('a person may give it, whatever role they have', async () => {
    expect((await make(['reports:read'], person())).key.scopes).toEqual(['reports:read']);
  });

  test('row 92: a credential gives only those it has itself', async () => {
    const maker = through('apikeys:write', 'reports:read');
    expect((await make(['reports:read'], maker)).key.scopes).toEqual(['reports:read']);
    for (const [asked, actor] of [
      [['reports:write'], maker],
      [['reports:read'], through('apikeys:write')],
      [['reports:read'], { kind: 'client', id: 'svc_a' } as Actor],
      [['reports:read'], { kind: 'team_key', id: 'a key' } as Actor],
    ] as const) {
      await expect(make([...asked], actor)).rejects.toMatchObject({
        kind: 'permission_denied',
        fields: [{ field: 'scopes' }],
      });
    }
  });

  test('a narrow credential that asks for no scopes gives its permissions, and nothing of other APIs', async () => {
    const { key } = await make(undefined, through('providers:read', 'reports:read'));
    expect(key.scopes).toEqual(['providers:read']);
  });

  test('a key is given a new text by no credential that lacks one of its scopes', async () => {
    const { key } = await make(['reports:read']);
    const rotate = (actor: Actor) => all.apiKeys.rotate(key.id, {}, {}, actor);
    await expect(rotate(through('apikeys:write'))).rejects.toMatchObject({ kind: 'permission_denied' });
    expect((await rotate(through('reports:read'))).key.id).toBe(key.id);
  });

  test('a word that means nothing anywhere is refused', async () => {
    for (const word of ['reports:purge', 'openid', '']) {
      await expect(make([word])).rejects.toMatchObject({ kind: 'invalid_argument', fields: [{ field: 'scopes' }] });
    }
  });

  test('an imported key can have it; a word that ended is told by its line, and not repeated', async () => {
    const keyImport = createKeyImport(all);
    const line = (number: number, scopes: string[]): ImportLine => ({
      line: number,
      fields: {
        ...{ algorithm: 'sha256', digest: `${number}`.repeat(64), prefix: `old${number}_`, name: 'Old' },
        ...{ owner: userId, team: team.id, scopes },
      },
    });
    const lines = [
      line(1, ['reports:read', 'providers:read']),
      line(2, ['reports:purge']),
      line(3, ['providers:read']),
    ];
    const report = await keyImport.run(lines, { source: 'old.json' }, TESTER);
    expect(report).toMatchObject({ imported: 2, failed: 1, problems: [{ line: 2, field: 'scopes' }] });
    expect(JSON.stringify(report)).not.toContain('purge');
    const keys = await all.apiKeys.list({ userId });
    const scopes = Object.fromEntries(keys.map((one) => [one.prefix, one.scopes]));
    expect(scopes).toMatchObject({ old1_: ['reports:read', 'providers:read'], old3_: ['providers:read'] });
    await expect(
      keyImport.run([line(4, ['reports:read'])], { source: 'old.json' }, through('users:write', 'apikeys:write')),
    ).resolves.toMatchObject({ imported: 0, problems: [{ line: 4, field: 'scopes' }] });
  });
});

describe('ending', () => {
  test('a scope that ends goes from every key that has it, for good, and the trail says so', async () => {
    const [both, one, none] = [
      await make(['reports:write', 'providers:read', 'reports:read']),
      await make(['reports:read']),
      await make(undefined),
    ];
    const before = await all.rows('api_keys');
    await resourceServers.update(reports.id, { scopes: words('reports:write') }, {}, TESTER);
    expect(await scopesOf(both.text)).toEqual(['reports:write', 'providers:read']);
    expect(await scopesOf(one.text)).toEqual([]);
    const after = await all.rows('api_keys');
    expect(after[none.key.id]).toEqual(before[none.key.id]);
    await resourceServers.update(reports.id, { scopes: words('reports:write', 'reports:read') }, {}, TESTER);
    expect([await scopesOf(both.text), await scopesOf(one.text)]).toEqual([['reports:write', 'providers:read'], []]);
    const events = (await all.events('api_key.updated')).filter(({ target_id }) => target_id === one.key.id);
    expect(events).toMatchObject([{ team_id: team.id, details: { name: 'k', ended_scopes: ['reports:read'] } }]);
  });

  test('row 90: a key whose only scope ended opens nothing, and is not one without scopes', async () => {
    const { text, key } = await make(['reports:read']);
    await resourceServers.delete(reports.id, {}, TESTER);
    await register();
    expect(await scopesOf(text)).toEqual([]);
    expect((await all.apiKeys.find(key.id))!.scopes).toEqual([]);
    const { rows } = await all.db.query<{ scopes: unknown }>('SELECT scopes FROM api_keys WHERE id = $1', [key.id]);
    expect(rows).toEqual([{ scopes: [] }]);
  });

  test('a key made while its scope ends does not keep it', async () => {
    for (let round = 0; round < 8; round++) {
      const [server] = await resourceServers.list({ limit: 1 });
      const [made] = await Promise.allSettled([
        make(['reports:read', 'providers:read']),
        resourceServers.delete(server!.id, {}, TESTER),
      ]);
      reports = await register();
      if (made.status === 'rejected') expect(made.reason).toMatchObject({ kind: 'invalid_argument' });
      else expect(await scopesOf(made.value.text)).toEqual(['providers:read']);
    }
  });

  test('tokens that were got for a key and say more than is its own are told to those who follow revocations', async () => {
    const { key } = await make(['reports:read', 'reports:write']);
    const idle = await make(['reports:read']);
    await all.db.query(`UPDATE api_keys SET tokens_until = now() + interval '5 minutes' WHERE id = $1`, [key.id]);
    await resourceServers.update(reports.id, { scopes: words('reports:write') }, {}, TESTER);
    const { rows } = await all.db.query('SELECT id, narrowed FROM revocations WHERE id = ANY($1)', [
      [key.id, idle.key.id],
    ]);
    expect(rows).toEqual([{ id: key.id, narrowed: true }]);
  });
});
