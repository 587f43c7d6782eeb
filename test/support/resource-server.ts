/** Somebody else's API, as a process: answers its `Principal` to whoever the middleware lets in. */
import { createServer } from 'node:http';
import { createGuard } from '../../src/resource/node.ts';

const { PORT, OPTIONS = '{}', LEGACY_PREFIX } = process.env;
const legacyKeys = (text: string) => text.startsWith(LEGACY_PREFIX!);
const check = createGuard({ ...JSON.parse(OPTIONS), ...(LEGACY_PREFIX && { legacyKeys }), onError: () => {} });

// Connections are kept: one that is closed while a request is on its way says nothing about the middleware.
createServer({ keepAliveTimeout: 60_000 }, async (req, res) => {
  const principal = await check(req, res);
  if (principal) res.end(JSON.stringify(principal));
}).listen(Number(PORT), '127.0.0.1', () => console.log('ready'));
