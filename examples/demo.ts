/** `npm run demo`: everything running on this machine, with something in it. Ctrl-C stops it; the data stays. */
import { startDemo } from './demo/start.ts';

const { PORT = '3000', REPORTS_PORT = '3001', APP_PORT = '3002', DATA_DIR = './data/demo' } = process.env;

const ending = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => {
    console.log('Stopping.');
    ending.abort();
  });
}

try {
  console.log('Starting. The first time takes a few seconds more: a database is created and filled.');
  const { urls, logins, keys, runBackendService } = await startDemo({
    dataDir: DATA_DIR,
    ports: { server: Number(PORT), reports: Number(REPORTS_PORT), app: Number(APP_PORT) },
    output: console.log,
    signal: ending.signal,
  });

  console.log(`
Latchkey               ${urls.server}
A third-party app      ${urls.app}
A protected API        ${urls.reports}

Log in as              ${logins.user.email}  ${logins.user.password}
Administrator          ${logins.admin.email}  ${logins.admin.password}

Try this:
  1. Open ${urls.app}, log in, consent, call both APIs, refresh, disconnect.
  2. A personal key, which acts as ${logins.user.email}:
     curl -H "Authorization: Bearer ${keys.personal}" ${urls.reports}
  3. A team key, which acts for the team:
     curl -X POST -H "Authorization: Bearer ${keys.team}" ${urls.reports}
  4. The backend service, which has just run and gets in by client credentials:
`);
  console.log((await runBackendService()).replace(/^/gm, '     '));
  console.log('Ctrl-C stops it all. The data stays in', DATA_DIR);
} catch (error) {
  if (!ending.signal.aborted) console.error((error as Error).message);
  process.exitCode = 1;
}
