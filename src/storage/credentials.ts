/**
 * Everything that can act for a team, of all four kinds, as one list. Each kind is read from its own table by its own
 * index, one page at most; the pages are put in one order and cut to one.
 */
import { EXPIRED, type Part, UNEXPIRED } from './api-key-lists.ts';
import { GRANTED_SCOPES } from './grants.ts';
import { isSearch, type Listing, listStatement, type Page } from './listing.ts';
import type { Queryable } from './pool.ts';
import { GIVEN_UP, givenUp, listDueRetirements, once } from './retirements.ts';
import { byWords, byWordsOrKey, orByOwner, type Search } from './search.ts';

export const CREDENTIAL_KINDS = ['personal_key', 'team_key', 'oauth2_client', 'oauth2_app'] as const;
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

export interface CredentialRecord {
  /** Of the key, of the client, or for an app of the consent. */
  id: string;
  kind: CredentialKind;
  name: string;
  /** The user it acts for; null for what belongs to the team. */
  userId: string | null;
  ownerEmail: string | null;
  teamId: string;
  teamName: string;
  createdBy: string | null;
  /** Null: everything its owner may do. */
  scopes: string[] | null;
  createdAt: Date;
  /** Null: never. */
  lastUsedAt: Date | null;
  expiresAt: Date | null;
  isActive: boolean;
  /** First characters of the key, or of a client's newest secret. */
  prefix: string | null;
  clientId: string | null;
  /** Its place in the list's order (storage/listing.ts). */
  sortKey: string;
}

/** What is left out narrows nothing. */
export interface CredentialQuery {
  kinds: readonly CredentialKind[];
  /** All must hold, so that true and false together are met by nothing. */
  isActive: readonly boolean[];
  /** Last used before then; when never, made before then. */
  unusedSince?: Date | undefined;
  expiresBefore?: Date | undefined;
  neverUsed?: boolean | undefined;
  /** Only these, whatever their kind. */
  ids?: readonly string[] | undefined;
}

// What every source selects, in this order.
const COLUMNS = `id, kind, name, "userId", "teamId", "createdBy", "clientId", scopes, "createdAt", "lastUsedAt",
  "expiresAt", prefix, "isActive", "sortKey"`;

/** One kind: where its rows are, and what the list's words mean in its columns. */
export interface Source {
  from: string;
  /** From the name on. */
  columns: string;
  where: string;
  lastUsedAt: string;
  isActive: string;
  /** What is not active, in parts; no row is in two. */
  inactive: Part[];
  hasOwner: boolean;
  expires: boolean;
  search: Search;
}

// Subqueries, and not joins: they are asked for the rows of a page, and leave the order of the index as it is.
const OWNER_LIVES = `(SELECT enabled AND (users.expires_at IS NULL OR users.expires_at > now())
  FROM users WHERE users.id = user_id)`;
const OWNER_ENDED = `user_id IN (SELECT id FROM users WHERE NOT enabled
  UNION ALL SELECT id FROM users WHERE enabled AND expires_at <= now())`;
const APP_ENABLED = '(SELECT enabled FROM oauth_apps WHERE oauth_apps.client_id = grants.client_id)';

const KEY_COLUMNS = `name, user_id, team_id, created_by, NULL, scopes, created_at,
  CASE WHEN last_access_at > created_at THEN last_access_at END, expires_at, prefix`;

/** @param gone whether a key has been given up; undefined: none has */
function sourcesOf(gone: string | undefined): Record<CredentialKind, Source> {
  const isActive = gone === undefined ? UNEXPIRED : `${UNEXPIRED} AND NOT ${gone}`;
  const key = {
    from: 'api_keys',
    // A key that was never used has the time it was made there.
    lastUsedAt: 'last_access_at',
    inactive: [
      { where: 'status = 2', sieve: [] },
      { where: EXPIRED, sieve: [] },
      ...(gone === undefined ? [] : [{ where: UNEXPIRED, sieve: [gone] }]),
    ],
    expires: true,
  };
  return {
    personal_key: {
      ...key,
      columns: `${KEY_COLUMNS}, ${isActive} AND ${OWNER_LIVES}`,
      where: `kind = 'personal'`,
      isActive: `${isActive} AND ${OWNER_LIVES}`,
      inactive: [
        ...key.inactive,
        { where: UNEXPIRED, sieve: [OWNER_ENDED, ...(gone === undefined ? [] : [`NOT ${gone}`])] },
      ],
      hasOwner: true,
      search: orByOwner(byWordsOrKey),
    },
    team_key: {
      ...key,
      columns: `${KEY_COLUMNS}, ${isActive}`,
      where: `kind = 'team'`,
      isActive,
      hasOwner: false,
      search: byWordsOrKey,
    },
    oauth2_client: CLIENTS,
    oauth2_app: APPS,
  };
}

const CLIENTS: Source = {
  from: 'oauth_clients',
  columns: `name, NULL::uuid, team_id, created_by, client_id, allowed_scopes, created_at, last_used_at,
    NULL::timestamptz, NULL, enabled`,
  where: 'true',
  lastUsedAt: 'last_used_at',
  isActive: 'enabled',
  inactive: [{ where: 'NOT enabled', sieve: [] }],
  hasOwner: false,
  expires: false,
  search: byWords,
};

// An app acts for a team by the consents of its members alone, each of them a credential.
const APPS: Source = {
  from: 'grants',
  columns: `NULL, user_id, team_id, NULL::uuid, client_id, ${GRANTED_SCOPES}, created_at, last_used_at, expires_at,
    NULL, ${APP_ENABLED} AND ${OWNER_LIVES}`,
  where: 'expires_at > now()',
  lastUsedAt: 'last_used_at',
  isActive: `${APP_ENABLED} AND ${OWNER_LIVES}`,
  inactive: [
    { where: 'client_id IN (SELECT client_id FROM oauth_apps WHERE NOT enabled)', sieve: [] },
    { where: `${APP_ENABLED} AND ${OWNER_ENDED}`, sieve: [] },
  ],
  hasOwner: true,
  expires: true,
  search: orByOwner(
    (text, bind) => `client_id = ANY (ARRAY(SELECT oauth_apps.client_id FROM oauth_apps WHERE ${byWords(text, bind)}))`,
  ),
};

/** For statements that do not know what is due. */
export const SOURCES = sourcesOf(GIVEN_UP);

const NEVER_USED = 'last_used_hour IS NULL';
const WAS_USED = 'last_used_hour IS NOT NULL';

const FIELDS: Listing['fields'] = {
  created_at: { sql: 'created_at', type: 'timestamptz' },
  team_id: { sql: 'team_id', type: 'uuid' },
  user_id: { sql: 'user_id', type: 'uuid' },
};

/**
 * Filters `team_id` and `user_id`, order `created_at`; a search looks at names, keys, client_ids and owners' addresses. Team keys
 * and clients have no owner, clients never expire.
 */
export async function listCredentials(db: Queryable, query: CredentialQuery, page: Page): Promise<CredentialRecord[]> {
  const parameters: unknown[] = [];
  const due = await listDueRetirements(db);
  const sources = once(() => sourcesOf(givenUp(due, (value) => `$${parameters.push(value)}`)));
  const parts = query.kinds.flatMap((kind) => partsOf(kind, sources, query, page, parameters));
  if (parts.length === 0) return [];
  const direction = page.order?.descending ? 'DESC' : 'ASC';
  // Names are looked up for the rows of this page only.
  const { rows } = await db.query<CredentialRecord>(
    `SELECT one.id, one.kind, coalesce(one.name, oauth_apps.name) AS name, one."userId", users.email AS "ownerEmail",
       one."teamId", teams.name AS "teamName", one."createdBy", one.scopes, one."createdAt", one."lastUsedAt",
       one."expiresAt", one."isActive", one."clientId", one."sortKey", coalesce(one.prefix, (
         SELECT secret.prefix FROM client_secrets AS secret
         WHERE secret.oauth_client_id = one.id AND (secret.expires_at IS NULL OR secret.expires_at > now())
         ORDER BY secret.created_at DESC, secret.id LIMIT 1)) AS prefix
     FROM (SELECT * FROM (${parts.join(' UNION ALL ')}) AS any_kind(${COLUMNS})
       ORDER BY "createdAt" ${direction}, id ${direction} LIMIT $${parameters.push(page.limit)}) AS one
     JOIN teams ON teams.id = one."teamId"
     LEFT JOIN users ON users.id = one."userId"
     LEFT JOIN oauth_apps ON oauth_apps.client_id = one."clientId"
     ORDER BY one."createdAt" ${direction}, one.id ${direction}`,
    parameters,
  );
  return rows.map((row) => ({ ...row, scopes: row.scopes && [...new Set(row.scopes)] }));
}

/** The statements that give one kind's share of a page; none when the kind cannot meet the query. */
function partsOf(
  kind: CredentialKind,
  sources: () => Record<CredentialKind, Source>,
  query: CredentialQuery,
  page: Page,
  parameters: unknown[],
): string[] {
  const { unusedSince, expiresBefore, neverUsed, isActive, ids } = query;
  if (!SOURCES[kind].hasOwner && page.conditions?.some(({ field }) => field === 'user_id')) return [];
  if (!SOURCES[kind].expires && expiresBefore !== undefined) return [];
  // Only what is asked of keys says what has been given up.
  const isKey = SOURCES[kind].from === 'api_keys';
  const source = isKey ? sources()[kind] : SOURCES[kind];
  const bind = (value: unknown) => `$${parameters.push(value)}::timestamptz`;
  const where = [source.where];
  if (isActive.includes(true)) where.push(source.isActive);
  // Says no more, but keeps what expired long ago out of the range that is read.
  if (isActive.includes(true) && expiresBefore !== undefined) where.push('expires_at > now()');
  if (neverUsed !== undefined) where.push(neverUsed ? NEVER_USED : WAS_USED);
  if (expiresBefore !== undefined) {
    // Keys that are not active are looked for in an index that has it so.
    const until = isKey && isActive.includes(false) ? `coalesce(expires_at, 'infinity')` : 'expires_at';
    where.push(`${until} < ${bind(expiresBefore)}`);
  }
  if (ids !== undefined) where.push(`id = ANY ($${parameters.push(ids)}::uuid[])`);
  let uses = ['true'];
  if (unusedSince !== undefined) {
    const since = bind(unusedSince);
    where.push(`created_at < ${since}`);
    // The first says no more than the second, but has the index.
    uses = [NEVER_USED, `last_used_hour < ${since} AND ${source.lastUsedAt} < ${since}`];
  }
  const states = isActive.includes(false) ? source.inactive : [{ where: 'true', sieve: [] }];
  // A search has its own index. What is inactive is narrowed to that first, part by part: it may be rare.
  const bySearch = isSearch(page) && !isActive.includes(false);
  const alternatives: Part[] = bySearch
    ? [{ where: source.where, sieve: [...where, `(${uses.join(' OR ')})`] }]
    : states.flatMap(({ where: state, sieve }) =>
        uses.map((use) => ({ where: [...where, state, use].join(' AND '), sieve })),
      );
  return alternatives.map((alternative) => {
    const listing: Listing = {
      columns: `id, '${kind}', ${source.columns}`,
      from: source.from,
      fields: FIELDS,
      order: { field: 'created_at', descending: false },
      search: source.search,
      where: alternative.where,
      sieve: alternative.sieve.length === 0 ? undefined : alternative.sieve.join(' AND '),
    };
    return `(${listStatement(listing, page, parameters)})`;
  });
}
