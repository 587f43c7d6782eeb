/**
 * The command line room: words and options in, one call of the domain, text or JSON and an exit code out. It decides
 * nothing the domain could decide, and does as the operator, who may do everything.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addAppCommands } from './app.ts';
import { addAuditCommands } from './audit.ts';
import { addCheckApiCommand } from './check-api.ts';
import { addClientCommands } from './client.ts';
import { addCredentialCommands } from './credential.ts';
import type { Deps } from './deps.ts';
import { addKeyCommands } from './key.ts';
import { addMigrateCommand } from './migrate.ts';
import { type Output, type Sink, writeTo } from './output.ts';
import { addProviderCommands } from './provider.ts';
import { addResourceServerCommands } from './resource-server.ts';
import { addRetirementCommands } from './retirement.ts';
import { addRoleCommands } from './role.ts';
import { addServeCommand } from './serve.ts';
import type { Session } from './session.ts';
import { addSettingsCommands } from './settings.ts';
import { addSigningKeyCommands } from './signing-key.ts';
import { addTeamCommands } from './team.ts';
import { addUserCommands } from './user.ts';

// One line each, in the order of `latchkey --help`.
const COMMANDS = [
  addServeCommand,
  addMigrateCommand,
  addUserCommands,
  addTeamCommands,
  addRoleCommands,
  addAppCommands,
  addClientCommands,
  addKeyCommands,
  addCredentialCommands,
  addRetirementCommands,
  addAuditCommands,
  addProviderCommands,
  addResourceServerCommands,
  addSettingsCommands,
  addSigningKeyCommands,
  addCheckApiCommand,
];

/** Runs the command the process was started with, and sets its exit code. */
export async function main(): Promise<void> {
  // Whoever reads us may have read enough: `latchkey key list | head -1`.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const code = await runCommand(process.argv.slice(2), process.stdout, process.stderr);
  // The server sets its own while it stops.
  if (code !== 0) process.exitCode = code;
}

/**
 * Runs one command.
 * @param args words after the program's name
 * @returns the exit code: 0 when it did what it says, 1 when it failed, 2 when it was not understood
 */
export async function runCommand(args: string[], out: Sink, err: Sink): Promise<number> {
  const output = writeTo(out, err, { json: args.includes('--json') });
  try {
    await createProgram(output, out, err).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    return error instanceof CommanderError ? usageCode(error, output) : output.fail(error);
  }
}

function usageCode(error: CommanderError, output: Output): number {
  // Help and version are asked for, and end by the same way out as mistakes.
  if (error.exitCode === 0) return 0;
  // Without any command commander has printed the help, and has nothing else to say.
  if (error.code !== 'commander.help') output.misunderstood(error.message.replace(/^error: /, ''));
  return 2;
}

function createProgram(output: Output, out: Sink, err: Sink): Command {
  const program = new Command('latchkey')
    .description('Self-hosted OAuth2 authorization server: users, teams, apps, clients and API keys')
    .version(version(), '-V, --version')
    .option('--json', 'print one JSON value, for scripts')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => out.write(text),
      writeErr: (text) => err.write(text),
      // Told by `misunderstood`, as text or JSON.
      outputError: () => {},
    })
    .exitOverride();
  const deps: Deps = { output, withSession };
  for (const add of COMMANDS) add(program, deps);
  return program.addHelpText(
    'after',
    '\nThe database and all else is set by environment variables: latchkey serve --help',
  );
}

/** Loaded only by the commands that need it: `--help` should not wait for a database driver. */
async function withSession<T>(work: (session: Session) => Promise<T>): Promise<T> {
  const { openSession } = await import('./session.ts');
  const session = await openSession();
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
