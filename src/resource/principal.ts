import type { Notice } from './notice.ts';

/**
 * Whoever is behind a request, in one shape for every kind of credential.
 *
 * One object may serve many requests (verified tokens are cached), so it is frozen: copy it to change it.
 */
export interface Principal {
  /**
   * `user`: a person, through an app, a personal key or a token made from one. `team`: a team key or a token made from
   * one. `client`: a service acting as itself.
   */
  readonly kind: 'user' | 'team' | 'client';
  /** What was presented; `id` is the token's `jti` or the key's id, safe to log, useless as a credential. */
  readonly credential: {
    readonly kind: 'access_token' | 'personal_key' | 'team_key';
    readonly id: string;
  };
  /** The user's UUID, the client's `client_id`, or `team:<team UUID>`. */
  readonly subject: string;
  /** The OAuth client the token was issued to, or `key:<key id>`; absent for API keys. */
  readonly clientId?: string;
  /** The one team (UUID) this request acts in. */
  readonly teamId: string;
  /** What the credential may do, each word once. For API keys: the owner's permissions as of now. */
  readonly scopes: readonly string[];
  /** When the credential ends, in seconds since 1970 as in `exp` (RFC 7519 §4.1.4); absent: no end set. */
  readonly expiresAt?: number;
  /** Every claim of the access token (RFC 9068 §2.2); absent for API keys. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** That the key is to be given up; the adapters send it with the answer. */
  readonly notice?: Notice;
}

/** A scope string (RFC 6749 §3.3) as its words, each once, in their order; linear in its length. */
export function scopeWords(scope: string | undefined): readonly string[] {
  return Object.freeze([...new Set((scope ?? '').split(' ').filter(Boolean))]);
}

/** `principal` made unchangeable, so that a handler cannot alter what later requests see. */
export function frozen(principal: Principal): Principal {
  Object.freeze(principal.credential);
  Object.freeze(principal.scopes);
  if (principal.claims) Object.values(Object.freeze(principal.claims)).forEach(Object.freeze);
  return Object.freeze(principal);
}
