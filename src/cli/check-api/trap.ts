import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Jwk } from './issuer.ts';

/** A listener on loopback that tokens point at. Only an API on this machine can fall into it. */
export interface Trap {
  origin: string;
  /** Connections so far. There should be none. */
  visits(): number;
  close(): Promise<void>;
}

/** Opens the trap. It plays an issuer with these keys, so that whoever asks it takes the token. */
export async function openTrap(): Promise<Trap & { publish(key: Jwk): void }> {
  const keys: Jwk[] = [];
  let visits = 0;
  const server = createServer((request, response) => {
    const metadata = { issuer: origin, jwks_uri: `${origin}/jwks` };
    const body = request.url?.includes('/.well-known/') ? metadata : { keys };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  });
  server.on('connection', () => {
    visits++;
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    visits: () => visits,
    publish: (key) => void keys.push(key),
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
