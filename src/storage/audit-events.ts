/** The audit trail's rows. Insert only. */
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
