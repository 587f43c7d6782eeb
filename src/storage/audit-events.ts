/** The audit trail's rows. Insert only. */
import { type Condition, type Listing, listRows, listStatement, type Page } from './listing.ts';
import type { Queryable } from './pool.ts';

export interface AuditEventRecord {
  occurredAt: Date;
  action: string;
  outcome: 'success' | 'refused';
  actorKind: string;
  actorId: string;
  teamId: string | null;
  targetKind: string;
  targetId: string;
  requestId: string;
  ip: string;
  details: Record<string, unknown>;
}

/** Writes any number of events with one statement. */
export async function insertAuditEvents(db: Queryable, events: AuditEventRecord[]): Promise<void> {
  await db.query(
    `INSERT INTO audit_events (occurred_at, action, outcome, actor_kind, actor_id, team_id, target_kind, target_id, request_id, ip, details)
     SELECT "occurredAt", action, outcome, "actorKind", "actorId", "teamId", "targetKind", "targetId", "requestId", ip, details
     FROM jsonb_to_recordset($1::jsonb) AS event("occurredAt" timestamptz, action text, outcome text, "actorKind" text, "actorId" text,
       "teamId" uuid, "targetKind" text, "targetId" text, "requestId" text, ip text, details jsonb)`,
    [JSON.stringify(events)],
  );
}

/** An event as it was written; ids count up, but may become visible in another order. */
export interface RecordedAuditEventRecord extends AuditEventRecord {
  id: string;
  /** Its place in the list's order (storage/listing.ts). */
  sortKey: string;
}

// Each field has an index with the time behind it: the trail is the longest table there is.
const LISTING: Listing = {
  columns: `id, occurred_at AS "occurredAt", action, outcome, actor_kind AS "actorKind", actor_id AS "actorId",
    team_id AS "teamId", target_kind AS "targetKind", target_id AS "targetId", request_id AS "requestId", ip, details`,
  from: 'audit_events',
  fields: {
    occurred_at: { sql: 'occurred_at', type: 'timestamptz' },
    action: { sql: 'action', type: 'text' },
    outcome_action: { sql: `(outcome || ' ' || action)`, type: 'text' },
    outcome: { sql: 'outcome', type: 'text' },
    actor_kind: { sql: 'actor_kind', type: 'text' },
    actor_id: { sql: 'actor_id', type: 'text' },
    team_id: { sql: 'team_id', type: 'uuid' },
    target_kind: { sql: 'target_kind', type: 'text' },
    target_id: { sql: 'target_id', type: 'text' },
  },
  order: { field: 'occurred_at', descending: true },
  id: { sql: 'id', type: 'bigint' },
};

/** Every event has one of them. */
const OUTCOMES = ['success', 'refused'];

/** Newest first, unless the page says otherwise. */
export async function listAuditEvents(
  db: Queryable,
  { teamId }: { teamId?: string | undefined },
  page: Page,
): Promise<RecordedAuditEventRecord[]> {
  const ofTeam: Condition[] = teamId === undefined ? [] : [{ field: 'team_id', operator: 'eq', value: teamId }];
  const conditions = [...ofTeam, ...(page.conditions ?? [])];
  const valuesOf = (name: string) => [
    ...new Set(conditions.filter(({ field }) => field === name).map(({ value }) => value)),
  ];
  const [actions, outcomes] = [valuesOf('action'), valuesOf('outcome')];
  if (actions.length === 0) return listRows(db, LISTING, { ...page, conditions });
  // All must hold, and an event has one of each.
  if (actions.length > 1 || outcomes.length > 1) return [];
  const others = conditions.filter(({ field }) => field !== 'action' && field !== 'outcome');
  const parameters: unknown[] = [];
  const parts = (outcomes.length > 0 ? outcomes : OUTCOMES).map((outcome) => {
    const both: Condition = { field: 'outcome_action', operator: 'eq', value: `${outcome} ${actions[0]}` };
    return `(${listStatement(LISTING, { ...page, conditions: [...others, both] }, parameters)})`;
  });
  const direction = (page.order ?? LISTING.order).descending ? 'DESC' : 'ASC';
  const { rows } = await db.query<RecordedAuditEventRecord>(
    `SELECT * FROM (${parts.join(' UNION ALL ')}) AS any_outcome
     ORDER BY "occurredAt" ${direction}, id ${direction} LIMIT $${parameters.push(page.limit)}`,
    parameters,
  );
  return rows;
}

/** Every action there is an event of, by name; read from the index by leaps, however many events there are. */
export async function listAuditActions(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ action: string }>(
    `WITH RECURSIVE known(word) AS (
       (SELECT outcome || ' ' || action FROM audit_events ORDER BY outcome || ' ' || action LIMIT 1)
       UNION ALL SELECT (SELECT outcome || ' ' || action FROM audit_events
         WHERE outcome || ' ' || action > known.word ORDER BY outcome || ' ' || action LIMIT 1)
       FROM known WHERE word IS NOT NULL)
     SELECT DISTINCT split_part(word, ' ', 2) AS action FROM known WHERE word IS NOT NULL`,
  );
  return rows.map(({ action }) => action).sort();
}

/** Those of the events with these ids that meet the conditions, oldest first. */
export function listAuditEventsById(
  db: Queryable,
  ids: readonly string[],
  conditions: readonly Condition[],
): Promise<RecordedAuditEventRecord[]> {
  const page = { limit: ids.length, conditions, order: { field: 'occurred_at', descending: false } };
  return listRows(db, { ...LISTING, where: 'id = ANY($1::bigint[])' }, page, [ids]);
}

/** Ids of events that are there now: up to `limit` above `after`, and whichever of `others`; lowest first. */
export async function listAuditEventIds(
  db: Queryable,
  { after, others, limit }: { after: string; others: readonly string[]; limit: number },
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT id FROM (
       (SELECT id FROM audit_events WHERE id > $1 ORDER BY id LIMIT $3)
       UNION ALL (SELECT id FROM audit_events WHERE id = ANY($2::bigint[]))) AS known
     ORDER BY id`,
    [after, others, limit],
  );
  return rows.map(({ id }) => id);
}

/** The highest id there is, '0' in an empty trail. */
export async function findLastAuditEventId(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ id: string }>('SELECT coalesce(max(id), 0) AS id FROM audit_events');
  return rows[0]!.id;
}
