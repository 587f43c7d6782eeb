/**
 * Long lists, a page at a time: what is asked for comes from the address, so that every view of a list can be bookmarked, and
 * goes to the domain as a `Page`. What the address says and the list does not know is passed over.
 */
import type { Context } from 'koa';
import type { PageTokens, Position } from '../page-tokens.ts';
import type { Action, Cell, Option } from './view.ts';
import type { Visitor } from './visitor.ts';

/** Rows on a page: what fits into one look, and into 100 KB with the longest names. */
const SIZE = 25;
const LONGEST_SEARCH = 200;

/** What the domain is asked for. */
export interface ListQuery {
  /** One row more than is shown: it tells whether there is another page. */
  limit: number;
  order: { field: string; descending: boolean };
  after: Position | undefined;
  /** Words that all must be there; undefined: no search. */
  search: string | undefined;
}

export interface ListColumn<Row> {
  label: string;
  /** The field it can be ordered by. */
  sort?: string;
  cell(row: Row, visitor: Visitor): Cell;
}

export interface ListFilter {
  name: string;
  label: string;
  /** Without one for "all", which is there by itself; with `input`, what is offered while it is typed. */
  options: readonly Option[];
  /** In place of options, whatever is typed, up to 200 characters. */
  input?: 'text' | 'date';
}

export interface ListDefinition<Row, Subject> {
  columns: readonly ListColumn<Row>[];
  /** What a list of this subject can be narrowed by (default nothing). */
  filters?: (visitor: Visitor, subject: Subject) => Promise<ListFilter[]> | ListFilter[];
  /** What the words searched for are held against, as a label; without it the list cannot be searched. */
  search?: string;
  order: { field: string; descending: boolean };
  /** For a list that has nothing at all to show. */
  empty: { title: string; text: string; action?: Action };
  /** For a box before each row, named `pick:<value>`; undefined: no box. */
  pick?: (row: Row, visitor: Visitor) => string | undefined;
  /** @param filters by name, only those that are set */
  rows(
    query: ListQuery,
    context: { filters: Readonly<Record<string, string>>; visitor: Visitor; subject: Subject },
  ): Promise<readonly (Row & Position)[]>;
}

export interface ShownList {
  path: string;
  columns: { label: string; sort?: { href: string; state: 'ascending' | 'descending' | 'none' } }[];
  rows: { cells: Cell[]; pick: string }[];
  search: { label: string; value: string } | undefined;
  filters: (Omit<ListFilter, 'options'> & { value: string; options: (Option & { selected: boolean })[] })[];
  /** What the form that searches and filters keeps. */
  sort: string;
  isNarrowed: boolean;
  empty: ListDefinition<unknown, unknown>['empty'];
  next: string;
  first: string;
  hasPicks: boolean;
}

/** @returns what shows the page of the list that the address asks for */
export function createLists(pageTokens: PageTokens) {
  return function defineList<Row, Subject = undefined>(definition: ListDefinition<Row, Subject>) {
    return async (ctx: Context, visitor: Visitor, subject: Subject): Promise<ShownList> => {
      const asked = one(ctx);
      const filters = await definition.filters?.(visitor, subject);
      const chosen = Object.fromEntries(
        (filters ?? []).flatMap(({ name, options, input }) => {
          const typed = asked(name).trim().slice(0, LONGEST_SEARCH).toWellFormed();
          if (input !== undefined) return typed === '' ? [] : [[name, typed]];
          return options.some(({ value }) => value === asked(name)) ? [[name, asked(name)]] : [];
        }),
      );
      const search = definition.search === undefined ? '' : asked('q').trim().slice(0, LONGEST_SEARCH).toWellFormed();
      const order = orderOf(asked('sort'), definition);
      const state = { ...chosen, ...(search !== '' && { q: search }), ...sortParameter(order, definition) };
      const name = JSON.stringify([ctx.path, state, visitor.caller.teamId, visitor.user.id]);
      const after = asked('after') === '' ? undefined : pageTokens.decode(name, asked('after'));
      const found = await definition.rows(
        { limit: SIZE + 1, order, after, search: search === '' ? undefined : search },
        { filters: chosen, visitor, subject },
      );
      const shown = found.slice(0, SIZE);
      const rows = shown.map((row) => ({
        cells: definition.columns.map((column) => column.cell(row, visitor)),
        pick: definition.pick?.(row, visitor) ?? '',
      }));
      return {
        path: ctx.path,
        columns: definition.columns.map(({ label, sort }) => ({
          label,
          ...(sort !== undefined && { sort: sortLink(sort, { ctx, state, order }) }),
        })),
        rows,
        search: definition.search === undefined ? undefined : { label: definition.search, value: search },
        filters: (filters ?? []).map(({ options, ...filter }) => ({
          ...filter,
          value: chosen[filter.name] ?? '',
          options: options.map((option) => ({ ...option, selected: chosen[filter.name] === option.value })),
        })),
        sort: sortParameter(order, definition).sort ?? '',
        isNarrowed: search !== '' || Object.keys(chosen).length > 0,
        empty: definition.empty,
        next: found.length > SIZE ? address(ctx, { ...state, after: pageTokens.encode(name, shown.at(-1)!) }) : '',
        first: after === undefined ? '' : address(ctx, state),
        hasPicks: rows.some(({ pick }) => pick !== ''),
      };
    };
  };
}

export type DefineList = ReturnType<typeof createLists>;

/** A parameter that is there once, as text without NUL; otherwise nothing. */
function one({ query }: Context): (name: string) => string {
  return (name) => {
    const value = Object.hasOwn(query, name) ? query[name] : '';
    return typeof value === 'string' && !value.includes('\0') ? value : '';
  };
}

function orderOf<Row, Subject>(asked: string, { columns, order }: ListDefinition<Row, Subject>) {
  const descending = asked.startsWith('-');
  const field = descending ? asked.slice(1) : asked;
  return columns.some(({ sort }) => sort === field) ? { field, descending } : order;
}

function sortParameter<Row, Subject>(
  { field, descending }: { field: string; descending: boolean },
  { order }: ListDefinition<Row, Subject>,
): { sort?: string } {
  if (field === order.field && descending === order.descending) return {};
  return { sort: `${descending ? '-' : ''}${field}` };
}

function sortLink(
  field: string,
  { ctx, state, order }: { ctx: Context; state: Record<string, string>; order: { field: string; descending: boolean } },
) {
  const isBy = order.field === field;
  const sort = isBy && !order.descending ? `-${field}` : field;
  return {
    href: address(ctx, { ...state, sort }),
    state: isBy ? (order.descending ? ('descending' as const) : ('ascending' as const)) : ('none' as const),
  };
}

function address({ path }: Context, parameters: Record<string, string>): string {
  const query = new URLSearchParams(parameters).toString();
  return query === '' ? path : `${path}?${query}`;
}
