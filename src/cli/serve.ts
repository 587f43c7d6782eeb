/** `latchkey serve`: the server, as `npm start` runs it. */
import type { Command } from 'commander';
import { variablesHelp } from '../config.ts';

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description('run the server until it is told to stop')
    .addHelpText('after', () => `\nEnvironment variables:\n${variablesHelp()}`)
    .action(async () => {
      const { main } = await import('../main.ts');
      await main([]);
    });
}
