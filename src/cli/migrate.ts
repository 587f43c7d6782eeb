/** `latchkey migrate`: brings the database schema up to this build's. */
import type { Command } from 'commander';
import type { Deps } from './deps.ts';

export function addMigrateCommand(program: Command, { output }: Deps): void {
  program
    .command('migrate')
    .description('bring the database schema up to date')
    .action(async () => {
      const { migrateSchema } = await import('./session.ts');
      const applied = await migrateSchema();
      const text =
        applied.length === 0 ? 'The schema is up to date.' : applied.map((name) => `applied ${name}`).join('\n');
      output.print({ applied }, text);
    });
}
