/** How many requests each credential was used for on each day (UTC), and who still calls with keys. */
import { type Condition, type Listing, listRows, type Page } from './listing.ts';
import type { Queryable } from './pool.ts';

export const USE_KINDS = ['personal_key', 'team_key', 'oauth2_app', 'oauth2_client', 'exchanged_token'] as const;

export type UseKind = (typeof USE_KINDS)[number];

/** Requests by one credential. */
export interface CredentialUse {
  teamId: string;
  kind: UseKind;
  /** A key's id, a client_id, or `key:<id>` for tokens exchanged for a key. */
  credential: string;
}

/** Requests of one day, as `2030-01-31`. */
export interface CountedUse extends CredentialUse {
  day: string;
  requests: number;
}

export interface UsageRecord {
  day: string;
  teamId: string;
  teamName: string;
  kind: UseKind;
  requests: number;
  /** Of all requests of the team on that day, 0 to 1. */
  share: number;
  /** What tells rows of one day apart. */
  id: string;
  sortKey: string;
}

export interface CallingKeyRecord {
  keyId: string;
  kind: 'personal_key' | 'team_key';
  teamId: string;
  teamName: string;
  /** In the days that were asked for. */
  requests: number;
  lastDay: string;
  /** What is known of the key; null when it was deleted since. */
  key: {
    name: string;
    prefix: string;
    lastFour: string;
    userId: string | null;
    ownerEmail: string | null;
    externalId: string | null;
  } | null;
  id: string;
  sortKey: string;
}

/** A number as JavaScript can have it, whatever was reported. */
const countable = (sql: string) => `least(${sql}, ${Number.MAX_SAFE_INTEGER})`;

const USAGE: Listing = {
  columns: `to_char(day, 'YYYY-MM-DD') AS day, team_id AS "teamId", kind, ${countable('requests')}::float8 AS requests,
    (SELECT name FROM teams WHERE teams.id = team_id) AS "teamName", team_id::text || ' ' || kind AS id,
    requests / (SELECT sum(same.requests) FROM credential_use_totals AS same
      WHERE same.team_id = credential_use_totals.team_id AND same.day = credential_use_totals.day)::float8 AS share`,
  from: 'credential_use_totals',
  fields: {
    day: { sql: 'day', type: 'date' },
    team_id: { sql: 'team_id', type: 'uuid' },
    kind: { sql: 'kind', type: 'text' },
  },
  order: { field: 'day', descending: false },
  id: { sql: "(team_id::text || ' ' || kind)", type: 'text' },
};

const OF_KEYS = `kind IN ('personal_key', 'team_key') AND day BETWEEN $1::date AND $2::date`;

/** Subqueries, and not joins: only the rows of a page are asked for. */
const callingKeyColumns = (kind: string, requests: string, lastDay: string) =>
  `credential AS id, credential AS "keyId", ${kind} AS kind, team_id AS "teamId",
    ${countable(requests)}::float8 AS requests, to_char(${lastDay}, 'YYYY-MM-DD') AS "lastDay", (SELECT name FROM teams WHERE teams.id = team_id) AS "teamName",
    (SELECT jsonb_build_object('name', name, 'prefix', prefix, 'lastFour', last_four, 'userId', user_id,
       'ownerEmail', (SELECT email FROM users WHERE users.id = user_id), 'externalId', external_id)
     FROM api_keys WHERE api_keys.id = credential::uuid) AS key`;

const BY_TEAM: Listing = {
  columns: callingKeyColumns('min(kind)', 'sum(requests)', 'max(day)'),
  from: 'credential_uses',
  fields: { team_id: { sql: 'team_id', type: 'uuid' } },
  order: { field: 'team_id', descending: false },
  id: { sql: 'credential', type: 'text' },
  // What was counted for a team that has ended is still to be purged. As a join it would keep PostgreSQL from reading no
  // more keys than the page has.
  where: `${OF_KEYS} AND (SELECT true FROM teams WHERE teams.id = team_id)`,
  groupBy: 'team_id, credential',
};

const BY_REQUESTS: Listing = {
  columns: callingKeyColumns('kind', 'requests', 'last_day'),
  from: `(SELECT team_id, credential, min(kind) AS kind, ${countable('sum(requests)')}::bigint AS requests,
      max(day) AS last_day FROM credential_uses WHERE ${OF_KEYS} GROUP BY team_id, credential) AS called`,
  fields: { ...BY_TEAM.fields, requests: { sql: 'requests', type: 'bigint' } },
  order: { field: 'requests', descending: true },
  id: { sql: 'credential', type: 'text' },
  where: 'EXISTS (SELECT FROM teams WHERE teams.id = team_id)',
};

/** Requests per day, team and kind. Filters: `day`, `team_id`, `kind`; order: `day`. */
export function listUsage(db: Queryable, page: Page): Promise<UsageRecord[]> {
  return listRows<UsageRecord>(db, USAGE, page);
}

/**
 * Keys that were used in these days, both included, by team: a page costs the same however many there are. Ordered by
 * `requests` all of them are added up. Filter: `team_id`.
 */
export function listCallingKeys(
  db: Queryable,
  { from, to, teamId }: { from: string; to: string; teamId?: string | undefined },
  page: Page,
): Promise<CallingKeyRecord[]> {
  const scope: Condition[] = teamId === undefined ? [] : [{ field: 'team_id', operator: 'eq', value: teamId }];
  const conditions = [...scope, ...(page.conditions ?? [])];
  const listing = page.order?.field === 'requests' ? BY_REQUESTS : BY_TEAM;
  return listRows<CallingKeyRecord>(db, listing, { ...page, conditions }, [from, to]);
}

/**
 * Keeps teams from ending until the transaction does. One that somebody is changing or ending right now is left out:
 * counting waits for nobody.
 */
export async function holdTeams(tx: Queryable, ids: readonly string[]): Promise<Set<string>> {
  const { rows } = await tx.query<{ id: string }>(
    'SELECT id FROM teams WHERE id = ANY ($1::uuid[]) ORDER BY id FOR KEY SHARE SKIP LOCKED',
    [ids],
  );
  return new Set(rows.map(({ id }) => id));
}

/** Which of these teams there are. */
export async function findTeams(db: Queryable, ids: readonly string[]): Promise<Set<string>> {
  const { rows } = await db.query<{ id: string }>('SELECT id FROM teams WHERE id = ANY ($1::uuid[])', [ids]);
  return new Set(rows.map(({ id }) => id));
}

/** Adds to what is counted already, for teams that are held. */
export async function addUses(tx: Queryable, uses: readonly CountedUse[]): Promise<void> {
  const rows = JSON.stringify(uses);
  const input = `jsonb_to_recordset($1::jsonb) AS row ("teamId" uuid, credential text, day date, kind text, requests bigint)`;
  // Each in one order, because every instance adds to the same rows.
  await tx.query(
    `INSERT INTO credential_uses AS known (team_id, credential, day, kind, requests)
     SELECT "teamId", credential, day, kind, requests FROM ${input} ORDER BY 1, 2, 3
     ON CONFLICT (team_id, credential, day) DO UPDATE SET requests = known.requests + EXCLUDED.requests`,
    [rows],
  );
  await tx.query(
    `INSERT INTO credential_use_totals AS known (team_id, day, kind, requests)
     SELECT "teamId", day, kind, sum(requests) FROM ${input} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
     ON CONFLICT (team_id, day, kind) DO UPDATE SET requests = known.requests + EXCLUDED.requests`,
    [rows],
  );
  // Full, and no failure: what one team reports must not keep others from being counted.
  await tx.query(
    `INSERT INTO credential_use_days AS known (day, kind, requests)
     SELECT day, kind, ${countable('sum(requests)')} FROM ${input} GROUP BY 1, 2 ORDER BY 1, 2
     ON CONFLICT (day, kind) DO UPDATE SET requests = ${countable('known.requests::numeric + EXCLUDED.requests')}`,
    [rows],
  );
}

/**
 * Of what somebody reported, the positions of those whose team and credential exist: keys in their own team alone, apps
 * and clients in any, because clients are passed tokens of other teams.
 */
export async function findKnownUses(db: Queryable, uses: readonly CredentialUse[]): Promise<Set<number>> {
  const { rows } = await db.query<{ position: number }>(
    `SELECT position::int FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY
       AS use(team_id, kind, credential, position)
     WHERE CASE
       WHEN kind IN ('personal_key', 'team_key', 'exchanged_token') THEN EXISTS (
         SELECT FROM api_keys WHERE api_keys.id = replace(credential, 'key:', '')::uuid
           AND api_keys.team_id = use.team_id AND (use.kind = 'exchanged_token' OR use.kind = api_keys.kind || '_key'))
       ELSE EXISTS (SELECT FROM teams WHERE teams.id = use.team_id) AND CASE kind
         WHEN 'oauth2_client' THEN EXISTS (SELECT FROM oauth_clients WHERE client_id = credential)
         ELSE EXISTS (SELECT FROM oauth_apps WHERE client_id = credential) END END`,
    [uses.map(({ teamId }) => teamId), uses.map(({ kind }) => kind), uses.map(({ credential }) => credential)],
  );
  return new Set(rows.map(({ position }) => position - 1));
}
