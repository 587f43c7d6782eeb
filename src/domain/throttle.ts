/** Counts tries in this process, in windows of fixed length, without ever growing past a fixed number of counters. */
import { isIPv4, isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';

export interface Throttle {
  /**
   * Counts one more try of `key` if `limit` allows it. `over` is said once per window, `still_over` from then on, so
   * that the caller can report a flood with one line.
   */
  take(key: string, limit: number): 'allowed' | 'over' | 'still_over';
  /** Undoes one `take` that was allowed. */
  giveBack(key: string): void;
  /** The tries counted in the present window. */
  count(key: string): number;
}

/**
 * @param windowMs how long a counter lives, from its first try, in milliseconds
 * @param max most counters; the least recently used goes first (default 20,000)
 */
export function createThrottle({ windowMs, max = 20_000 }: { windowMs: number; max?: number }): Throttle {
  const counters = new LRUCache<string, { tries: number; reported: boolean }>({ max, ttl: windowMs });
  return {
    take(key, limit) {
      const counter = counters.get(key) ?? { tries: 0, reported: false };
      if (counter.tries >= limit) {
        const first = !counter.reported;
        counter.reported = true;
        return first ? 'over' : 'still_over';
      }
      counter.tries += 1;
      if (counter.tries === 1) counters.set(key, counter);
      return 'allowed';
    },
    giveBack(key) {
      const counter = counters.get(key);
      if (counter !== undefined) counter.tries -= 1;
      if (counter?.tries === 0) counters.delete(key);
    },
    count: (key) => counters.get(key)?.tries ?? 0,
  };
}

/**
 * The network an address stands for: an IPv4 address itself, an IPv6 address its /64 (one subscriber has at least that
 * many), an IPv4 address written as IPv6 the IPv4 one. Every spelling of an address gives the same.
 */
export function networkOf(ip: string | undefined): string {
  const address = (ip ?? '').split('%')[0]!;
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return 'unknown';
  // The URL parser writes an IPv6 address in its one canonical form (RFC 5952).
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const front = head.split(':').filter(Boolean);
  const back = tail.split(':').filter(Boolean);
  const groups = [...front, ...Array<string>(8 - front.length - back.length).fill('0'), ...back];
  const isMapped = groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff';
  if (!isMapped) return `${groups.slice(0, 4).join(':')}::/64`;
  const [high, low] = [Number.parseInt(groups[6]!, 16), Number.parseInt(groups[7]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
