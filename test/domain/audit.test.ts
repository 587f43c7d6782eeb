import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Actor, createAudit } from '../../src/domain/audit.ts';
import { type Database, openDatabase, type Queryable } from '../../src/storage/pool.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let db: Database;

const actor: Actor = { kind: 'user', id: 'u1', requestId: 'r1', ip: '192.0.2.1' };

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase({ connectionString: database.connectionString });
});

afterAll(async () => {
  await db.close();
  await database.drop();
});

beforeEach(async () => {
  await db.query('DELETE FROM audit_events');
});

const events = async () => (await db.query('SELECT * FROM audit_events ORDER BY id')).rows;

describe('a recorded event', () => {
  test('is written with the change it belongs to, or not at all', async () => {
    const audit = createAudit({ db });
    await db.transaction((tx) =>
      audit.record(tx, { action: 'team.created', actor, target: { kind: 'team', id: 't1' } }),
    );
    const failing = db.transaction(async (tx) => {
      await audit.record(tx, { action: 'team.deleted', actor });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await events()).toEqual([
      expect.objectContaining({
        action: 'team.created',
        outcome: 'success',
        actor_kind: 'user',
        actor_id: 'u1',
        request_id: 'r1',
        ip: '192.0.2.1',
        target_kind: 'team',
        target_id: 't1',
        details: {},
      }),
    ]);
    await audit.close();
  });
});

describe('a noted event', () => {
  test('is written once, a moment later, in order, many with one statement', async () => {
    let statements = 0;
    const counted: Queryable = {
      query(text, values) {
        statements += 1;
        return db.query(text, values);
      },
    };
    const audit = createAudit({ db: counted, interval: 5 });
    for (let n = 0; n < 1_500; n += 1) audit.note({ action: `token.issued`, actor, details: { n } });
    expect(statements).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await audit.flush();
    expect((await events()).map(({ details }) => (details as { n: number }).n)).toEqual([...Array(1_500).keys()]);
    expect(statements).toBe(2);
    await audit.close();
    expect(await events()).toHaveLength(1_500);
  });

  test('is not lost when the process stops in good order', async () => {
    const audit = createAudit({ db, interval: 60_000 });
    audit.note({ action: 'session.ended', actor });
    await audit.close();
    expect(await events()).toHaveLength(1);
  });

  test('waits while the database is away, and is written once when it is back', async () => {
    let away = true;
    const failures: unknown[] = [];
    const flaky: Queryable = {
      query: (text, values) => (away ? Promise.reject(new Error('away')) : db.query(text, values)),
    };
    const audit = createAudit({ db: flaky, interval: 60_000, onError: (error) => failures.push(error) });
    audit.note({ action: 'token.issued', actor });
    await audit.flush();
    audit.note({ action: 'token.refused', actor, outcome: 'refused' });
    await audit.flush();
    expect([failures.length, await events()]).toEqual([2, []]);
    away = false;
    await audit.close();
    expect((await events()).map(({ action, outcome }) => [action, outcome])).toEqual([
      ['token.issued', 'success'],
      ['token.refused', 'refused'],
    ]);
  });

  test('row 121: with text PostgreSQL cannot store, however deep, does not hold up the others', async () => {
    const audit = createAudit({ db });
    const bad = `a\0b\ud800${'x'.repeat(1_000)}`;
    audit.note({
      action: 'token.refused',
      actor: { kind: 'app', id: bad, requestId: bad, ip: bad },
      target: { kind: 'user', id: bad },
      details: { text: bad, list: [bad, 1, null, new Date(0)], deep: { er: { [bad]: bad } } },
    });
    audit.note({ action: 'token.issued', actor });
    await audit.close();
    const [first, second] = await events();
    const clean = `a\u{FFFD}b\u{FFFD}${'x'.repeat(296)}`;
    expect(first).toMatchObject({ actor_id: clean, request_id: clean, ip: clean, target_id: clean });
    expect(first!.details).toEqual({
      text: clean,
      list: [clean, 1, null, '1970-01-01T00:00:00.000Z'],
      deep: { er: { [clean]: clean } },
    });
    expect(second).toMatchObject({ action: 'token.issued' });
  });
});
