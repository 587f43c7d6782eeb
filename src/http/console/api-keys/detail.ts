/** All there is to know about one API key, and the way to what can be done with it. */
import { isOver } from '../../../domain/api-key-checks.ts';
import type { ApiKey } from '../../../domain/api-keys.ts';
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import { auditLink } from '../audit-events/link.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { snippetSection } from '../registrations/index.ts';
import { type Action, cell, type Fact, shortOf } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { keyCommands } from './commands.ts';
import { lastUse, scopesCell, stateCell } from './list.ts';
import { findKey, type KeyPlace, type KeySubject, type KeyVerb, mayDo, needOf, pathOf } from './place.ts';

export function addKeyDetail(kit: Kit, place: KeyPlace): void {
  const { domain, routes, show } = kit;

  routes.get(`${place.path}/:id`, needOf(place, 'get'), async (ctx, visitor) => {
    const subject = await findKey(kit, place, ctx, visitor, 'get');
    const { key } = subject;
    show.detail(ctx, visitor, {
      title: key.name,
      back: { text: place.title, href: place.path },
      badge: stateCell(key),
      actions: [
        ...(place.isAccount ? [] : auditLink(visitor, 'target', key.id)),
        ...actionsFor(place, subject),
        ...handOver(place, key, visitor),
      ],
      facts: [
        { label: 'Key', value: cell.code(shortOf(key), 'How it begins and how it ends. The rest is not kept.') },
        ...ownerFact(key, visitor),
        { label: 'Team', value: teamCell(key, visitor) },
        { label: 'Scopes', value: scopesCell(key) },
        { label: 'Last used', value: cell.date(lastUse(key), 'Never') },
        ...refusalsFact(place, key, visitor),
        { label: 'Expires', value: cell.date(key.expiresAt, 'Never') },
        ...moreFacts(key, visitor),
        { label: 'Created', value: cell.date(key.createdAt, '') },
        { label: 'Created by', value: cell.text(await makerOf(key, visitor)) },
        { label: 'Id', value: cell.code(key.id) },
      ],
      sections: key.state === 'active' ? (await keyCommands(kit, key, undefined)).map(snippetSection) : [],
    });
  });

  /** Of whoever is not within reach, no more than that. */
  async function makerOf({ createdBy, userId, ownerEmail }: ApiKey, { caller, user }: Visitor): Promise<string> {
    if (createdBy === null) return 'The operator of the server, or a user who is gone';
    if (createdBy === user.id) return 'You';
    if (createdBy === userId) return ownerEmail ?? '';
    const maker = mayUse({ caller }, 'users.get') ? await domain.users.find(createdBy, teamReach(caller)) : undefined;
    return maker?.email ?? 'A user outside of your team';
  }
}

const ACTIONS: readonly { verb: KeyVerb; path: string; text: string; danger?: true; isFor(key: ApiKey): boolean }[] = [
  { verb: 'update', path: 'rename', text: 'Rename', isFor: () => true },
  { verb: 'rotate', path: 'rotate', text: 'Rotate', isFor: ({ state }) => state !== 'expired' && state !== 'revoked' },
  { verb: 'reinstate', path: 'reinstate', text: 'Reinstate', isFor: ({ state }) => state === 'revoked' },
  { verb: 'revoke', path: 'revoke', text: 'Revoke', danger: true, isFor: ({ state }) => state !== 'revoked' },
  { verb: 'delete', path: 'delete', text: 'Delete', danger: true, isFor: () => true },
];

function actionsFor(place: KeyPlace, subject: KeySubject): Action[] {
  return ACTIONS.filter(({ verb, isFor }) => isFor(subject.key) && mayDo(place, subject, verb)).map(
    ({ path, text, danger = false }) => ({ text, href: `${pathOf(place, subject.key)}/${path}`, danger }),
  );
}

/** For whoever looks after the keys of others: what stays when the owner leaves. */
function handOver({ kind, isAccount }: KeyPlace, { id, userId, state }: ApiKey, visitor: Visitor): Action[] {
  const mayMake = mayUse(visitor, 'team_keys.create') || mayUse(visitor, 'oauth_clients.create');
  if (kind !== 'personal' || isAccount || state !== 'active') return [];
  if (!mayMake || !mayUse(visitor, 'users.update')) return [];
  return [{ text: 'Hand over', href: `/console/users/${userId}/hand-over/${id}` }];
}

function ownerFact({ userId, ownerEmail }: ApiKey, visitor: Visitor): Fact[] {
  if (userId === null) return [{ label: 'Acts as', value: cell.text('The service account of the team') }];
  const mayLook = actsInRoot(visitor.caller) && mayUse(visitor, 'users.get');
  const owner = ownerEmail ?? '';
  return [{ label: 'Acts as', value: mayLook ? cell.link(owner, `/console/users/${userId}`) : cell.text(owner) }];
}

/** Whoever switched it off wants to know whether something still comes with it. */
function refusalsFact({ isAccount }: KeyPlace, { id, state }: ApiKey, visitor: Visitor): Fact[] {
  if (isAccount || state === 'active' || !mayUse(visitor, 'audit_events.list')) return [];
  const query = new URLSearchParams({ actor: id, outcome: 'refused' });
  return [{ label: 'Still tried', value: cell.link('Refused requests', `/console/audit?${query}`) }];
}

function teamCell({ teamId, teamName }: ApiKey, visitor: Visitor) {
  const isHere = actsInRoot(visitor.caller) || visitor.caller.teamId === teamId;
  return isHere && mayUse(visitor, 'teams.get') ? cell.link(teamName, `/console/teams/${teamId}`) : cell.text(teamName);
}

function moreFacts({ previousExpiresAt, retiresAt, externalId, tokensUntil }: ApiKey, visitor: Visitor): Fact[] {
  const isAhead = (at: Date | null) => at !== null && !isOver(at);
  return [
    ...(isAhead(previousExpiresAt)
      ? [
          {
            label: 'Old key ends',
            value: cell.date(previousExpiresAt, '', 'It was rotated. Until then the old key works too'),
          },
        ]
      : []),
    ...(retiresAt === null
      ? []
      : [
          {
            label: 'Retires',
            value: cell.date(retiresAt, '', 'From then on the key is refused: replace it before'),
          },
          ...(mayUse(visitor, 'key_retirements.list')
            ? [{ label: 'Announced in', value: cell.link('Key retirements', '/console/retirements') }]
            : []),
        ]),
    ...(isAhead(tokensUntil)
      ? [
          {
            label: 'Tokens',
            value: cell.date(tokensUntil, '', 'Until then tokens that were got for it may live; they end with it'),
          },
        ]
      : []),
    ...(externalId === null ? [] : [{ label: 'Imported as', value: cell.code(externalId) }]),
  ];
}
