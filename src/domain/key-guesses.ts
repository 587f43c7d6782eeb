/**
 * Bounds what keys that open nothing cost the server. Whoever sends too many of them shares, with everybody who does the
 * same, one look at a time; a key that was good lately passes by all of that, so that its owner does not pay for a neighbour.
 */
import { LRUCache } from 'lru-cache';
import { AppError } from '../errors.ts';
import { digestOf } from './secret-text.ts';
import { createThrottle, networkOf } from './throttle.ts';

export interface KeyGuessesOptions {
  /** Wrong keys of one network within `windowMs` before it has to wait its turn (default 60 in 60,000 ms). */
  limit?: number;
  windowMs?: number;
  /** Most that wait for their turn (default 50). */
  mostWaiting?: number;
}

export interface KeyGuesses {
  /**
   * Looks a key up, if it is its turn.
   * @param ip where the request comes from
   * @param look answers undefined for a text that opens nothing
   * @throws AppError `resource_exhausted` when too many wait; nothing was looked up then
   */
  check<T>(text: string, ip: string | undefined, look: () => Promise<T | undefined>): Promise<T | undefined>;
}

const LONGEST_MEMORY_MS = 24 * 3600 * 1000;

export function createKeyGuesses(options: KeyGuessesOptions = {}): KeyGuesses {
  const { limit = 60, windowMs = 60_000, mostWaiting = 50 } = options;
  const wrong = createThrottle({ windowMs });
  const goodLately = new LRUCache<string, true>({ max: 20_000, ttl: LONGEST_MEMORY_MS });
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(look: () => Promise<T>): Promise<T> {
    if (waiting >= mostWaiting) {
      throw new AppError(
        'resource_exhausted',
        'Too many keys that open nothing came from here. Try again in a second.',
      );
    }
    waiting += 1;
    const turn = last.then(look).finally(() => {
      waiting -= 1;
    });
    last = turn.catch(() => {});
    return turn;
  }

  return {
    async check(text, ip, look) {
      const [digest, network] = [digestOf(text).toString('base64url'), networkOf(ip)];
      const isKnown = goodLately.has(digest);
      // Counted before the answer is known, because parallel tries would all be let through otherwise.
      const isCounted = !isKnown && wrong.take(network, limit) === 'allowed';
      let isWrong = false;
      try {
        const found = await (isKnown || isCounted ? look() : inTurn(look));
        isWrong = found === undefined;
        if (isWrong) goodLately.delete(digest);
        else goodLately.set(digest, true);
        return found;
      } finally {
        if (isCounted && !isWrong) wrong.giveBack(network);
      }
    },
  };
}
