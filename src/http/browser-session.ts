/** A person by the session of their browser, for the pages and for the management API: one person, whichever they use. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from 'koa';
import type { TeamAuthority } from '../domain/authority.ts';
import type { Caller } from '../domain/authorization.ts';
import { requestInfoOf } from './middleware/request-info.ts';

/** Who is logged in with a browser. */
export interface BrowserSession {
  userId: string;
  /** The same while the session lasts; no secret, and no way to get at it. */
  uid: string;
}

/** Asks the protocol room; undefined when nobody is logged in, or the user is gone or disabled. */
export type SessionOf = (req: IncomingMessage, res: ServerResponse) => Promise<BrowserSession | undefined>;

/** What a CSRF token of the session is bound to. */
export function bindingOf({ uid }: { uid: string }): string {
  return `session ${uid}`;
}

/** The team somebody acts in who has chosen none: the root team for its members, otherwise the first by name. */
export function usualTeam(teams: readonly TeamAuthority[]): TeamAuthority | undefined {
  return teams.find(({ isRoot }) => isRoot) ?? teams[0];
}

/** The person, acting in one of their teams. */
export function callerInTeam(
  ctx: Context,
  userId: string,
  { id: teamId, permissions }: Pick<TeamAuthority, 'id' | 'permissions'>,
): Caller {
  // An actor without permissions: the person, not a credential that is narrower than its owner.
  const actor = { kind: 'user' as const, id: userId, userId, ...requestInfoOf(ctx.req) };
  return { actor, teamId, userId, permissions };
}
