/** Instances of Latchkey as processes on one database, this process's own view of it, and an API of somebody else's. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createDomain, type Domain } from '../../src/domain/index.ts';
import type { ResourceOptions } from '../../src/resource/index.ts';
import { type Database, openDatabase } from '../../src/storage/pool.ts';
import { createEmptyDatabase } from './empty-database.ts';
import { freePort, killRemaining, type Process, startProcess } from './process.ts';
import { send } from './request.ts';
import type { TestServer } from './server.ts';

export interface Cluster {
  instances: Process[];
  issuer: string;
  db: Database;
  /** A further process's view of the database, as the command line has it. */
  domain: Domain;
  /** What the functions of `flows.ts` need; requests go to the first instance. */
  server: TestServer;
  /** Starts an instance (again) on the port it has. */
  start(index: number): Promise<void>;
  close(): Promise<void>;
}

/** @param count instances; the issuer is where the first one listens */
export async function startCluster(count = 2, more: Record<string, string> = {}): Promise<Cluster> {
  const database = await createEmptyDatabase();
  const secret = randomBytes(32).toString('base64url');
  const ports = await Promise.all(Array.from({ length: count }, freePort));
  const issuer = `http://localhost:${ports[0]}`;
  const env = { DATABASE_URL: database.connectionString, SECRET: secret, ISSUER: issuer, ...more };
  const start = (port: number) => startProcess({ port, env });
  const instances = await Promise.all(ports.map(start));
  const db = openDatabase({ connectionString: database.connectionString });
  const domain = createDomain({
    db,
    secrets: [secret],
    lifetimes: { idToken: 3600, session: 604_800, sessionIdle: 86_400 },
    onError: (error) => console.error(error),
  });
  await domain.notifications.start();
  return {
    ...{ instances, issuer, db, domain },
    server: { domain, db, issuer, origin: issuer, audience: `${issuer}/api` } as unknown as TestServer,
    async start(index) {
      instances[index] = await start(ports[index]!);
    },
    async close() {
      await killRemaining();
      await domain.close();
      await db.close();
      await database.drop();
    },
  };
}

export interface Api {
  port: number;
  /** What a request with this credential is answered. */
  ask(credential: string): Promise<{ status: number; body: { subject?: string; message?: string } }>;
  stop(): Promise<void>;
}

/**
 * A resource server as a process of its own, protected by the middleware (`resource-server.ts`).
 * @param legacyPrefix how imported keys begin
 */
export async function startResourceServer(options: ResourceOptions, legacyPrefix = ''): Promise<Api> {
  const port = await freePort();
  const child = spawn(process.execPath, [new URL('./resource-server.ts', import.meta.url).pathname], {
    env: { PATH: process.env.PATH, PORT: String(port), OPTIONS: JSON.stringify(options), LEGACY_PREFIX: legacyPrefix },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'close');
  await once(child.stdout, 'data');
  return {
    port,
    ask: (credential) => send(port, { path: '/', headers: { authorization: `Bearer ${credential}` } }),
    async stop() {
      child.kill();
      await exited;
    },
  };
}
