/** Passwords of users: typed, piped or made up; never an argument, because arguments show in process lists. */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { AppError } from '../errors.ts';

export interface PasswordOptions {
  passwordStdin?: true;
  passwordPrompt?: true;
}

/** The options for `choosePassword`. */
export function withPassword(command: Command): Command {
  return command
    .option('--password-stdin', 'read the password from standard input')
    .option('--password-prompt', 'ask for the password at the terminal');
}

/** The password that is wanted; `generated` when nobody knows it yet and it has to be shown. */
export async function choosePassword(options: PasswordOptions): Promise<{ password: string; generated?: string }> {
  if (options.passwordStdin) return { password: await readPassword() };
  if (options.passwordPrompt) return { password: await promptPassword() };
  const password = makePassword();
  return { password, generated: password };
}

/** 120 random bits that can be typed. */
function makePassword(): string {
  return randomBytes(15).toString('base64url');
}

/** What is piped in, without the line end. */
async function readPassword(): Promise<string> {
  return (await text(process.stdin)).replace(/\r?\n$/, '');
}

/** Asks twice at the terminal, without showing what is typed. @throws AppError `failed_precondition` */
async function promptPassword(): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new AppError('failed_precondition', 'There is no terminal to ask at. Use --password-stdin.');
  }
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  // Nothing has begun yet, and nobody would answer the question any more.
  lines.once('SIGINT', () => process.exit(130));
  async function ask(question: string): Promise<string> {
    process.stderr.write(question);
    const answer = await lines.question('');
    process.stderr.write('\n');
    return answer;
  }
  try {
    const first = await ask('Password: ');
    if (first !== (await ask('Again: '))) throw new AppError('failed_precondition', 'The two are not the same.');
    return first;
  } finally {
    lines.close();
  }
}
