/** An app on an address of its own, which people are sent back to. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type ThirdPartyApp = Awaited<ReturnType<typeof startThirdPartyApp>>;

export async function startThirdPartyApp() {
  const server = createServer((req, res) => {
    const { pathname } = new URL(req.url!, 'http://localhost');
    if (pathname === '/favicon.ico') return void res.writeHead(204).end();
    const page = `<!doctype html><html lang="en"><title>The app</title><h1>Back at the app ${pathname.slice(1)}</h1></html>`;
    res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    redirectUri: `${origin}/callback`,
    logoutUri: `${origin}/bye`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
