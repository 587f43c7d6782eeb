/**
 * The consent page: which app, what it may do, as whom, in which team, and where the answer goes. The form carries the
 * team only; what is granted follows from the request, whatever comes back.
 */
import type { Context } from 'koa';
import type { Audit } from '../../domain/audit.ts';
import { AppError } from '../../errors.ts';
import type { Csrf } from '../middleware/csrf.ts';
import { requestInfoOf } from '../middleware/request-info.ts';
import type { Pages } from '../pages.ts';
import { type AppRecord, appOf, hostOf, type Registrations } from './app.ts';
import { describeDestination } from './destination.ts';
import type { PendingInteraction } from './engine.ts';
import type { Step } from './index.ts';
import { type ResourceServers, type ScopeGroup, scopeGroups } from './scope-groups.ts';

interface Team {
  id: string;
  name: string;
  /** Its roles reach every team. */
  isRoot: boolean;
}

export interface ConsentDeps {
  pages: Pages;
  csrf: Csrf;
  registrations: Registrations;
  resourceServers: ResourceServers;
  audit: Pick<Audit, 'note'>;
  authority: {
    user(
      userId: string,
    ): Promise<{ id: string; email: string; name: string; displayName: string; teams: readonly Team[] } | undefined>;
  };
  engine: {
    finishConsent(
      req: Context['req'],
      res: Context['res'],
      result: { teamId: string; scopes: string[] },
    ): Promise<string>;
  };
}

interface ConsentValues {
  uid: string;
  csrf: string;
  appName: string;
  appHost: string;
  userName: string;
  userEmail: string;
  teams: readonly Team[];
  /** What the app asks for now. */
  asked: ScopeGroup[];
  /** What it was allowed before and asks for again. */
  before: ScopeGroup[];
  destination: string;
}

export function createConsentStep(deps: ConsentDeps): Step {
  const { pages, csrf, registrations, resourceServers, audit, authority, engine } = deps;
  const page = pages.declare<ConsentValues>(
    'interaction/consent',
    ['uid', 'csrf', 'appName', 'appHost', 'userName', 'userEmail', 'teams', 'asked', 'before', 'destination'],
    { leadsToClient: true },
  );

  async function userOf(pending: PendingInteraction) {
    const user = pending.accountId === undefined ? undefined : await authority.user(pending.accountId);
    if (user === undefined) throw new AppError('failed_precondition', 'Your account cannot be used any more.');
    return user;
  }

  return {
    async show(ctx, pending) {
      const [app, user] = [await appOf(registrations, pending), await userOf(pending)];
      const scopes = grantable(app, pending);
      const missing = scopes.filter((scope) => pending.missingScopes.includes(scope));
      // Asked again for nothing new (prompt=consent): then everything is what is being asked.
      const asked = missing.length === 0 ? scopes : missing;
      const before = scopes.filter((scope) => !asked.includes(scope));
      page(
        ctx,
        {
          uid: pending.uid,
          csrf: csrf.token(pending.uid),
          appName: app.name,
          appHost: hostOf(app.baseUrl),
          userName: user.displayName || user.name,
          userEmail: user.email,
          teams: user.teams,
          asked: await scopeGroups(asked, pending.otherResources, resourceServers, scopes),
          before: await scopeGroups(before, pending.otherResources, resourceServers),
          destination: describeDestination(String(pending.params.redirect_uri ?? '')),
        },
        200,
      );
    },
    async submit(ctx, pending, form) {
      const [app, user] = [await appOf(registrations, pending), await userOf(pending)];
      const team = user.teams.find(({ id }) => id === form.get('team_id'));
      if (team === undefined)
        throw new AppError('invalid_argument', 'Choose one of your teams. Go back and try again.');
      const scopes = grantable(app, pending);
      const next = await engine.finishConsent(ctx.req, ctx.res, { teamId: team.id, scopes });
      audit.note({
        action: 'consent.given',
        actor: { kind: 'user', id: user.id, ...requestInfoOf(ctx.req) },
        teamId: team.id,
        target: { kind: 'app', id: app.clientId },
        details: { scopes },
      });
      return next;
    },
  };
}

/** Asked for, and allowed to the app at this moment. */
function grantable(app: AppRecord, pending: PendingInteraction): string[] {
  if (pending.requestedScopes.every((scope) => app.allowedScopes.includes(scope))) return pending.requestedScopes;
  throw new AppError(
    'failed_precondition',
    'The app may not ask for all of this any more. Go back to the app and start again.',
  );
}
