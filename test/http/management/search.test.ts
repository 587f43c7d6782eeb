/** `search` in the lists of the management API: words by their beginnings, keys by what is known of them, owners by their address. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type Api, createApi, fieldsOf, type TestUser } from '../../support/api.ts';
import { createTestApp, createTestClient } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const KEYS = '/api/preview/teamkeys';

let server: TestServer;
let api: Api;
let teamId: string;
let admin: TestUser;
let as: string;
let root: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  teamId = await api.team('Érables & Söhne-Werke');
  admin = await api.user('Admin', teamId);
  as = await api.keyOf(admin);
  root = await api.key('Admin');
}, 30_000);

afterAll(() => server?.close());

/** What a list answers, by one field of its rows. */
async function found(path: string, search: string, { by = as, field = 'name', more = {} } = {}): Promise<string[]> {
  const query = new URLSearchParams({ search, page_size: '1000', ...more });
  const { status, body, text } = await api.call({ as: by, path: `${path}?${query}` });
  expect([status, text]).toEqual([200, expect.any(String)]);
  const [rows] = Object.values(body).filter(Array.isArray) as Record<string, string>[][];
  return rows!.map((row) => row[field]!).sort();
}

const teamKey = async (name: string, team = teamId) =>
  server.domain.apiKeys.createTeam({ teamId: team, name }, OPERATOR);

describe('words', () => {
  beforeAll(async () => {
    for (const name of ['Nightly Backup of db-1', 'backup_weekly', 'Déploiement', 'ΣΊΣΥΦΟΣ', '生产密钥', 'deploy 🚀']) {
      await teamKey(name);
    }
  });

  test.each([
    ['backup', ['Nightly Backup of db-1', 'backup_weekly']],
    ['BACK', ['Nightly Backup of db-1', 'backup_weekly']],
    ['weekly back', ['backup_weekly']],
    ['night db', ['Nightly Backup of db-1']],
    ['db-1', ['Nightly Backup of db-1']],
    ['1', ['Nightly Backup of db-1']],
    ['d', []],
    ['ackup', []],
    ['backup nothing', []],
    ['déploi', ['Déploiement']],
    ['De\u0301ploi', ['Déploiement']],
    ['deploi', []],
    ['σίσ', ['ΣΊΣΥΦΟΣ']],
    ['生产', ['生产密钥']],
    ['🚀', ['deploy 🚀']],
    ['?!', []],
  ])('%s finds %j', async (search, names) => {
    expect(await found(KEYS, search)).toEqual(names);
  });

  test('nothing but spaces is no search', async () => {
    expect(await found(KEYS, '  ')).toEqual(await found(KEYS, ''));
    expect(await found(KEYS, '')).toContain('Déploiement');
  });

  test('a name that was changed is found by what it is now', async () => {
    const { key } = await teamKey('former');
    await server.domain.apiKeys.rename(key.id, 'latter', {}, OPERATOR);
    expect([await found(KEYS, 'former'), await found(KEYS, 'latter')]).toEqual([[], ['latter']]);
  });

  test('all that is typed is text: any search gets an answer, and changes no other', async () => {
    const parts = fc.constantFrom(
      ...'\'\\:*&|!()<->~=@%_…. \t"$1--;',
      'backup',
      "':*",
      "\\'",
      '…',
      '..',
      '\u202e',
      '\ufeff',
    );
    const text = fc.oneof(
      fc.string({
        maxLength: 60,
        unit: fc
          .oneof(fc.integer({ min: 1, max: 0xd7ff }), fc.integer({ min: 0x10000, max: 0x10ffff }))
          .map((code) => String.fromCodePoint(code)),
      }),
      fc.array(parts, { maxLength: 40 }).map((all) => all.join('')),
      fc.constantFrom('x'.repeat(255), '🚀'.repeat(127), `${"'".repeat(255)}`, 'a '.repeat(127)),
    );
    await fc.assert(
      fc.asyncProperty(text, async (search) => {
        const query = encodeURIComponent(search);
        const answer = await api.call({ as, path: `${KEYS}?search=${query}` });
        if (search.includes('\0')) expect([answer.status, fieldsOf(answer)]).toEqual([400, ['search']]);
        else expect([answer.status, answer.text.slice(0, 200)]).toEqual([200, expect.any(String)]);
      }),
      { numRuns: 80 },
    );
    const tooLong = await api.call({ as, path: `${KEYS}?search=${'x'.repeat(256)}` });
    expect([tooLong.status, fieldsOf(tooLong)]).toEqual([400, ['search']]);
  });
});

describe('keys', () => {
  test('are found by their text, how it begins or ends, and as they are shown', async () => {
    const { key, text } = await teamKey('one of many');
    const name = [key.name];
    for (const search of [text, text.slice(0, 7), key.prefix, `${key.prefix}…${key.lastFour}`, `many ${key.prefix}`]) {
      expect([search, await found(KEYS, search)]).toEqual([search, name]);
    }
    expect(await found(KEYS, key.lastFour)).toContain(key.name);
    expect(await found(KEYS, `${key.prefix}…AAAA`)).toEqual([]);
    expect(await found(KEYS, `${text.slice(0, -4)}AAAA`)).toEqual([]);
    expect(await found(KEYS, `backup ${key.prefix}`)).toEqual([]);
  });

  test('personal ones by their owner’s address, wherever the person who looks may see them', async () => {
    const [one, two] = [await api.user('Viewer', teamId), await api.user('Viewer', teamId)];
    for (const { userId } of [one, two]) {
      await server.domain.apiKeys.createPersonal({ userId, teamId, name: `of ${userId}` }, OPERATOR);
    }
    const path = '/api/v1/apikeys';
    expect(await found(path, one.email.toUpperCase(), { by: root })).toEqual([`of ${one.userId}`]);
    expect(await found(path, `${one.email.split('@')[0]}@`, { by: root })).toEqual([`of ${one.userId}`]);
    expect(await found(path, '%@example.com', { by: root })).toEqual([]);
    expect(await found(path, one.email)).toEqual([]);
    expect(await found('/api/v1/credentials', one.email)).toEqual([`of ${one.userId}`]);
  });

  test('row 110: nobody finds what another team has', async () => {
    const { key, text } = await teamKey('hidden elsewhere', await api.team());
    for (const search of ['hidden', text, key.prefix]) {
      expect(await found(KEYS, search)).toEqual([]);
      expect(await found('/api/v1/credentials', search)).toEqual([]);
      expect(await found(KEYS, search, { by: root })).toEqual([key.name]);
    }
  });

  test('with filters, orders and pages', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, (_, index) => teamKey(`paged ${4 - index}`)));
    await server.domain.apiKeys.revoke(keys[2]!.key.id, {}, OPERATOR);
    expect(await found(KEYS, 'paged', { more: { filter: 'status eq "INACTIVE"' } })).toEqual(['paged 2']);
    for (const order of ['name', 'name desc', 'created_at desc', 'last_access_at desc', 'expires_at']) {
      const [names, tokens] = [[] as string[], ['']];
      for (const token of tokens) {
        const query = new URLSearchParams({ search: 'paged', order_by: order, page_size: '2', page_token: token });
        const { body } = await api.call({ as, path: `${KEYS}?${query}` });
        names.push(...body.values.map(({ name }: { name: string }) => name));
        if (body.has_more) tokens.push(body.next_page_token);
      }
      const sorted = ['paged 0', 'paged 1', 'paged 2', 'paged 3', 'paged 4'];
      if (order === 'name desc') sorted.reverse();
      if (order.startsWith('name')) expect(names).toEqual(sorted);
      expect(names.toSorted()).toEqual(sorted.toSorted());
    }
    const first = await api.call({ as, path: `${KEYS}?search=paged&page_size=2` });
    const other = await api.call({
      as,
      path: `${KEYS}?search=page&page_size=2&page_token=${first.body.next_page_token}`,
    });
    expect([other.status, fieldsOf(other)]).toEqual([400, ['page_token']]);
  });
});

test('what many rows match and what few do is found in order, whichever comes first', async () => {
  const crowd = await api.team();
  // More than are looked through in order before the rest is looked for by words.
  await server.db.query(
    `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id, created_at)
     SELECT 'team', sha256(('crowd' || i)::bytea), 'lkt_crwd', 'four', CASE WHEN i > 1490 THEN 'rare ' ELSE '' END || 'frequent ' || lpad(i::text, 5, '0'),
       $1, now() + i * interval '1 second' FROM generate_series(1, 1500) AS i`,
    [crowd],
  );
  const names = async (search: string, order: string) => {
    const query = new URLSearchParams({ search, order_by: order, page_size: '3', filter: `team_id eq "${crowd}"` });
    const { body } = await api.call({ as: root, path: `${KEYS}?${query}` });
    return body.values.map(({ name }: { name: string }) => name.slice(-4));
  };
  expect(await names('frequent', 'created_at')).toEqual(['0001', '0002', '0003']);
  expect(await names('rare', 'created_at')).toEqual(['1491', '1492', '1493']);
  expect(await names('rare', 'created_at desc')).toEqual(['1500', '1499', '1498']);
  expect(await names('00777', 'name')).toEqual(['0777']);
});

test('in the inventory, together with its filters', async () => {
  const [one, two] = [await teamKey('inventoried one'), await teamKey('inventoried two')];
  await createTestClient(server, teamId, { name: 'inventoried three' });
  await server.domain.apiKeys.revoke(two.key.id, {}, OPERATOR);
  await server.db.query(
    `UPDATE api_keys SET created_at = now() - interval '9 days', last_access_at = now() WHERE id = $1`,
    [one.key.id],
  );
  const inventory = (more: Record<string, string>) => found('/api/v1/credentials', 'inventor', { more });
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  const all = ['inventoried one', 'inventoried three', 'inventoried two'];
  expect(await inventory({})).toEqual(all);
  expect(await inventory({ filter: 'status eq "INACTIVE"' })).toEqual(['inventoried two']);
  expect(await inventory({ filter: 'status eq "ACTIVE"' })).toEqual(['inventoried one', 'inventoried three']);
  expect(await inventory({ filter: 'kind eq "team_key"', never_used: 'true' })).toEqual(['inventoried two']);
  expect(await inventory({ never_used: 'false' })).toEqual(['inventoried one']);
  expect(await inventory({ unused_since: tomorrow })).toEqual(all);
  // One of them was made before then, and used since.
  const before = new Date(Date.now() - 5 * 86_400_000).toISOString();
  expect(await inventory({ unused_since: before })).toEqual([]);
  expect(await inventory({ expires_before: tomorrow })).toEqual([]);
});

describe('the other lists', () => {
  test('users by names and address, teams by name', async () => {
    const email = `grace.hopper-${randomUUID().slice(0, 8)}@navy.example`;
    const teamRoles = [{ teamId, roles: ['Viewer'] }];
    await server.domain.users.create(
      { email, name: 'Rear Admiral', displayName: 'Amazing Grace', teamRoles },
      OPERATOR,
    );
    for (const search of ['admir', 'amazing', 'hopper', 'navy', email, 'grace@navy'])
      expect([search, await found('/api/v1/users', search, { field: 'email' })]).toEqual([search, [email]]);
    expect(await found('/api/v1/users', 'hopper nobody', { field: 'email' })).toEqual([]);
    expect(await found('/api/v1/teams', 'söhne érab')).toEqual(['Érables & Söhne-Werke']);
  });

  test('apps and clients by name and client_id, resource servers by name and identifier', async () => {
    const app = await createTestApp(server, { name: 'Trip planner' });
    const client = await createTestClient(server, teamId, { name: 'Trip exporter' });
    const paths = [
      ['/api/v1/oauth2/apps', app.clientId, 'Trip planner', 'planner'],
      ['/api/v1/oauth2/clients', client.clientId, 'Trip exporter', 'exp'],
    ] as const;
    for (const [path, clientId, name, word] of paths) {
      expect(await found(path, clientId, { by: root })).toEqual([name]);
      expect(await found(path, `trip ${word}`, { by: root })).toEqual([name]);
    }
    expect(await found('/api/v1/credentials', 'trip')).toEqual(['Trip exporter']);
    const scopes = [{ name: 'trips:read', description: '' }];
    const server2 = { identifier: 'https://trips.example.com/v2', name: 'Journeys', scopes };
    await server.domain.resourceServers.create(server2, OPERATOR);
    for (const search of ['journ', 'trips.example', server2.identifier]) {
      expect(await found('/api/v1/resource_servers', search, { by: root })).toEqual(['Journeys']);
    }
  });

  test('a list that cannot be searched says so', async () => {
    const answer = await api.call({ as, path: '/api/v1/audit_events?search=x' });
    expect([answer.status, fieldsOf(answer)]).toEqual([400, ['search']]);
  });
});
