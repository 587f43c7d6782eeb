/** What the audit trail is to say about an exchange beyond what it says about every token; filled as it becomes known. */
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Actor } from '../../domain/audit.ts';

export interface ExchangeNote {
  /** Who acts, where no client does. */
  actor?: Pick<Actor, 'kind' | 'id' | 'userId'>;
  teamId?: string;
  /** The user the token is for. */
  target?: { kind: string; id: string } | undefined;
  /** Ids and words only. */
  details?: Record<string, unknown>;
}

const notes = new WeakMap<object, ExchangeNote>();

export function noteExchange(ctx: KoaContextWithOIDC, note: ExchangeNote): void {
  const before = notes.get(ctx.req);
  notes.set(ctx.req, { ...before, ...note, details: { ...before?.details, ...note.details } });
}

/** Undefined for a request that is no exchange. */
export function exchangeNoteOf(ctx: KoaContextWithOIDC): ExchangeNote | undefined {
  return notes.get(ctx.req);
}
