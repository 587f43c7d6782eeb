/** Key retirements: until when which keys may be used, and who still uses them. */

import type { Context } from 'koa';
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import { type RetirementDetails, USED_DAYS, type UsedKey } from '../../../domain/retirements.ts';
import { found } from '../../found.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { teamOptions } from '../teams/choice.ts';
import { type Action, type Cell, cell, type Fact, shortOf } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { addRetirementForms } from './forms.ts';
import { RETIREMENTS, subjectOf } from './subject.ts';

const NEW: Action = { text: 'Announce a day', href: `${RETIREMENTS}/new`, primary: true };
const HOME = { text: 'Overview', href: '/console' };

export function addRetirements(kit: Kit): void {
  const { domain, routes, show, defineList } = kit;
  const { retirements } = domain;

  const list = defineList<RetirementDetails, { teamId: string | undefined }>({
    columns: [
      { label: 'Keys', cell: (one) => cell.link(subjectOf(one), `${RETIREMENTS}/${one.id}`) },
      { label: 'Status', cell: statusCell },
      { label: 'Retires', sort: 'retires_at', cell: ({ retiresAt }) => cell.date(retiresAt, '') },
      { label: 'Replaced by', cell: ({ replacementUrl }) => cell.text(replacementUrl ?? '') },
      { label: 'Announced', sort: 'created_at', cell: ({ createdAt }) => cell.date(createdAt, '') },
    ],
    filters: async ({ caller }, { teamId }) =>
      actsInRoot(caller)
        ? [{ name: 'team', label: 'Team', options: (await teamOptions(domain.teams, teamId)).options }]
        : [],
    order: { field: 'retires_at', descending: false },
    empty: {
      title: 'No keys are to be retired',
      text: 'Say from which day on keys are refused. Until then every answer tells their callers so, with a link to what replaces them.',
    },
    rows: ({ limit, order, after }, { filters: { team }, visitor }) =>
      retirements.list(teamReach(visitor.caller), {
        ...{ limit, order, after },
        conditions: team === undefined ? [] : [{ field: 'team_id', operator: 'eq', value: team }],
      }),
  });

  const usedKeys = defineList<UsedKey, RetirementDetails>({
    columns: [
      { label: 'Key', cell: (key) => cell.text(key.name, shortOf(key)) },
      { label: 'Team', cell: ({ teamName }) => cell.text(teamName) },
      { label: 'Owner', cell: ({ kind, ownerEmail }) => cell.text(kind === 'team' ? 'The team' : (ownerEmail ?? '')) },
      { label: `Requests in ${USED_DAYS} days`, cell: ({ requests }) => cell.text(requests.toLocaleString('en')) },
      { label: 'Last used', cell: ({ lastUsedAt }) => cell.date(lastUsedAt, 'Never') },
    ],
    order: { field: 'last_used_hour', descending: true },
    empty: { title: 'Nobody calls with these keys', text: `None of them was used in the last ${USED_DAYS} days.` },
    rows: ({ limit, after }, { subject }) => retirements.listUsedKeys(subject, { limit, after }),
  });

  async function find(ctx: Context, { caller }: Visitor): Promise<RetirementDetails> {
    return found(await retirements.find(String(ctx.params.id), teamReach(caller)), 'retirement');
  }

  routes.get(RETIREMENTS, 'key_retirements.list', async (ctx, visitor) => {
    const teamId = typeof ctx.query.team === 'string' ? ctx.query.team : undefined;
    show.list(ctx, visitor, {
      title: 'Key retirements',
      lead: 'Days from which on keys are refused, told to their callers before.',
      back: HOME,
      ...(mayUse(visitor, 'key_retirements.create') && { actions: [NEW] }),
      list: await list(ctx, visitor, { teamId }),
    });
  });

  addRetirementForms(kit, find);

  // After the fixed paths, which would be ids otherwise.
  routes.get(`${RETIREMENTS}/:id`, 'key_retirements.get', async (ctx, visitor) => {
    const one = await find(ctx, visitor);
    const at = `${RETIREMENTS}/${one.id}`;
    show.detail(ctx, visitor, {
      title: subjectOf(one),
      back: { text: 'Key retirements', href: RETIREMENTS },
      badge: statusCell(one),
      actions: mayChange(visitor, one)
        ? [
            { text: 'Edit', href: `${at}/edit` },
            { text: 'Take back', href: `${at}/delete`, danger: true },
          ]
        : [],
      facts: factsOf(one),
      sections: [
        {
          title: 'Who still calls',
          lead: 'Their owners have to change over before that day.',
          actions: [{ text: 'Keys that are still used', href: `${at}/keys` }],
        },
      ],
    });
  });

  routes.get(`${RETIREMENTS}/:id/keys`, 'key_retirements.get', async (ctx, visitor) => {
    const one = await find(ctx, visitor);
    show.list(ctx, visitor, {
      title: 'Keys that are still used',
      lead: `${subjectOf(one)}: those used in the last ${USED_DAYS} days, the last used first.`,
      back: { text: subjectOf(one), href: `${RETIREMENTS}/${one.id}` },
      list: await usedKeys(ctx, visitor, one),
    });
  });
}

/** What the root team set, it alone changes. */
function mayChange(visitor: Visitor, { setByRoot }: RetirementDetails): boolean {
  return mayUse(visitor, 'key_retirements.update') && (!setByRoot || actsInRoot(visitor.caller));
}

function statusCell({ retiresAt }: RetirementDetails): Cell {
  return retiresAt.getTime() <= Date.now() ? cell.badge('Retired', 'quiet') : cell.badge('Scheduled', 'warn');
}

function factsOf(one: RetirementDetails): Fact[] {
  return [
    { label: 'Retires', value: cell.date(one.retiresAt, '', 'From then on the keys are refused') },
    { label: 'Announced', value: cell.date(one.createdAt, '', 'Since then every answer tells it') },
    { label: 'Replaced by', value: cell.text(one.replacementUrl ?? 'No link') },
    { label: 'Team', value: cell.text(one.teamName ?? 'Every team') },
    ...(one.keyId === null ? [] : [{ label: 'Key', value: cell.code(one.keyId) }]),
    ...(one.prefix === null ? [] : [{ label: 'Begin with', value: cell.code(one.prefix) }]),
    {
      label: 'Set by',
      value: one.setByRoot ? cell.text('The root team', 'It alone can change it') : cell.text('The team'),
    },
    { label: 'Id', value: cell.code(one.id) },
  ];
}
