import type { Authenticator } from './authenticator.ts';
import type { ResourceRequest } from './credential.ts';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** The part of Node's `IncomingMessage`, and of what frameworks make of it, that is looked at. */
export interface NodeRequest {
  method?: string | undefined;
  url?: string | undefined;
  /** The request target as received, kept by frameworks that rewrite `url`. */
  originalUrl?: string | undefined;
  headers: Headers;
  rawHeaders: readonly string[];
  /** The body, when something parsed it already. */
  body?: unknown;
}

/** A request received by Node as the core sees it. */
export function nodeRequest(req: NodeRequest, authenticator: Authenticator): ResourceRequest {
  const { method = '', url = '', originalUrl = url, headers, rawHeaders, body } = req;
  return {
    method,
    url: authenticator.externalUrl(originalUrl),
    query: originalUrl.includes('?') ? originalUrl.slice(originalUrl.indexOf('?') + 1) : '',
    headers: isRepeated(rawHeaders, 'authorization') ? { ...headers, authorization: REPEATED } : headers,
    form: isForm(headers) && typeof body === 'object' && body !== null ? (body as ResourceRequest['form']) : undefined,
  };
}

/** Stands for a header that came more than once. */
const REPEATED: readonly string[] = ['', ''];

export function pathOf({ url = '', originalUrl = url }: Pick<NodeRequest, 'url' | 'originalUrl'>): string {
  return originalUrl.split('?', 1)[0] as string;
}

/** Whether the body is a form, the only kind RFC 6750 §2.2 lets a token be in. */
export function isForm(headers: Headers): boolean {
  return /^application\/x-www-form-urlencoded\s*(;|$)/i.test(String(headers['content-type'] ?? ''));
}

/** Node keeps the first of several Authorization headers and drops the rest; only the raw list shows them. */
function isRepeated(rawHeaders: readonly string[], name: string): boolean {
  let times = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i] as string;
    if (header.length === name.length && header.toLowerCase() === name) times++;
  }
  return times > 1;
}
