/** `latchkey audit …` */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RecordedAuditEvent } from '../domain/audit-events.ts';
import { past } from './arguments.ts';
import type { Deps } from './deps.ts';
import { table, wire } from './output.ts';
import type { Session } from './session.ts';

const MOST_LISTED = 1_000;

interface FilterOptions {
  action?: string;
  outcome?: string;
  actor?: string;
  actorKind?: string;
  target?: string;
  targetKind?: string;
  team?: string;
  since?: Date;
}

export function addAuditCommands(program: Command, deps: Deps): void {
  const audit = program.command('audit').description('the audit trail: who did what, and what was refused');
  addList(audit, deps);
  addTail(audit, deps);
}

function addList(audit: Command, { output, withSession }: Deps): void {
  withFilters(audit.command('list').description('list events, newest first'))
    .option('--until <time>', 'only before then: a time, or 30m, 12h, 90d ago', past)
    .option('--limit <count>', `how many at most (1 to ${MOST_LISTED})`, count, 50)
    .action(async ({ since, until, limit, ...options }: FilterOptions & { until?: Date; limit: number }) => {
      const events = await withSession(async (session) => {
        const conditions = [
          ...(await conditionsOf(session, options)),
          ...(since ? [{ field: 'occurred_at', operator: 'ge' as const, value: since }] : []),
          ...(until ? [{ field: 'occurred_at', operator: 'lt' as const, value: until }] : []),
        ];
        return session.domain.auditEvents.list({}, { limit, conditions });
      });
      const heading = ['TIME', 'ACTION', 'OUTCOME', 'ACTOR', 'TARGET', 'TEAM'];
      output.print(
        events.map(toWire),
        events.length === 0 ? 'There are no such events.' : table(heading, events.map(describe)),
        ...(events.length < limit ? [] : ['There may be more: see --limit, --since and --until.']),
      );
    });
}

function addTail(audit: Command, { output, withSession }: Deps): void {
  withFilters(audit.command('tail').description('print events as they happen, one a line, until Ctrl-C'))
    .addHelpText('after', '\nWith --json each line is one JSON object.')
    .action(async ({ since, ...options }: FilterOptions) => {
      const stop = new AbortController();
      const end = () => stop.abort();
      process.once('SIGINT', end).once('SIGTERM', end);
      try {
        await withSession(async (session) => {
          const conditions = await conditionsOf(session, options);
          const events = session.domain.auditEvents.follow({ signal: stop.signal, conditions, since });
          for await (const event of events) output.line(toWire(event), describe(event));
        });
      } finally {
        process.off('SIGINT', end).off('SIGTERM', end);
      }
    });
}

function withFilters(command: Command): Command {
  return command
    .option('--action <action>', 'only this action, for example api_key.created')
    .addOption(new Option('--outcome <outcome>', 'only what went so').choices(['success', 'refused']))
    .option('--actor <id>', 'only by this user, key, client or app')
    .option('--actor-kind <kind>', 'only by actors of this kind')
    .option('--target <id>', 'only what was done to this')
    .option('--target-kind <kind>', 'only what was done to things of this kind')
    .option('--team <team>', 'only in this team (id or name)')
    .option('--since <time>', 'only from then on: a time, or 30m, 12h, 90d ago', past);
}

async function conditionsOf(session: Session, options: Omit<FilterOptions, 'since'>) {
  const wanted = {
    action: options.action,
    outcome: options.outcome,
    actor_id: options.actor,
    actor_kind: options.actorKind,
    target_id: options.target,
    target_kind: options.targetKind,
    team_id: options.team === undefined ? undefined : (await session.team(options.team)).id,
  };
  return Object.entries(wanted).flatMap(([field, value]) =>
    value === undefined ? [] : [{ field, operator: 'eq' as const, value }],
  );
}

function describe(event: RecordedAuditEvent): unknown[] {
  const named = (kind: string, id: string) => [kind, id].filter((word) => word !== '').join(':');
  return [
    event.occurredAt,
    event.action,
    event.outcome,
    named(event.actorKind, event.actorId),
    named(event.targetKind, event.targetId),
    event.teamId,
  ];
}

/** The event as the management API shows it. */
function toWire({ sortKey: _, actorKind, actorId, targetKind, targetId, ...event }: RecordedAuditEvent) {
  return {
    ...wire(event),
    actor: { kind: actorKind, id: actorId },
    target: targetKind === '' ? null : { kind: targetKind, id: targetId },
  };
}

function count(word: string): number {
  const given = /^\d{1,4}$/.test(word) ? Number(word) : 0;
  if (given < 1 || given > MOST_LISTED) throw new InvalidArgumentError(`Use a number from 1 to ${MOST_LISTED}.`);
  return given;
}
