/**
 * What the overview counts. No number costs more than a look at so many rows, however many there are: the cheap conditions
 * pick the rows by an index, and only those are held against the dear ones.
 */

import { UNEXPIRED } from './api-key-lists.ts';
import { USE_KINDS, type UseKind } from './credential-uses.ts';
import { CREDENTIAL_KINDS, type CredentialKind, SOURCES, type Source } from './credentials.ts';
import type { Queryable } from './pool.ts';

/** At least so many; `isMore`: there may be others. */
export interface Count {
  count: number;
  isMore: boolean;
}

export interface CredentialCounts {
  active: Record<CredentialKind, Count>;
  expiring: Count;
  neverUsed: Count;
  unused: Count;
}

/** Uses of one kind on one day (UTC, `2030-01-31`). */
export interface DayCount {
  day: string;
  kind: UseKind;
  requests: number;
}

/** A retirement whose day is still to come, and how many of its keys were used lately. */
export interface ComingRetirement {
  id: string;
  keyName: string | null;
  teamName: string | null;
  prefix: string | null;
  retiresAt: Date;
  used: Count;
}

export interface OverviewScope {
  teamId?: string | undefined;
}

/** The highest number that is told, and how many rows of a kind are looked at for it, some of them in vain. */
const ALL = { most: 500, lookedAt: 600 };
const SOME = { most: 100, lookedAt: 125 };
const MOST_REFUSALS = 1_000;

/** What says cheaply that a row is not active, so that few are picked in vain. */
const LIKELY_ACTIVE: Record<CredentialKind, string> = {
  personal_key: UNEXPIRED,
  team_key: UNEXPIRED,
  oauth2_client: 'enabled',
  oauth2_app: 'true',
};

interface Figure {
  kinds: readonly CredentialKind[];
  where: string;
  /** As the index has it. */
  order: string;
  bound: { most: number; lookedAt: number };
}

/** Counts of what is active; of clients, which never expire, none is expiring. */
export async function countCredentials(
  db: Queryable,
  { teamId }: OverviewScope,
  times: { expiresBefore: Date; neverUsedBefore: Date; unusedSince: Date },
): Promise<CredentialCounts> {
  const parameters: unknown[] = [teamId ?? null, times.expiresBefore, times.neverUsedBefore, times.unusedSince];
  const figures: Figure[] = [
    ...CREDENTIAL_KINDS.map((kind) => ({ kinds: [kind], where: 'true', order: 'created_at, id', bound: ALL })),
    {
      kinds: CREDENTIAL_KINDS.filter((kind) => SOURCES[kind].expires),
      where: 'expires_at > now() AND expires_at < $2::timestamptz',
      order: 'expires_at',
      bound: SOME,
    },
    {
      kinds: CREDENTIAL_KINDS,
      where: 'last_used_hour IS NULL AND created_at < $3::timestamptz',
      order: 'created_at, id',
      bound: SOME,
    },
    { kinds: CREDENTIAL_KINDS, where: 'last_used_hour < $4::timestamptz', order: 'last_used_hour', bound: SOME },
  ];
  // In the statement itself: a parameter that may be null keeps the index of the team from being used.
  const ofTeam = teamId === undefined ? '$1::uuid IS NULL' : 'team_id = $1::uuid';
  const { rows } = await db.query<{ counts: { looked: number; found: number }[] }>(
    `SELECT jsonb_build_array(${figures.map((figure) => counted(figure, ofTeam)).join(', ')}) AS counts
     WHERE num_nulls($2::timestamptz, $3::timestamptz, $4::timestamptz) = 0`,
    parameters,
  );
  const [personal, team, client, app, expiring, neverUsed, unused] = rows[0]!.counts.map((one, place) =>
    toCount(one, figures[place]!),
  );
  return {
    active: { personal_key: personal!, team_key: team!, oauth2_client: client!, oauth2_app: app! },
    expiring: expiring!,
    neverUsed: neverUsed!,
    unused: unused!,
  };
}

/** Of each kind at most so many rows are looked at; `looked` is of the kind with most of them. */
function counted({ kinds, where, order, bound }: Figure, ofTeam: string): string {
  const parts = kinds.map((kind) => {
    const { from, where: ofKind, isActive }: Source = SOURCES[kind];
    const picked = `SELECT * FROM ${from} WHERE ${ofKind} AND ${LIKELY_ACTIVE[kind]} AND ${ofTeam} AND ${where}
      ORDER BY ${order} LIMIT ${bound.lookedAt}`;
    return `SELECT count(*) AS looked, count(*) FILTER (WHERE ${isActive}) AS found FROM (${picked}) AS ${from}`;
  });
  return `(SELECT jsonb_build_object('looked', max(looked), 'found', sum(found)) FROM (${parts.join(' UNION ALL ')}) AS of_kind)`;
}

function toCount({ looked, found }: { looked: number; found: number }, { bound }: Figure): Count {
  return { count: Math.min(found, bound.most), isMore: found > bound.most || looked === bound.lookedAt };
}

/** Uses by day and kind, both days included; without a team those of all, also of teams that have ended since. */
export async function listDailyUses(
  db: Queryable,
  { teamId }: OverviewScope,
  { from, to }: { from: string; to: string },
): Promise<DayCount[]> {
  const source = teamId === undefined ? 'credential_use_days' : 'credential_use_totals';
  const { rows } = await db.query<DayCount>(
    `SELECT to_char(day, 'YYYY-MM-DD') AS day, kind, least(requests, ${Number.MAX_SAFE_INTEGER})::float8 AS requests FROM ${source}
     WHERE day BETWEEN $1::date AND $2::date AND kind = ANY ($3) ${teamId === undefined ? '' : 'AND team_id = $4'}
     ORDER BY day, kind`,
    [from, to, USE_KINDS, ...(teamId === undefined ? [] : [teamId])],
  );
  return rows;
}

/** What was refused since then, by action, the most frequent first; the latest thousand are counted. */
export async function countRefusals(
  db: Queryable,
  { teamId }: OverviewScope,
  since: Date,
): Promise<{ actions: { action: string; count: number }[]; isMore: boolean }> {
  const { rows } = await db.query<{ action: string; count: number }>(
    `SELECT action, count(*)::int AS count FROM (
       SELECT action FROM audit_events WHERE outcome = 'refused' AND occurred_at >= $1
         ${teamId === undefined ? '' : 'AND team_id = $2'}
       ORDER BY occurred_at DESC, id DESC LIMIT ${MOST_REFUSALS + 1}) AS latest
     GROUP BY action ORDER BY count DESC, action`,
    [since, ...(teamId === undefined ? [] : [teamId])],
  );
  const all = rows.reduce((sum, { count }) => sum + count, 0);
  return { actions: rows, isMore: all > MOST_REFUSALS };
}

const MOST_OF_RETIREMENT = 100;

/** The retirements that come next; those that concern every team only without a team. */
export async function listComingRetirements(
  db: Queryable,
  { teamId }: OverviewScope,
  { limit, usedSince }: { limit: number; usedSince: Date },
): Promise<ComingRetirement[]> {
  const used = `status = 1 AND ${UNEXPIRED} AND last_used_hour >= $1`;
  const begins = `(starts_with(key.prefix, next.prefix) OR starts_with(next.prefix, key.prefix))`;
  // Which of the parts is meant is known before any of them reads a key.
  const parts = [
    `SELECT FROM api_keys AS key WHERE next.key_id IS NOT NULL AND key.id = next.key_id AND ${used}`,
    `SELECT FROM api_keys AS key WHERE next.key_id IS NULL AND next.team_id IS NOT NULL AND key.team_id = next.team_id
       AND (next.prefix IS NULL OR ${begins}) AND ${used}`,
    `SELECT FROM api_keys AS key WHERE next.key_id IS NULL AND next.team_id IS NULL AND ${begins} AND ${used}`,
  ];
  const { rows } = await db.query<Omit<ComingRetirement, 'used'> & { found: number }>(
    `SELECT next.id, next.prefix, next.retires_at AS "retiresAt", counted.found,
       (SELECT name FROM api_keys WHERE api_keys.id = next.key_id) AS "keyName",
       (SELECT name FROM teams WHERE teams.id = next.team_id) AS "teamName"
     FROM (SELECT * FROM retirements WHERE retires_at > now() ${teamId === undefined ? '' : 'AND team_id = $2'}
       ORDER BY retires_at, id LIMIT ${limit}) AS next,
     LATERAL (SELECT count(*)::int AS found FROM (
       ${parts.join(' UNION ALL ')} LIMIT ${MOST_OF_RETIREMENT + 1}) AS called) AS counted
     ORDER BY next.retires_at, next.id`,
    [usedSince, ...(teamId === undefined ? [] : [teamId])],
  );
  return rows.map(({ found, ...one }) => ({
    ...one,
    used: { count: Math.min(found, MOST_OF_RETIREMENT), isMore: found > MOST_OF_RETIREMENT },
  }));
}
