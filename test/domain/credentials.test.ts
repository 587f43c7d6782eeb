import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createConnectedApps } from '../../src/domain/connected-apps.ts';
import {
  type Credential,
  type CredentialQuery,
  type Credentials,
  createCredentials,
} from '../../src/domain/credentials.ts';
import { ROLE_IDS } from '../../src/domain/permissions.ts';
import { listApiKeys } from '../../src/storage/api-key-lists.ts';
import { updateLastUsed } from '../../src/storage/last-used.ts';
import type { Queryable } from '../../src/storage/pool.ts';
import { type Credentials as All, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';

let all: All;
let inventory: Credentials;
let team: string;
let other: string;
let user: { id: string; email: string };
/** What was made, by the names the tests use. */
const made: Record<string, string> = {};

beforeAll(async () => {
  all = await openCredentials();
  inventory = createCredentials(all);
  [team, other] = [(await all.makeTeam()).id, (await all.makeTeam()).id];
  user = await all.makeUser({ teamRoles: [team, other].map((teamId) => ({ teamId, roles: [ROLE_IDS.Viewer] })) });
  const key = { teamId: team, expiresAt: new Date(Date.now() + 3_600_000) };
  made.personal = (
    await all.apiKeys.createPersonal({ ...key, userId: user.id, name: 'personal', scopes: ['providers:read'] }, TESTER)
  ).key.id;
  made.whole = (await all.apiKeys.createPersonal({ teamId: other, userId: user.id, name: 'whole' }, TESTER)).key.id;
  made.team = (await all.apiKeys.createTeam({ teamId: team, name: 'team' }, TESTER)).key.id;
  const service = await all.clients.create({ teamId: team, name: 'client', allowedScopes: ['providers:read'] }, TESTER);
  made.client = service.client.id;
  made.clientId = service.client.clientId;
  const uris = { baseUrl: 'https://a.example', redirectUris: ['https://a.example/cb'] };
  made.appId = (await all.apps.create({ ...uris, name: 'app' }, TESTER)).app.clientId;
  made.consent = await consent();
  made.expired = await consent({ expires: '-1 minute' });
}, 30_000);
afterAll(() => all?.close());

/** A consent as the engine keeps it. */
async function consent({ teamId = team, expires = '14 days', scopes = 'openid providers:read' } = {}): Promise<string> {
  const id = randomUUID();
  const payload = { openid: { scope: 'openid' }, resources: { 'https://auth.example/api': scopes } };
  await all.db.query(
    `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
     VALUES ($1, $2, $3, $4, $5, now() + $6::interval)`,
    [id, user.id, teamId, made.appId, JSON.stringify(payload), expires],
  );
  return id;
}

/** The names of what was made, as the inventory answers. */
async function names(query: CredentialQuery): Promise<string[]> {
  const found = await inventory.list({ teamId: team, ...query }, { limit: 100 });
  return found.map(({ id }) => Object.keys(made).find((name) => made[name] === id) ?? id);
}

test('all four kinds are in it, with who they act for and what they may do', async () => {
  const found = await inventory.list({ teamId: team }, { limit: 100 });
  const byKind = Object.fromEntries(found.map((one) => [one.kind, one]));
  expect(found.map(({ id }) => id)).toEqual([made.personal, made.team, made.client, made.consent]);
  const owner = { userId: user.id, ownerEmail: user.email };
  const ours = { teamId: team, teamName: expect.any(String), lastUsedAt: null, isActive: true };
  const nobody = { userId: null, ownerEmail: null };
  expect(byKind.personal_key).toMatchObject({
    ...ours,
    ...owner,
    name: 'personal',
    scopes: ['providers:read'],
    clientId: null,
  });
  expect(byKind.personal_key!.expiresAt!.getTime()).toBeGreaterThan(Date.now());
  expect(byKind.team_key).toMatchObject({
    ...ours,
    ...nobody,
    scopes: ['providers:read', 'providers:write'],
    expiresAt: null,
  });
  const client = { clientId: made.clientId, scopes: ['providers:read'], expiresAt: null };
  expect(byKind.oauth2_client).toMatchObject({ ...ours, ...nobody, ...client, name: 'client' });
  expect(byKind.oauth2_app).toMatchObject({ ...ours, ...owner, name: 'app', clientId: made.appId });
  expect(byKind.oauth2_app!.scopes!.toSorted()).toEqual(['openid', 'providers:read']);
  expect(found.map(({ prefix }) => prefix?.slice(0, 4) ?? null)).toEqual(['lkp_', 'lkt_', 'lks_', null]);
  const [whole] = await inventory.list({ teamId: other }, { limit: 100 });
  expect(whole).toMatchObject({ id: made.whole, scopes: null });
});

test('no text, digest or secret of a credential is in it', async () => {
  const text = JSON.stringify(await inventory.list({}, { limit: 100 }));
  expect(text).not.toMatch(/digest|lk[pts]_[\w-]{20}/);
});

describe('narrowed', () => {
  const past = new Date(Date.now() - 3_600_000);
  const soon = new Date(Date.now() + 7_200_000);

  test.each([
    ['by kind', { kind: 'oauth2_client' }, ['client']],
    ['by what is used', { neverUsed: false }, []],
    ['by what was never used', { neverUsed: true }, ['personal', 'team', 'client', 'consent']],
    ['by what was not used since before it was made', { unusedSince: past }, []],
    ['by what was not used since then', { unusedSince: soon }, ['personal', 'team', 'client', 'consent']],
    ['by what ends soon', { expiresBefore: soon }, ['personal']],
    ['by what works', { isActive: true }, ['personal', 'team', 'client', 'consent']],
    ['by what does not', { isActive: false }, []],
  ] as [string, CredentialQuery, string[]][])('%s', async (_, query, expected) => {
    expect(await names({ ...query })).toEqual(expected);
  });

  test('by owner', async () => {
    expect(await names({ userId: user.id })).toEqual(['personal', 'consent']);
  });

  test('by what became of them', async () => {
    const at = new Date(Date.now() + 60_000);
    for (const [table, id] of Object.entries({
      api_keys: made.personal,
      oauth_clients: made.client,
      grants: made.consent,
    })) {
      all.lastUsed.touch(table as 'grants', id!, at);
    }
    await all.lastUsed.flush();
    expect(await names({ neverUsed: true })).toEqual(['team']);
    expect(await names({ neverUsed: false })).toEqual(['personal', 'client', 'consent']);
    expect(await names({ unusedSince: at })).toEqual(['team']);
    const used = (await inventory.list({ teamId: team }, { limit: 100 })).map(({ lastUsedAt }) => lastUsedAt);
    expect(used).toEqual([at, null, at, at]);

    await all.db.query(`UPDATE api_keys SET expires_at = now() - interval '1 minute' WHERE id = $1`, [made.personal]);
    await all.apiKeys.revoke(made.team!, {}, TESTER);
    await all.clients.disable(made.client!, {}, TESTER);
    expect(await names({ isActive: false })).toEqual(['personal', 'team', 'client']);
    expect(await names({ isActive: true })).toEqual(['consent']);
    const conditions = [{ field: 'status', operator: 'eq' as const, value: 1 }];
    expect(await inventory.list({ isActive: false }, { limit: 100, conditions })).toEqual([]);
    await all.db.query('UPDATE oauth_apps SET enabled = false WHERE client_id = $1', [made.appId]);
    expect(await names({ isActive: false })).toEqual(['personal', 'team', 'client', 'consent']);
    await all.db.query('UPDATE oauth_apps SET enabled = true WHERE client_id = $1', [made.appId]);
  });
});

test('what an owner who is disabled or has expired could do is not active', async () => {
  const ends = [
    ['enabled = false', 'enabled = true'],
    [`expires_at = now() - interval '1 minute'`, 'expires_at = NULL'],
  ];
  const owned = { userId: user.id, teamId: other };
  const before = await inventory.list(owned, { limit: 100 });
  expect(before.map(({ id, isActive }) => [id, isActive])).toEqual([[made.whole, true]]);
  const elsewhere = await consent({ teamId: other });
  for (const [ended, back] of ends) {
    await all.db.query(`UPDATE users SET ${ended} WHERE id = $1`, [user.id]);
    for (const isActive of [undefined, false]) {
      const found = await inventory.list({ ...owned, isActive }, { limit: 100 });
      expect(found.map((one) => [one.id, one.isActive])).toEqual([
        [made.whole, false],
        [elsewhere, false],
      ]);
    }
    expect(await inventory.list({ ...owned, isActive: true }, { limit: 100 })).toEqual([]);
    await all.db.query(`UPDATE oauth_apps SET enabled = false WHERE client_id = $1`, [made.appId]);
    await all.db.query(`UPDATE api_keys SET expires_at = now() - interval '1 minute' WHERE id = $1`, [made.whole]);
    expect(await inventory.list({ ...owned, isActive: false }, { limit: 100 })).toHaveLength(2);
    await all.db.query(`UPDATE oauth_apps SET enabled = true WHERE client_id = $1`, [made.appId]);
    await all.db.query(`UPDATE api_keys SET expires_at = NULL WHERE id = $1`, [made.whole]);
    await all.db.query(`UPDATE users SET ${back} WHERE id = $1`, [user.id]);
  }
  expect(await inventory.list({ ...owned, isActive: true }, { limit: 100 })).toHaveLength(2);
  await all.db.query('DELETE FROM grants WHERE id = $1', [elsewhere]);
});

test('a key that has been given up is not active, whatever it was retired with', async () => {
  const [ours, theirs] = [(await all.makeTeam()).id, (await all.makeTeam()).id];
  const make = async (teamId: string, name: string) => (await all.apiKeys.createTeam({ teamId, name }, TESTER)).key;
  const keys = [await make(ours, 'a'), await make(ours, 'b'), await make(ours, 'c'), await make(theirs, 'd')];
  const states = async (teamId = ours) => {
    const of = async (isActive?: boolean) =>
      (await inventory.list({ teamId, isActive }, { limit: 10 })).map((one) => [one.name, one.isActive]);
    const [both, active, not] = [await of(), await of(true), await of(false)];
    expect(both.filter(([, isActive]) => isActive)).toEqual(active);
    expect(both.filter(([, isActive]) => !isActive)).toEqual(not);
    return not.map(([name]) => name).join('');
  };
  const past = { retiresAt: new Date(Date.now() - 1_000) };
  await all.retirements.create({ teamId: ours, retiresAt: new Date(Date.now() + 60_000) }, {}, TESTER);
  await all.retirements.create({ keyId: keys[0]!.id, ...past }, {}, TESTER);
  expect(await states()).toBe('a');
  await all.retirements.create({ teamId: ours, prefix: keys[1]!.prefix, ...past }, {}, TESTER);
  await all.retirements.create({ prefix: keys[0]!.prefix, ...past }, {}, TESTER);
  expect(await states()).toBe('ab');
  await all.retirements.create({ prefix: keys[2]!.prefix, ...past }, {}, TESTER);
  expect(await states()).toBe('abc');
  expect(await states(theirs)).toBe('');
  // However many there are.
  await all.db.query(
    `INSERT INTO retirements (team_id, prefix, retires_at) SELECT $1, 'lkx_' || g, now() FROM generate_series(1, 60) AS g`,
    [theirs],
  );
  expect([await states(), await states(theirs)]).toEqual(['abc', '']);
  await all.retirements.create({ teamId: theirs, ...past }, {}, TESTER);
  expect(await states(theirs)).toBe('d');
  for (const teamId of [ours, theirs]) await all.teams.delete(teamId, TESTER);
  await all.db.query('DELETE FROM retirements');
});

test('pages follow each other across the kinds, in both directions, also where times are equal', async () => {
  for (let count = 0; count < 4; count += 1) {
    const at = { teamId: other, name: `${count}` };
    await all.apiKeys.createTeam(at, TESTER);
    await all.apiKeys.createPersonal({ ...at, userId: user.id }, TESTER);
    await all.clients.create({ ...at, allowedScopes: ['providers:read'] }, TESTER);
    await consent({ teamId: other });
  }
  for (const table of ['api_keys', 'oauth_clients', 'grants']) {
    await all.db.query(`UPDATE ${table} SET created_at = date_trunc('second', now()) WHERE team_id = $1`, [other]);
  }
  for (const descending of [true, false]) {
    const order = { field: 'created_at', descending };
    const whole = await inventory.list({}, { limit: 100, order });
    const paged: Credential[] = [];
    for (let page = whole.slice(0, 3), round = 0; page.length === 3 && round < 20; round += 1) {
      page = await inventory.list({}, { limit: 3, order, after: paged.at(-1) });
      paged.push(...page);
    }
    expect(whole.length).toBe(21);
    expect(paged).toEqual(whole);
  }
});

test('consents to one app in one team are one connected app, and end together', async () => {
  const apps = createConnectedApps({ db: all.db, audit: all.audit });
  const first = await consent({ scopes: 'openid providers:write' });
  all.lastUsed.touch('grants', first, new Date(Date.now() + 120_000));
  await all.lastUsed.flush();
  const mine = { userId: user.id };
  const listed = await apps.list({ ...mine, teamId: team }, { limit: 10 });
  expect(listed).toHaveLength(1);
  expect(listed[0]).toMatchObject({ name: 'app', clientId: made.appId, teamId: team, logoUrl: null });
  expect(listed[0]!.scopes.toSorted()).toEqual(['openid', 'providers:read', 'providers:write']);
  expect(listed[0]!.lastUsedAt!.getTime()).toBeGreaterThan(Date.now() + 100_000);
  const both = await apps.list(mine, { limit: 10 });
  expect(both.map(({ teamId }) => teamId).toSorted()).toEqual([team, other].toSorted());
  const paged = await apps.list(mine, { limit: 10, after: both[0] });
  expect(paged).toEqual(both.slice(1));

  await expect(apps.disconnect(made.appId!, { userId: randomUUID() }, TESTER)).rejects.toMatchObject({
    kind: 'not_found',
  });
  expect(await apps.disconnect(made.appId!, { ...mine, teamId: team }, TESTER)).toBe(2);
  await expect(apps.disconnect(made.appId!, { ...mine, teamId: team }, TESTER)).rejects.toMatchObject({
    kind: 'not_found',
  });
  expect(await apps.list(mine, { limit: 10 })).toHaveLength(1);
  expect(await apps.disconnect(made.appId!, mine, TESTER)).toBe(4);
  const events = await all.events('consent.ended');
  expect(events.map(({ team_id, target_id, details }) => [team_id, target_id, details.ended_grants])).toEqual([
    [team, made.appId, 2],
    [other, made.appId, 4],
  ]);
});

describe('among many', () => {
  const used = new Date(Date.now() - 3_600_000);

  beforeAll(async () => {
    // Made long ago and used today, all but one of each; those are the newest, and the last that a walk would find.
    const crowd = (await all.makeTeam()).id;
    const at = `now() - interval '1 day' - i * interval '1 minute', $2 FROM generate_series(1, 10000) AS i`;
    await all.db.query(
      `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id, created_at, last_access_at)
       SELECT 'team', sha256(('many' || i)::bytea), 'lkt_', 'abcd', 'many', $1, ${at}`,
      [crowd, used],
    );
    await all.db.query(
      `INSERT INTO oauth_clients (client_id, name, team_id, allowed_scopes, token_endpoint_auth_method, created_at,
         last_used_at) SELECT 'svc_' || i, 'many', $1, '{}', 'none', ${at}`,
      [crowd, used],
    );
    await all.db.query(`INSERT INTO memberships (user_id, team_id) VALUES ($1, $2)`, [user.id, crowd]);
    await all.db.query(
      `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at, created_at, last_used_at)
       SELECT gen_random_uuid(), $3, $1, $4, '{}', now() + interval '1 day', ${at}`,
      [crowd, used, user.id, made.appId],
    );
    await all.db.query('ANALYZE');
  });

  test.each([
    ['those never used', { neverUsed: true }],
    ['those not used lately', { unusedSince: new Date(used.getTime() - 3_600_000) }],
  ] as [string, CredentialQuery][])('%s are found without a look at the others', async (_, query) => {
    for (const descending of [true, false]) {
      const order = { field: 'created_at', descending };
      const pages: number[] = [];
      const spy: Queryable = {
        query: async (text, values) => {
          const { rows } = await all.db.query<{ 'QUERY PLAN': { Plan: Record<string, number> }[] }>(
            `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
            values,
          );
          const plan = rows[0]!['QUERY PLAN'][0]!.Plan;
          pages.push(plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!);
          return all.db.query(text, values);
        },
      };
      await createCredentials({ ...all, db: spy }).list(query, { limit: 50, order });
      expect([descending, pages.every((count) => count < 500)]).toEqual([descending, true]);
    }
  });

  describe('keys that are not active', () => {
    beforeAll(async () => {
      // The older half has expired, and of the newer one those that begin as keys once did have been given up.
      const crowd = (await all.makeTeam()).id;
      await all.db.query(
        `INSERT INTO api_keys (kind, digest, prefix, last_four, name, team_id, created_at, expires_at)
         SELECT 'team', sha256(('half' || i)::bytea), CASE WHEN i % 10 = 0 THEN 'old_' ELSE 'lkt_' END, 'abcd',
           CASE i WHEN 19000 THEN 'half rare' ELSE 'half' END, $1, now() - interval '2 days' - i * interval '1 minute',
           CASE WHEN i > 10000 THEN now() - interval '1 hour' END FROM generate_series(1, 20000) AS i`,
        [crowd],
      );
      await all.db.query(`INSERT INTO retirements (prefix, retires_at) VALUES ('old_', now())`);
      await all.db.query('VACUUM ANALYZE');
    });
    afterAll(() => all.db.query('DELETE FROM retirements'));

    /** What is found, and the pages of memory that are read for it. */
    async function look<T>(work: (db: Queryable) => Promise<T>): Promise<{ found: T; read: number }> {
      let read = 0;
      const found = await work({
        async query(text, values) {
          const { rows } = await all.db.query<{ 'QUERY PLAN': { Plan: Record<string, number> }[] }>(
            `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
            values,
          );
          const plan = rows[0]!['QUERY PLAN'][0]!.Plan;
          read += plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
          return all.db.query(text, values);
        },
      });
      return { found, read };
    }

    test.each([
      ['nothing', undefined, 51],
      ['what most have', 'half', 51],
      ['what one has', 'rare', 1],
      ['what none has', 'nowhere', 0],
    ])('are found in both orders without a look at the others, looking for %s', async (_, search, count) => {
      for (const descending of [true, false]) {
        const order = { field: 'created_at', descending };
        const { found, read } = await look((db) =>
          createCredentials({ ...all, db }).list({ kind: 'team_key', isActive: false }, { limit: 51, order, search }),
        );
        expect(found).toHaveLength(count);
        expect(found.every(({ isActive }) => !isActive)).toBe(true);
        const times = found.map(({ createdAt }) => createdAt.getTime());
        expect(times).toEqual(times.toSorted((a, b) => (descending ? b - a : a - b)));
        expect([descending, read < 2_500]).toEqual([descending, true]);
      }
    });

    test.each([
      ['given_up', 1_000, ['lkt_']],
      ['expired', 10_000, []],
    ] as const)('are listed by the state %s without a look at the others', async (state, count, never) => {
      for (const descending of [true, false]) {
        const conditions = [{ field: 'state', operator: 'eq' as const, value: state }];
        const order = { field: 'created_at', descending };
        const keys = (limit: number) => (db: Queryable) =>
          listApiKeys(db, { kind: 'team' }, { limit, order, conditions });
        const { found, read } = await look(keys(51));
        expect(found).toHaveLength(51);
        expect([descending, read < 1_500]).toEqual([descending, true]);
        const whole = await keys(20_000)(all.db);
        expect(whole.slice(0, 51)).toEqual(found);
        expect(whole).toHaveLength(count);
        expect(whole.filter(({ prefix }) => (never as readonly string[]).includes(prefix))).toEqual([]);
      }
    });
  });

  test('a later use in the same hour changes no index', async () => {
    const key = (await all.apiKeys.createTeam({ teamId: team, name: 'used' }, TESTER)).key.id;
    const count = async (tx: Queryable) => {
      const { rows } = await tx.query<{ hot: number }>(
        `SELECT pg_stat_get_xact_tuples_hot_updated('api_keys'::regclass)::int AS hot`,
      );
      return rows[0]!.hot;
    };
    const use = (time: string) =>
      all.db.transaction(async (tx) => {
        const before = await count(tx);
        await updateLastUsed(tx, 'api_keys', new Map([[key, new Date(time)]]));
        return (await count(tx)) - before;
      });
    const times = ['2999-01-01T00:01:00Z', '2999-01-01T00:02:00Z', '2999-01-01T00:59:00Z', '2999-01-01T01:00:00Z'];
    const hot: number[] = [];
    for (const time of times) hot.push(await use(time));
    expect(hot).toEqual([0, 1, 1, 0]);
  });
});
