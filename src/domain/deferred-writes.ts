/** What is remembered in memory and written a little later, all of it at once, one write after the other. */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface DeferredWrites {
  /** There is something to write: it will be, within the interval. */
  schedule(): void;
  /** Writes now, after what is being written. */
  flush(): Promise<void>;
  /** Nothing is scheduled from now on. */
  stop(): void;
}

/**
 * @param write writes what is remembered; never fails
 * @param interval milliseconds from the first thing remembered to the write
 */
export function createDeferredWrites(write: () => Promise<void>, interval: number): DeferredWrites {
  // Whoever remembers something is in a request or a transaction, which the write is not.
  const outside = AsyncLocalStorage.snapshot();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let stopped = false;

  function flush(): Promise<void> {
    writing = writing.then(write);
    return writing;
  }

  return {
    schedule() {
      if (stopped) return;
      timer ??= outside(
        setTimeout,
        () => {
          timer = undefined;
          void flush();
        },
        interval,
      ).unref();
    },
    flush,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
