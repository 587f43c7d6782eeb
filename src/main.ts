/** The process: environment → database → app → listening server → clean stop. Failures leave by message and exit code. */
import { createServer, type Server } from 'node:http';
import { parseArgs } from 'node:util';
import pino, { type Logger } from 'pino';
import type { App } from './app.ts';
import { banner, help } from './banner.ts';
import { type Config, readConfig } from './config.ts';
import { AppError } from './errors.ts';
import { instanceSecrets } from './storage/instance-secret.ts';
import { migrate } from './storage/migrator.ts';
import { type Database, openDatabase } from './storage/pool.ts';

/** How long requests under way may take after the signal to stop, milliseconds. */
const DRAIN_MS = 10_000;

interface Running {
  server: Server;
  app: App;
  db: Database;
  closeStore: () => Promise<void>;
}

/**
 * Runs the server until it is told to stop (SIGTERM, SIGINT). Sets the exit code: 0 after a clean stop, 1 when it could not
 * start (the reason is on stderr), 2 for wrong arguments.
 * @param args command line words after the program's name; `--help` prints the variables and returns
 */
export async function main(args: string[] = process.argv.slice(2)): Promise<void> {
  try {
    const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } });
    if (values.help) {
      process.stdout.write(help());
      return;
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help()}`);
    process.exitCode = 2;
    return;
  }
  try {
    const config = readConfig();
    const logger = createLogger(config);
    stopOnSignal(await start(config, logger), logger);
  } catch (error) {
    process.stderr.write(`\nLatchkey could not start. ${explain(error)}\n`);
    process.exitCode = 1;
  }
}

async function start(config: Config, logger: Logger): Promise<Running> {
  const store = await openStore(config, logger);
  const db = openDatabase({
    connectionString: store.connectionString,
    max: config.databasePoolSize,
    onError: (error) => logger.warn({ err: error }, 'idle database connection lost'),
  });
  let app: App | undefined;
  try {
    for (const name of await migrate(db)) logger.info({ migration: name }, 'migrated');
    // Loaded here, so that --help and a wrong setting are answered at once.
    const { createApp } = await import('./app.ts');
    app = createApp({ config, secrets: await instanceSecrets(config), db, logger });
    await app.start();
    const setup = await prepareSetup(app, config);
    const server = await listen(app, config);
    process.stderr.write(banner({ config, ...setup }));
    logger.info({ issuer: config.issuer, host: config.host, port: config.port }, 'listening');
    return { server, app, db, closeStore: store.close };
  } catch (error) {
    await app?.close();
    await db.close();
    await store.close();
    throw error;
  }
}

async function openStore(
  config: Config,
  logger: Logger,
): Promise<{ connectionString: string; close: () => Promise<void> }> {
  if (config.databaseUrl !== undefined) return { connectionString: config.databaseUrl, close: async () => {} };
  const { openEmbeddedPostgres } = await import('./storage/embedded/index.ts');
  return openEmbeddedPostgres({
    dataDir: config.dataDir,
    role: 'server',
    onTakenOver(error) {
      logger.fatal({ err: error }, 'data directory taken over');
      process.exit(1);
    },
  });
}

/** The first administrator: from the environment, or by a link only the reader of the console has. */
async function prepareSetup({ domain: { setup } }: App, { bootstrapAdmin, issuer }: Config) {
  if (bootstrapAdmin !== undefined) {
    const admin = await setup.bootstrap(bootstrapAdmin);
    return { createdAdmin: admin?.email, setupLink: undefined };
  }
  const token = await setup.issueLink();
  return { createdAdmin: undefined, setupLink: token && `${issuer}/setup?token=${token}` };
}

async function listen(app: App, { host, port }: Config): Promise<Server> {
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 },
    app.callback,
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken =
        cause.code === 'EADDRINUSE'
          ? `Port ${port} is in use: set PORT to another one.`
          : `Cannot listen on ${host}:${port}.`;
      reject(new AppError('failed_precondition', taken, { cause }));
    });
    server.listen(port, host, resolve);
  });
  return server;
}

function stopOnSignal({ server, app, db, closeStore }: Running, logger: Logger): void {
  let stopping = false;
  async function stop(signal: string): Promise<void> {
    // Asked twice: whoever waits at the terminal means it.
    if (stopping) process.exit(1);
    stopping = true;
    logger.info({ signal }, 'stopping');
    app.drain();
    const impatience = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    await new Promise((resolve) => server.close(resolve));
    clearTimeout(impatience);
    await app.close();
    await db.close();
    await closeStore();
    logger.info('stopped');
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      stop(signal).catch((error: unknown) => {
        logger.error({ err: error }, 'stop failed');
        process.exitCode = 1;
      });
    });
  }
}

function createLogger({ logLevel }: Config): Logger {
  return pino({
    level: logLevel,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: describeError },
  });
}

/** An error for the log: what, where and why, but no values (a driver's error may quote a row). */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code, constraint, kind } = error as { code?: unknown; constraint?: unknown; kind?: unknown };
  return {
    type: error.name,
    message: error.message,
    ...(kind !== undefined && { kind }),
    ...(code !== undefined && { code }),
    ...(constraint !== undefined && { constraint }),
    stack: error.stack,
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  };
}

function explain(error: unknown): string {
  if (!(error instanceof AppError)) return error instanceof Error ? (error.stack ?? error.message) : String(error);
  const cause = error.cause instanceof Error && error.kind === 'unavailable' ? ` (${error.cause.message})` : '';
  return `${error.message}${cause}`;
}

if (import.meta.main) await main();
