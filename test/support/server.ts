/** A whole Latchkey in this process: the real app on a fresh database, listening on a loopback port. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { createApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { migrate } from '../../src/storage/migrator.ts';
import { openDatabase } from '../../src/storage/pool.ts';
import { createTestDatabase } from './postgres.ts';
import { insertTestKeys } from './signing-keys.ts';

export interface TestServerOptions {
  /** Environment variables on top of the defaults. */
  env?: Record<string, string>;
  /** An https issuer, as behind a proxy that ends TLS; requests then carry its Host. */
  issuer?: string;
  /** Use this database instead of a fresh one; it is not dropped. */
  connectionString?: string;
  secret?: string;
  /** The test breaks something on purpose: an internal failure of the API is no reason to complain at the end. */
  breaks?: boolean;
}

export type TestServer = Awaited<ReturnType<typeof startTestServer>>;

export async function startTestServer(options: TestServerOptions = {}) {
  const { env = {}, issuer, connectionString, secret, breaks = false } = options;
  const database =
    connectionString === undefined ? await createTestDatabase() : { connectionString, drop: async () => {} };
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const origin = `http://localhost:${port}`;
  const instanceSecret = secret ?? randomBytes(32).toString('base64url');
  const config = readConfig({ ISSUER: issuer ?? origin, PORT: String(port), SECRET: instanceSecret, ...env });
  const db = openDatabase({ connectionString: database.connectionString, max: 5 });
  await migrate(db);
  const log: string[] = [];
  const logger = pino({ level: 'debug', base: null }, { write: (line: string) => void log.push(line) });
  const app = createApp({ config, secrets: [instanceSecret], db, logger });
  if (connectionString === undefined) await insertTestKeys(db, app.domain.sealing);
  await app.start();
  server.on('request', app.callback);
  return {
    /** What tokens name as `iss`. */
    issuer: config.issuer,
    /** Where it can be reached, the issuer itself unless that is another one. */
    origin,
    audience: `${config.issuer}/api`,
    config,
    app,
    domain: app.domain,
    db,
    connectionString: database.connectionString,
    secret: instanceSecret,
    /** Every log line so far, as JSON text. */
    log,
    /** Audit events so far, oldest first. */
    async auditEvents(): Promise<Record<string, unknown>[]> {
      await app.domain.audit.flush();
      return (await db.query('SELECT * FROM audit_events ORDER BY id')).rows;
    },
    async close() {
      const undeclared = log.filter((line) => line.includes('undeclared answer'));
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await app.close();
      await db.close();
      await database.drop();
      if (undeclared.length > 0 && !breaks) throw new Error(`answers no operation declares:\n${undeclared.join('')}`);
    },
  };
}
