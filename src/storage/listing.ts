/**
 * Lists by pages: one statement that filters, orders and starts behind the last row seen (keyset, never OFFSET). It is
 * put together from a noun's fixed columns alone; whatever a caller said travels as a parameter.
 */
import type { Queryable } from './pool.ts';
import type { Search } from './search.ts';

/** A name callers may filter or order by, and what it is in SQL. Ordered by, it must never be null. */
export interface ListField {
  sql: string;
  type: 'uuid' | 'text' | 'smallint' | 'boolean' | 'timestamptz' | 'bigint' | 'date';
  /** Upper and lower case count as the same in filters; then `sql` is `lower(…)`. */
  foldsCase?: true;
}

export interface Condition {
  field: string;
  operator: 'eq' | 'lt' | 'le' | 'gt' | 'ge';
  value: string | number | boolean | Date;
}

export interface Page {
  /** Most rows. */
  limit: number;
  /** All must hold. */
  conditions?: readonly Condition[] | undefined;
  /** Default: the listing's own. */
  order?: { field: string; descending: boolean } | undefined;
  /** The last row seen. */
  after?: Position | undefined;
  /** What somebody looks for, in a list that can be searched; nothing but spaces: all rows. */
  search?: string | undefined;
}

/** Where a row stands in its order: the ordering value as PostgreSQL writes it, and the row's id. */
export interface Position {
  sortKey: string;
  id: string;
}

export interface Listing {
  /** The select list, and what follows FROM. */
  columns: string;
  from: string;
  fields: Readonly<Record<string, ListField>>;
  order: { field: string; descending: boolean };
  /** How a text is looked for (search.ts). */
  search?: Search;
  /** What tells rows of one ordering value apart (default the uuid column `id`). */
  id?: ListField;
  /** More that must hold, in SQL; its parameters are `$1` and on. */
  where?: string;
  /** As `where`, for what may be true of nearly every row or of none, and has an index of its own. Not with `groupBy`. */
  sieve?: string | undefined;
  /** What rows are added up by; fields are then among these. */
  groupBy?: string;
}

const OPERATORS = { eq: '=', lt: '<', le: '<=', gt: '>', ge: '>=' } as const;

/** Rows with their `sortKey`, which with the id makes the position behind which the next page starts. */
export async function listRows<Row extends object>(
  db: Queryable,
  listing: Listing,
  page: Page,
  values: readonly unknown[] = [],
): Promise<(Row & { sortKey: string })[]> {
  const parameters = [...values];
  const { rows } = await db.query<Row & { sortKey: string }>(listStatement(listing, page, parameters), parameters);
  return rows;
}

/** The statement of one page. Adds its parameters to `parameters`, which holds those of `listing.where` already. */
export function listStatement(listing: Listing, page: Page, parameters: unknown[]): string {
  const { fields, id = { sql: 'id', type: 'uuid' } } = listing;
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const order = page.order ?? listing.order;
  const by = fieldOf(fields, order.field);
  const where = [
    ...(listing.where === undefined ? [] : [listing.where]),
    ...(page.conditions ?? []).map(({ field, operator, value }) => {
      const { sql, type, foldsCase } = fieldOf(fields, field);
      const bound = `${bind(value)}::${type}`;
      return `${sql} ${OPERATORS[operator]} ${foldsCase ? `lower(${bound})` : bound}`;
    }),
  ];
  const sieve = [
    ...(listing.sieve === undefined ? [] : [listing.sieve]),
    ...(isSearch(page) ? [searchOf(listing)(page.search, bind)] : []),
  ];
  if (page.after !== undefined) {
    const { sortKey, id: lastId } = page.after;
    const seen = `(${bind(sortKey)}::${by.type}, ${bind(lastId)}::${id.type})`;
    where.push(`(${by.sql}, ${id.sql}) ${order.descending ? '<' : '>'} ${seen}`);
  }
  const direction = order.descending ? 'DESC' : 'ASC';
  const limit = bind(page.limit);
  const select = (from: string, conditions: string[]) =>
    `SELECT ${listing.columns}, (${by.sql})::text AS "sortKey" FROM ${from} ${whereAll(conditions)}
    ${listing.groupBy === undefined ? '' : `GROUP BY ${listing.groupBy}`}
    ORDER BY ${by.sql} ${direction}, ${id.sql} ${direction} LIMIT ${limit}`;
  if (sieve.length === 0) return select(listing.from, where);

  // Nobody knows how many rows go through the sieve. Many: a page of them is among the first few rows in order. Few: they
  // are found by their own index, and put in order. The planner is not asked, because one wrong guess reads the table.
  const { from } = listing;
  const first = `(SELECT * FROM ${from} ${whereAll(where)}
    ORDER BY ${by.sql} ${direction}, ${id.sql} ${direction} LIMIT ${SIFTED}) AS ${from}`;
  const short = `(SELECT count(*) FROM near) < ${limit}`;
  const all = `(SELECT * FROM ${from} ${whereAll([...where, ...sieve, short])} OFFSET 0) AS ${from}`;
  return `WITH near AS MATERIALIZED (${select(first, sieve)})
    SELECT * FROM (SELECT * FROM near WHERE NOT ${short} UNION ALL (${select(all, [])})) AS found
    ORDER BY "sortKey"::${by.type} ${direction}, id ${direction}`;
}

/** Rows that are sifted in order before the rest is looked for by another index. */
const SIFTED = 1_000;

function whereAll(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.map((one) => `(${one})`).join(' AND ')}`;
}

/** Whether the page is of a search. */
export function isSearch(page: Page): page is Page & { search: string } {
  return page.search !== undefined && page.search.trim() !== '';
}

function searchOf({ search }: Listing): Search {
  if (search === undefined) throw new TypeError('this list cannot be searched');
  return search;
}

/** A field of a listing, to be ordered by outside of its statement. */
export function fieldOf(fields: Listing['fields'], name: string): ListField {
  // The surface has checked the name; a mistake there must not become SQL.
  if (!Object.hasOwn(fields, name)) throw new TypeError(`not a field of this list: ${name}`);
  return fields[name]!;
}

/** For lists by a last use that is null until the first: never comes before every time. */
export function lastUse(column: string): ListField {
  return { sql: `coalesce(${column}, '-infinity')`, type: 'timestamptz' };
}

/** A record's version for its ETag: changes with every change of `updated_at`, which JavaScript's milliseconds would hide. */
export const VERSION = `(extract(epoch FROM updated_at) * 1000000)::bigint::text AS version`;
