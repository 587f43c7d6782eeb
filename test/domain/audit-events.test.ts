import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type AuditEvents, createAuditEvents, type RecordedAuditEvent } from '../../src/domain/audit-events.ts';
import type { Condition, Page } from '../../src/storage/listing.ts';
import type { Queryable } from '../../src/storage/pool.ts';
import { openPeople, type People, TESTER } from '../support/people.ts';

let people: People;
let events: AuditEvents;
beforeAll(async () => {
  people = await openPeople();
  events = createAuditEvents({ db: people.db });
}, 30_000);
afterAll(() => people?.close());

const eq = (field: string, value: string): Condition => ({ field, operator: 'eq', value });

describe('following the trail', () => {
  /** Collects actions until `stop`, which waits for the last. */
  function follow(options: { conditions?: Condition[]; since?: Date } = {}) {
    const stop = new AbortController();
    const seen: string[] = [];
    const ended = (async () => {
      for await (const { action } of events.follow({ ...options, signal: stop.signal, interval: 5 })) seen.push(action);
    })();
    return {
      seen,
      async until(count: number) {
        for (let round = 0; seen.length < count && round < 200; round += 1) await pause(10);
      },
      async stop() {
        await pause(30);
        stop.abort();
        await ended;
        return seen;
      },
    };
  }
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const record = (action: string, db: Queryable = people.db) => people.audit.record(db, { action, actor: TESTER });

  test('each event comes once, without those of before', async () => {
    await record('before.one');
    const tail = follow();
    await pause(50);
    await record('after.one');
    await tail.until(1);
    await record('after.two');
    await tail.until(2);
    expect(await tail.stop()).toEqual(['after.one', 'after.two']);
  });

  test('an event whose transaction ends after later events is not passed over', async () => {
    const tail = follow();
    await pause(50);
    await people.db.transaction(async (tx) => {
      await record('slow.first', tx);
      await record('quick.second');
      await tail.until(1);
      expect(tail.seen).toEqual(['quick.second']);
    });
    await tail.until(2);
    // What was undone leaves a gap that nothing fills.
    await people.db
      .transaction(async (tx) => {
        await record('undone.third', tx);
        throw new Error('undone');
      })
      .catch(() => {});
    await record('quick.fourth');
    await tail.until(3);
    expect(await tail.stop()).toEqual(['quick.second', 'slow.first', 'quick.fourth']);
  });

  test('an event that was still being written when it began comes too', async () => {
    let tail: ReturnType<typeof follow>;
    await people.db.transaction(async (tx) => {
      await record('open.first', tx);
      await record('open.second');
      tail = follow();
      await pause(50);
    });
    await tail!.until(1);
    expect(await tail!.stop()).toEqual(['open.first']);
  });

  test('it can begin earlier, and leave out what is not asked for', async () => {
    await record('wanted.action');
    await pause(5);
    const since = new Date();
    await record('wanted.action');
    await record('other.action');
    await record('wanted.action');
    const tail = follow({ since, conditions: [eq('action', 'wanted.action')] });
    await tail.until(2);
    await record('other.action');
    await record('wanted.action');
    await tail.until(3);
    expect(await tail.stop()).toEqual(['wanted.action', 'wanted.action', 'wanted.action']);
    expect(await follow({ since, conditions: [eq('action', 'no.action')] }).stop()).toEqual([]);
  });
});

describe('with a long trail', () => {
  const TEAM = '00000000-0000-4000-8000-000000000007';
  beforeAll(async () => {
    await people.db.query(
      `INSERT INTO audit_events (occurred_at, action, outcome, actor_kind, actor_id, team_id, target_kind, target_id)
       SELECT timestamptz '2020-01-01Z' + g * interval '1 second',
         CASE WHEN g % 3000 = 0 THEN 'rare.action' ELSE 'token.issued' END,
         CASE WHEN g % 3000 = 1 THEN 'refused' ELSE 'success' END,
         CASE WHEN g % 3000 = 2 THEN 'team_key' ELSE 'client' END, 'svc_' || g % 40,
         CASE WHEN g % 3000 = 3 THEN $1::uuid END,
         CASE WHEN g % 3000 = 4 THEN 'team' ELSE 'user' END, 'user ' || g % 40
       FROM generate_series(0, 19999) AS g`,
      [TEAM],
    );
    await people.db.query('ANALYZE audit_events');
  });

  /** The plans of what is sent while listing. */
  async function planOf(...given: Condition[]): Promise<string> {
    const plans: string[] = [];
    const db: Queryable = {
      async query(text, values) {
        const { rows } = await people.db.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, values);
        plans.push(...rows.map((row) => row['QUERY PLAN']));
        return people.db.query(text, values);
      },
    };
    const page = { limit: 51, conditions: given, after: { sortKey: '2020-01-01 05:00:00+00', id: '18000' } };
    const found = await createAuditEvents({ db }).list({}, page);
    expect(found.length).toBeGreaterThan(0);
    return plans.join('\n');
  }

  test.each([
    ['nothing', [], 'occurred_at'],
    ['actor_id', [eq('actor_id', 'svc_7')], 'actor'],
    ['actor_kind', [eq('actor_kind', 'team_key')], 'actor_kind'],
    ['action', [eq('action', 'rare.action')], 'action'],
    ['target_id', [eq('target_id', 'user 7')], 'target'],
    ['target_kind', [eq('target_kind', 'team')], 'target_kind'],
    ['team_id', [eq('team_id', TEAM)], 'team_id'],
    ['outcome', [eq('outcome', 'refused')], 'outcome'],
    [
      'a span of time',
      [{ field: 'occurred_at', operator: 'lt', value: new Date('2020-01-01T02:00:00Z') }],
      'occurred_at',
    ],
  ] as [string, Condition[], string][])('a filter by %s reads what it shows and no more', async (_, given, index) => {
    const plan = await planOf(...given);
    expect(plan).toContain(`using audit_events__${index} `);
    expect(plan).not.toMatch(/Seq Scan|Sort {2}|Filter/);
  });

  test('that no event has both an action and an outcome is found without reading those that have one', async () => {
    await people.db.query(
      `INSERT INTO audit_events (occurred_at, action, outcome, actor_kind)
       SELECT timestamptz '2019-01-01Z' + g * interval '1 second', 'login.tried', 'refused', 'nobody'
       FROM generate_series(1, 20000) AS g`,
    );
    await people.db.query('ANALYZE audit_events');
    const pages: number[] = [];
    const db: Queryable = {
      async query(text, values) {
        const { rows } = await people.db.query<{ 'QUERY PLAN': { Plan: Record<string, number> }[] }>(
          `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
          values,
        );
        const plan = rows[0]!['QUERY PLAN'][0]!.Plan;
        pages.push(plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!);
        return people.db.query(text, values);
      },
    };
    const trail = createAuditEvents({ db });
    const conditions = [eq('action', 'login.tried'), eq('outcome', 'success')];
    expect(await trail.list({}, { limit: 51, conditions })).toEqual([]);
    expect(Math.max(...pages)).toBeLessThan(50);
    expect(await trail.list({}, { limit: 51, conditions: [eq('action', 'login.tried')] })).toHaveLength(51);
    expect(await trail.list({}, { limit: 1, conditions: [...conditions, eq('outcome', 'refused')] })).toEqual([]);
    expect(await trail.list({}, { limit: 1, conditions: [...conditions, eq('action', 'rare.action')] })).toEqual([]);
    const both = { limit: 1, conditions: [eq('action', 'login.tried'), eq('outcome', 'refused')] };
    expect(await trail.list({}, both)).toHaveLength(1);
  });

  test('events of an action are in the order of their times, whatever their outcome', async () => {
    const times = async (page: Partial<Page>) => {
      const found: RecordedAuditEvent[] = [];
      for (let read = 3; read === 3; ) {
        const conditions = [eq('action', 'mixed.action')];
        const some = await events.list({}, { limit: 3, conditions, after: found.at(-1), ...page });
        found.push(...some);
        read = some.length;
      }
      return found.map(({ occurredAt }) => occurredAt.getUTCSeconds());
    };
    await people.db.query(
      `INSERT INTO audit_events (occurred_at, action, outcome, actor_kind)
       SELECT timestamptz '2018-01-01Z' + g * interval '1 second', 'mixed.action',
         CASE WHEN g % 3 = 0 THEN 'refused' ELSE 'success' END, 'nobody' FROM generate_series(1, 10) AS g`,
    );
    expect(await times({})).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    expect(await times({ order: { field: 'occurred_at', descending: false } })).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ]);
  });

  test('pages follow each other without a gap, by whatever order, also where times are equal', async () => {
    await people.db.query(
      `UPDATE audit_events SET occurred_at = date_trunc('minute', occurred_at) WHERE actor_id = 'svc_9'`,
    );
    const conditions = [eq('actor_id', 'svc_9')];
    for (const descending of [true, false]) {
      const order = { field: 'occurred_at', descending };
      const all = await events.list({}, { limit: 1_000, conditions, order });
      const paged: RecordedAuditEvent[] = [];
      for (let page = all.slice(0, 0), round = 0; round === 0 || page.length === 90; round += 1) {
        page = await events.list({}, { limit: 90, conditions, order, after: paged.at(-1) });
        paged.push(...page);
      }
      expect(all).toHaveLength(500);
      expect(paged).toEqual(all);
    }
  });

  test('a team sees its own events, whatever it asks for', async () => {
    const seen = await events.list({ teamId: TEAM }, { limit: 100 });
    expect(seen.map(({ teamId }) => teamId)).toEqual(Array(7).fill(TEAM));
    const conditions = [eq('team_id', '00000000-0000-4000-8000-000000000010')];
    expect(await events.list({ teamId: TEAM }, { limit: 100, conditions })).toEqual([]);
  });
});
