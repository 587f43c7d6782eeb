import type { Notice } from './notice.ts';
import type { Principal } from './principal.ts';
import type { Settings } from './settings.ts';

/** An HTTP answer that refuses a request: any framework sends it with its status, headers and JSON body. */
export interface Failure {
  readonly principal?: undefined;
  /** 400, 401, 403 or 503. */
  readonly status: number;
  /**
   * `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1), `Retry-After` in seconds, `Cache-Control`; for a
   * key that was retired what `Notice` names.
   */
  readonly headers: Readonly<Record<string, string>>;
  /** google.rpc.Status: 3 invalid argument, 7 permission denied, 14 unavailable, 16 unauthenticated. */
  readonly body: { readonly code: number; readonly message: string; readonly details: readonly never[] };
  /** Why, for the log only: fixed words, never anything the caller sent. */
  readonly reason: string;
}

/** What the core decided: who is calling, or the answer that refuses them. */
export type Decision = { readonly principal: Principal } | Failure;

/** Status and google.rpc code. The names but `missing` are the `error` of challenges (RFC 6750 §3.1, RFC 9449 §7.1). */
const OUTCOMES = {
  missing: [401, 16],
  invalid_token: [401, 16],
  invalid_dpop_proof: [401, 16],
  invalid_request: [400, 3],
  insufficient_scope: [403, 7],
  unavailable: [503, 14],
} as const;

export type Outcome = keyof typeof OUTCOMES;

/** Seconds a client is asked to wait when the authorization server does not answer. */
const RETRY_AFTER = '5';

/** Thrown by a step that refuses; the authenticator turns it into a Failure. `message` is shown, `reason` is not. */
export class Refused extends Error {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly notice: Notice | undefined;

  constructor(
    outcome: Outcome,
    message: string,
    reason: string,
    { cause, notice }: { cause?: unknown; notice?: Notice | undefined } = {},
  ) {
    super(message, { cause });
    this.outcome = outcome;
    this.reason = reason;
    this.notice = notice;
  }
}

/** The 503 of RFC 9110 §15.6.4 for whatever keeps us from knowing: never a 401, which would blame the caller. */
export function unavailable(reason: string, cause?: unknown): Refused {
  return new Refused('unavailable', 'Credentials cannot be checked at the moment, try again later', reason, { cause });
}

/** How challenges are written: the parts of the settings they depend on. */
export type ChallengeSettings = Pick<Settings, 'realm' | 'metadataUrl' | 'algorithms'>;

/**
 * The answer for `refused`. Texts come from this room's constants and the checked options alone, which is what keeps
 * a caller's CR, LF or quote out of the headers.
 *
 * @param scheme the scheme the caller used, answered with a challenge of the same scheme.
 * @param scope the words a 403 asks for (RFC 6750 §3).
 */
export function failure(
  refused: Refused,
  settings: ChallengeSettings,
  scheme: 'Bearer' | 'DPoP' = 'Bearer',
  scope?: readonly string[],
): Failure {
  const [status, code] = OUTCOMES[refused.outcome];
  const headers: Record<string, string> = { 'Cache-Control': 'no-store', ...refused.notice };
  if (status === 503) headers['Retry-After'] = RETRY_AFTER;
  else headers['WWW-Authenticate'] = challenge(refused, settings, scheme, scope);
  return { status, headers, body: { code, message: refused.message, details: [] }, reason: refused.reason };
}

function challenge(
  { outcome, message }: Refused,
  { algorithms, realm, metadataUrl }: ChallengeSettings,
  scheme: 'Bearer' | 'DPoP',
  scope: readonly string[] | undefined,
): string {
  const algs = algorithms.join(' ');
  const isMissing = outcome === 'missing';
  const pairs: [string, string | undefined | false][] = [
    ['realm', realm],
    ['error', !isMissing && outcome],
    ['error_description', !isMissing && message],
    ['scope', scope?.join(' ')],
    ['algs', scheme === 'DPoP' && algs],
    ['resource_metadata', metadataUrl],
  ];
  const first = `${scheme} ${pairs.flatMap(([name, value]) => (value ? `${name}="${value}"` : [])).join(', ')}`.trim();
  // RFC 9449 §7.2: a resource that takes both schemes says so to whoever used Bearer or nothing at all.
  const offersBoth = scheme === 'Bearer' && (isMissing || outcome === 'invalid_token');
  return offersBoth ? `${first}, DPoP algs="${algs}"` : first;
}

/** Undefined when `principal` has all of `scopes`, otherwise the 403 `insufficient_scope` of RFC 6750 §3.1. */
export function checkScope(
  principal: Principal,
  scopes: readonly string[],
  settings: ChallengeSettings,
): Failure | undefined {
  const missing = scopes.filter((scope) => !principal.scopes.includes(scope));
  if (missing.length === 0) return undefined;
  const reason = `needs ${missing.join(' ')}`;
  const refused = new Refused(
    'insufficient_scope',
    `This credential lacks the scope the request needs: ${scopes.join(' ')}`,
    reason,
  );
  return failure(refused, settings, principal.claims?.cnf ? 'DPoP' : 'Bearer', scopes);
}
