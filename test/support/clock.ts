/** Time moved on, for this process and not for the database. Timers go on as ever. */
import { jest } from '@jest/globals';

/** Runs `work` while the clock stands `seconds` from now. */
export async function later<T>(seconds: number, work: () => Promise<T>): Promise<T> {
  jest.useFakeTimers({
    now: Date.now() + seconds * 1000,
    doNotFake: [
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ],
  });
  try {
    return await work();
  } finally {
    jest.useRealTimers();
  }
}
