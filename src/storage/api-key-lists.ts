/** Lists of API keys: what they are narrowed to, searched and ordered by. */
import { API_KEY_COLUMNS, type ApiKeyRecord, type ApiKeyScope } from './api-keys.ts';
import { type Condition, fieldOf, type Listing, lastUse, listRows, listStatement, type Page } from './listing.ts';
import type { Queryable } from './pool.ts';
import { givenUp, listDueRetirements, once } from './retirements.ts';
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

/** Keys that are neither revoked nor expired, and those that have expired; in the words of the indexes. */
export const UNEXPIRED = `status = 1 AND coalesce(expires_at, 'infinity') > now()`;
export const EXPIRED = `status = 1 AND coalesce(expires_at, 'infinity') <= now()`;

/** Some of the keys, in SQL. */
export interface Part {
  /** What the indexes of orders by time hold themselves, so that keys it does not hold for cost nothing to pass over. */
  where: string;
  /** What else must hold. */
  sieve: string[];
}

/** Whether a key has been given up, in SQL; undefined: none has. Its parameters are in the statement once it was asked for. */
type Gone = () => string | undefined;

function lost(where: string, gone: Gone): Part[] {
  const isGone = gone();
  return isGone === undefined ? [] : [{ where, sieve: [isGone] }];
}

function kept(where: string, gone: Gone): Part[] {
  const isGone = gone();
  return [{ where, sieve: isGone === undefined ? [] : [`NOT ${isGone}`] }];
}

const revoked = (): Part[] => [{ where: 'status = 2', sieve: [] }];

/** What a list can be narrowed to, in parts; no row is in two of a list. */
const PARTS: Record<'status' | 'state', Record<string, (gone: Gone) => Part[]>> = {
  // A key that has been given up is not active.
  status: { 1: (gone) => kept('status = 1', gone), 2: (gone) => [...revoked(), ...lost('status = 1', gone)] },
  // Every key is in one state.
  state: {
    active: (gone) => kept(UNEXPIRED, gone),
    revoked,
    expired: () => [{ where: EXPIRED, sieve: [] }],
    given_up: (gone) => lost(UNEXPIRED, gone),
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
  const conditions = all.filter(({ field }) => !isNarrowed(field));
  // Only personal keys have owners, and only when all that is left are theirs can they be looked for by them.
  const listing = all.some(({ field, value }) => field === 'kind' && value === 'team')
    ? LISTING
    : { ...LISTING, search: orByOwner(byWordsOrKey) };
  if (conditions.length === all.length) return listRows(db, listing, { ...page, conditions });
  const parameters: unknown[] = [];
  const due = await listDueRetirements(db);
  const gone = once(() => givenUp(due, (value) => `$${parameters.push(value)}`));
  const sets = all.flatMap(({ field, value }) =>
    isNarrowed(field) ? [PARTS[field][String(value)]?.(gone) ?? []] : [],
  );
  const { field, descending } = page.order ?? LISTING.order;
  const parts = inAll(sets).map(({ where, sieve }) => {
    const narrowed = BY_TIME.includes(field) ? { where, sieve } : { sieve: [where, ...sieve] };
    const one = { ...listing, ...narrowed, sieve: allOf(narrowed.sieve) };
    return `(${listStatement(one, { ...page, conditions }, parameters)})`;
  });
  if (parts.length === 0) return [];
  const direction = descending ? 'DESC' : 'ASC';
  const { rows } = await db.query<ApiKeyRecord & { sortKey: string }>(
    `SELECT * FROM (${parts.join(' UNION ALL ')}) AS any_part
     ORDER BY "sortKey"::${fieldOf(LISTING.fields, field).type} ${direction}, id ${direction} LIMIT $${parameters.push(page.limit)}`,
    parameters,
  );
  return rows;
}

function isNarrowed(field: string): field is keyof typeof PARTS {
  return Object.hasOwn(PARTS, field);
}

const BY_TIME = ['created_at', 'expires_at'];

/** The parts of what is in every one of the sets; a part of one can be in one part of another. */
function inAll(sets: readonly Part[][]): Part[] {
  return [...new Set(sets)].reduce((some, more) =>
    some.flatMap((one) =>
      more.map((other) => ({
        where: `(${one.where}) AND (${other.where})`,
        sieve: [...new Set([...one.sieve, ...other.sieve])],
      })),
    ),
  );
}

function allOf(conditions: readonly string[]): string | undefined {
  return conditions.length === 0 ? undefined : conditions.map((one) => `(${one})`).join(' AND ');
}
