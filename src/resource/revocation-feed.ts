import type { JWTPayload } from 'jose';
import { invalidToken } from './access-token.ts';
import { digest } from './bounded-cache.ts';
import { verifyIssued } from './compact-jwt.ts';
import { unavailable } from './decision.ts';
import type { FindEndpoint } from './discovery.ts';
import type { KeySet } from './key-set.ts';
import { fetchText, unusable } from './outbound.ts';
import type { Settings } from './settings.ts';

/** How long an answer of the issuer is news: the most that a revocation may take to get here. */
const FRESH_MS = 5_000;
/** How long the issuer may hold an answer back until there is something new, and how long that may take on top. */
const WAIT_S = 3;
const ANSWER_MS = 2_000;
/** Only with an answer this young does a poll wait: it ends before the answer is too old, and nobody waits for it. */
const WAITS_UNTIL_MS = 1_500;
/** From the start of a poll to the next, whatever came of it. */
const SPACING_MS = 1_000;
/** Some 150,000 revocations. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Seconds; the issuer signs more often. */
const MAX_AGE = 60;

const NONE: ReadonlyMap<string, number> = new Map();

/** An access token whose revocation is looked for. What is found out about it is kept in it. */
export interface Revocable {
  claims: JWTPayload;
  /** Which of the issuer's keys signed it. */
  kid: string;
  /** Digests of all it hangs on. */
  subjects?: readonly string[];
  /** The revocations it was not among. */
  passed?: object;
}

/** What the issuer has revoked before its time. */
export interface RevocationFeed {
  /** Whether there is no news since `check` let the token pass. It costs next to nothing. */
  hasPassed(token: Revocable): boolean;
  /**
   * @param known whether the token was accepted before.
   * @throws Refused 401 for a revoked token, 503 when that cannot be told and the fail mode does not let it pass.
   */
  check(token: Revocable, known: boolean): Promise<void>;
}

/**
 * Follows the issuer's revocation feed, if it has one: one request at a time, and one after the other only as long as
 * tokens are being checked. Whoever comes when the last answer is too old waits for the next one, except right after a
 * failure.
 */
export function createRevocationFeed(settings: Settings, find: FindEndpoint, keys: KeySet): RevocationFeed {
  const { clock, failMode, maxStale, clockTolerance, onError } = settings;
  let revocations = NONE;
  let text = { etag: undefined as string | undefined, iat: 0, goodUntil: 0 };
  let pending: Promise<void> | undefined;
  let startedAt = Number.NEGATIVE_INFINITY;
  let answeredAt = Number.NEGATIVE_INFINITY;
  let failedAt = Number.NEGATIVE_INFINITY;
  let url: string | undefined;

  /** A clock set back makes old what is new, or at most doubles how long it counts as young. */
  const isYounger = (since: number, ms: number) => Math.abs(clock() - since) < ms;

  async function ask(waits: boolean): Promise<void> {
    // An issuer that had a feed has one: metadata that forgets it, as of an older instance, revives nothing.
    url = (await find('revocation_feed_endpoint', true)) ?? url;
    if (url === undefined) return;
    const etag = clock() < text.goodUntil ? text.etag : undefined;
    const { status, headers, body } = await fetchText(url, {
      headers: {
        accept: 'application/revocations+jwt',
        ...(etag && { 'if-none-match': etag, ...(waits && { prefer: `wait=${WAIT_S}` }) }),
      },
      timeoutMs: ANSWER_MS + (waits ? WAIT_S * 1000 : 0),
      maxBytes: MAX_BYTES,
    });
    if (status === 304 && etag) return;
    if (status !== 200) throw unusable(`The revocation feed answered ${status}`);
    await accept(body, headers.get('etag') ?? undefined);
  }

  async function accept(jwt: string, etag: string | undefined): Promise<void> {
    const demands = { typ: 'revocations+jwt', maxTokenAge: MAX_AGE, coolDownMs: SPACING_MS };
    const { claims } = await verifyIssued(jwt, demands, keys, settings, refused);
    const { iat, exp } = claims as { iat: number; exp: number };
    // Another instance may have signed it, by a clock of its own; and a clock that leapt is put right some time.
    const last = isYounger(text.iat * 1000, 2000 * MAX_AGE) ? text.iat : 0;
    if (iat < last - clockTolerance) throw refused('older than the last one');
    revocations = entriesOf(claims.revocations);
    text = { etag, iat: Math.max(iat, last), goodUntil: (Math.min(exp, iat + MAX_AGE) + clockTolerance) * 1000 };
  }

  function poll(): void {
    startedAt = clock();
    pending = ask(isYounger(answeredAt, WAITS_UNTIL_MS))
      .then(
        () => {
          // The process may have slept since it asked.
          answeredAt = Math.min(clock(), startedAt + FRESH_MS);
        },
        (error) => {
          failedAt = clock();
          onError(error);
        },
      )
      .finally(() => {
        pending = undefined;
      });
  }

  /** Sees to it that an answer is on its way. */
  function isFresh(): boolean {
    if (!pending && !isYounger(startedAt, SPACING_MS)) poll();
    return isYounger(answeredAt, FRESH_MS);
  }

  function refuseRevoked(token: Revocable): void {
    if (revocations.size > 0) {
      token.subjects ??= subjectsOf(token);
      for (const subject of token.subjects) {
        const before = revocations.get(subject);
        if (before === 0 || (before !== undefined && Number(token.claims.iat) <= before)) throw invalidToken('revoked');
      }
    }
    token.passed = text;
  }

  return {
    hasPassed: (token) => isFresh() && token.passed === text,
    async check(token, known) {
      const mayGoOn = failMode === 'verified' || (known && failMode === 'known-good');
      const goesOn = () => isYounger(answeredAt, mayGoOn ? Math.max(maxStale * 1000, FRESH_MS) : FRESH_MS);
      if (!isFresh() && !isYounger(failedAt, FRESH_MS)) await pending;
      refuseRevoked(token);
      if (!goesOn()) throw unavailable('no revocation feed young enough');
    },
  };
}

/** The revocations of a feed. */
function entriesOf(value: unknown): ReadonlyMap<string, number> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused('no revocations');
  const entries = Object.entries(value);
  if (!entries.every(([, seconds]) => Number.isSafeInteger(seconds) && seconds >= 0)) throw refused('not a time');
  return new Map(entries);
}

/** What a token hangs on, as the feed names it. */
function subjectsOf({
  kid,
  claims: { jti, aud, grant_id, sub, client_id, team_id, derived_from = [] },
}: Revocable): string[] {
  const derived = derived_from as string[];
  return [
    `token:${jti}`,
    `aud:${aud}`,
    `grant:${grant_id}`,
    `user:${sub}`,
    `member:${sub}:${team_id}`,
    `client:${client_id}`,
    `team:${team_id}`,
    `kid:${kid}`,
    ...derived,
    ...(derived.some((word) => word.startsWith('key:')) ? [`aud_keys:${aud}`] : []),
  ].map((word) => digest(word).slice(0, 22));
}

function refused(reason: string): Error {
  return unusable(`The revocation feed is not acceptable: ${reason}`);
}
