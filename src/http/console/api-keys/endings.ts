/** Off, on again, or gone for good: what is told before, and what is done. */

import { isOver } from '../../../domain/api-key-checks.ts';
import type { ApiKey } from '../../../domain/api-keys.ts';
import type { Kit } from '../index.ts';
import { type Notice, noticed } from '../notices.ts';
import { shownTime } from '../times.ts';
import { shortOf } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { lastUse } from './list.ts';
import { findKey, type KeyPlace, needOf, pathOf } from './place.ts';

interface Ending {
  verb: 'revoke' | 'reinstate' | 'delete';
  title: string;
  submit: string;
  danger: boolean;
  done: Notice;
  sentences(key: ApiKey, visitor: Visitor): string[];
}

const ENDINGS: readonly Ending[] = [
  {
    verb: 'revoke',
    title: 'Revoke',
    submit: 'Revoke this key',
    danger: true,
    done: 'revoked',
    sentences: (key, visitor) => [
      ...whatStops(key, visitor),
      'You can reinstate it later: the same key works again then.',
    ],
  },
  {
    verb: 'reinstate',
    title: 'Reinstate',
    submit: 'Reinstate this key',
    danger: false,
    done: 'reinstated',
    sentences: (key, visitor) => [
      whatOpens(key, visitor),
      usedIn(key, visitor),
      'Tokens that were got for it before it was revoked stay ended.',
      ...(key.expiresAt === null || refusedFor(key) !== undefined
        ? []
        : [`It still expires on ${timeIn(key.expiresAt, visitor)}.`]),
    ],
  },
  {
    verb: 'delete',
    title: 'Delete',
    submit: 'Delete this key',
    danger: true,
    done: 'deleted',
    sentences: (key, visitor) => [
      ...whatStops(key, visitor),
      'It cannot be brought back. The audit trail keeps what it did.',
    ],
  },
];

export function addKeyEndings({ domain, routes, show }: Kit, place: KeyPlace): void {
  const { apiKeys } = domain;

  for (const { verb, title, submit, danger, done, sentences } of ENDINGS) {
    const path = `${place.path}/:id/${verb}`;
    routes.get(path, needOf(place, verb), async (ctx, visitor) => {
      // A key that was used a moment ago must not be called unused here.
      await domain.lastUsed.flush();
      const { key } = await findKey({ domain }, place, ctx, visitor, verb);
      show.form(ctx, visitor, {
        title: `${title} ${key.name}`,
        lead: `${shortOf(key)}, in the team ${key.teamName}${key.ownerEmail === null ? '' : `, of ${key.ownerEmail}`}.`,
        back: { text: key.name, href: pathOf(place, key) },
        ends: sentences(key, visitor),
        action: `${pathOf(place, key)}/${verb}`,
        fields: [],
        submit,
        danger,
      });
    });
    routes.post(path, needOf(place, verb), async (ctx, visitor) => {
      const { key, caller, scope } = await findKey({ domain }, place, ctx, visitor, verb);
      await apiKeys[verb](key.id, scope, caller.actor);
      const isGood = verb !== 'reinstate' || refusedFor(key) === undefined;
      return noticed(verb === 'delete' ? place.path : pathOf(place, key), isGood ? done : 'changed');
    });
  }
}

function whatStops(key: ApiKey, visitor: Visitor): string[] {
  return [
    'Whatever uses the key is refused, at once.',
    usedIn(key, visitor),
    ...(key.tokensUntil !== null && !isOver(key.tokensUntil)
      ? ['Tokens that were got for it end with it, within seconds.']
      : []),
  ];
}

function whatOpens(key: ApiKey, visitor: Visitor): string {
  const refused = refusedFor(key);
  if (refused === undefined) return 'Whoever has the key is let in with it again, at once.';
  return `It stays refused: it ${refused.why} on ${timeIn(refused.at, visitor)}. Make a new key instead.`;
}

/** What refuses the key, revoked or not. */
function refusedFor({ expiresAt, retiresAt }: ApiKey): { why: string; at: Date } | undefined {
  if (isOver(expiresAt)) return { why: 'expired', at: expiresAt! };
  return isOver(retiresAt) ? { why: 'was retired', at: retiresAt! } : undefined;
}

function usedIn(key: ApiKey, visitor: Visitor): string {
  const at = lastUse(key);
  return at === null ? 'It was never used.' : `It was last used on ${timeIn(at, visitor)}.`;
}

/** With the zone, where the person's is not known. */
export function timeIn(at: Date, { zone }: Visitor): string {
  return `${shownTime(at, zone).shown}${zone === undefined ? ' (UTC)' : ''}`;
}
