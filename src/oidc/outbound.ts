/**
 * How the engine fetches what clients name (their `jwks_uri`): from the public internet and nowhere else. A name is looked up
 * once, every address it has must be public, and the connection goes to those addresses and no other.
 */
import { Resolver } from 'node:dns/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { hostOf, isPublicAddress } from '../domain/outbound-urls.ts';

/** For looking up, connecting and reading together. */
const TIMEOUT_MS = 2_500;
/** A key set is a few kilobytes; anything larger is a mistake or an attack. */
const MAX_BYTES = 65_536;
/** For so long an address that failed is not asked again: anybody can make us ask, and somebody has to wait. */
const RETRY_MS = 5_000;
const MOST_FAILED = 1_000;

/** What the engine calls: the part of `fetch` it uses. */
export type OutboundFetch = (url: string | URL, init?: { signal?: AbortSignal | null }) => Promise<Response>;

/** Everything is for tests; the server uses none of it. */
export interface OutboundOptions {
  /** The addresses of a name. */
  resolve?: (host: string, signal: AbortSignal) => Promise<string[]>;
  /** Which addresses may be connected to. */
  isAllowed?: (address: string) => boolean;
  /** A certificate to trust, PEM. */
  ca?: string;
}

/**
 * @returns a `fetch` for JSON over https by GET: redirects are not followed, all of it takes 2.5 s and 64 KiB at most. It
 *   rejects when there is no such answer, and for a moment afterwards without asking again.
 */
export function createOutboundFetch(options: OutboundOptions = {}): OutboundFetch {
  const { resolve = resolveHost, isAllowed = isPublicAddress, ca } = options;
  const failed = new Map<string, number>();

  async function get(url: URL, signal: AbortSignal): Promise<Response> {
    if (url.protocol !== 'https:') throw new Error('only https is fetched');
    const host = hostOf(url);
    const addresses = isIP(host) === 0 ? await resolve(host, signal) : [host];
    signal.throwIfAborted();
    // One that is not public is enough: a name must not be public when it is looked at and private when it is used.
    if (addresses.length === 0 || !addresses.every(isAllowed)) throw new Error(`${host} has no public address`);
    const answer = await send(url, { addresses, signal, ca });
    if (answer.statusCode !== 200) {
      answer.destroy();
      throw new Error(`answered ${answer.statusCode}`);
    }
    const text = await boundedText(answer);
    JSON.parse(text);
    return new Response(text, { headers: cacheHeaders(answer) });
  }

  return async (target, init = {}) => {
    const url = new URL(target);
    if ((failed.get(url.href) ?? 0) > Date.now()) throw new Error('failed a moment ago');
    const signal = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(init.signal ? [init.signal] : [])]);
    try {
      return await get(url, signal);
    } catch (error) {
      if (failed.size >= MOST_FAILED) failed.clear();
      failed.set(url.href, Date.now() + RETRY_MS);
      throw error;
    }
  };
}

/**
 * By DNS itself: the system's resolver would also look into files of this machine, and blocks a thread of the few that hash
 * passwords for as long as somebody's name server likes.
 */
async function resolveHost(host: string, signal: AbortSignal): Promise<string[]> {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

function send(
  url: URL,
  { addresses, signal, ca }: { addresses: string[]; signal: AbortSignal; ca: string | undefined },
): Promise<IncomingMessage> {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const lookup: LookupFunction = (_host, { all }, done) => {
    if (all) done(null, found);
    else done(null, found[0]!.address, found[0]!.family);
  };
  return new Promise((resolve, reject) => {
    // No agent: a connection that is kept would be used again without looking.
    const headers = { accept: 'application/json', 'accept-encoding': 'identity' };
    const outgoing = request(url, { agent: false, lookup, signal, headers, ...(ca !== undefined && { ca }) });
    outgoing.on('response', resolve).on('error', reject).end();
  });
}

async function boundedText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Leaving the loop ends the connection.
    if (bytes > MAX_BYTES) throw new Error(`answer larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What says how long the answer holds (RFC 9111 §5.2, §5.3). */
function cacheHeaders({ headers }: IncomingMessage): Record<string, string> {
  return {
    ...(headers['cache-control'] && { 'cache-control': headers['cache-control'] }),
    ...(headers.expires && { expires: headers.expires }),
  };
}
