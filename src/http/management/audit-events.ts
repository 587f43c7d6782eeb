/** The audit trail, to be read. */
import { z } from 'zod';
import type { AuditEvents, RecordedAuditEvent } from '../../domain/audit-events.ts';
import { teamReach } from '../../domain/authorization.ts';
import { type FilterField, filter } from './filter.ts';
import { list } from './list.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const OUTCOMES = ['success', 'refused'] as const;

const AUDIT_EVENT = z
  .object({
    id: z.string(),
    occurred_at: time,
    action: z.string().meta({ example: 'api_key.created' }),
    outcome: z.enum(OUTCOMES),
    actor: z
      .object({ kind: z.string(), id: z.string() })
      .meta({ description: 'Who did it: a user, a key, a client, an app, an operator, the system, or nobody known' }),
    team_id: z.string().nullable().meta({ description: 'Null when it concerns no team in particular' }),
    target: z.object({ kind: z.string(), id: z.string() }).nullable().meta({ description: 'What it was done to' }),
    request_id: z.string().meta({ description: 'The `x-request-id` of the request; empty when there was none' }),
    ip: z.string(),
    details: z.record(z.string(), z.unknown()).meta({ description: 'Names and ids, never a secret' }),
  })
  .meta({ id: 'AuditEvent' });

const outcome: FilterField = {
  operators: ['eq'],
  parse: (text) => OUTCOMES.find((one) => one === text),
  complaint: `must be ${OUTCOMES.join(' or ')}`,
};

export function createAuditEventOperations({ auditEvents }: { auditEvents: Pick<AuditEvents, 'list'> }): Noun {
  return [
    list({
      id: 'audit_events.list',
      path: '/api/v1/audit_events',
      tag: 'Audit events',
      summary: 'List what happened, newest first',
      description: 'Who acts in a team other than the root team sees what happened in that team.',
      item: AUDIT_EVENT,
      filters: {
        occurred_at: filter.time,
        actor_id: filter.text,
        actor_kind: filter.text,
        action: filter.text,
        target_id: filter.text,
        target_kind: filter.text,
        team_id: filter.uuid,
        outcome,
      },
      orders: ['occurred_at'],
      rows: ({ caller, page }) => auditEvents.list(teamReach(caller), page),
      toWire,
    }),
  ];
}

function toWire(event: RecordedAuditEvent): z.input<typeof AUDIT_EVENT> {
  return {
    id: event.id,
    occurred_at: event.occurredAt.toISOString(),
    action: event.action,
    outcome: event.outcome,
    actor: { kind: event.actorKind, id: event.actorId },
    team_id: event.teamId,
    target: event.targetKind === '' ? null : { kind: event.targetKind, id: event.targetId },
    request_id: event.requestId,
    ip: event.ip,
    details: event.details,
  };
}
