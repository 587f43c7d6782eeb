import type { Principal } from './principal.ts';
import type { Settings } from './settings.ts';

/** An HTTP answer that refuses a request: any framework sends it with its status, headers and JSON body. */
export interface Failure {
  readonly principal?: undefined;
  /** 400, 401, 403 or 503. */
  readonly status: number;
  /** `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1), `Retry-After` in seconds, `Cache-Control`. */
  readonly headers: Readonly<Record<string, string>>;
  /** google.rpc.Status: 3 invalid argument, 7 permission denied, 14 unavailable, 16 unauthenticated. */
  readonly body: { readonly code: number; readonly message: string; readonly details: readonly never[] };
  /** Why, for the log only: fixed words, never anything the caller sent. */
  readonly reason: string;
}

/** What the core decided: who is calling, or the answer that refuses them. */
export type Decision = { readonly principal: Principal } | Failure;

const OUTCOMES = {
  missing: { status: 401, code: 16, error: undefined },
  invalid_token: { status: 401, code: 16, error: 'invalid_token' },
  invalid_dpop_proof: { status: 401, code: 16, error: 'invalid_dpop_proof' },
  invalid_request: { status: 400, code: 3, error: 'invalid_request' },
  insufficient_scope: { status: 403, code: 7, error: 'insufficient_scope' },
  unavailable: { status: 503, code: 14, error: undefined },
} as const;

export type Outcome = keyof typeof OUTCOMES;

/** Seconds a client is asked to wait when the authorization server does not answer. */
const RETRY_AFTER = 5;

/** Thrown by a step that refuses; the authenticator turns it into a Failure. `message` is shown, `reason` is not. */
export class Refused extends Error {
  readonly outcome: Outcome;
  readonly reason: string;

  constructor(outcome: Outcome, message: string, reason: string, cause?: unknown) {
    super(message, { cause });
    this.outcome = outcome;
    this.reason = reason;
  }
}

/** The 503 of RFC 9110 §15.6.4 for whatever keeps us from knowing: never a 401, which would blame the caller. */
export function unavailable(reason: string, cause?: unknown): Refused {
  return new Refused('unavailable', 'Credentials cannot be checked at the moment, try again later', reason, cause);
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
  const { status, code, error } = OUTCOMES[refused.outcome];
  const headers: Record<string, string> = { 'Cache-Control': 'no-store' };
  if (status === 503) headers['Retry-After'] = String(RETRY_AFTER);
  else headers['WWW-Authenticate'] = challenge(settings, scheme, error, error && refused.message, scope);
  return { status, headers, body: { code, message: refused.message, details: [] }, reason: refused.reason };
}

function challenge(
  settings: ChallengeSettings,
  scheme: 'Bearer' | 'DPoP',
  error: string | undefined,
  description: string | undefined,
  scope: readonly string[] | undefined,
): string {
  const algs = settings.algorithms.join(' ');
  const pairs: [string, string | undefined][] = [
    ['realm', settings.realm],
    ['error', error],
    ['error_description', description],
    ['scope', scope?.join(' ')],
    ['algs', scheme === 'DPoP' ? algs : undefined],
    ['resource_metadata', settings.metadataUrl],
  ];
  const first = `${scheme} ${pairs.flatMap(([name, value]) => (value ? [`${name}="${value}"`] : [])).join(', ')}`;
  // RFC 9449 §7.2: a resource that takes both schemes says so to whoever used Bearer or nothing at all.
  return scheme === 'Bearer' && (!error || error === 'invalid_token')
    ? `${first.trim()}, DPoP algs="${algs}"`
    : first.trim();
}
