import { AppError } from '../errors.ts';
import { unavailable } from './decision.ts';
import { indexKeys, type KeyIndex, type KeySet } from './key-set.ts';
import type { JsonAnswer } from './outbound.ts';

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
  load: () => Promise<JsonAnswer>,
  { maxStale, clock, onError }: { maxStale: number; clock: () => number; onError: (error: Error) => void },
): KeySet {
  let known: { index: KeyIndex; freshUntil: number } | undefined;
  let pending: Promise<boolean> | undefined;
  let lastAttempt = Number.NEGATIVE_INFINITY;
  let failed = false;

  async function refresh(): Promise<boolean> {
    lastAttempt = clock();
    try {
      const { status, body, maxAge } = await load();
      if (status !== 200) throw new AppError('unavailable', `The key set answered ${status}`);
      const freshFor = Math.min(Math.max((maxAge ?? 0) * 1000, MIN_FRESH_MS), MAX_FRESH_MS);
      known = { index: indexKeys(body, known?.index), freshUntil: clock() + freshFor };
      failed = false;
    } catch (error) {
      failed = true;
      onError(error as Error);
    }
    return !failed;
  }

  /** Whether the keys are up to date now; a failure within the last second is not tried again. */
  function fetchKeys(): Promise<boolean> {
    if (!pending && failed && clock() - lastAttempt < RETRY_MS) return Promise.resolve(false);
    pending ??= refresh().finally(() => {
      pending = undefined;
    });
    return pending;
  }

  function usable(): KeyIndex {
    if (known && clock() < known.freshUntil + maxStale * 1000) return known.index;
    throw unavailable('no key set young enough');
  }

  function current(): KeyIndex | Promise<KeyIndex> {
    if (known && clock() < known.freshUntil) return known.index;
    const fetching = fetchKeys();
    // Once the issuer has failed, requests stop waiting for it as long as the known keys may still serve.
    if (known && failed && clock() < known.freshUntil + maxStale * 1000) return known.index;
    return fetching.then(usable);
  }

  async function find(kid: string) {
    const key = (await current()).get(kid);
    if (key) return key;
    if (!pending && !failed && clock() - lastAttempt < UNKNOWN_KID_COOL_DOWN_MS) return undefined;
    // Whether a key is unknown or new, only the issuer can say.
    if (!(await fetchKeys())) throw unavailable('unknown key and no key set');
    return usable().get(kid);
  }

  return { current, find };
}
