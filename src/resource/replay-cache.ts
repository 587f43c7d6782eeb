/** Remembers what was used once; answers whether `id` is new, or `full` when it could not be remembered. */
export type UseOnce = (id: string) => 'new' | 'replayed' | 'full';

/**
 * @param windowMs how long an id is remembered.
 * @param max ids remembered at most. When all of them are live, further ones are refused rather than some forgotten.
 */
export function createReplayCache(windowMs: number, max: number, clock: () => number): UseOnce {
  // Equal lifetimes make insertion order the order of expiry.
  const seen = new Map<string, number>();
  return (id) => {
    const now = clock();
    for (const [old, until] of seen) {
      if (until > now) break;
      seen.delete(old);
    }
    if (seen.has(id)) return 'replayed';
    if (seen.size >= max) return 'full';
    seen.set(id, now + windowMs);
    return 'new';
  };
}
