/**
 * The load generator: a process of its own that keeps N connections busy with the requests it was given and writes what
 * it saw as JSON. Straight on node:net, because a general HTTP client costs more than the server it measures.
 */
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';

export interface LoadRequest {
  /** The whole request as it goes over the connection. */
  text: string;
  /** What is known of it, for whoever looks at the answers kept. */
  about: string;
  /** Default 200. */
  status?: string;
  /** What the body of the right answer begins with, and what it holds besides. */
  body?: string[];
}

export interface LoadJob {
  port: number;
  connections: number;
  requests: LoadRequest[];
  /** Length of the measurement, seconds. */
  seconds: number;
  /** In turn, beginning with this one, or (default) drawn at random. */
  from?: number;
  /** Stop after this many, if that is sooner. */
  most?: number;
  /** How many right answers to keep, spread over the whole time; default 50. */
  keep?: number;
}

export interface LoadResult {
  requests: number;
  /** How often which status came. */
  statuses: Record<string, number>;
  /** How many answers were not the right one. */
  wrong: number;
  /** Measured length, seconds. */
  seconds: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  /** Some of the answers, with what their requests were about; `wrong` ones first of all. */
  samples: { about: string; status: string; body: string; right: boolean }[];
}

/** Latencies are counted in steps of 10 µs up to 1 s. */
const STEP_MS = 0.01;
const WRONG_KEPT = 10;

interface Answer {
  status: string;
  body: string;
}

/** A form to send. */
export function post(port: number, path: string, form: Record<string, string>): string {
  const body = new URLSearchParams(form).toString();
  return (
    `POST ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  );
}

/** A page to get with a credential. */
export function get(port: number, path: string, credential: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: Bearer ${credential}\r\n\r\n`;
}

if (import.meta.main) {
  const job = JSON.parse(await text(process.stdin)) as LoadJob;
  process.stdout.write(JSON.stringify(await run(job)));
}

async function run(job: LoadJob): Promise<LoadResult> {
  const { requests: all, from, most = Number.POSITIVE_INFINITY, keep = 50 } = job;
  const latencies = new Uint32Array(100_001);
  const statuses: Record<string, number> = {};
  const samples: LoadResult['samples'] = [];
  let sent = 0;
  let requests = 0;
  let wrong = 0;
  const began = performance.now();
  const until = began + job.seconds * 1000;

  async function connection(): Promise<void> {
    const exchange = createExchange(connect({ port: job.port, host: '127.0.0.1', noDelay: true }));
    while (performance.now() < until && sent < most) {
      const at = from === undefined ? Math.floor(Math.random() * all.length) : (from + sent) % all.length;
      const request = all[at]!;
      sent += 1;
      const started = performance.now();
      const { status, body } = await exchange.send(request.text);
      const now = performance.now();
      latencies[Math.min(Math.round((now - started) / STEP_MS), latencies.length - 1)]! += 1;
      statuses[status] = (statuses[status] ?? 0) + 1;
      requests += 1;
      const right = isRight(request, status, body);
      if (!right) wrong += 1;
      const due = Math.max((now - began) / (job.seconds * 1000), sent / most) * keep;
      if (right ? samples.length < due : wrong <= WRONG_KEPT)
        samples.push({ about: request.about, status, body, right });
    }
    exchange.close();
  }

  await Promise.all(Array.from({ length: job.connections }, connection));
  const seconds = (performance.now() - began) / 1000;
  const [p50, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)];
  return { requests, statuses, wrong, seconds, p50, p99, samples };
}

function isRight(request: LoadRequest, status: string, body: string): boolean {
  const [begin = '', ...parts] = request.body ?? [];
  return status === (request.status ?? '200') && body.startsWith(begin) && parts.every((part) => body.includes(part));
}

/** One request at a time over one connection; a connection that breaks ends the run. */
function createExchange(socket: Socket) {
  let waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  let received = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received += chunk;
    const answer = parseAnswer(received);
    if (!answer) return;
    received = '';
    waiting?.resolve(answer);
  });
  socket.on('error', (error) => waiting?.reject(error));
  socket.on('close', () => waiting?.reject(new Error('the server closed the connection')));
  socket.setTimeout(10_000, () => socket.destroy(new Error('no answer for 10 seconds')));
  return {
    send: (request: string) =>
      new Promise<Answer>((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(request, 'latin1');
      }),
    close: () => {
      waiting = undefined;
      socket.destroy();
    },
  };
}

/** A complete answer, or undefined while part of it is missing. The servers measured here all send a length. */
function parseAnswer(received: string): Answer | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = received.slice(0, end);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length === undefined) throw new Error(`an answer without Content-Length: ${head.slice(0, 100)}`);
  const body = received.slice(end + 4);
  return body.length < Number(length) ? undefined : { status: head.slice(9, 12), body };
}

function percentile(latencies: Uint32Array, share: number): number {
  const total = latencies.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  const step = latencies.findIndex((count) => {
    seen += count;
    return seen >= total * share;
  });
  return step * STEP_MS;
}
