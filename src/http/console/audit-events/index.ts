/** The audit trail: what happened, by whom and to what; each event in full, and all of them as a file. */

import { Readable } from 'node:stream';
import type { RecordedAuditEvent } from '../../../domain/audit-events.ts';
import { actsInRoot, type Caller, teamReach } from '../../../domain/authorization.ts';
import { isUuid } from '../../../domain/names.ts';
import { found } from '../../found.ts';
import type { Kit } from '../index.ts';
import { teamOptions } from '../teams/choice.ts';
import { type Cell, cell } from '../view.ts';
import { auditCsv, MOST_ROWS } from './export.ts';
import { actorCell, targetCell } from './parties.ts';

const PATH = '/console/audit';
const FILTERS = ['action', 'actor', 'target', 'team', 'outcome', 'from', 'to'];

type Filters = Readonly<Record<string, string>>;

export function addAuditEvents(kit: Kit): void {
  const { domain, routes, show, defineList } = kit;
  const { auditEvents } = domain;

  const list = defineList<RecordedAuditEvent & { actor: Cell; target: Cell }, { teamId: string | undefined }>({
    columns: [
      { label: 'What', cell: ({ id, action }) => cell.link(action, `${PATH}/${id}`) },
      { label: 'When', sort: 'occurred_at', cell: ({ occurredAt }) => cell.date(occurredAt, '') },
      { label: 'Outcome', cell: outcomeCell },
      { label: 'By', cell: ({ actor }) => actor },
      { label: 'To', cell: ({ target }) => target },
      { label: 'Address', cell: ({ ip }) => (ip === '' ? cell.text('') : cell.code(ip)) },
    ],
    filters: async ({ caller }, { teamId }) => [
      {
        name: 'action',
        label: 'Action, such as api_key.created',
        input: 'text',
        options: (await auditEvents.actions()).map((action) => ({ value: action, text: action })),
      },
      { name: 'actor', label: 'By: email or id', input: 'text', options: [] },
      { name: 'target', label: 'To: id', input: 'text', options: [] },
      ...(actsInRoot(caller)
        ? [{ name: 'team', label: 'Team', options: (await teamOptions(domain.teams, teamId)).options }]
        : []),
      { name: 'outcome', label: 'Outcome', options: OUTCOMES },
      { name: 'from', label: 'From day (UTC)', input: 'date', options: [] },
      { name: 'to', label: 'To day (UTC)', input: 'date', options: [] },
    ],
    order: { field: 'occurred_at', descending: true },
    empty: {
      title: 'Nothing has happened yet',
      text: 'Every change, every token issued and every refusal is written down here.',
    },
    async rows({ limit, order, after }, { filters, visitor }) {
      const conditions = await conditionsFrom(kit, filters, visitor.caller);
      const events = await auditEvents.list(teamReach(visitor.caller), { limit, order, after, conditions });
      return Promise.all(
        events.map(async (event) => ({
          ...event,
          actor: await actorCell(kit, visitor, event),
          target: await targetCell(kit, visitor, event),
        })),
      );
    },
  });

  routes.get(PATH, 'audit_events.list', async (ctx, visitor) => {
    const asked = filtersIn(ctx.query);
    const shown = await list(ctx, visitor, { teamId: asked.team });
    const query = new URLSearchParams(asked).toString();
    show.list(ctx, visitor, {
      title: 'Audit',
      lead: actsInRoot(visitor.caller)
        ? 'What happened here, the newest first.'
        : 'What happened in your team, the newest first.',
      actions: [
        {
          text: `Export as CSV, up to ${MOST_ROWS.toLocaleString('en-US')} events`,
          href: `${PATH}.csv${query && `?${query}`}`,
        },
      ],
      list: shown,
    });
  });

  routes.get(`${PATH}.csv`, 'audit_events.list', async (ctx, { caller }) => {
    const conditions = await conditionsFrom(kit, filtersIn(ctx.query), caller);
    ctx.set('Cache-Control', 'no-store');
    ctx.type = 'text/csv; charset=utf-8';
    ctx.attachment(`audit-${new Date().toISOString().slice(0, 10)}.csv`);
    ctx.body = Readable.from(auditCsv({ auditEvents, scope: teamReach(caller), conditions }), { objectMode: false });
  });

  // After the file, which would be an id otherwise.
  routes.get(`${PATH}/:id`, 'audit_events.list', async (ctx, visitor) => {
    const event = found(await auditEvents.find(String(ctx.params.id), teamReach(visitor.caller)), 'event');
    const team = event.teamId === null ? undefined : await domain.teams.find(event.teamId);
    show.detail(ctx, visitor, {
      title: event.action,
      back: { text: 'Audit', href: PATH },
      badge: outcomeCell(event),
      facts: [
        { label: 'When', value: cell.date(event.occurredAt, '') },
        { label: 'By', value: await actorCell(kit, visitor, event) },
        { label: 'To', value: await targetCell(kit, visitor, event) },
        {
          label: 'Team',
          value: event.teamId === null ? cell.text('No team in particular') : cell.text(team?.name ?? '', event.teamId),
        },
        { label: 'Address', value: cell.text(event.ip === '' ? 'Not from the network' : event.ip) },
        { label: 'Request', value: event.requestId === '' ? cell.text('None') : cell.code(event.requestId) },
        { label: 'Id', value: cell.code(event.id) },
      ],
      sections: [{ title: 'Details', code: JSON.stringify(event.details, null, 2) }],
    });
  });
}

const OUTCOMES = [
  { value: 'success', text: 'Success' },
  { value: 'refused', text: 'Refused' },
];

function outcomeCell({ outcome }: RecordedAuditEvent): Cell {
  return outcome === 'refused' ? cell.badge('Refused', 'bad') : cell.badge('Success', 'good');
}

/** The filters an address asks for, as the list understands them. */
function filtersIn(query: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    FILTERS.flatMap((name): [string, string][] => {
      const value = Object.hasOwn(query, name) ? query[name] : undefined;
      return typeof value === 'string' && value.trim() !== '' && !value.includes('\0') ? [[name, value.trim()]] : [];
    }),
  );
}

const eq = (field: string, value: string) => ({ field, operator: 'eq' as const, value });

async function conditionsFrom(kit: Kit, filters: Filters, caller: Caller) {
  const { action, actor, target, team, outcome } = filters;
  return [
    ...(action === undefined ? [] : [eq('action', action)]),
    ...(actor === undefined ? [] : [eq('actor_id', await actorNamed(kit, actor, caller))]),
    ...(target === undefined ? [] : [eq('target_id', target)]),
    ...(team !== undefined && actsInRoot(caller) && isUuid(team) ? [eq('team_id', team)] : []),
    ...(OUTCOMES.some(({ value }) => value === outcome) ? [eq('outcome', outcome!)] : []),
    ...dayConditions(filters),
  ];
}

const DAY_MS = 24 * 3600 * 1000;

function dayConditions({ from, to }: Filters) {
  const [first, last] = [dayOf(from), dayOf(to)];
  return [
    ...(first === undefined ? [] : [{ field: 'occurred_at', operator: 'ge' as const, value: first }]),
    ...(last === undefined
      ? []
      : [{ field: 'occurred_at', operator: 'lt' as const, value: new Date(last.getTime() + DAY_MS) }]),
  ];
}

function dayOf(text = ''): Date | undefined {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T00:00:00Z`) : undefined;
  return day === undefined || Number.isNaN(day.getTime()) ? undefined : day;
}

/** The id of the user with this address, within the caller's reach; anything else is an id itself. */
async function actorNamed({ domain }: Kit, word: string, caller: Caller): Promise<string> {
  if (!word.includes('@') || !caller.permissions.has('users:read')) return word;
  const [user] = await domain.users.list(teamReach(caller), { limit: 1, conditions: [eq('email', word)] });
  return user?.id ?? word;
}
