import { type OutgoingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { AppError } from '../../errors.ts';
import type { Attempt } from './case.ts';

const TIMEOUT_MS = 5_000;
/** Metadata and key sets are a few kilobytes. */
const MAX_BYTES = 262_144;

/** What came back, or in `failure` why nothing did. */
export type Answer = { status: number; challenge: string } | { status?: undefined; failure: string };

/** The API under test. `headers` go with every request. */
export interface Target {
  url: URL;
  headers: Record<string, string>;
}

/**
 * Sends one attempt on a connection of its own: no redirect is followed, no body read, five seconds at most. Not
 * `fetch`, which would join repeated headers into one.
 */
export function send({ url, headers }: Target, { authorization, query, cookie, form }: Attempt): Promise<Answer> {
  const to = new URL(url);
  for (const [name, value] of Object.entries(query ?? {})) to.searchParams.append(name, value);
  const body = form && new URLSearchParams(form).toString();
  const all: OutgoingHttpHeaders = {
    'user-agent': 'latchkey-check-api',
    accept: 'application/json, */*;q=0.5',
    ...headers,
  };
  if (authorization !== undefined) all.Authorization = authorization;
  if (cookie !== undefined) all.Cookie = cookie;
  if (body !== undefined) {
    all['content-type'] = 'application/x-www-form-urlencoded';
    all['content-length'] = Buffer.byteLength(body);
  }
  const method = body === undefined ? 'GET' : 'POST';
  const options = { agent: false, method, headers: all, signal: AbortSignal.timeout(TIMEOUT_MS) };
  return new Promise((resolve) => {
    const outgoing = (to.protocol === 'https:' ? requestHttps : requestHttp)(to, options, (response) => {
      resolve({ status: response.statusCode ?? 0, challenge: response.headers['www-authenticate'] ?? '' });
      response.destroy();
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ failure: error.name === 'AbortError' ? 'no answer within 5 s' : `no answer (${error.code})` });
    });
    outgoing.end(body);
  });
}

/**
 * One JSON object of the issuer, under the same limits; undefined when it answers 404.
 *
 * @throws AppError `unavailable` when there is no usable answer.
 */
export async function fetchObject(url: string, init: RequestInit = {}): Promise<Record<string, unknown> | undefined> {
  const where = new URL(url);
  try {
    const response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = await boundedText(response);
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw new Error(`answered ${response.status}`);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) throw new Error('answered something else than an object');
    return value as Record<string, unknown>;
  } catch (cause) {
    throw new AppError('unavailable', `No usable answer from ${where.origin}${where.pathname}`, { cause });
  }
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error('answered too much');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
