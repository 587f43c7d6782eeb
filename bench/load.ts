/**
 * The load generator of W1: a process of its own that keeps N connections busy with token requests for some seconds and
 * writes what it saw as JSON. Straight on node:net, because a general HTTP client costs more than the server it measures.
 */
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';

export interface LoadJob {
  port: number;
  /** `Host` header; the port is appended. */
  path: string;
  scope: string;
  connections: number;
  /** Length of the measurement, seconds. */
  seconds: number;
  /** Whose credentials are sent, drawn at random for each request. */
  clients: [id: string, secret: string][];
}

export interface LoadResult {
  requests: number;
  /** How often which status came. */
  statuses: Record<string, number>;
  /** Measured length, seconds. */
  seconds: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  /** Some of the bodies, spread over the whole time, with the client that asked. */
  samples: { client: string; body: string }[];
}

const SAMPLES = 50;
/** Latencies are counted in steps of 10 µs up to 1 s. */
const STEP_MS = 0.01;

interface Answer {
  status: string;
  body: string;
}

if (import.meta.main) {
  const job = JSON.parse(await text(process.stdin)) as LoadJob;
  process.stdout.write(JSON.stringify(await run(job)));
}

async function run(job: LoadJob): Promise<LoadResult> {
  const latencies = new Uint32Array(100_001);
  const statuses: Record<string, number> = {};
  const samples: LoadResult['samples'] = [];
  let requests = 0;
  const began = performance.now();
  const until = began + job.seconds * 1000;

  async function connection(): Promise<void> {
    const exchange = createExchange(connect({ port: job.port, host: '127.0.0.1', noDelay: true }));
    while (performance.now() < until) {
      const [client, secret] = job.clients[Math.floor(Math.random() * job.clients.length)]!;
      const started = performance.now();
      const { status, body } = await exchange.send(requestText(job, client, secret));
      const step = Math.round((performance.now() - started) / STEP_MS);
      latencies[Math.min(step, latencies.length - 1)]! += 1;
      statuses[status] = (statuses[status] ?? 0) + 1;
      requests += 1;
      const due = ((performance.now() - began) / (job.seconds * 1000)) * SAMPLES;
      if (status !== '200' ? samples.length < 2 * SAMPLES : samples.length < due) samples.push({ client, body });
    }
    exchange.close();
  }

  await Promise.all(Array.from({ length: job.connections }, connection));
  const seconds = (performance.now() - began) / 1000;
  return { requests, statuses, seconds, p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), samples };
}

function requestText({ port, path, scope }: LoadJob, client: string, secret: string): string {
  const body = `grant_type=client_credentials&client_id=${client}&client_secret=${secret}&scope=${encodeURIComponent(scope)}`;
  return (
    `POST ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  );
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
