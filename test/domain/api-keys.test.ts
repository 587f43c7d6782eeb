import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ACTIVE, createApiKeys, INACTIVE } from '../../src/domain/api-keys.ts';
import type { Actor } from '../../src/domain/audit.ts';
import { createLastUsed } from '../../src/domain/last-used.ts';
import { NAMED_ONLY } from '../../src/domain/permissions.ts';
import { createSecretText } from '../../src/domain/secret-text.ts';
import type { Queryable } from '../../src/storage/pool.ts';
import { later } from '../support/clock.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

let all: Credentials;
beforeAll(async () => {
  all = await openCredentials();
});
afterAll(() => all.close());

async function member(role = 'Operator') {
  const team = await all.makeTeam();
  const user = await all.makeUser({ teamRoles: [{ teamId: team.id, roles: [role] }] });
  return { team, user };
}

async function personalKey(role = 'Operator', extra: { scopes?: string[]; expiresAt?: Date } = {}) {
  const { team, user } = await member(role);
  const made = await all.apiKeys.createPersonal({ userId: user.id, teamId: team.id, name: 'laptop', ...extra }, TESTER);
  return { team, user, ...made };
}

const dead = (text: string) => soon(async () => (await all.apiKeys.verify(text)) === undefined);

describe('making a key', () => {
  test('row 86: the text is in the answer to create and nowhere else', async () => {
    const { key, text, team } = await personalKey();
    expect(text).toMatch(/^lkp_[\w-]{48}$/);
    await all.audit.flush();
    const seen = JSON.stringify([
      key,
      await all.apiKeys.find(key.id),
      await all.apiKeys.list({ teamId: team.id }),
      await all.rows('api_keys'),
      await all.rows('audit_events'),
    ]);
    expect(seen).not.toContain(text.slice(8, -4));
    expect(seen).not.toContain(Buffer.from(text).toString('hex'));
    expect([key.prefix, key.lastFour]).toEqual([text.slice(0, 8), text.slice(-4)]);
  });

  test('a key that was never used was last used when it was made', async () => {
    const { key } = await personalKey();
    expect(key.lastAccessAt).toEqual(key.createdAt);
  });

  test('a user gets keys in their own teams only', async () => {
    const { user } = await member();
    const other = await all.makeTeam();
    for (const teamId of [other.id, randomUUID(), 'x']) {
      await expect(all.apiKeys.createPersonal({ userId: user.id, teamId, name: 'k' }, TESTER)).rejects.toMatchObject({
        kind: 'failed_precondition',
        message: expect.stringContaining('not a member'),
      });
    }
  });

  test('a team that does not exist gets none', async () => {
    for (const teamId of [randomUUID(), "' OR true --"]) {
      await expect(all.apiKeys.createTeam({ teamId, name: 'k' }, TESTER)).rejects.toMatchObject({
        kind: 'not_found',
      });
    }
  });

  test.each([
    ['name', { name: ' ' }],
    ['name', { name: 'a\0b' }],
    ['scopes', { scopes: [] }],
    ['scopes', { scopes: ['providers:read', 'everything'] }],
    ['scopes', { scopes: ['openid'] }],
    ['scopes', { scopes: ['constructor'] }],
    ['expires_at', { expiresAt: new Date(Date.now() - 1) }],
    ['expires_at', { expiresAt: new Date('never') }],
  ])('a bad %s is refused by its name: %j', async (field, extra) => {
    const { team, user } = await member();
    await expect(
      all.apiKeys.createPersonal({ userId: user.id, teamId: team.id, name: 'k', ...extra }, TESTER),
    ).rejects.toMatchObject({ kind: 'invalid_argument', fields: [{ field }] });
  });

  test('the maker is remembered when it is a person', async () => {
    const { team, user } = await member();
    const make = (actor: typeof TESTER) => all.apiKeys.createTeam({ teamId: team.id, name: 'k' }, actor);
    expect((await make({ kind: 'user', id: user.id })).key.createdBy).toBe(user.id);
    expect((await make(TESTER)).key.createdBy).toBeNull();
  });

  test('row 119: making, renaming, revoking, reinstating and deleting are recorded once each', async () => {
    const { key } = await personalKey();
    await all.apiKeys.rename(key.id, 'desktop', {}, TESTER);
    await all.apiKeys.revoke(key.id, {}, TESTER);
    await all.apiKeys.revoke(key.id, {}, TESTER);
    await all.apiKeys.reinstate(key.id, {}, TESTER);
    await all.apiKeys.delete(key.id, {}, TESTER);
    const { rows } = await all.db.query('SELECT action, team_id FROM audit_events WHERE target_id = $1 ORDER BY id', [
      key.id,
    ]);
    expect(rows.map((row) => row.action)).toEqual(
      ['created', 'renamed', 'revoked', 'reinstated', 'deleted'].map((verb) => `api_key.${verb}`),
    );
    expect(new Set(rows.map((row) => row.team_id))).toEqual(new Set([key.teamId]));
  });
});

describe('a key in use', () => {
  test('a personal key acts as its user in its team', async () => {
    const { key, text, team, user } = await personalKey('Viewer');
    const verified = await all.apiKeys.verify(text);
    expect(verified).toMatchObject({ id: key.id, kind: 'personal', teamId: team.id, userId: user.id, name: 'laptop' });
    const rights = await all.authority.permissionsIn(user.id, team.id);
    expect(verified?.scopes).toEqual(new Set([...rights!].filter((one) => one !== 'apikeys:write')));
  });

  test('row 92: what makes credentials or gives rights it has only when its scopes name it', async () => {
    const [open, named] = [await personalKey('Admin'), await personalKey('Admin', { scopes: [...NAMED_ONLY] })];
    expect([...(await all.apiKeys.verify(open.text))!.scopes].filter((one) => NAMED_ONLY.has(one))).toEqual([]);
    expect((await all.apiKeys.verify(named.text))!.scopes).toEqual(NAMED_ONLY);
  });

  test('a team key reads and writes providers and nothing else', async () => {
    const { team } = await member();
    const { text } = await all.apiKeys.createTeam({ teamId: team.id, name: 'push' }, TESTER);
    const verified = await all.apiKeys.verify(text);
    expect(verified).toMatchObject({ kind: 'team', teamId: team.id, userId: undefined });
    expect(verified?.scopes).toEqual(new Set(['providers:read', 'providers:write']));
  });

  test('scopes narrow a key and never widen it', async () => {
    const { text } = await personalKey('Viewer', { scopes: ['providers:read', 'settings:write'] });
    expect((await all.apiKeys.verify(text))?.scopes).toEqual(new Set(['providers:read']));
  });

  test("row 90: a change of the owner's roles changes the key at once", async () => {
    const { text, user, team } = await personalKey('Operator');
    expect((await all.apiKeys.verify(text))?.scopes.has('providers:write')).toBe(true);
    await all.memberships.setRoles({ userId: user.id, teamId: team.id, roles: ['Viewer'] }, TESTER);
    expect(await soon(async () => !(await all.apiKeys.verify(text))?.scopes.has('providers:write'))).toBe(true);
    expect((await all.apiKeys.verify(text))?.scopes.has('providers:read')).toBe(true);
    await all.memberships.setRoles({ userId: user.id, teamId: team.id, roles: ['Admin'] }, TESTER);
    expect(await soon(async () => (await all.apiKeys.verify(text))?.scopes.has('settings:write') === true)).toBe(true);
  });

  test('row 91: it is dead once its owner is disabled, out of the team or deleted', async () => {
    const [disabled, removed, deleted] = [await personalKey(), await personalKey(), await personalKey()];
    for (const { text } of [disabled, removed, deleted]) expect(await all.apiKeys.verify(text)).toBeDefined();
    await all.users.setEnabled(disabled.user.id, false, TESTER);
    await all.memberships.remove({ userId: removed.user.id, teamId: removed.team.id }, TESTER);
    await all.users.delete(deleted.user.id, TESTER);
    for (const { text } of [disabled, removed, deleted]) expect(await dead(text)).toBe(true);
    await all.users.setEnabled(disabled.user.id, true, TESTER);
    expect(await soon(async () => (await all.apiKeys.verify(disabled.text)) !== undefined)).toBe(true);
  });

  test("row 91: a root administrator's key ends with the membership of its team too", async () => {
    const { text, user, team } = await personalKey();
    await all.makeRootAdmin();
    await all.memberships.setRoles(
      { userId: user.id, teamId: '00000000-0000-4000-8000-000000000010', roles: ['Admin'] },
      TESTER,
    );
    expect(await all.apiKeys.verify(text)).toBeDefined();
    await all.memberships.remove({ userId: user.id, teamId: team.id }, TESTER);
    expect(await dead(text)).toBe(true);
  });

  test('a team key survives its creator and ends with its team', async () => {
    const { team, user } = await member('Admin');
    const { text } = await all.apiKeys.createTeam({ teamId: team.id, name: 'k' }, { kind: 'user', id: user.id });
    await all.users.delete(user.id, TESTER);
    expect(await all.apiKeys.verify(text)).toBeDefined();
    await all.teams.delete(team.id, TESTER);
    expect(await dead(text)).toBe(true);
  });

  test('row 93: revoking takes it out of use, reinstating brings it back, deleting ends it', async () => {
    const { key, text } = await personalKey();
    expect(await all.apiKeys.verify(text)).toBeDefined();
    expect(await all.apiKeys.revoke(key.id, {}, TESTER)).toMatchObject({ status: INACTIVE });
    expect(await dead(text)).toBe(true);
    expect(await all.apiKeys.revoke(key.id, {}, TESTER)).toMatchObject({ status: INACTIVE });
    expect(await all.apiKeys.reinstate(key.id, {}, TESTER)).toMatchObject({ status: ACTIVE });
    expect(await soon(async () => (await all.apiKeys.verify(text)) !== undefined)).toBe(true);
    expect(await all.apiKeys.delete(key.id, {}, TESTER)).toMatchObject({ id: key.id, status: INACTIVE });
    expect(await dead(text)).toBe(true);
    await expect(all.apiKeys.delete(key.id, {}, TESTER)).rejects.toMatchObject({ kind: 'not_found' });
  });

  test('its expiry is looked at on every use', async () => {
    const { text } = await personalKey('Operator', { expiresAt: new Date(Date.now() + 150) });
    expect(await all.apiKeys.verify(text)).toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 160));
    expect(await all.apiKeys.verify(text)).toBeUndefined();
  });

  test('row 88: wrong, expired, revoked and malformed keys get one and the same answer', async () => {
    const { key, text } = await personalKey();
    await all.apiKeys.revoke(key.id, {}, TESTER);
    const texts = [
      text,
      createSecretText('lkp_').text,
      createSecretText('lks_').text,
      `${text.slice(0, -1)}-`,
      '',
      'x y',
    ];
    for (const one of texts) expect(await all.apiKeys.verify(one)).toBeUndefined();
  });

  test('row 85: a damaged key and a key seen before cost no query', async () => {
    const { text } = await personalKey();
    let queries = 0;
    const counting: Queryable['query'] = (sql, values) => {
      queries += 1;
      return all.db.query(sql, values);
    };
    const apiKeys = createApiKeys({ ...all, db: { ...all.db, query: counting } });
    await apiKeys.verify(`${text.slice(0, 10)}${text[10] === 'A' ? 'B' : 'A'}${text.slice(11)}`);
    expect(queries).toBe(0);
    for (let use = 0; use < 50; use += 1) expect(await apiKeys.verify(text)).toBeDefined();
    expect(queries).toBe(1);
    expect(await apiKeys.verify(createSecretText('lkp_').text)).toBeUndefined();
    expect(queries).toBe(2);
  });

  test('row 96: 10,000 uses of three keys are one write', async () => {
    const keys = [await personalKey(), await personalKey(), await personalKey()];
    const statements: string[] = [];
    const counting: Queryable = {
      query: (sql, values) => {
        statements.push(sql);
        return all.db.query(sql, values);
      },
    };
    const lastUsed = createLastUsed({ db: counting });
    const apiKeys = createApiKeys({ ...all, lastUsed });
    for (let use = 0; use < 10_000; use += 1) await apiKeys.verify(keys[use % 3]!.text);
    await lastUsed.close();
    expect(statements).toHaveLength(1);
    for (const { key } of keys) {
      const now = await all.apiKeys.find(key.id);
      expect(now!.lastAccessAt.getTime()).toBeGreaterThan(key.createdAt.getTime());
    }
  });
});

describe('rotating a key', () => {
  const alive = async (text: string) => (await all.apiKeys.verify(text)) !== undefined;

  test('row 94: with an overlap both texts are the key until the stated instant, then only the new one', async () => {
    const { key, text, team } = await personalKey();
    const rotated = await all.apiKeys.rotate(key.id, { overlapSeconds: 60 }, { teamId: team.id }, TESTER);
    expect(rotated.text).toMatch(/^lkp_/);
    expect(rotated.key).toMatchObject({
      id: key.id,
      prefix: rotated.text.slice(0, 8),
      lastFour: rotated.text.slice(-4),
      createdAt: key.createdAt,
    });
    expect(await soon(async () => (await all.apiKeys.verify(text))?.expiresAt !== undefined)).toBe(true);
    const [before, after] = [await all.apiKeys.verify(text), await all.apiKeys.verify(rotated.text)];
    expect(before).toEqual({ ...after, expiresAt: rotated.key.previousExpiresAt });
    expect(after?.expiresAt).toBeUndefined();
    await later(58, async () => expect([await alive(text), await alive(rotated.text)]).toEqual([true, true]));
    await later(61, async () => expect([await alive(text), await alive(rotated.text)]).toEqual([false, true]));
  });

  test('row 94: without an overlap the text it had ends at once', async () => {
    const { key, text } = await personalKey();
    const { text: next, key: rotated } = await all.apiKeys.rotate(key.id, {}, {}, TESTER);
    expect(await dead(text)).toBe(true);
    expect(await alive(next)).toBe(true);
    expect(rotated.previousExpiresAt).toBeNull();
  });

  test('rotated again, only the two newest texts are good; revoking, reinstating and deleting mean both', async () => {
    const { key, text } = await personalKey();
    const { text: second } = await all.apiKeys.rotate(key.id, { overlapSeconds: 600 }, {}, TESTER);
    const { text: third } = await all.apiKeys.rotate(key.id, { overlapSeconds: 600 }, {}, TESTER);
    const both = async () => [await alive(second), await alive(third)].join();
    expect(await dead(text)).toBe(true);
    expect(await both()).toBe('true,true');
    await all.apiKeys.revoke(key.id, {}, TESTER);
    expect(await soon(async () => (await both()) === 'false,false')).toBe(true);
    await all.apiKeys.reinstate(key.id, {}, TESTER);
    expect(await soon(async () => (await both()) === 'true,true')).toBe(true);
    await all.apiKeys.delete(key.id, {}, TESTER);
    expect(await soon(async () => (await both()) === 'false,false')).toBe(true);
  });

  test('an expired key stays so: it is not rotated, and reinstating does not revive it', async () => {
    const expiring = await personalKey('Operator', { expiresAt: new Date(Date.now() + 30_000) });
    const overlap = { overlapSeconds: 600 };
    const { key, text } = await all.apiKeys.rotate(expiring.key.id, overlap, {}, TESTER);
    expect((await all.apiKeys.verify(expiring.text))?.expiresAt).toEqual(key.expiresAt);
    await later(31, async () => {
      expect([await alive(text), await alive(expiring.text)]).toEqual([false, false]);
      await expect(all.apiKeys.rotate(key.id, {}, {}, TESTER)).rejects.toMatchObject({ kind: 'failed_precondition' });
      await all.apiKeys.revoke(key.id, {}, TESTER);
      await all.apiKeys.reinstate(key.id, {}, TESTER);
      expect(await alive(text)).toBe(false);
    });
  });

  test.each([-1, 0.5, Number.NaN, 30 * 24 * 3600 + 1, '60' as never])(
    'an overlap of %j is refused',
    async (seconds) => {
      const { key } = await personalKey();
      await expect(all.apiKeys.rotate(key.id, { overlapSeconds: seconds }, {}, TESTER)).rejects.toMatchObject({
        kind: 'invalid_argument',
        fields: [{ field: 'overlap_seconds' }],
      });
    },
  );

  test('row 119: it is recorded, without either text', async () => {
    const { key, text } = await personalKey();
    const { text: next } = await all.apiKeys.rotate(key.id, { overlapSeconds: 60 }, {}, TESTER);
    const events = (await all.events('api_key.rotated')).filter((one) => one.target_id === key.id);
    expect(events).toMatchObject([{ details: { prefix: next.slice(0, 8), overlap_seconds: 60 } }]);
    for (const one of [text, next]) expect(JSON.stringify(events)).not.toContain(one.slice(8, -4));
  });
});

describe('nobody gives what they lack', () => {
  /** Somebody who came with a credential that has these permissions. */
  const narrowed = (userId: string, ...permissions: string[]): Actor => ({
    kind: 'personal_key',
    id: randomUUID(),
    userId,
    permissions: new Set(permissions),
  });
  const make = ({ team, user }: Awaited<ReturnType<typeof member>>, actor: Actor, scopes?: string[]) =>
    all.apiKeys.createPersonal({ userId: user.id, teamId: team.id, name: 'k', ...(scopes && { scopes }) }, actor);

  test('a person gives a key what they may do there themselves, or stays open', async () => {
    const person = await member('Viewer');
    const actor: Actor = { kind: 'user', id: person.user.id };
    expect((await make(person, actor)).key.scopes).toBeNull();
    expect((await make(person, actor, ['apikeys:write', 'teams:read'])).key.scopes).toEqual([
      'apikeys:write',
      'teams:read',
    ]);
    await expect(make(person, actor, ['teams:read', 'providers:write'])).rejects.toMatchObject({
      kind: 'permission_denied',
      message: expect.stringContaining('providers:write'),
    });
  });

  test('row 92: a credential gives no more than it has, also when no scopes are named', async () => {
    const person = await member('Admin');
    const actor = narrowed(person.user.id, 'apikeys:write', 'providers:read', 'openid');
    expect((await make(person, actor)).key.scopes).toEqual(['providers:read']);
    expect((await make(person, actor, ['apikeys:write'])).key.scopes).toEqual(['apikeys:write']);
    for (const scopes of [['users:write'], ['providers:read', 'providers:write']]) {
      await expect(make(person, actor, scopes)).rejects.toMatchObject({ kind: 'permission_denied' });
    }
    for (const bare of [
      narrowed(person.user.id, 'apikeys:write'),
      { kind: 'personal_key', id: randomUUID() } as const,
    ]) {
      await expect(make(person, bare)).rejects.toMatchObject({
        kind: 'invalid_argument',
        fields: [{ field: 'scopes' }],
      });
    }
  });

  test('row 92: nor does it get the text of a key that may do more', async () => {
    const { key: wide, user } = await personalKey('Operator');
    const before = await all.rows('api_keys');
    const rotate = (actor: Actor) => all.apiKeys.rotate(wide.id, {}, { userId: user.id }, actor);
    await expect(rotate(narrowed(user.id, 'apikeys:write'))).rejects.toMatchObject({ kind: 'permission_denied' });
    expect(await all.rows('api_keys')).toEqual(before);
    const rights = await all.authority.permissionsIn(user.id, wide.teamId);
    expect((await rotate(narrowed(user.id, ...rights!))).text).toMatch(/^lkp_/);
    expect((await rotate({ kind: 'user', id: user.id })).text).toMatch(/^lkp_/);
    const { key: narrow, user: other } = await personalKey('Viewer', { scopes: ['providers:write'] });
    const attempt = all.apiKeys.rotate(narrow.id, {}, {}, narrowed(other.id, 'apikeys:write', 'providers:read'));
    await expect(attempt).rejects.toMatchObject({ kind: 'permission_denied' });
  });
});

describe('two at once', () => {
  test('row 118: of changes to the version that was read, one is made', async () => {
    const { key } = await personalKey();
    const scope = { version: key.version };
    const ended = await Promise.allSettled([
      all.apiKeys.rename(key.id, 'one', scope, TESTER),
      all.apiKeys.rename(key.id, 'two', scope, TESTER),
      all.apiKeys.revoke(key.id, scope, TESTER),
      all.apiKeys.rotate(key.id, {}, scope, TESTER),
      all.apiKeys.delete(key.id, scope, TESTER),
    ]);
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const one of ended) {
      // The key may be gone: then there is nothing left to be another version.
      if (one.status === 'rejected') expect(['precondition_failed', 'not_found']).toContain(one.reason.kind);
    }
  });

  test('every change is another version, and what changes nothing is none', async () => {
    const { key } = await personalKey();
    const { version: renamed } = await all.apiKeys.rename(key.id, 'other', { version: key.version }, TESTER);
    expect(renamed).not.toBe(key.version);
    expect((await all.apiKeys.rename(key.id, undefined, { version: renamed }, TESTER)).version).toBe(renamed);
    expect((await all.apiKeys.rename(key.id, 'other', {}, TESTER)).version).toBe(renamed);
    expect((await all.apiKeys.reinstate(key.id, { version: '*' }, TESTER)).version).toBe(renamed);
    all.lastUsed.touch('api_keys', key.id, new Date(Date.now() + 1_000));
    await all.lastUsed.flush();
    expect((await all.apiKeys.find(key.id))?.version).toBe(renamed);
    const { key: rotated } = await all.apiKeys.rotate(key.id, {}, { version: renamed }, TESTER);
    expect(rotated.version).not.toBe(renamed);
    await expect(all.apiKeys.delete(key.id, { version: renamed }, TESTER)).rejects.toMatchObject({
      kind: 'precondition_failed',
    });
  });
});

describe('whose key it is', () => {
  test("row 110: another team's or user's key is not found, by any verb", async () => {
    const { key } = await personalKey();
    const before = await all.rows('api_keys');
    const { team, user } = await member();
    for (const scope of [{ teamId: team.id }, { userId: user.id }, { kind: 'team' as const }, { teamId: 'x' }]) {
      expect(await all.apiKeys.find(key.id, scope)).toBeUndefined();
      const attempts = [
        all.apiKeys.rename(key.id, 'mine', scope, TESTER),
        all.apiKeys.revoke(key.id, scope, TESTER),
        all.apiKeys.reinstate(key.id, scope, TESTER),
        all.apiKeys.rotate(key.id, { overlapSeconds: 60 }, scope, TESTER),
        all.apiKeys.delete(key.id, scope, TESTER),
      ];
      for (const attempt of attempts) await expect(attempt).rejects.toMatchObject({ kind: 'not_found' });
    }
    await expect(all.apiKeys.revoke('1 OR 1=1', {}, TESTER)).rejects.toMatchObject({ kind: 'not_found' });
    expect(await all.rows('api_keys')).toEqual(before);
  });

  test('row 117: revoking, renaming or deleting one key changes no other row', async () => {
    const { key, team, user } = await personalKey();
    await all.apiKeys.createPersonal({ userId: user.id, teamId: team.id, name: 'laptop' }, TESTER);
    for (const act of [
      () => all.apiKeys.rename(key.id, 'renamed', { teamId: team.id }, TESTER),
      () => all.apiKeys.revoke(key.id, { teamId: team.id }, TESTER),
      () => all.apiKeys.rotate(key.id, { overlapSeconds: 60 }, { userId: user.id }, TESTER),
      () => all.apiKeys.delete(key.id, { userId: user.id }, TESTER),
    ]) {
      const { [key.id]: mine, ...others } = await all.rows('api_keys');
      await act();
      const { [key.id]: changed, ...othersAfter } = await all.rows('api_keys');
      expect(othersAfter).toEqual(others);
      expect(changed).not.toEqual(mine);
    }
  });

  test('lists are narrowed, in order, and read page by page', async () => {
    const { team, user } = await member();
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) await all.apiKeys.createPersonal({ userId: user.id, teamId: team.id, name }, TESTER);
    await all.apiKeys.createTeam({ teamId: team.id, name: 'team' }, TESTER);
    const list = (after?: { sortKey: string; id: string }) =>
      all.apiKeys.list({ teamId: team.id, kind: 'personal' }, { limit: 2, after });
    const read: string[] = [];
    for (let page = await list(); page.length > 0; page = await list(page.at(-1))) {
      read.push(...page.map((key) => key.name));
    }
    expect(read).toEqual(names);
    const kept = await all.apiKeys.list({ userId: user.id });
    expect(kept).toHaveLength(5);
    expect(await all.apiKeys.list({ teamId: 'x' })).toEqual([]);
    await all.apiKeys.revoke(kept[1]!.id, {}, TESTER);
    const found = async (field: string, value: string | number, scope = {}) =>
      (await all.apiKeys.list(scope, { conditions: [{ field, operator: 'eq', value }] })).map(({ name }) => name);
    expect(await found('status', INACTIVE, { userId: user.id })).toEqual(['b']);
    expect(await found('user_id', user.id)).toEqual(names);
    expect(await found('name', 'team', { teamId: team.id })).toEqual(['team']);
    expect(await found('kind', 'team', { teamId: team.id })).toEqual(['team']);
    const backwards = await all.apiKeys.list({ userId: user.id }, { order: { field: 'name', descending: true } });
    expect(backwards.map(({ name }) => name)).toEqual(names.toReversed());
  });
});

describe('the time of last use', () => {
  test('never moves backwards, and passes over what is gone', async () => {
    const { key } = await personalKey();
    const later = new Date(Date.now() + 60_000);
    const lastUsed = createLastUsed({ db: all.db });
    lastUsed.touch('api_keys', key.id, later);
    lastUsed.touch('api_keys', key.id, new Date(later.getTime() - 1_000));
    lastUsed.touch('api_keys', randomUUID());
    await lastUsed.flush();
    lastUsed.touch('api_keys', key.id, new Date(later.getTime() - 2_000));
    await lastUsed.close();
    expect((await all.apiKeys.find(key.id))!.lastAccessAt).toEqual(later);
  });

  test('is kept for the next write when the database refuses one, within its bound', async () => {
    const { key } = await personalKey();
    let failing = true;
    const errors: unknown[] = [];
    const written: unknown[] = [];
    const db: Queryable = {
      query(sql, values) {
        written.push(values?.[0]);
        return failing ? Promise.reject(new Error('away')) : all.db.query(sql, values);
      },
    };
    const lastUsed = createLastUsed({ db, onError: (error) => errors.push(error), max: 1 });
    const at = new Date(Date.now() + 1_000);
    lastUsed.touch('api_keys', key.id, at);
    lastUsed.touch('api_keys', randomUUID(), at);
    await lastUsed.flush();
    expect(errors).toHaveLength(1);
    failing = false;
    await lastUsed.close();
    expect(written).toEqual([[key.id], [key.id]]);
    expect((await all.apiKeys.find(key.id))!.lastAccessAt).toEqual(at);
  });
});
