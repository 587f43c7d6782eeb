/** Lists: `page_size`, `page_token`, `filter` and `order_by` in, one page and the way to the next one out. */
import { z } from 'zod';
import { type Caller, type OperationId, requireTeamInReach } from '../../domain/authorization.ts';
import { invalidField } from '../../errors.ts';
import type { PageTokens, Position } from '../page-tokens.ts';
import { type FilterCondition, type FilterField, parseFilter } from './filter.ts';
import { type Operation, operation } from './operation.ts';

const DEFAULT_SIZE = 50;
const LARGEST = 1_000;
const LONGEST_SEARCH = 255;

/** What the domain is asked for. */
export interface ListPage {
  /** One row more than the caller wants: it tells whether there is another page. */
  limit: number;
  conditions: readonly FilterCondition[];
  order: { field: string; descending: boolean } | undefined;
  after: Position | undefined;
  /** Undefined: all rows. */
  search: string | undefined;
}

export interface ListDefinition<Path extends string, Row, Item extends z.ZodType, Query> {
  id: OperationId;
  path: Path;
  tag: string;
  summary: string;
  description?: string;
  item: Item;
  /** The name of the array (default `values`). */
  wrapper?: string;
  filters: Readonly<Record<string, FilterField>>;
  /** Fields it can be ordered by; the first is the default, ascending. */
  orders: readonly string[];
  /** What the words of a search begin words of, when it can be searched. */
  search?: string;
  /** Query parameters of its own. */
  query?: z.ZodType<Query> & z.ZodObject;
  rows(input: {
    caller: Caller;
    page: ListPage;
    query: Query;
    params: Record<string, string>;
  }): Promise<(Row & Position)[]>;
  toWire(row: Row): z.input<Item>;
}

const pageQuery = {
  page_size: z
    .string()
    .optional()
    .meta({ description: `How many at most: 1 to ${LARGEST}, default ${DEFAULT_SIZE}` }),
  page_token: z.string().optional().meta({ description: '`next_page_token` of the page before' }),
};

/** @returns the operation, once it is told what signs page tokens */
export function list<const Path extends string, Row, Item extends z.ZodType, Query = unknown>(
  definition: ListDefinition<Path, Row, Item, Query>,
): (pageTokens: PageTokens) => Operation {
  const { id, path, tag, summary, description, item, wrapper = 'values', filters, orders, search, toWire } = definition;
  const query = z.strictObject({
    ...pageQuery,
    filter: z
      .string()
      .optional()
      .meta({ description: `\`field eq "value"\`, joined by \`and\`. Fields: ${describe(filters)}` }),
    order_by: z
      .string()
      .optional()
      .meta({ description: `\`field asc\` or \`field desc\`. Fields: ${orders.join(', ')}` }),
    ...(search !== undefined && {
      search: z
        .string()
        .max(LONGEST_SEARCH)
        .optional()
        .meta({ description: `Words, each the beginning of one in: ${search}. All must be there` }),
    }),
    ...definition.query?.shape,
  });
  return (pageTokens) =>
    operation({
      id,
      method: 'GET',
      path: path as string,
      tag,
      summary,
      ...(description !== undefined && { description }),
      query,
      answer: z.object({ [wrapper]: z.array(item), next_page_token: z.string(), has_more: z.boolean() }),
      errors: ['not_found'],
      async handle({ params, query: given, caller }) {
        const { page_size, page_token, filter, order_by, search, ...own } = given as Record<string, string | undefined>;
        const limit = sizeOf(page_size);
        const conditions = parseFilter(filter ?? '', filters);
        for (const { field, value } of conditions) {
          if (field === 'team_id') requireTeamInReach(caller, String(value));
        }
        const asked = [filter ?? '', order_by ?? '', search ?? '', own];
        const name = JSON.stringify([id, params, ...asked, caller.teamId, caller.userId]);
        const rows = await definition.rows({
          caller,
          query: own as Query,
          params: params as Record<string, string>,
          page: {
            limit: limit + 1,
            conditions,
            order: orderOf(order_by, orders),
            after: page_token ? pageTokens.decode(name, page_token) : undefined,
            search,
          },
        });
        const more = rows.length > limit;
        const shown = more ? rows.slice(0, limit) : rows;
        const next = more ? pageTokens.encode(name, shown.at(-1)!) : '';
        return { body: { [wrapper]: shown.map(toWire), next_page_token: next, has_more: more } as never };
      },
    });
}

function sizeOf(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_SIZE;
  const size = /^[0-9]{1,4}$/.test(text) ? Number(text) : 0;
  if (size < 1 || size > LARGEST) throw invalidField('page_size', `must be a whole number from 1 to ${LARGEST}`);
  return size;
}

function orderOf(text: string | undefined, orders: readonly string[]): ListPage['order'] {
  if (text === undefined || text.trim() === '') return undefined;
  const [, field = '', direction = 'asc'] = /^\s*([a-z_]+)(?:\s+(asc|desc))?\s*$/.exec(text) ?? [];
  if (!orders.includes(field)) {
    throw invalidField('order_by', `must be one of ${orders.join(', ')}, with asc or desc behind it`);
  }
  return { field, descending: direction === 'desc' };
}

function describe(filters: Readonly<Record<string, FilterField>>): string {
  return (
    Object.entries(filters)
      .map(([name, { operators }]) => (operators.length === 1 ? name : `${name} (${operators.join(', ')})`))
      .join(', ') || 'none'
  );
}
