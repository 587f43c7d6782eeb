/**
 * Lists by pages: one statement that filters, orders and starts behind the last row seen (keyset, never OFFSET). It is
 * put together from a noun's fixed columns alone; whatever a caller said travels as a parameter.
 */
import type { Queryable } from './pool.ts';

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
  /** What tells rows of one ordering value apart (default the uuid column `id`). */
  id?: ListField;
  /** More that must hold, in SQL; its parameters are `$1` and on. */
  where?: string;
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
  if (page.after !== undefined) {
    const { sortKey, id: lastId } = page.after;
    const seen = `(${bind(sortKey)}::${by.type}, ${bind(lastId)}::${id.type})`;
    where.push(`(${by.sql}, ${id.sql}) ${order.descending ? '<' : '>'} ${seen}`);
  }
  const direction = order.descending ? 'DESC' : 'ASC';
  return `SELECT ${listing.columns}, (${by.sql})::text AS "sortKey" FROM ${listing.from}
    ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`}${listing.groupBy === undefined ? '' : ` GROUP BY ${listing.groupBy}`}
    ORDER BY ${by.sql} ${direction}, ${id.sql} ${direction} LIMIT ${bind(page.limit)}`;
}

function fieldOf(fields: Listing['fields'], name: string): ListField {
  // The surface has checked the name; a mistake there must not become SQL.
  if (!Object.hasOwn(fields, name)) throw new TypeError(`not a field of this list: ${name}`);
  return fields[name]!;
}

/** A record's version for its ETag: changes with every change of `updated_at`, which JavaScript's milliseconds would hide. */
export const VERSION = `(extract(epoch FROM updated_at) * 1000000)::bigint::text AS version`;
