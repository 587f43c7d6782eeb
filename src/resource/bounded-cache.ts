import { hash } from 'node:crypto';

/** A map that never holds more than its bound: the entry used longest ago makes room. */
export interface BoundedCache<T> {
  get(key: string): T | undefined;
  set(key: string, value: T): void;
}

/** @param max entries held at most. */
export function createBoundedCache<T>(max: number): BoundedCache<T> {
  const entries = new Map<string, T>();
  return {
    get(key) {
      const value = entries.get(key);
      // Half empty, nothing is dropped soon, and the order does not matter yet.
      if (value !== undefined && entries.size > max / 2) {
        entries.delete(key);
        entries.set(key, value);
      }
      return value;
    },
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      if (entries.size > max) entries.delete(entries.keys().next().value as string);
    },
  };
}

/** SHA-256 in base64url: what caches are keyed by, so that a heap dump shows no credential. */
export function digest(text: string): string {
  return hash('sha256', text, 'base64url');
}
