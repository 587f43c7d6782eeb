/** A network path to the test PostgreSQL that can be cut, or stalled without a word. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

export interface DatabaseProxy {
  /** The same database through the proxy. */
  connectionString: string;
  /** Closes every connection and takes no new ones. */
  cut(): void;
  /** Passes nothing on any more, in either direction, and closes nothing: a cable pulled out. */
  stall(): void;
  /** Works again. What was stalled goes on. */
  restore(): void;
  close(): Promise<void>;
}

/** @param connectionString of a database reached by a UNIX socket */
export async function startProxy(connectionString: string): Promise<DatabaseProxy> {
  const direct = new URL(connectionString);
  const socketPath = `${direct.searchParams.get('host')}/.s.PGSQL.${direct.port}`;
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' | 'stalled' = 'open';

  const server = createServer((inner) => {
    if (state === 'cut') return inner.destroy();
    const outer = createConnection(socketPath);
    for (const [from, to] of [[inner, outer] as const, [outer, inner] as const]) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    if (state === 'stalled') for (const socket of [inner, outer]) socket.pause();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const { port } = server.address() as { port: number };
  const url = new URL(connectionString);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  url.search = '';
  return {
    connectionString: url.href,
    cut() {
      state = 'cut';
      for (const socket of sockets) socket.destroy();
    },
    stall() {
      state = 'stalled';
      for (const socket of sockets) socket.pause();
    },
    restore() {
      state = 'open';
      for (const socket of sockets) socket.resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
