/**
 * The revocation feed: where resource servers learn what ended before its time, without a question for each request.
 * It is no endpoint of the engine's: it asks nobody who they are, and is there while nobody may sign in.
 */
import type { ServerResponse } from 'node:http';
import type { KeySet } from '../domain/signing-keys.ts';
import {
  createRevocationList,
  REVOCATION_LIST_TYPE,
  type RevocationListOptions,
  type SignedList,
} from './revocation-list.ts';
import { createWaiters } from './revocation-waiters.ts';

export const REVOCATION_FEED_PATH = '/oauth2/revocations';

/** The longest an answer waits for a change, in seconds: many a proxy gives up after thirty. */
const LONGEST_WAIT = 25;
/** Changes come in bursts; whoever waits hears of those within this time together, in milliseconds. */
const BURST_MS = 50;

/** What is used of a Koa context. */
interface FeedContext {
  readonly path: string;
  readonly method: string;
  readonly writable: boolean;
  readonly res: ServerResponse;
  status: number;
  body: unknown;
  get(header: string): string;
  set(header: string, value: string): void;
}

export interface RevocationFeedOptions extends RevocationListOptions {
  /** Most requests that wait for a change; more than that are answered at once (default 10,000). */
  mostWaiting?: number;
}

export interface RevocationFeed {
  /** Answers GET and HEAD of `REVOCATION_FEED_PATH`. @throws AppError `unavailable` */
  middleware(ctx: FeedContext, next: () => Promise<void>): Promise<void>;
  signWith(keys: KeySet): void;
  /** Answers whoever waits, and lets nobody wait from now on. */
  drain(): void;
}

export function createRevocationFeed({ mostWaiting = 10_000, ...options }: RevocationFeedOptions): RevocationFeed {
  const list = createRevocationList(options);
  const waiters = createWaiters(mostWaiting);
  let isBurst = false;

  options.revocations.onChange(() => {
    if (isBurst) return;
    isBurst = true;
    setTimeout(() => {
      isBurst = false;
      waiters.wake();
    }, BURST_MS).unref();
  });

  /** The list: at once when it is news to the caller, or else as soon as it is, or the time is over. */
  async function listFor(ctx: FeedContext, known: readonly string[], wait: number): Promise<SignedList> {
    const deadline = performance.now() + wait * 1000;
    let found = await list.current();
    let isApplied = true;
    while (isApplied && isKnown(found, known) && ctx.writable) {
      const rest = deadline - performance.now();
      if (rest <= 0) break;
      isApplied = await waiters.wait(ctx.res, rest);
      found = await list.current();
    }
    // RFC 7240 §3. Left out where it was not heeded: who asks again at once would do so all the time.
    if (wait > 0 && isApplied) ctx.set('Preference-Applied', `wait=${wait}`);
    return found;
  }

  function isKnown(found: SignedList, known: readonly string[]): boolean {
    return known.some((tag) => list.isAsGood(tag, found));
  }

  return {
    async middleware(ctx, next) {
      if (ctx.path !== REVOCATION_FEED_PATH || !['GET', 'HEAD'].includes(ctx.method)) return next();
      const known = [...ctx.get('if-none-match').matchAll(/"([^"]*)"/g)].map(([, tag]) => tag!);
      const found = await listFor(ctx, known, waitOf(ctx.get('prefer')));
      ctx.set('Cache-Control', 'public, max-age=1');
      ctx.set('Vary', 'Prefer');
      const still = known.find((tag) => list.isAsGood(tag, found));
      if (still !== undefined) {
        ctx.set('ETag', `W/"${still}"`);
        ctx.status = 304;
        return;
      }
      ctx.set('ETag', `W/"${found.tag}"`);
      ctx.set('Content-Type', `application/${REVOCATION_LIST_TYPE}`);
      ctx.status = 200;
      ctx.body = found.text;
    },
    signWith: list.signWith,
    drain: waiters.close,
  };
}

/** `wait` of a Prefer header (RFC 7240 §4.3) in seconds, no more than we wait; 0 without one. */
function waitOf(prefer: string): number {
  for (const preference of prefer.split(',')) {
    const [, seconds] = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(;.*)?$/i.exec(preference) ?? [];
    if (seconds !== undefined) return Math.min(Number(seconds), LONGEST_WAIT);
  }
  return 0;
}
