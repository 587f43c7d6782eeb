/**
 * The whole demo as one function, so that the end-to-end test drives the very programs a person sees: Latchkey with a
 * database of its own, seeded through its command line, and the three example programs beside it.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkPortIsFree, type Program, type ProgramOptions, ROOT, runProgram, startProgram } from './programs.ts';
import { bootstrapAdmin, seed } from './seed.ts';

export interface DemoOptions {
  /** Where the database and what was seeded are kept. */
  dataDir: string;
  ports: { server: number; reports: number; app: number };
  /** Told what the programs other than the server write. */
  output?: (line: string) => void;
  /** Stops everything when aborted, at any time. */
  signal?: AbortSignal;
}

export interface Login {
  email: string;
  password: string;
}

export interface Demo {
  urls: { server: string; reports: string; app: string };
  logins: { user: Login; admin: Login };
  /** API keys as text. */
  keys: { personal: string; team: string };
  /** Runs the backend service once and returns what it wrote. */
  runBackendService(): Promise<string>;
  /** Stops everything that was started, in reverse order. */
  stop(): Promise<void>;
}

/** @throws Error that says what to do: a port in use, a program that did not start, the middleware not built */
export async function startDemo({ dataDir, ports, output, signal }: DemoOptions): Promise<Demo> {
  await checkPortIsFree(ports.server, 'PORT');
  await checkPortIsFree(ports.reports, 'REPORTS_PORT');
  await checkPortIsFree(ports.app, 'APP_PORT');
  if (!existsSync(join(ROOT, 'dist/resource/index.js'))) {
    throw new Error('The middleware is not built yet. Run: npm run build');
  }
  const urls = {
    server: `http://localhost:${ports.server}`,
    reports: `http://localhost:${ports.reports}/reports`,
    app: `http://localhost:${ports.app}`,
  };
  const directory = resolve(dataDir);
  const admin = await bootstrapAdmin(directory);
  const serverEnv = { PORT: String(ports.server), ISSUER: urls.server, HOST: '127.0.0.1', DATA_DIR: directory };
  const running: Program[] = [];

  function start(options: ProgramOptions): Promise<void> {
    signal?.throwIfAborted();
    const program = startProgram(options);
    running.push(program);
    return program.ready;
  }

  async function stop(): Promise<void> {
    for (const program of running.splice(0).reverse()) await program.stop();
  }

  signal?.addEventListener('abort', stop);
  try {
    await start({
      file: 'src/main.ts',
      env: { ...serverEnv, BOOTSTRAP_ADMIN_EMAIL: admin.email, BOOTSTRAP_ADMIN_PASSWORD: admin.password },
      url: `${urls.server}/readyz`,
    });
    const { user, app, backend, resourceServer, keys } = await seed(directory, urls.app, serverEnv);
    const common = { ISSUER: urls.server, REPORTS_URL: urls.reports };
    await Promise.all([
      start({
        file: 'examples/resource-server.ts',
        env: { ...common, ...resourceServer, PORT: String(ports.reports) },
        url: urls.reports,
        onLine: output,
      }),
      start({
        file: 'examples/third-party-app.ts',
        env: { ...common, ...app, PORT: String(ports.app) },
        url: urls.app,
        onLine: output,
      }),
    ]);
    return {
      urls,
      logins: { user, admin },
      keys,
      runBackendService: () => runProgram('examples/backend-service.ts', [], { ...common, ...backend }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
