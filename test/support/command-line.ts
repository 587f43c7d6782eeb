/** The command line in this process, on a database of its own. */
import { expect } from '@jest/globals';
import { runCommand } from '../../src/cli/index.ts';
import { openCredentials } from './credentials.ts';

export interface Said {
  code: number;
  out: string;
  err: string;
}

/** Opens everything, and points the environment of this process at it; `close` drops the database. */
export async function openCommandLine() {
  const all = await openCredentials();
  const { rows } = await all.db.query<{ name: string }>('SELECT current_database() AS name');
  const url = new URL(process.env.LATCHKEY_TEST_DATABASE!);
  url.pathname = `/${rows[0]!.name}`;
  const env = { DATABASE_URL: url.href, SECRET: 's'.repeat(32), ISSUER: 'https://auth.example.com' };
  Object.assign(process.env, env);

  async function run(...args: string[]): Promise<Said> {
    const said = { out: '', err: '' };
    const code = await runCommand(
      args,
      { write: (text) => (said.out += text) },
      { write: (text) => (said.err += text) },
    );
    return { code, ...said };
  }

  return {
    ...all,
    env,
    run,
    /** What a command that works prints with `--json`. */
    // biome-ignore lint/suspicious/noExplicitAny: tests read whatever fields they expect.
    async json(...args: string[]): Promise<any> {
      const { code, out, err } = await run(...args, '--json');
      expect([code, err]).toEqual([0, '']);
      return JSON.parse(out);
    },
  };
}

export type CommandLine = Awaited<ReturnType<typeof openCommandLine>>;
