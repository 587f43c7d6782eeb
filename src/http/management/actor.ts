/** The caller of the management API, for the audit trail. */
import type { Context } from 'koa';
import type { Actor } from '../../domain/audit.ts';
import type { Principal } from '../../resource/index.ts';
import { requestInfoOf } from '../middleware/request-info.ts';

export function actorOf(ctx: Context): Actor {
  const { credential, subject, clientId } = ctx.state.principal as Principal;
  const info = requestInfoOf(ctx.req);
  if (credential.kind !== 'access_token') return { kind: credential.kind, id: credential.id, ...info };
  return subject === clientId ? { kind: 'client', id: subject, ...info } : { kind: 'user', id: subject, ...info };
}
