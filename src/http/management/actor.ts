/** The caller of the management API, in one shape for every credential and for sessions. */
import type { Context } from 'koa';
import type { Actor } from '../../domain/audit.ts';
import type { Caller } from '../../domain/authorization.ts';
import { derivationOf } from '../../domain/derivation.ts';
import { AppError } from '../../errors.ts';
import type { Principal } from '../../resource/index.ts';
import type { RequestInfo } from '../middleware/request-info.ts';

/** Who sent this request. @throws AppError `internal` when nobody was asked to authenticate */
export function callerOf(ctx: Context): Caller {
  const caller = ctx.state.caller as Caller | undefined;
  if (caller === undefined) throw new AppError('internal', 'A route of the API was reached without authentication.');
  return caller;
}

/**
 * What a verified credential makes of whoever presents it. `principal.scopes` must be what counts at this moment.
 * @param held all that the credential has, scopes of other resource servers among it
 */
export function callerFrom(principal: Principal, info: RequestInfo, held: Iterable<string> = principal.scopes): Caller {
  const { kind, subject, teamId, scopes } = principal;
  const permissions = new Set(scopes);
  const userId = kind === 'user' ? subject : undefined;
  return {
    actor: { ...identityOf(principal), userId, permissions: new Set(held), ...info },
    teamId,
    userId,
    permissions,
  };
}

function identityOf({ kind, credential, subject, claims }: Principal): Actor {
  if (credential.kind !== 'access_token') return { kind: credential.kind, id: credential.id };
  // A token that was got for a key is that key, and nothing more.
  const keyId = derivationOf(claims ?? {})?.keyId;
  if (keyId !== undefined) return { kind: kind === 'team' ? 'team_key' : 'personal_key', id: keyId };
  return { kind: kind === 'client' ? 'client' : 'user', id: subject };
}
