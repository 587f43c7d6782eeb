/** The places API keys are managed at: the two tabs of the console, and a person's own keys of all their teams. */
import type { Context } from 'koa';
import type { ApiKey, KeyScope } from '../../../domain/api-keys.ts';
import {
  actsInRoot,
  authorize,
  type Caller,
  OPERATIONS,
  type OperationId,
  ownReach,
  type Rule,
  teamReach,
} from '../../../domain/authorization.ts';
import { AppError } from '../../../errors.ts';
import type { Kit } from '../index.ts';
import type { Need } from '../routes.ts';
import type { Visitor } from '../visitor.ts';
import { API_KEYS } from './guide.ts';

export type KeyVerb = 'list' | 'get' | 'create' | 'update' | 'revoke' | 'reinstate' | 'rotate' | 'delete';

export interface KeyPlace {
  kind: 'personal' | 'team';
  /** Of the list; a key has its own below, by its id. */
  path: string;
  /** Of the list. */
  title: string;
  /** Whether it is the person's keys of all teams, each acted on in its own team, whichever the person acts in. */
  isAccount: boolean;
}

export const PERSONAL: KeyPlace = {
  kind: 'personal',
  path: `${API_KEYS}/personal`,
  title: 'Personal keys',
  isAccount: false,
};
export const TEAM: KeyPlace = { kind: 'team', path: `${API_KEYS}/team`, title: 'Team keys', isAccount: false };
export const ACCOUNT: KeyPlace = { kind: 'personal', path: '/account/keys', title: 'Your keys', isAccount: true };

/** One key, and as whom it is acted on. */
export interface KeySubject {
  key: ApiKey;
  caller: Caller;
  /** What the operation reaches. */
  scope: KeyScope;
}

export function operationOf({ kind }: KeyPlace, verb: KeyVerb): OperationId {
  return `${kind === 'team' ? 'team_keys' : 'api_keys'}.${verb}`;
}

/** What a page of the place needs; in the account room the team of the key decides, when the key is known. */
export function needOf(place: KeyPlace, verb: KeyVerb): Need {
  return place.isAccount ? 'self' : operationOf(place, verb);
}

/** The keys an operation reaches. @throws AppError `permission_denied` */
export function scopeOf(place: KeyPlace, visitor: Visitor, verb: KeyVerb): KeyScope {
  if (place.isAccount) return { kind: 'personal', userId: visitor.user.id };
  const reach = place.kind === 'team' ? teamReach : ownReach;
  return { kind: place.kind, ...reach(visitor.caller, operationOf(place, verb)) };
}

/** @throws AppError `not_found` for a key that is not within reach */
export async function findKey(
  { domain }: Pick<Kit, 'domain'>,
  place: KeyPlace,
  ctx: Context,
  visitor: Visitor,
  verb: KeyVerb,
): Promise<KeySubject> {
  const scope = scopeOf(place, visitor, verb);
  const key = await domain.apiKeys.find(ctx.params.id, scope);
  const caller = key && (place.isAccount ? visitor.callerIn(key.teamId) : visitor.caller);
  if (key === undefined || caller === undefined) throw new AppError('not_found', 'There is no such API key.');
  // In the console the route has asked already.
  if (place.isAccount) authorize(caller, operationOf(place, verb));
  return { key, caller, scope };
}

/** Whether to offer it for this key; the domain has the last word. */
export function mayDo(place: KeyPlace, { key, caller }: Pick<KeySubject, 'key' | 'caller'>, verb: KeyVerb): boolean {
  const { permission, others }: Rule = OPERATIONS[operationOf(place, verb)];
  if (!caller.permissions.has(permission)) return false;
  const isOwn = place.kind === 'team' || key.userId === caller.userId;
  return isOwn || (others !== undefined && actsInRoot(caller) && caller.permissions.has(others));
}

export function pathOf({ path }: KeyPlace, { id }: Pick<ApiKey, 'id'>): string {
  return `${path}/${id}`;
}
