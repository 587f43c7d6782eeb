/** The audit trail as a file: what the filters of the page leave, a batch at a time, so that no length of it is in memory. */
import type { AuditEvents, RecordedAuditEvent } from '../../../domain/audit-events.ts';
import { csvLine } from './csv.ts';

/** Most events of one file. */
export const MOST_ROWS = 50_000;
const BATCH = 500;

const COLUMNS = [
  ...['id', 'occurred_at', 'action', 'outcome', 'actor_kind', 'actor_id', 'team_id', 'target_kind', 'target_id'],
  ...['request_id', 'ip', 'details'],
];

export interface AuditCsvOptions {
  auditEvents: Pick<AuditEvents, 'list'>;
  scope: { teamId?: string };
  conditions: Parameters<AuditEvents['list']>[1]['conditions'];
  /** Most events (default `MOST_ROWS`). */
  most?: number;
}

/**
 * Pieces of the file, the newest event first. When there are more events than may be in it, its last line says so. Whoever
 * stops reading stops the questions to the database.
 */
export async function* auditCsv({ auditEvents, scope, conditions, most = MOST_ROWS }: AuditCsvOptions) {
  yield csvLine(COLUMNS);
  let after: { sortKey: string; id: string } | undefined;
  for (let left = most; ; ) {
    const limit = Math.min(BATCH, left);
    const events = await auditEvents.list(scope, { limit: limit + 1, conditions, after });
    const shown = events.slice(0, limit);
    if (shown.length > 0) yield shown.map(lineOf).join('');
    left -= shown.length;
    after = shown.at(-1);
    if (events.length <= limit) return;
    if (left === 0) {
      yield csvLine([`There are more events. This file ends after ${most}: narrow the time and export again.`]);
      return;
    }
  }
}

/** As JSON in which no semicolon is left: where lists are parted by them, a spreadsheet begins another cell there. */
function detailsOf({ details }: RecordedAuditEvent): string {
  return JSON.stringify(details).replaceAll(';', '\\u003b');
}

function lineOf(event: RecordedAuditEvent): string {
  return csvLine([
    ...[event.id, event.occurredAt.toISOString(), event.action, event.outcome, event.actorKind, event.actorId],
    ...[event.teamId ?? '', event.targetKind, event.targetId, event.requestId, event.ip, detailsOf(event)],
  ]);
}
