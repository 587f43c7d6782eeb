/**
 * A person at the console: the session cookie in place of a credential. It acts for the user in one of the user's teams.
 * Browsers send cookies with whatever asks them to, so each write needs proof that our own page sent it.
 */
import type { Context } from 'koa';
import type { Audit } from '../../domain/audit.ts';
import type { Authority, TeamAuthority } from '../../domain/authority.ts';
import type { Caller } from '../../domain/authorization.ts';
import { AppError } from '../../errors.ts';
import { bindingOf, callerInTeam, type SessionOf, usualTeam } from '../browser-session.ts';
import type { Csrf } from '../middleware/csrf.ts';
import { requestInfoOf } from '../middleware/request-info.ts';
import { noteRefusal } from '../refusals.ts';

export interface SessionOptions {
  sessionOf: SessionOf;
  csrf: Pick<Csrf, 'token' | 'checkHeader'>;
  authority: Pick<Authority, 'teamsOf'>;
  audit: Pick<Audit, 'note'>;
}

/**
 * Gives the caller behind a request that brings a live session and nothing else; undefined for any other.
 *
 * `x-latchkey-team` names the team to act in (default: the root team for its members, otherwise the first by name). Reads
 * are answered with the header `x-csrf-token`, which writes send back.
 * @returns a function that throws AppError `permission_denied` for a write without proof, and for a team the user is not in
 */
export function createCallerOfSession({ sessionOf, csrf, authority, audit }: SessionOptions) {
  return async (ctx: Context): Promise<Caller | undefined> => {
    if (bringsCredential(ctx)) return undefined;
    const session = await sessionOf(ctx.req, ctx.res);
    if (session === undefined) return undefined;
    const { userId } = session;
    const binding = bindingOf(session);
    try {
      if (isRead(ctx)) ctx.set('x-csrf-token', csrf.token(binding));
      else csrf.checkHeader(ctx, binding);
      const team = chooseTeam(await authority.teamsOf(userId), ctx.get('x-latchkey-team'));
      return callerInTeam(ctx, userId, team);
    } catch (error) {
      if (error instanceof AppError && error.kind === 'permission_denied') {
        const actor = { kind: 'user' as const, id: userId, ...requestInfoOf(ctx.req) };
        noteRefusal(audit, ctx, { actor }, { status: error.status, reason: error.message });
      }
      throw error;
    }
  };
}

/** Whoever sends another credential, in the right place or a wrong one, is answered for that one. */
function bringsCredential({ headers, query }: Context): boolean {
  return [headers.authorization, headers['x-api-key'], query.access_token, query.api_key].some(
    (one) => one !== undefined,
  );
}

function isRead({ method }: Context): boolean {
  return method === 'GET' || method === 'HEAD';
}

function chooseTeam(teams: readonly TeamAuthority[], wanted: string): TeamAuthority {
  const team = wanted === '' ? usualTeam(teams) : teams.find(({ id }) => id === wanted);
  if (team === undefined) throw new AppError('permission_denied', 'You are not a member of this team, or of any.');
  return team;
}
