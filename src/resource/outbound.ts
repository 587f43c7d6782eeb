import { AppError } from '../errors.ts';

/** Long enough for a slow link, short enough that a hanging authorization server does not hold our callers. */
const TIMEOUT_MS = 5_000;
/** A key set or metadata document is a few kilobytes; anything larger is a mistake or an attack. */
const MAX_BYTES = 262_144;

/** What the authorization server answered. */
export interface Answer<Body> {
  status: number;
  headers: Headers;
  /** What was sent; empty for a status other than 200, whose body is not read. */
  body: Body;
}

/** A request to the authorization server; `timeoutMs` for all of it, by default 5 s, and `maxBytes`, 256 KiB. */
export interface Question {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  timeoutMs?: number;
  maxBytes?: number;
}

/**
 * Fetches a text, or what `parse` makes of it. Redirects are refused, since they could point anywhere.
 *
 * @throws AppError `unavailable` when there is no usable answer; the cause says why.
 */
export async function fetchText<Body = string>(
  url: string,
  { timeoutMs = TIMEOUT_MS, maxBytes = MAX_BYTES, ...init }: Question = {},
  parse = (text: string) => text as Body,
): Promise<Answer<Body>> {
  try {
    const response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    const { status, headers } = response;
    if (status === 200) return { status, headers, body: parse(await boundedText(response, maxBytes)) };
    await response.body?.cancel();
    return { status, headers, body: parse('') };
  } catch (cause) {
    throw unusable(`No usable answer from ${new URL(url).origin}`, cause);
  }
}

/** Fetches one JSON object like `fetchText`. */
export function fetchJson(url: string, question?: Question): Promise<Answer<Record<string, unknown>>> {
  return fetchText(url, question, parseObject);
}

/** The error for an issuer that cannot be understood or reached. */
export function unusable(message: string, cause?: unknown): AppError {
  return new AppError('unavailable', message, { cause });
}

async function boundedText(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new Error(`answer larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseObject(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text || '{}');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('answer is not an object');
  return value as Record<string, unknown>;
}
