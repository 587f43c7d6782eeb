/** `latchkey serve`: the server, as `npm start` runs it. */
import type { Command } from 'commander';
import { describeVariables } from '../config.ts';

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description('run the server until it is told to stop')
    .addHelpText('after', () => `\nEnvironment variables:\n${variables()}`)
    .action(async () => {
      const { main } = await import('../main.ts');
      await main([]);
    });
}

function variables(): string {
  const all = describeVariables();
  const width = Math.max(...all.map(({ name }) => name.length));
  return all
    .map(
      ({ name, description, default: preset }) =>
        `  ${name.padEnd(width)}  ${description}${preset && ` (default ${preset})`}`,
    )
    .join('\n');
}
