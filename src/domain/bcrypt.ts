/**
 * bcrypt, for hashes that were made elsewhere; we make none. One comparison takes a processor for a tenth of a second and
 * more, so they are made in one thread of their own, few may wait, and what came out is remembered.
 */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import { AppError } from '../errors.ts';

export interface Bcrypt {
  /**
   * Whether the text is the one behind the hash. A comparison that was made before is not made again.
   * @param queue at most `mostInQueue` comparisons under this name wait at a time, so that whoever floods one name keeps
   *   nobody else waiting for long
   * @throws AppError `unavailable` when too many wait
   */
  compare(text: string, hash: string, queue: string): Promise<boolean>;
}

export interface BcryptOptions {
  /** Most comparisons that wait in all (default 64), and under one name (default 8). */
  mostWaiting?: number;
  mostInQueue?: number;
  /** Most results remembered (default 10,000). */
  remembered?: number;
}

interface Job {
  resolve(matches: boolean): void;
  reject(error: unknown): void;
}

export function createBcrypt(options: BcryptOptions = {}): Bcrypt {
  const { mostWaiting = 64, mostInQueue = 8, remembered = 10_000 } = options;
  // A hash and a text belong together or do not, for ever. Of the text only its SHA-256 is kept, as of any key in use.
  const results = new LRUCache<string, boolean>({ max: remembered });
  const jobs = new Map<number, Job>();
  const running = new Map<string, Promise<boolean>>();
  const waiting = new Map<string, number>();
  let worker: Worker | undefined;
  let lastId = 0;

  function start(): Worker {
    const file = import.meta.url.endsWith('.ts') ? './bcrypt-worker.ts' : './bcrypt-worker.js';
    const started = new Worker(fileURLToPath(new URL(file, import.meta.url)));
    // A command that is done does not wait for it.
    started.unref();
    started.on('message', ({ id, matches }: { id: number; matches: boolean }) => jobs.get(id)?.resolve(matches));
    started.on('error', stop);
    started.on('exit', () => stop(new Error('the thread ended')));
    return started;

    function stop(cause: unknown): void {
      if (worker !== started) return;
      worker = undefined;
      for (const job of jobs.values()) job.reject(busy(cause));
    }
  }

  function enqueue(text: string, hash: string, queue: string): Promise<boolean> {
    const inQueue = waiting.get(queue) ?? 0;
    if (jobs.size >= mostWaiting || inQueue >= mostInQueue) return Promise.reject(busy());
    const id = ++lastId;
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    jobs.set(id, { resolve, reject });
    waiting.set(queue, inQueue + 1);
    worker ??= start();
    // Somebody waits for this one, even where nothing else keeps the process going.
    worker.ref();
    worker.postMessage({ id, text, hash });
    return promise.finally(() => {
      jobs.delete(id);
      const left = (waiting.get(queue) ?? 1) - 1;
      if (left === 0) waiting.delete(queue);
      else waiting.set(queue, left);
      if (jobs.size === 0) worker?.unref();
    });
  }

  return {
    compare(text, hash, queue) {
      const key = `${createHash('sha256').update(text).digest('base64url')}${hash}`;
      const known = results.get(key);
      if (known !== undefined) return Promise.resolve(known);
      const underWay = running.get(key);
      if (underWay !== undefined) return underWay;
      const started = enqueue(text, hash, queue)
        .then((matches) => {
          results.set(key, matches);
          return matches;
        })
        .finally(() => running.delete(key));
      running.set(key, started);
      return started;
    },
  };
}

function busy(cause?: unknown): AppError {
  return new AppError('unavailable', 'Too many keys of this kind are being checked. Try again in a moment.', { cause });
}
