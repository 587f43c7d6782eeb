/**
 * Who is in front of a page: a logged-in person, the team they act in, and what they may do there at this moment. The same
 * `Caller` the management API has, so that both ask the same rules.
 */
import type { Context } from 'koa';
import type { Authority, TeamAuthority, UserAuthority } from '../../domain/authority.ts';
import type { Caller } from '../../domain/authorization.ts';
import { AppError } from '../../errors.ts';
import { bindingOf, callerInTeam, type SessionOf, usualTeam } from '../browser-session.ts';
import type { Csrf } from '../middleware/csrf.ts';

export interface Visitor {
  user: UserAuthority;
  /** Of the session: the same while it lasts, no secret. */
  uid: string;
  /** In the team the person acts in; may nothing when they are in none. */
  caller: Caller;
  /** The team they act in; undefined when they are in none. */
  team: TeamAuthority | undefined;
  /** All they are a member of, by name. */
  teams: readonly TeamAuthority[];
  /**
   * The same person acting in another of their teams; in the same when it is not named.
   * @throws AppError `permission_denied` when they are no member of it
   */
  actingIn(teamId: string): Visitor;
  /** The same person in another of their teams; undefined when they are no member of it. */
  callerIn(teamId: string): Caller | undefined;
  /** For the forms of the page. */
  csrf: string;
  /** IANA name; undefined: whatever the browser says. */
  zone: string | undefined;
}

export interface VisitorOptions {
  issuer: string;
  sessionOf: SessionOf;
  csrf: Pick<Csrf, 'token'>;
  authority: Pick<Authority, 'user'>;
}

/** A team that is none: whoever acts in it reaches nothing. */
const NO_TEAM = { id: '00000000-0000-0000-0000-000000000000', permissions: new Set<string>() };

export interface Visitors {
  /**
   * The person behind a request; undefined when nobody is logged in.
   * They act in the team chosen last in this browser, the root team, or the first by name.
   */
  find(ctx: Context): Promise<Visitor | undefined>;
  /** Remembers, in this browser, the team to act in. */
  remember(ctx: Context, teamId: string): void;
}

export function createVisitors({ issuer, sessionOf, csrf, authority }: VisitorOptions): Visitors {
  const secure = issuer.startsWith('https:');
  const cookie = secure ? '__Host-latchkey_team' : 'latchkey_team';

  return {
    async find(ctx) {
      const session = await sessionOf(ctx.req, ctx.res);
      const user = session && (await authority.user(session.userId));
      if (session === undefined || user === undefined) return undefined;
      const { teams } = user;
      const remembered = teams.find(({ id }) => id === ctx.cookies.get(cookie, { signed: false }));
      const callerIn = (one: TeamAuthority | undefined): Caller => callerInTeam(ctx, user.id, one ?? NO_TEAM);
      const visitorIn = (team: TeamAuthority | undefined): Visitor => ({
        user,
        uid: session.uid,
        caller: callerIn(team),
        team,
        teams,
        actingIn(id) {
          const other = teams.find((one) => one.id === id);
          if (id !== '' && other === undefined) throw noLonger();
          return other === undefined || other === team ? this : visitorIn(other);
        },
        callerIn(id) {
          const other = teams.find((one) => one.id === id);
          return other && callerIn(other);
        },
        csrf: csrf.token(bindingOf(session)),
        zone: user.timeZone ?? undefined,
      });
      return visitorIn(remembered ?? usualTeam(teams));
    },
    remember(ctx, teamId) {
      // The proxy in front ends TLS: what arrives here need not look encrypted.
      ctx.cookies.secure = secure;
      ctx.cookies.set(cookie, teamId, { signed: false, httpOnly: true, sameSite: 'lax', secure, overwrite: true });
    },
  };
}

function noLonger(): AppError {
  return new AppError(
    'permission_denied',
    'You are not a member of the team this page was made for any more. Open the page again to act in another.',
  );
}
