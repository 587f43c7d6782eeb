/**
 * Lists: what the database needs for pages of 1,000 of 100,000 API keys, with every filter and order, from the first page
 * to the last. Asked through the storage room itself, so what is timed is what the server sends.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listApiKeys } from '../src/storage/api-key-lists.ts';
import { type ApiKeyScope, findApiKeyByDigest } from '../src/storage/api-keys.ts';
import { openEmbeddedPostgres } from '../src/storage/embedded/index.ts';
import type { Page } from '../src/storage/listing.ts';
import { migrate } from '../src/storage/migrator.ts';
import { type Database, openDatabase, type Queryable } from '../src/storage/pool.ts';
import { stopLater } from './contenders.ts';
import { median, printTable, spread } from './report.ts';
import { KEYS, seedKeys } from './seed-keys.ts';

export interface ListOptions {
  /** How often every page is asked for. */
  pairs: number;
}

/** One page of one list. */
interface Timing {
  list: string;
  page: string;
  rows: number;
  /** Milliseconds in the database: planning and execution. */
  took: number[];
  /** How the rows are reached. */
  plan: string;
}

const PAGE_SIZE = 1_000;
const TARGET_MS = 50;

/** @returns every timing; `took` has one for each round. */
export async function list({ pairs }: ListOptions): Promise<Timing[]> {
  const home = await mkdtemp(join(tmpdir(), 'latchkey-bench-list-'));
  await chmod(home, 0o711); // as root the embedded database runs as another user
  const database = await openEmbeddedPostgres({ dataDir: join(home, 'data'), role: 'server' });
  const db = openDatabase({ connectionString: database.connectionString });
  const stop = stopLater(async () => {
    await db.close();
    await database.close();
    await rm(home, { recursive: true, force: true });
  });
  try {
    await migrate(db);
    await seedKeys(database.connectionString);
    const timings: Timing[] = [];
    for (const [name, scope, page] of lists()) timings.push(...(await timePages(db, { name, scope, page }, pairs)));
    timings.push(await timeLookup(db, pairs));
    report(timings);
    return timings;
  } finally {
    await stop();
  }
}

type List = [name: string, scope: ApiKeyScope, page: Partial<Page>];

/** Each filter of a kind with each order, both ways, and the filters together. */
function lists(): List[] {
  const eq = (field: string, value: string | number) => ({ field, operator: 'eq' as const, value });
  const filters: Record<ApiKeyScope['kind'] & string, Record<string, Page['conditions']>> = {
    team: {
      all: [],
      'team_id (large)': [eq('team_id', KEYS.largeTeam)],
      'team_id (small)': [eq('team_id', KEYS.smallTeam)],
      'status ACTIVE': [eq('status', 1)],
      'status INACTIVE': [eq('status', 2)],
      'name (common)': [eq('name', KEYS.commonName)],
      'name (rare)': [eq('name', KEYS.rareName)],
      'team_id, INACTIVE': [eq('team_id', KEYS.largeTeam), eq('status', 2)],
    },
    personal: {
      all: [],
      'user_id (many keys)': [eq('user_id', KEYS.busyUser)],
      'user_id (few keys)': [eq('user_id', KEYS.quietUser)],
      team_id: [eq('team_id', KEYS.largeTeam)],
      'status INACTIVE': [eq('status', 2)],
      'user_id, team_id': [eq('user_id', KEYS.busyUser), eq('team_id', KEYS.largeTeam)],
    },
  };
  return (['team', 'personal'] as const).flatMap((kind) =>
    Object.entries(filters[kind]).flatMap(([filter, conditions]) =>
      ['created_at', 'name'].flatMap((field) =>
        [false, true].map((descending): List => {
          const order = { field, descending };
          return [`${kind}, ${filter}, by ${field}`, { kind }, { conditions, order }];
        }),
      ),
    ),
  );
}

/** The first page, one in the middle and the last: a keyset list is as fast at its end as at its start. */
async function timePages(
  db: Database,
  { name, scope, page }: { name: string; scope: ApiKeyScope; page: Partial<Page> },
  rounds: number,
): Promise<Timing[]> {
  const positions: Page['after'][] = [];
  let after: Page['after'];
  for (let read = PAGE_SIZE; read === PAGE_SIZE && positions.length < 1_000; ) {
    positions.push(after);
    const rows = await listApiKeys(db, scope, { ...page, limit: PAGE_SIZE, after });
    read = rows.length;
    after = rows.at(-1);
  }
  const pages = new Map([
    ['first', positions[0]],
    ...(positions.length > 2 ? [['middle', positions[positions.length >> 1]] as const] : []),
    ...(positions.length > 1 ? [['last', positions.at(-1)] as const] : []),
  ]);
  const timings: Timing[] = [];
  for (const [which, position] of pages) {
    const direction = page.order?.descending ? 'desc' : 'asc';
    const timing: Timing = { list: name, page: `${which} ${direction}`, rows: 0, took: [], plan: '' };
    for (let round = 0; round < rounds; round += 1) {
      const explained = explain(db);
      await listApiKeys(explained.db, scope, { ...page, limit: PAGE_SIZE, after: position });
      timing.took.push(explained.took());
      timing.rows = explained.rows();
      timing.plan = explained.plan();
    }
    timings.push(timing);
  }
  return timings;
}

/** What every use of a key costs that this process has not seen: one statement, whether the text is known or not. */
async function timeLookup(db: Database, rounds: number): Promise<Timing> {
  const timing: Timing = { list: 'a key by its text', page: '', rows: 0, took: [], plan: '' };
  for (let round = 0; round < rounds; round += 1) {
    const explained = explain(db);
    await findApiKeyByDigest(explained.db, Buffer.alloc(32, round));
    timing.took.push(explained.took());
    timing.plan = explained.plan();
  }
  return timing;
}

interface Plan {
  'Node Type': string;
  'Index Name'?: string;
  'Relation Name'?: string;
  'Actual Rows': number;
  Plans?: Plan[];
}

/** A database that answers how it would have answered. */
function explain(db: Queryable) {
  let said: { Plan: Plan; 'Planning Time': number; 'Execution Time': number };
  const explaining: Queryable = {
    async query(text, values) {
      const { rows } = await db.query<{ 'QUERY PLAN': (typeof said)[] }>(
        `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
        values,
      );
      said = rows[0]!['QUERY PLAN'][0]!;
      return { rows: [], count: 0 };
    },
  };
  const scans = (plan: Plan): string[] => [
    ...(plan['Node Type'] === 'Sort' ? ['sort'] : []),
    ...(plan['Index Name']?.startsWith('api_keys') ? [plan['Index Name'].replace('api_keys__', '')] : []),
    ...(plan['Node Type'] === 'Seq Scan' && plan['Relation Name'] === 'api_keys' ? ['whole table'] : []),
    ...(plan.Plans ?? []).flatMap(scans),
  ];
  return {
    db: explaining,
    took: () => said['Planning Time'] + said['Execution Time'],
    rows: () => said.Plan['Actual Rows'],
    plan: () => scans(said.Plan).join(', '),
  };
}

function report(timings: Timing[]): void {
  console.log(
    `\nThe slowest page of each list of ${KEYS.count} API keys, pages of ${PAGE_SIZE}; milliseconds in the database`,
  );
  const slower = (a: Timing, b: Timing) => (median(a.took) < median(b.took) ? b : a);
  const slowest = [...Map.groupBy(timings, (one) => one.list).values()].map((pages) => pages.reduce(slower));
  printTable(
    slowest.map(({ list, page, rows, took, plan }) => ({
      list,
      page,
      rows,
      'median (spread)': spread(took, 1),
      by: plan,
    })),
  );
  const { list, page, took } = slowest.reduce(slower);
  console.log(`The slowest of all: ${list}, ${page} page: ${median(took).toFixed(1)} ms of ${TARGET_MS} ms`);
}
