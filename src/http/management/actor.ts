/** The caller of the management API, in one shape for every credential and for sessions. */
import type { Context } from 'koa';
import type { Actor } from '../../domain/audit.ts';
import type { Caller } from '../../domain/authorization.ts';
import { AppError } from '../../errors.ts';
import type { Principal } from '../../resource/index.ts';
import type { RequestInfo } from '../middleware/request-info.ts';

/** Who sent this request. @throws AppError `internal` when nobody was asked to authenticate */
export function callerOf(ctx: Context): Caller {
  const caller = ctx.state.caller as Caller | undefined;
  if (caller === undefined) throw new AppError('internal', 'A route of the API was reached without authentication.');
  return caller;
}

/** What a verified credential makes of whoever presents it. `principal.scopes` must be what counts at this moment. */
export function callerFrom({ kind, credential, subject, teamId, scopes }: Principal, info: RequestInfo): Caller {
  const permissions = new Set(scopes);
  const userId = kind === 'user' ? subject : undefined;
  const identity: Actor =
    credential.kind === 'access_token'
      ? { kind: kind === 'client' ? 'client' : 'user', id: subject }
      : { kind: credential.kind, id: credential.id };
  return { actor: { ...identity, userId, permissions, ...info }, teamId, userId, permissions };
}
