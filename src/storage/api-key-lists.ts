/** Lists of API keys: what they are narrowed to, searched and ordered by. */
import { API_KEY_COLUMNS, type ApiKeyRecord, type ApiKeyScope } from './api-keys.ts';
import { type Condition, fieldOf, type Listing, lastUse, listRows, listStatement, type Page } from './listing.ts';
import type { Queryable } from './pool.ts';
import { GIVEN_UP, GIVEN_UP_PARTS } from './retirements.ts';
import { byWordsOrKey, orByOwner } from './search.ts';

const LISTING: Listing = {
  columns: API_KEY_COLUMNS,
  from: 'api_keys',
  fields: {
    kind: { sql: 'kind', type: 'text' },
    team_id: { sql: 'team_id', type: 'uuid' },
    user_id: { sql: 'user_id', type: 'uuid' },
    name: { sql: 'name', type: 'text' },
    created_at: { sql: 'created_at', type: 'timestamptz' },
    // By the hour: the time itself changes too often for an index.
    last_access_at: lastUse('last_used_hour'),
    // Never comes last.
    expires_at: { sql: `coalesce(expires_at, 'infinity')`, type: 'timestamptz' },
  },
  order: { field: 'created_at', descending: false },
  search: byWordsOrKey,
};

const UNEXPIRED = 'status = 1 AND (expires_at IS NULL OR expires_at > now())';

/** What a list can be narrowed to, in parts that each have an index; no row is in two of a list. */
const PARTS: Record<'status' | 'state', Record<string, string[]>> = {
  // A key that has been given up is not active.
  status: {
    1: [`status = 1 AND NOT ${GIVEN_UP}`],
    2: ['status = 2', ...GIVEN_UP_PARTS.map((part) => `status = 1 AND ${part}`)],
  },
  // Every key is in one state.
  state: {
    active: [`${UNEXPIRED} AND NOT ${GIVEN_UP}`],
    revoked: ['status = 2'],
    expired: ['status = 1 AND expires_at <= now()'],
    given_up: GIVEN_UP_PARTS.map((part) => `${UNEXPIRED} AND ${part}`),
  },
};

/** Keys, unless told otherwise in the order they were created. Those that have been given up are not active. */
export async function listApiKeys(
  db: Queryable,
  { kind, teamId, userId }: ApiKeyScope,
  page: Page,
): Promise<(ApiKeyRecord & { sortKey: string })[]> {
  const scope = Object.entries({ kind, team_id: teamId, user_id: userId }).flatMap(([field, value]): Condition[] =>
    value === undefined ? [] : [{ field, operator: 'eq', value }],
  );
  const all = [...scope, ...(page.conditions ?? [])];
  const conditions = all.filter(({ field }) => !Object.hasOwn(PARTS, field));
  const sets = all.flatMap(({ field, value }) =>
    Object.hasOwn(PARTS, field) ? [PARTS[field as keyof typeof PARTS][String(value)] ?? []] : [],
  );
  // Only personal keys have owners, and only when all that is left are theirs can they be looked for by them.
  const listing = all.some(({ field, value }) => field === 'kind' && value === 'team')
    ? LISTING
    : { ...LISTING, search: orByOwner(byWordsOrKey) };
  if (sets.length === 0) return listRows(db, listing, { ...page, conditions });
  const parameters: unknown[] = [];
  const parts = inAll(sets).map(
    (sieve) => `(${listStatement({ ...listing, sieve }, { ...page, conditions }, parameters)})`,
  );
  if (parts.length === 0) return [];
  const { field, descending } = page.order ?? LISTING.order;
  const direction = descending ? 'DESC' : 'ASC';
  const { rows } = await db.query<ApiKeyRecord & { sortKey: string }>(
    `SELECT * FROM (${parts.join(' UNION ALL ')}) AS any_part
     ORDER BY "sortKey"::${fieldOf(LISTING.fields, field).type} ${direction}, id ${direction} LIMIT $${parameters.push(page.limit)}`,
    parameters,
  );
  return rows;
}

/** The parts of what is in every one of the sets; a part of one can be in one part of another. */
function inAll(sets: readonly string[][]): string[] {
  return [...new Set(sets)].reduce((some, more) =>
    some.flatMap((one) => more.map((other) => `(${one}) AND (${other})`)),
  );
}
