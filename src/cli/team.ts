/** `latchkey team …` */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { Deps } from './deps.ts';
import { fields, wire } from './output.ts';

export function addTeamCommands(program: Command, { output, withSession }: Deps): void {
  const team = program.command('team').description('what credentials belong to');
  team
    .command('create')
    .description('create a team')
    .requiredOption('--name <name>', 'what the team is called')
    .option('--description <text>', 'what it is for')
    .action(async (options: { name: string; description?: string }) => {
      const created = await withSession(({ domain }) => domain.teams.create(options, OPERATOR));
      const { policyType, isRoot: _, ...record } = created;
      output.print(
        { ...wire(record), policy_type: policyType === 1 ? 'UNBOUND' : 'PROVIDER_ID_SET' },
        fields({ id: created.id, name: created.name, description: created.description }),
      );
    });
}
