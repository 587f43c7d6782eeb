/** A request that was refused, for the audit trail; in one shape, whoever refuses it. */
import type { Context } from 'koa';
import type { Actor, Audit } from '../domain/audit.ts';

/** @param by who asked, and the team they act in as far as that is known */
export function noteRefusal(
  audit: Pick<Audit, 'note'>,
  ctx: Context,
  { actor, teamId }: { actor: Actor; teamId?: string | undefined },
  details: { status: number; reason: string; operation?: string; flood?: true },
): void {
  audit.note({
    action: 'api_request.refused',
    outcome: 'refused',
    actor,
    teamId,
    details: { method: ctx.method, ...details },
  });
}
