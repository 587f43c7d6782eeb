/** Requests that wait for a change: not too many, each for a bounded time, none after its caller has gone. */
import type { ServerResponse } from 'node:http';

export interface Waiters {
  /**
   * Resolves when there was a change, the time is over, the caller has gone or the server stops.
   * @returns false, at once, when there is no place to wait
   */
  wait(res: ServerResponse, ms: number): Promise<boolean>;
  /** Lets all of them go on. */
  wake(): void;
  /** Does so, and lets nobody wait any more. */
  close(): void;
  /** How many wait. */
  readonly size: number;
}

/** @param most that wait at once */
export function createWaiters(most: number): Waiters {
  const waiting = new Set<() => void>();
  let closed = false;

  function wake(): void {
    for (const goOn of waiting) goOn();
  }

  return {
    async wait(res, ms) {
      if (closed || waiting.size >= most) return false;
      await new Promise<void>((resolve) => {
        const goOn = () => {
          clearTimeout(timer);
          res.off('close', goOn);
          waiting.delete(goOn);
          resolve();
        };
        const timer = setTimeout(goOn, ms);
        res.once('close', goOn);
        waiting.add(goOn);
      });
      return true;
    },
    wake,
    close() {
      closed = true;
      wake();
    },
    get size() {
      return waiting.size;
    },
  };
}
