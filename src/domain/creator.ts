/** Who made a record, for its `created_by`. */
import type { Actor } from './audit.ts';
import { isUuid } from './names.ts';

/** The user's id when a person did it, with whatever credential; null for the command line and the server itself, whom the audit trail names. */
export function creatorOf(actor: Actor): string | null {
  const userId = actor.userId ?? (actor.kind === 'user' ? actor.id : undefined);
  return userId !== undefined && isUuid(userId) ? userId : null;
}
