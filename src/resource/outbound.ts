import { AppError } from '../errors.ts';

/** Long enough for a slow link, short enough that a hanging authorization server does not hold our callers. */
const TIMEOUT_MS = 5_000;
/** A key set or metadata document is a few kilobytes; anything larger is a mistake or an attack. */
const MAX_BYTES = 262_144;

/** A JSON answer of the authorization server. */
export interface JsonAnswer {
  status: number;
  /** The object that was sent; empty for a status other than 200, whose body is not read. */
  body: Record<string, unknown>;
  /** Seconds of `Cache-Control: max-age` (RFC 9111 §5.2.2.1); 0 for `no-store` and `no-cache`; undefined if unsaid. */
  maxAge: number | undefined;
}

/** How the room reaches the authorization server. */
export type FetchJson = (
  url: string,
  init?: { method?: string; headers?: Record<string, string>; body?: string },
) => Promise<JsonAnswer>;

/**
 * Fetches one JSON object: 5 s for all of it, 256 KiB at most, redirects refused (they could point anywhere).
 *
 * @throws AppError `unavailable` when there is no usable answer; the cause says why.
 */
export const fetchJson: FetchJson = async (url, init = {}) => {
  try {
    const response = await fetch(url, {
      ...init,
      headers: { accept: 'application/json', ...init.headers },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const maxAge = maxAgeOf(response.headers.get('cache-control'));
    if (response.status !== 200) {
      await response.body?.cancel();
      return { status: response.status, body: {}, maxAge };
    }
    return { status: 200, body: parseObject(await boundedText(response)), maxAge };
  } catch (cause) {
    throw new AppError('unavailable', `No usable answer from ${new URL(url).origin}`, { cause });
  }
};

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`answer larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseObject(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('answer is not an object');
  return value as Record<string, unknown>;
}

function maxAgeOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/(^|[\s,])no-(store|cache)([\s,=]|$)/i.test(header)) return 0;
  const seconds = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec(header)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}
