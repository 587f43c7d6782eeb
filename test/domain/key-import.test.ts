import { createHash, createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hashSync } from 'bcryptjs';
import { createApiKeys } from '../../src/domain/api-keys.ts';
import type { Actor } from '../../src/domain/audit.ts';
import { createBcrypt } from '../../src/domain/bcrypt.ts';
import { createKeyImport, type ImportLine } from '../../src/domain/key-import.ts';
import { NAMED_ONLY, ROLE_IDS, ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { classify } from '../../src/domain/secret-text.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

const PEPPER = Buffer.from('the pepper of billing');
const peppers = new Map([['billing', PEPPER]]);

let all: Credentials;
let keyImport: ReturnType<typeof createKeyImport>;
let apiKeys: ReturnType<typeof createApiKeys>;
let team: { id: string; name: string };
let statements: string[] = [];

beforeAll(async () => {
  all = await openCredentials();
  keyImport = createKeyImport({ ...all, peppers });
  const db: typeof all.db = {
    ...all.db,
    query: (text, values) => {
      statements.push(text);
      return all.db.query(text, values);
    },
  };
  apiKeys = createApiKeys({ ...all, db, peppers });
  team = await all.makeTeam();
});
afterAll(() => all.close());

let count = 0;
const newText = (start = 'acme_') => `${start}${randomBytes(12).toString('hex')}${++count}`;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const keyOf = (text: string, more: object = {}) => ({
  digest: sha256(text),
  algorithm: 'sha256',
  prefix: text.slice(0, 8),
  last_four: text.slice(-4),
  name: 'Old key',
  team: team.name,
  ...more,
});

function run(fields: object[], options: { dryRun?: boolean; signal?: AbortSignal } = {}, actor = TESTER) {
  const lines = fields.map((one, index): ImportLine => ({ line: index + 1, fields: { ...one } }));
  return keyImport.run(lines, { source: 'keys.csv', ...options }, actor);
}

/** Imports one key and answers what it became. */
async function imported(text: string, more: object = {}) {
  expect(await run([keyOf(text, more)])).toMatchObject({ imported: 1, failed: 0, problems: [] });
  await all.notifications.settle();
  const found = await apiKeys.verify(text);
  const key = await apiKeys.find(found?.id ?? '');
  return { found: found!, key: key! };
}

const dead = (text: string) => soon(async () => (await apiKeys.verify(text)) === undefined);

describe('an imported key', () => {
  test.each([
    ['sha256 in hexadecimal', (text: string) => ({ digest: sha256(text).toUpperCase() })],
    ['sha256 in base64', (text: string) => ({ digest: createHash('sha256').update(text).digest('base64') })],
    ['sha256 in base64url', (text: string) => ({ digest: createHash('sha256').update(text).digest('base64url') })],
    [
      'sha512',
      (text: string) => ({ algorithm: 'sha512', digest: createHash('sha512').update(text).digest('base64url') }),
    ],
    [
      'hmac-sha256 with a named pepper',
      (text: string) => ({
        algorithm: 'hmac-sha256',
        pepper: 'billing',
        digest: createHmac('sha256', PEPPER).update(text).digest('hex'),
      }),
    ],
    ['bcrypt', (text: string) => ({ algorithm: 'bcrypt', digest: hashSync(text, 4), prefix: text.slice(0, 10) })],
    ['no prefix', () => ({ prefix: '', last_four: '' })],
  ])('is opened by the text it always had: %s', async (_, more) => {
    const text = newText();
    const { found } = await imported(text, more(text));
    expect(found).toMatchObject({ kind: 'team', teamId: team.id, name: 'Old key' });
    expect(await apiKeys.verify(`${text}x`)).toBeUndefined();
    expect(await apiKeys.verify(text.slice(0, -1))).toBeUndefined();
  });

  test('can have two dots, as a JWT has', async () => {
    const text = `SG.${randomBytes(16).toString('base64url')}.${randomBytes(32).toString('base64url')}`;
    expect((await imported(text, { prefix: 'SG.' })).found.teamId).toBe(team.id);
  });

  test('is listed, renamed, revoked, reinstated and deleted like any other', async () => {
    const text = newText();
    const { key } = await imported(text, { external_id: 'old-17', expires_at: '2999-01-31' });
    expect(key).toMatchObject({
      kind: 'team',
      prefix: text.slice(0, 8),
      lastFour: text.slice(-4),
      status: 1,
      externalId: 'old-17',
      expiresAt: new Date('2999-01-31'),
    });
    const listed = await apiKeys.list({ teamId: team.id });
    expect(listed.map(({ id }) => id)).toContain(key.id);
    expect((await apiKeys.rename(key.id, 'New name', {}, TESTER)).name).toBe('New name');
    await apiKeys.revoke(key.id, {}, TESTER);
    expect(await dead(text)).toBe(true);
    await apiKeys.reinstate(key.id, {}, TESTER);
    await all.notifications.settle();
    expect((await apiKeys.verify(text))?.id).toBe(key.id);
    await apiKeys.delete(key.id, {}, TESTER);
    expect(await dead(text)).toBe(true);
    // Ended for good: importing the file once more does not bring it back.
    expect(await run([keyOf(text)])).toMatchObject({ imported: 0, skipped: 1 });
    expect(await apiKeys.verify(text)).toBeUndefined();
  });

  test.each(['sha256', 'bcrypt'])(
    'gets a text of ours by rotation, with the old one beside it as long as was said: %s',
    async (algorithm) => {
      const make = async () => {
        const text = newText(`rot${++count}_`);
        const slow = { algorithm, digest: hashSync(text, 4), prefix: text.slice(0, 10) };
        return { text, ...(await imported(text, algorithm === 'bcrypt' ? slow : {})) };
      };
      const [atOnce, overlapping] = [await make(), await make()];
      const first = await apiKeys.rotate(atOnce.key.id, {}, {}, TESTER);
      expect(classify(first.text)).toBe('team');
      expect((await apiKeys.verify(first.text))?.id).toBe(atOnce.key.id);
      expect(await dead(atOnce.text)).toBe(true);

      const second = await apiKeys.rotate(overlapping.key.id, { overlapSeconds: 600 }, {}, TESTER);
      const old = await apiKeys.verify(overlapping.text);
      expect(old?.expiresAt?.getTime()).toBeGreaterThan(Date.now() + 590_000);
      const third = await apiKeys.rotate(overlapping.key.id, { overlapSeconds: 600 }, {}, TESTER);
      expect(await dead(overlapping.text)).toBe(true);
      for (const { text } of [second, third]) expect((await apiKeys.verify(text))?.id).toBe(overlapping.key.id);
    },
  );

  test('of a person may do what its scopes say, and without scopes not what only they can name', async () => {
    const user = await all.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Operator'] }] });
    const owners = (await all.authority.permissionsIn(user.id, team.id))!;
    const narrow = await imported(newText(), {
      owner: user.email.toUpperCase(),
      scopes: 'providers:read,teamkeys:write',
    });
    expect(narrow.found).toMatchObject({ kind: 'personal', userId: user.id });
    expect(narrow.found.scopes).toEqual(new Set(['providers:read', 'teamkeys:write']));
    const plain = await imported(newText(), { owner: user.id, team: undefined });
    expect(plain.found.teamId).toBe(team.id);
    expect(plain.found.scopes).toEqual(new Set([...owners].filter((one) => !NAMED_ONLY.has(one))));
  });

  test('keeps the times it had', async () => {
    const times = { created_at: '2020-01-02T03:04:05Z', last_used_at: '2021-01-02T03:04:05Z' };
    const { key } = await imported(newText(), times);
    expect([key.createdAt, key.lastAccessAt]).toEqual([new Date(times.created_at), new Date(times.last_used_at)]);
    const unused = await imported(newText(), { created_at: times.created_at });
    expect(unused.key.lastAccessAt).toEqual(unused.key.createdAt);
  });
});

describe('an import', () => {
  test('row 86: says what is wrong with a line without repeating it, and imports the others', async () => {
    const user = await all.makeUser();
    const secret = sha256('something nobody may see');
    const good = newText();
    const hmac = { algorithm: 'hmac-sha256', digest: secret };
    const bcrypt = { algorithm: 'bcrypt', digest: hashSync('x', 4) };
    const wrong: [object, string][] = [
      [{ digest: secret.slice(1) }, 'digest'],
      [{ digest: `${secret}00` }, 'digest'],
      [{ digest: undefined }, 'digest'],
      [{ algorithm: 'md5' }, 'algorithm'],
      [{ algorithm: secret }, 'algorithm'],
      [hmac, 'pepper'],
      [{ ...hmac, pepper: secret }, 'pepper'],
      [{ pepper: 'billing' }, 'pepper'],
      [{ ...bcrypt, prefix: 'acme_' }, 'prefix'],
      [{ ...bcrypt, digest: bcrypt.digest.replace('$04$', '$31$') }, 'digest'],
      [{ prefix: secret }, 'prefix'],
      [{ prefix: 'lkp_x' }, 'prefix'],
      [{ prefix: 'eyJ' }, 'prefix'],
      [{ digest: sha256('short_key'), prefix: 'short_key' }, 'prefix'],
      [{ digest: sha256('short_key'), name: 'short_key' }, 'name'],
      [{ digest: sha256('short_key'), external_id: 'short_key' }, 'external_id'],
      [{ last_four: secret }, 'last_four'],
      [{ name: '' }, 'name'],
      [{ team: secret }, 'team'],
      [{ team: undefined }, 'owner'],
      [{ owner: secret }, 'owner'],
      [{ owner: user.id }, 'owner'],
      [{ owner: user.id, team: undefined }, 'owner'],
      [{ scopes: ['providers:read'] }, 'scopes'],
      [{ owner: user.id, scopes: [secret] }, 'scopes'],
      [{ expires_at: '2020-01-01' }, 'expires_at'],
      [{ expires_at: secret }, 'expires_at'],
      [{ created_at: '2999-01-01' }, 'created_at'],
      [{ last_used_at: '2020-01-01' }, 'last_used_at'],
      [{ [secret]: 'x' }, 'a field'],
    ];
    const lines = [...wrong.map(([more]) => keyOf(newText(), { digest: secret, ...more })), keyOf(good)];
    const report = await run(lines);
    expect(report).toMatchObject({ imported: 1, failed: wrong.length, isComplete: true });
    expect(report.problems.map(({ line, field }) => [line, field])).toEqual(
      wrong.map(([, field], i) => [i + 1, field]),
    );
    expect(await apiKeys.verify(good)).toBeDefined();
    await all.audit.flush();
    const seen = JSON.stringify([report, await all.rows('audit_events'), await all.rows('api_keys')]);
    for (const text of [secret.slice(1), sha256(good), bcrypt.digest.slice(8)]) expect(seen).not.toContain(text);
  });

  test('passes over what it knows, in the file and in the database', async () => {
    const [one, two] = [keyOf(newText()), keyOf(newText())];
    expect(await run([one, one])).toMatchObject({ imported: 1, skipped: 1 });
    expect(await run([one, two])).toMatchObject({ imported: 1, skipped: 1 });
    expect(await run([two, one])).toMatchObject({ imported: 0, skipped: 2 });
  });

  test('interrupted, goes on where it ended; every run is told once', async () => {
    const fields = Array.from({ length: 2_500 }, () => keyOf(newText('bulk_')));
    const controller = new AbortController();
    const lines = fields.map((one, index): ImportLine => ({ line: index + 1, fields: one }));
    const before = (await all.events('api_key.imported')).length;
    const options = { source: 'bulk.csv', signal: controller.signal, onProgress: () => controller.abort() };
    const first = await keyImport.run(lines, options, TESTER);
    expect(first).toMatchObject({ imported: 1_000, skipped: 0, isComplete: false });
    const second = await keyImport.run(lines, { source: 'bulk.csv' }, TESTER);
    expect(second).toMatchObject({ imported: 1_500, skipped: 1_000, isComplete: true });
    const events = (await all.events('api_key.imported')).slice(before);
    expect(events.map(({ details }) => details)).toEqual([
      { file: 'bulk.csv', imported: 1_000, skipped: 0, failed: 0, complete: false },
      { file: 'bulk.csv', imported: 1_500, skipped: 1_000, failed: 0, complete: true },
    ]);
    const started = await all.events('api_key.import_started');
    expect(started.map(({ target_id }) => target_id)).toEqual(events.map(({ target_id }) => target_id));
  });

  test('tried out, changes nothing and says the same', async () => {
    const fields = [keyOf(newText()), keyOf(newText(), { name: '' })];
    const before = await all.rows('api_keys');
    const tried = await run([...fields, fields[0]!], { dryRun: true });
    expect(tried).toMatchObject({ imported: 1, skipped: 1, failed: 1 });
    expect(await all.rows('api_keys')).toEqual(before);
    expect(await run([...fields, fields[0]!])).toEqual(tried);
    const many = Array.from({ length: 1_000 }, () => keyOf(newText()));
    expect(await run([...many, many[0]!], { dryRun: true })).toMatchObject({ imported: 1_000, skipped: 1 });
  });

  test('nobody imports what they could not make by hand', async () => {
    const admin = await all.makeRootAdmin();
    const user = await all.makeUser({ teamRoles: [{ teamId: team.id, roles: [ROLE_IDS.Admin] }] });
    const as = (...permissions: string[]): Actor => {
      return { kind: 'personal_key', id: 'k', userId: admin.id, permissions: new Set(permissions) };
    };
    const text = newText();
    const personal = keyOf(text, { owner: user.id });
    await expect(run([personal], {}, as('users:write'))).rejects.toMatchObject({ kind: 'permission_denied' });
    await expect(run([keyOf(newText())], {}, as('teamkeys:write'))).rejects.toMatchObject({
      kind: 'permission_denied',
    });
    const wide = { ...personal, scopes: 'teams:write' };
    expect(await run([wide], {}, as('apikeys:write'))).toMatchObject({ imported: 0, problems: [{ field: 'scopes' }] });
    const rights = ['apikeys:write', 'providers:read'];
    expect(await run([personal], {}, as(...rights))).toMatchObject({ imported: 1 });
    const found = await apiKeys.verify(text);
    expect(found?.scopes).toEqual(new Set(['providers:read']));
    expect((await apiKeys.find(found!.id))?.createdBy).toBe(admin.id);
  });
});

describe('a text that is no key', () => {
  test('row 85: costs no statement when it begins like no imported key, or like ours', async () => {
    const own = await openCredentials();
    try {
      statements = [];
      const db: typeof own.db = {
        ...own.db,
        query(text, values) {
          statements.push(text);
          return own.db.query(text, values);
        },
      };
      const keys = createApiKeys({ ...own, db });
      const where = (await own.makeTeam()).name;
      const line = (text: string): ImportLine => ({ line: 1, fields: keyOf(text, { team: where }) });
      await createKeyImport(own).run([line(newText())], { source: 'x' }, TESTER);
      await own.notifications.settle();
      expect(await keys.mayBeImported('acme_0123456789')).toBe(true);
      statements = [];
      for (const text of [
        'zzzz_0123456789',
        `lkp_${'x'.repeat(47)}`,
        'ey.ey.ey',
        'acme_ 123',
        'acme_',
        `acme_${'x'.repeat(600)}`,
      ]) {
        expect(await keys.verify(text)).toBeUndefined();
      }
      expect(statements).toEqual([]);
      expect(await keys.verify('acme_0123456789')).toBeUndefined();
      expect(statements).toHaveLength(1);

      // A key without a prefix: anything may be one, but what is ours or a JWT by its first characters.
      const more: ImportLine = { line: 1, fields: keyOf(newText(), { team: where, prefix: '' }) };
      await createKeyImport(own).run([more], { source: 'x' }, TESTER);
      await own.notifications.settle();
      expect(await keys.mayBeImported('zzzz_0123456789')).toBe(true);
      statements = [];
      for (const text of [`lkp_${'x'.repeat(47)}`, `lks_${'x'.repeat(48)}`, 'ey.ey.ey123']) {
        expect(await keys.verify(text)).toBeUndefined();
      }
      expect(statements).toEqual([]);
    } finally {
      await own.close();
    }
  });

  test('an imported key in use costs no statement', async () => {
    const text = newText();
    await imported(text);
    await apiKeys.verify(text);
    statements = [];
    expect(await apiKeys.verify(text)).toBeDefined();
    expect(statements).toEqual([]);
  });

  test('is found by an index among many', async () => {
    const { rows } = await all.db.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN SELECT key_id FROM imported_keys WHERE digest = ANY ($1::bytea[]) AND key_id IS NOT NULL`,
      [[randomBytes(32), randomBytes(64)]],
    );
    expect(JSON.stringify(rows)).not.toContain('Seq Scan');
  });

  test('bcrypt: at most five keys begin the same, and a wrong key is compared with those only', async () => {
    const start = `bc${++count}_wide`;
    const fields = Array.from({ length: 6 }, () => {
      const text = newText(start);
      return keyOf(text, { algorithm: 'bcrypt', digest: hashSync(text, 4), prefix: start });
    });
    const report = await run(fields);
    expect(report).toMatchObject({ imported: 5, failed: 1, problems: [{ line: 6, field: 'prefix' }] });
    const longer = keyOf(newText(start), { algorithm: 'bcrypt', digest: hashSync('x', 4), prefix: `${start}r` });
    expect(await run([longer])).toMatchObject({ imported: 0, problems: [{ field: 'prefix' }] });
  });

  test('bcrypt: only so many comparisons wait, in all and for one prefix, and a result is known from then on', async () => {
    const bcrypt = createBcrypt({ mostWaiting: 3, mostInQueue: 2 });
    const hash = hashSync('right', 4);
    const wrong = (n: number, queue: string) => bcrypt.compare(`wrong ${n}`, hash, queue);
    const given = await Promise.allSettled([
      wrong(1, 'a'),
      wrong(2, 'a'),
      wrong(3, 'a'),
      bcrypt.compare('right', hash, 'b'),
      bcrypt.compare('right', hash, 'b'),
      wrong(4, 'c'),
    ]);
    const refused = { status: 'rejected', reason: expect.objectContaining({ kind: 'unavailable' }) };
    const answer = (value: boolean) => ({ status: 'fulfilled', value });
    expect(given).toEqual([answer(false), answer(false), refused, answer(true), answer(true), refused]);
    const before = performance.now();
    for (let n = 0; n < 1_000; n += 1) expect(await bcrypt.compare('right', hash, 'a')).toBe(true);
    expect(performance.now() - before).toBeLessThan(500);
  });
});

test('the digest of a key in the root team opens nothing in another', async () => {
  const text = newText();
  await imported(text, { team: ROOT_TEAM_ID });
  const key = await apiKeys.verify(text);
  expect(key?.teamId).toBe(ROOT_TEAM_ID);
  expect(await apiKeys.find(key!.id, { teamId: team.id })).toBeUndefined();
});

test('an operator hears which peppers are lacking', async () => {
  const text = newText();
  const digest = createHmac('sha256', PEPPER).update(text).digest('hex');
  await imported(text, { algorithm: 'hmac-sha256', pepper: 'billing', digest });
  expect(await keyImport.missingPeppers()).toEqual([]);
  expect(await createKeyImport(all).missingPeppers()).toEqual(['billing']);
});
