/** One request, byte for byte as it is meant: any Host, any header, any path; keep-alive, and no redirects. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';

export interface RawRequest {
  method?: string;
  /** As it goes over the wire: nothing is encoded or resolved. */
  path: string;
  /** Default: `localhost` and the port. */
  host?: string;
  headers?: Record<string, string | string[]>;
  /** An object is sent as a form. */
  body?: string | Buffer | Record<string, string>;
}

export interface RawAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Names and values in turn, as they came. */
  rawHeaders: string[];
  text: string;
  /** The body as JSON; undefined when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever fields they expect.
  body: any;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** @param port on the loopback interface */
export function send(port: number, { method, path, host, headers = {}, body }: RawRequest): Promise<RawAnswer> {
  const form = typeof body === 'object' && !Buffer.isBuffer(body) ? new URLSearchParams(body).toString() : body;
  const options = {
    agent,
    host: '127.0.0.1',
    port,
    path,
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      host: host ?? `localhost:${port}`,
      ...(form !== undefined && { 'content-length': Buffer.byteLength(form) }),
      ...(form !== body && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...headers,
    },
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const { statusCode = 0, headers: received, rawHeaders } = response;
        resolve({ status: statusCode, headers: received, rawHeaders, text, body: parse(text) });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(form);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
