/** A `curl` command pasted into a shell: the shell takes it apart, and what curl would ask is asked. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

// Stands in for curl, which need not be installed, and shows which words it was given.
const CURL = `curl() { "$NODE" -e 'console.log(JSON.stringify(process.argv.slice(1)))' -- "$@"; }`;

/** @param variables of the shell, such as a token that was fetched before */
export async function runCurl(command: string, variables: Record<string, string> = {}) {
  const env = { PATH: process.env.PATH, NODE: process.execPath, ...variables };
  const { stdout } = await run('sh', ['-c', `${CURL}\n${command}`], { env });
  const words = JSON.parse(stdout) as string[];
  const headers = new Headers();
  const body = new URLSearchParams();
  let url = '';
  while (words.length > 0) {
    const word = words.shift()!;
    const value = () => words.shift()!;
    if (word === '--user' || word === '-u') {
      headers.set('authorization', `Basic ${Buffer.from(value()).toString('base64')}`);
    } else if (word === '--header' || word === '-H') {
      const [, name, text] = /^([^:]+):\s*(.*)$/.exec(value())!;
      headers.set(name!, text!);
    } else if (word === '--data-urlencode' || word === '--data' || word === '-d') {
      const [, name, text] = /^([^=]+)=([\s\S]*)$/.exec(value())!;
      body.append(name!, text!);
    } else if (!word.startsWith('-')) {
      url = word;
    } else if (word !== '--include' && word !== '-i') {
      throw new Error(`the pasted command has an option nobody knows here: ${word}`);
    }
  }
  const answer = await fetch(url, { headers, ...(body.size > 0 && { method: 'POST', body }) });
  const text = await answer.text();
  return { status: answer.status, body: (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, string> };
}
