import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createKeyImport } from '../../src/domain/key-import.ts';
import {
  createRetirements,
  MOST_IN_ALL,
  MOST_RETIREMENTS,
  noticeOf,
  type RetirementInput,
} from '../../src/domain/retirements.ts';
import { later } from '../support/clock.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';

const HOUR = 3600;
const LINK = 'https://example.com/new?a=b';

let all: Credentials;
beforeAll(async () => {
  all = await openCredentials();
});
afterAll(() => all.close());

const inHours = (hours: number) => new Date(Date.now() + hours * HOUR * 1000);

async function retire(input: Partial<RetirementInput>, scope: { teamId?: string } = {}) {
  const one = await all.retirements.create({ retiresAt: inHours(1), ...input }, scope, TESTER);
  await all.notifications.settle();
  return one;
}

async function teamKey(team?: { id: string }) {
  const teamId = (team ?? (await all.makeTeam())).id;
  return { teamId, ...(await all.apiKeys.createTeam({ teamId, name: 'push' }, TESTER)) };
}

async function member(teamId: string) {
  const user = await all.makeUser({ teamRoles: [{ teamId, roles: [(await viewer()).id] }] });
  return all.apiKeys.createPersonal({ userId: user.id, teamId, name: 'laptop' }, TESTER);
}

async function viewer() {
  const { rows } = await all.db.query<{ id: string }>("SELECT id FROM roles WHERE name = 'Viewer'");
  return rows[0]!;
}

/** A key imported by the digest of its text, with as much of its prefix as is to be kept. */
async function imported(teamId: string, text: string, prefix: string): Promise<string> {
  const digest = createHash('sha256').update(text).digest('hex');
  const fields = { digest, algorithm: 'sha256', prefix, name: 'old', team: teamId };
  await createKeyImport({ ...all, peppers: new Map() }).run([{ line: 1, fields }], { source: 'test' }, TESTER);
  await all.notifications.settle();
  return text;
}

const untilOf = async (text: string) => {
  const key = await all.apiKeys.check(text);
  return key && 'retired' in key ? 'retired' : key?.retirement?.retiresAt;
};

describe('what a retirement does to a key', () => {
  test('it goes on working and says until when; from that moment it opens nothing, and is told apart', async () => {
    const { key, text } = await teamKey();
    const one = await retire({ keyId: key.id, replacementUrl: LINK });
    const found = (await all.apiKeys.verify(text))!;
    expect(found.retirement).toMatchObject({ id: one.id, retiresAt: one.retiresAt, replacementUrl: LINK });
    expect(found.expiresAt).toEqual(one.retiresAt);
    await later(HOUR + 1, async () => {
      expect(await all.apiKeys.check(text)).toMatchObject({ retired: found.retirement });
      expect(await all.apiKeys.verify(text)).toBeUndefined();
    });
  });

  test('a key that ends sooner anyway ends then, and one that is revoked is not called retired', async () => {
    const teamId = (await all.makeTeam()).id;
    const expiresAt = inHours(0.5);
    const { key, text } = await all.apiKeys.createTeam({ teamId, name: 'short', expiresAt }, TESTER);
    await retire({ teamId });
    expect((await all.apiKeys.verify(text))?.expiresAt).toEqual(expiresAt);
    await later(2 * HOUR, async () => expect(await all.apiKeys.check(text)).toBeUndefined());
    const other = await teamKey({ id: teamId });
    await all.apiKeys.revoke(other.key.id, {}, TESTER);
    await all.apiKeys.delete(key.id, {}, TESTER);
    await all.notifications.settle();
    await later(2 * HOUR, async () => expect(await all.apiKeys.check(other.text)).toBeUndefined());
  });

  test('a retired key is not used: its time of last use stays', async () => {
    const { key, text } = await teamKey();
    await retire({ keyId: key.id });
    await later(2 * HOUR, async () => all.apiKeys.check(text));
    await all.lastUsed.flush();
    expect((await all.apiKeys.find(key.id))?.lastAccessAt).toEqual(key.createdAt);
  });

  test('for a team it concerns all its keys, and those of no other team', async () => {
    const { teamId, text } = await teamKey();
    const personal = await member(teamId);
    const other = await teamKey();
    const { retiresAt } = await retire({ teamId });
    expect([await untilOf(text), await untilOf(personal.text)]).toEqual([retiresAt, retiresAt]);
    expect(await untilOf(other.text)).toBeUndefined();
  });

  test('for a prefix it concerns what begins so, in one team or in all', async () => {
    const { teamId, text } = await teamKey();
    const personal = await member(teamId);
    const other = await member((await all.makeTeam()).id);
    const { retiresAt } = await retire({ teamId, prefix: 'lkp_' });
    expect([await untilOf(text), await untilOf(personal.text), await untilOf(other.text)]).toEqual([
      undefined,
      retiresAt,
      undefined,
    ]);
    const everywhere = await retire({ prefix: other.key.prefix, retiresAt: inHours(2) });
    expect([await untilOf(other.text), await untilOf(personal.text)]).toEqual([everywhere.retiresAt, retiresAt]);
  });

  test('a key from elsewhere is known by its text, however little of its prefix is kept', async () => {
    const teamId = (await all.makeTeam()).id;
    const [live, trial] = ['acme_live_', 'acme_test_'].map((start) => start + randomBytes(9).toString('hex'));
    for (const text of [live!, trial!]) await imported(teamId, text, 'acme_');
    const { retiresAt } = await retire({ prefix: 'acme_live_' });
    expect([await untilOf(live!), await untilOf(trial!)]).toEqual([retiresAt, undefined]);
    // What is kept does not tell them apart: lists warn of both, and call neither dead that may be alive.
    expect((await all.apiKeys.list({ teamId })).map((key) => key.retiresAt)).toEqual([retiresAt, retiresAt]);
    await later(2 * HOUR, async () => {
      expect([await untilOf(live!), await untilOf(trial!)]).toEqual(['retired', undefined]);
      expect((await all.apiKeys.list({ teamId })).map(({ status }) => status)).toEqual([1, 1]);
    });
    expect((await all.apiKeys.list({ teamId: (await teamKey()).teamId })).map((key) => key.retiresAt)).toEqual([null]);
  });

  test('of several the earliest counts, whichever kind it is', async () => {
    const { teamId, key, text } = await teamKey();
    const ofTeam = await retire({ teamId, retiresAt: inHours(3) });
    expect(await untilOf(text)).toEqual(ofTeam.retiresAt);
    const ofPrefix = await retire({ teamId, prefix: 'lkt_', retiresAt: inHours(2) });
    expect(await untilOf(text)).toEqual(ofPrefix.retiresAt);
    const ofKey = await retire({ keyId: key.id, retiresAt: inHours(4) });
    expect(await untilOf(text)).toEqual(ofPrefix.retiresAt);
    await all.retirements.delete(ofPrefix.id, {}, TESTER);
    await all.notifications.settle();
    expect(await untilOf(text)).toEqual(ofTeam.retiresAt);
    await all.retirements.delete(ofTeam.id, {}, TESTER);
    await all.notifications.settle();
    expect(await untilOf(text)).toEqual(ofKey.retiresAt);
  });

  test('taken back, or put off, the keys are as before, also when their day had come', async () => {
    const { key, text } = await teamKey();
    const one = await retire({ keyId: key.id, retiresAt: new Date(Date.now() - 1_000) });
    expect(await untilOf(text)).toBe('retired');
    const put = await all.retirements.update(one.id, { retiresAt: inHours(5) }, {}, TESTER);
    await all.notifications.settle();
    expect(await untilOf(text)).toEqual(put.retiresAt);
    await all.retirements.update(one.id, { retiresAt: new Date() }, {}, TESTER);
    await all.notifications.settle();
    expect(await untilOf(text)).toBe('retired');
    await all.retirements.delete(one.id, {}, TESTER);
    await all.notifications.settle();
    expect(await all.apiKeys.verify(text)).not.toHaveProperty('retirement');
  });

  test('another instance hears of it at once', async () => {
    const { key, text } = await teamKey();
    expect(await untilOf(text)).toBeUndefined();
    const elsewhere = createRetirements({ ...all, notifications: { ...all.notifications, on() {} } });
    await elsewhere.create({ keyId: key.id, retiresAt: new Date() }, {}, TESTER);
    await all.notifications.settle();
    expect(await untilOf(text)).toBe('retired');
  });

  test('lists of keys and the inventory show it', async () => {
    const { teamId, key } = await teamKey();
    const { retiresAt } = await retire({ keyId: key.id });
    expect(await all.apiKeys.list({ teamId })).toMatchObject([{ id: key.id, retiresAt }]);
    expect(await all.apiKeys.find(key.id)).toMatchObject({ retiresAt });
  });

  test('a key whose day has come is INACTIVE, also where keys are filtered by that, in every order', async () => {
    const team = await all.makeTeam();
    const { keys } = { keys: await Promise.all([1, 2, 3, 4].map(() => teamKey(team))) };
    const off = await teamKey(team);
    await all.apiKeys.revoke(off.key.id, {}, TESTER);
    const found = async (value: number, order = { field: 'name', descending: true }) => {
      const conditions = [{ field: 'status', operator: 'eq' as const, value }];
      const pages: string[] = [];
      for (let after: { id: string; sortKey: string } | undefined, turn = 0; turn < 9; turn += 1) {
        const [key] = await all.apiKeys.list(
          { teamId: team.id },
          { limit: 1, conditions, order, ...(after && { after }) },
        );
        if (key === undefined) break;
        expect(key.status).toBe(value);
        pages.push(key.id);
        after = key;
      }
      return pages;
    };
    const ids = keys.map(({ key }) => key.id);
    const today = { retiresAt: new Date(Date.now() - 1_000) };
    await retire({ keyId: ids[0]!, ...today });
    expect([await found(1), await found(2)]).toEqual([
      ids.slice(1).toSorted().toReversed(),
      [ids[0]!, off.key.id].toSorted().toReversed(),
    ]);
    await retire({ teamId: team.id, prefix: keys[1]!.key.prefix, ...today });
    expect((await found(2)).toSorted()).toEqual([...ids.slice(0, 2), off.key.id].toSorted());
    await retire({ prefix: keys[2]!.key.prefix, ...today });
    expect((await found(1, { field: 'created_at', descending: false })).toSorted()).toEqual([ids[3]]);
    const all4 = await retire({ teamId: team.id, ...today });
    const byTime = await found(2, { field: 'created_at', descending: false });
    expect(byTime).toEqual((await all.apiKeys.list({ teamId: team.id })).map(({ id }) => id));
    expect([await found(1), byTime.length]).toEqual([[], 5]);
    await all.retirements.delete(all4.id, {}, TESTER);
    await all.notifications.settle();
    expect(await found(1)).toEqual([ids[3]]);
    expect(await all.apiKeys.find(ids[0]!)).toMatchObject({ status: 2 });
  });

  test('it ends with its key, and with its team', async () => {
    const { teamId, key } = await teamKey();
    const [ofKey, ofTeam] = [await retire({ keyId: key.id }), await retire({ teamId })];
    await all.apiKeys.delete(key.id, {}, TESTER);
    expect(await all.retirements.find(ofKey.id)).toBeUndefined();
    expect(await all.retirements.find(ofTeam.id)).toBeDefined();
    await all.teams.delete(teamId, TESTER);
    expect(await all.retirements.find(ofTeam.id)).toBeUndefined();
  });
});

test('tokens that were issued for longer end, and those that end sooner anyway stay', async () => {
  const team = await all.makeTeam();
  const [long, short, other] = [await teamKey(team), await teamKey(team), await teamKey()];
  const until = (id: string, hours: number) =>
    all.db.query('UPDATE api_keys SET tokens_until = $2 WHERE id = $1', [id, inHours(hours)]);
  await Promise.all([until(long.key.id, 2), until(short.key.id, 0.5), until(other.key.id, 2)]);
  const ended = async () => {
    const { rows } = await all.db.query<{ id: string; revoked_before: Date }>(
      "SELECT id, revoked_before FROM revocations WHERE kind = 'key' AND id = ANY ($1)",
      [[long, short, other].map(({ key }) => key.id)],
    );
    return rows;
  };
  const one = await retire({ teamId: team.id });
  expect(await ended()).toEqual([{ id: long.key.id, revoked_before: expect.any(Date) }]);
  expect((await ended())[0]!.revoked_before.getTime()).toBeLessThanOrEqual(Date.now() + 1_000);
  await all.retirements.update(one.id, { retiresAt: new Date() }, {}, TESTER);
  expect((await ended()).map(({ id }) => id).toSorted()).toEqual([long.key.id, short.key.id].toSorted());
});

test('a token of the former text of a rotated key ends when that text is given up', async () => {
  const teamId = (await all.makeTeam()).id;
  await imported(teamId, `rota_${randomBytes(9).toString('hex')}`, 'rota_');
  const [{ id } = { id: '' }] = await all.apiKeys.list({ teamId });
  await all.apiKeys.rotate(id, { overlapSeconds: HOUR }, {}, TESTER);
  await all.db.query('UPDATE api_keys SET tokens_until = $2 WHERE id = $1', [id, inHours(0.5)]);
  await all.db.query('DELETE FROM revocations WHERE id = $1', [id]);
  await retire({ prefix: 'rota_', retiresAt: new Date() });
  const { rows } = await all.db.query("SELECT id FROM revocations WHERE kind = 'key' AND id = $1", [id]);
  expect(rows).toEqual([{ id }]);
});

describe('what may be retired', () => {
  test.each([
    ['nothing at all', {}, 'key_id'],
    ['a prefix of three characters', { prefix: 'acm' }, 'prefix'],
    ['a prefix of twenty-five', { prefix: 'a'.repeat(25) }, 'prefix'],
    ['a prefix with a space', { prefix: 'acme key' }, 'prefix'],
    ['a prefix of client secrets', { prefix: 'lks_' }, 'prefix'],
    ['a prefix of JWTs', { prefix: 'eyJhb' }, 'prefix'],
    ['more of a key made here than is kept', { prefix: 'lkp_ABCDE' }, 'prefix'],
    ['a day that has passed', { prefix: 'acme', retiresAt: new Date(Date.now() - 60_000) }, 'retires_at'],
    ['no day', { prefix: 'acme', retiresAt: new Date('x') }, 'retires_at'],
    ['a link to plain http', { prefix: 'acme', replacementUrl: 'http://example.com' }, 'replacement_url'],
    ['a link with a user name', { prefix: 'acme', replacementUrl: 'https://a@example.com' }, 'replacement_url'],
    ['a link with an empty one', { prefix: 'acme', replacementUrl: 'https://@example.com' }, 'replacement_url'],
    ['a link that ends its header', { prefix: 'acme', replacementUrl: 'https://example.com/>;x' }, 'replacement_url'],
    ['a link in two lines', { prefix: 'acme', replacementUrl: 'https://example.com/\r\nX: y' }, 'replacement_url'],
    ['a link to a script', { prefix: 'acme', replacementUrl: 'javascript:alert(1)' }, 'replacement_url'],
    ['a link of 2,001 characters', { prefix: 'acme', replacementUrl: LINK.padEnd(2_001, 'x') }, 'replacement_url'],
  ])('%s is refused by name', async (_, input, field) => {
    await expect(all.retirements.create({ retiresAt: inHours(1), ...input }, {}, TESTER)).rejects.toMatchObject({
      kind: 'invalid_argument',
      fields: [{ field }],
    });
  });

  test.each(['http://localhost:8080/new', 'https://example.com/a#b', 'https://example.com'])(
    '%s may be linked to',
    async (replacementUrl) => {
      const { key } = await teamKey();
      expect(await retire({ keyId: key.id, replacementUrl })).toMatchObject({ replacementUrl });
    },
  );

  test('row 110: who acts in one team retires keys of that team, and sees and changes no other retirement', async () => {
    const [mine, theirs] = [await teamKey(), await teamKey()];
    const scope = { teamId: mine.teamId };
    for (const input of [
      { keyId: theirs.key.id },
      { teamId: theirs.teamId },
      { teamId: theirs.teamId, prefix: 'lkt_' },
    ]) {
      await expect(retire(input, scope)).rejects.toMatchObject({ kind: 'not_found' });
    }
    await expect(retire({ prefix: 'lkt_' }, scope)).rejects.toMatchObject({ fields: [{ field: 'team_id' }] });
    await expect(retire({ keyId: mine.key.id, teamId: theirs.teamId })).rejects.toMatchObject({ kind: 'not_found' });
    const [own, other] = [await retire({ keyId: mine.key.id }, scope), await retire({ keyId: theirs.key.id })];
    expect(await all.retirements.find(other.id, scope)).toBeUndefined();
    for (const change of [
      () => all.retirements.update(other.id, { retiresAt: inHours(9) }, scope, TESTER),
      () => all.retirements.delete(other.id, scope, TESTER),
    ]) {
      await expect(change()).rejects.toMatchObject({ kind: 'not_found' });
    }
    expect((await all.retirements.list(scope, { limit: 10 })).map(({ id }) => id)).toEqual([own.id]);
    expect(await all.retirements.find(other.id)).toMatchObject({ retiresAt: other.retiresAt });
  });

  test('row 110: what the root team set or changed, the team it concerns reads and does not undo', async () => {
    const { teamId, key } = await teamKey();
    const scope = { teamId };
    const [theirs, own] = [await retire({ teamId }), await retire({ keyId: key.id }, scope)];
    expect([theirs.setByRoot, own.setByRoot]).toEqual([true, false]);
    const refused = async ({ id }: { id: string }) => {
      for (const change of [
        () => all.retirements.update(id, { retiresAt: inHours(9) }, scope, TESTER),
        () => all.retirements.delete(id, scope, TESTER),
      ]) {
        await expect(change()).rejects.toMatchObject({
          kind: 'permission_denied',
          message: expect.stringMatching(/root team/),
        });
      }
    };
    await refused(theirs);
    expect(await all.retirements.find(theirs.id, scope)).toEqual(theirs);
    expect(await all.retirements.update(own.id, { retiresAt: inHours(5) }, scope, TESTER)).toMatchObject({
      setByRoot: false,
    });
    const taken = await all.retirements.update(own.id, { retiresAt: inHours(2) }, {}, TESTER);
    expect(taken.setByRoot).toBe(true);
    await refused(own);
    await all.retirements.delete(theirs.id, {}, TESTER);
  });

  test('it is said how many keys one concerns', async () => {
    const { teamId, key } = await teamKey();
    await Promise.all([1, 2].map(() => teamKey({ id: teamId })));
    const off = await teamKey({ id: teamId });
    await all.apiKeys.revoke(off.key.id, {}, TESTER);
    await imported(teamId, `count_${randomBytes(9).toString('hex')}`, 'count_');
    const counts: number[] = [];
    for (const input of [{ keyId: key.id }, { teamId }, { teamId, prefix: 'lkt_' }, { prefix: 'count_live' }]) {
      counts.push(await all.retirements.countKeys(await retire(input)));
    }
    expect(counts).toEqual([1, 4, 3, 1]);
  });

  test('what there is not is not found', async () => {
    for (const id of [randomUUID(), 'x']) {
      await expect(retire({ keyId: id })).rejects.toMatchObject({ kind: 'not_found' });
      await expect(retire({ teamId: id })).rejects.toMatchObject({ kind: 'not_found' });
      await expect(all.retirements.delete(id, {}, TESTER)).rejects.toMatchObject({ kind: 'not_found' });
    }
  });

  test('the same keys are retired once: the other says what to do', async () => {
    const { teamId, key } = await teamKey();
    for (const input of [{ keyId: key.id }, { teamId }, { teamId, prefix: 'lkt_' }, { prefix: 'once_' }]) {
      await retire(input);
      await expect(retire({ ...input, retiresAt: inHours(7) })).rejects.toMatchObject({
        kind: 'already_exists',
        message: expect.stringMatching(/change that one/),
      });
    }
  });

  test('there is an end to how many a team can have', async () => {
    const { teamId, key } = await teamKey();
    await all.db.query(
      `INSERT INTO retirements (team_id, prefix, retires_at) SELECT $1, 'p-' || n, now() + interval '1 day'
       FROM generate_series(1, $2::int) AS n`,
      [teamId, MOST_RETIREMENTS],
    );
    await expect(retire({ keyId: key.id })).rejects.toMatchObject({ kind: 'failed_precondition' });
    await all.db.query('DELETE FROM retirements WHERE team_id = $1', [teamId]);
    await retire({ keyId: key.id });
  });

  test('there is an end to how many there can be in all', async () => {
    const { teamId } = await teamKey();
    const { key } = await teamKey();
    await all.db.query('ALTER TABLE retirements DISABLE TRIGGER USER');
    await all.db.query(
      `INSERT INTO retirements (team_id, prefix, retires_at) SELECT $1, 'p-' || n, now() + interval '1 day'
       FROM generate_series(1, $2::int) AS n`,
      [teamId, MOST_IN_ALL],
    );
    await all.db.query('ALTER TABLE retirements ENABLE TRIGGER USER');
    await expect(retire({ keyId: key.id })).rejects.toMatchObject({ kind: 'failed_precondition' });
    await all.db.query('DELETE FROM retirements WHERE team_id = $1', [teamId]);
    await retire({ keyId: key.id });
  });

  test('a link without a scheme is told what it lacks', async () => {
    await expect(retire({ prefix: 'acme', replacementUrl: 'docs.example.com' })).rejects.toThrow('https://');
  });
});

test('a change that changes nothing leaves no trace, and one made by somebody else meanwhile is not undone', async () => {
  const { key } = await teamKey();
  const one = await retire({ keyId: key.id, replacementUrl: LINK });
  const same = await all.retirements.update(one.id, { retiresAt: one.retiresAt, replacementUrl: LINK }, {}, TESTER);
  expect(same).toEqual(one);
  const changed = await all.retirements.update(one.id, { replacementUrl: null }, { version: one.version }, TESTER);
  expect(changed).toMatchObject({ replacementUrl: null, retiresAt: one.retiresAt });
  for (const change of [
    () => all.retirements.update(one.id, { retiresAt: inHours(9) }, { version: one.version }, TESTER),
    () => all.retirements.delete(one.id, { version: one.version }, TESTER),
  ]) {
    await expect(change()).rejects.toMatchObject({ kind: 'precondition_failed' });
  }
  await expect(all.retirements.update(one.id, { retiresAt: new Date(0) }, {}, TESTER)).rejects.toMatchObject({
    fields: [{ field: 'retires_at' }],
  });
  const events = await all.events('key_retirement.updated');
  expect(events.filter(({ target_id }) => target_id === one.id)).toMatchObject([
    { team_id: key.teamId, details: { key_id: key.id, changed: ['replacement_url'] } },
  ]);
});

test('what is told to callers has the form of the RFCs', () => {
  const retirement = {
    ...{ id: randomUUID(), keyId: null, teamId: null, prefix: 'acme' },
    createdAt: new Date('2026-01-31T10:00:00.750Z'),
    retiresAt: new Date('2027-03-01T12:30:00.250Z'),
  };
  const plain = { Deprecation: '@1769853600', Sunset: 'Mon, 01 Mar 2027 12:30:00 GMT' };
  expect(noticeOf({ ...retirement, replacementUrl: null })).toEqual(plain);
  expect(noticeOf({ ...retirement, replacementUrl: LINK })).toEqual({
    ...plain,
    Link: `<${LINK}>; rel="deprecation sunset"`,
  });
  // RFC 9745 §4: an end before the beginning is none, and "now" may have passed when it is written.
  const late = { ...retirement, replacementUrl: null, createdAt: new Date('2027-03-01T12:30:03Z') };
  expect(noticeOf(late)).toEqual({ ...plain, Deprecation: `@${Date.parse('2027-03-01T12:30:00Z') / 1000}` });
});
