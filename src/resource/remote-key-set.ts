import { unavailable } from './decision.ts';
import { indexKeys, type KeyIndex, type KeySet } from './key-set.ts';
import { type Answer, unusable } from './outbound.ts';
import type { Settings } from './settings.ts';

/** `Cache-Control: max-age` is honoured between these; the lower one also serves when the issuer says nothing. */
const MIN_FRESH_MS = 60_000;
const MAX_FRESH_MS = 3_600_000;
/** Between two fetches that only a strange `kid` asks for, so that forged tokens cannot make us flood the issuer. */
const UNKNOWN_KID_COOL_DOWN_MS = 30_000;
/** After a failed fetch: long enough not to hammer, short enough to notice that the issuer is back. */
const RETRY_MS = 1_000;

/**
 * A key set fetched over HTTP. Every need for a fetch joins the one under way. After a failure the known keys serve on
 * for `maxStale` seconds while fetches are tried in the background; then nothing is accepted until one succeeds.
 */
export function createRemoteKeySet(
  load: () => Promise<Answer<Record<string, unknown>>>,
  { maxStale, clock, onError }: Pick<Settings, 'maxStale' | 'clock' | 'onError'>,
): KeySet {
  let known: { index: KeyIndex; since: number; freshMs: number } | undefined;
  let pending: Promise<boolean> | undefined;
  let lastAttempt = Number.NEGATIVE_INFINITY;
  let failed = false;

  async function refresh(): Promise<boolean> {
    lastAttempt = clock();
    try {
      const { status, headers, body } = await load();
      if (status !== 200) throw unusable(`The key set answered ${status}`);
      const freshMs = Math.min(Math.max(maxAgeOf(headers.get('cache-control')) * 1000, MIN_FRESH_MS), MAX_FRESH_MS);
      known = { index: indexKeys(body, known?.index), since: clock(), freshMs };
      failed = false;
    } catch (error) {
      failed = true;
      onError(error as Error);
    }
    return !failed;
  }

  const isRecent = (ms: number) => Math.abs(clock() - lastAttempt) < ms;

  /** Whether the keys are up to date now; a failure within the last second is not tried again. */
  function fetchKeys(): Promise<boolean> {
    if (!pending && failed && isRecent(RETRY_MS)) return Promise.resolve(false);
    pending ??= refresh().finally(() => {
      pending = undefined;
    });
    return pending;
  }

  /** The known keys, if they were fresh within the last so many seconds. */
  function youngerThan(seconds: number): KeyIndex | undefined {
    return known && Math.abs(clock() - known.since) < known.freshMs + seconds * 1000 ? known.index : undefined;
  }

  function usable(): KeyIndex {
    const index = youngerThan(maxStale);
    if (index) return index;
    throw unavailable('no key set young enough');
  }

  function current(): KeyIndex | Promise<KeyIndex> {
    const fresh = youngerThan(0);
    if (fresh) return fresh;
    const fetching = fetchKeys();
    // Once the issuer has failed, requests stop waiting for it as long as the known keys may still serve.
    return (failed && youngerThan(maxStale)) || fetching.then(usable);
  }

  async function find(kid: string, coolDownMs = UNKNOWN_KID_COOL_DOWN_MS) {
    const key = (await current()).get(kid);
    if (key) return key;
    if (!pending && !failed && isRecent(coolDownMs)) return undefined;
    // Whether a key is unknown or new, only the issuer can say.
    if (!(await fetchKeys())) throw unavailable('unknown key and no key set');
    return usable().get(kid);
  }

  return { current, find };
}

/** Seconds of `Cache-Control: max-age` (RFC 9111 §5.2.2.1); 0 for `no-store` and `no-cache`, and if unsaid. */
function maxAgeOf(header: string | null): number {
  if (/(^|[\s,])no-(store|cache)([\s,=]|$)/i.test(header ?? '')) return 0;
  return Number(/(?:^|[\s,])max-age="?(\d{1,9})/i.exec(header ?? '')?.[1] ?? 0);
}
