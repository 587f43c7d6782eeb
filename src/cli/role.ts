/** `latchkey role …` */
import type { Command } from 'commander';
import type { Role } from '../domain/roles.ts';
import type { Deps } from './deps.ts';
import { table, wire } from './output.ts';

export function addRoleCommands(program: Command, { output, withSession }: Deps): void {
  program
    .command('role')
    .description('what users may do in a team')
    .command('list')
    .description('list roles by name')
    .action(async () => {
      const roles = await withSession(({ domain }) => domain.roles.list());
      const rows = roles.map((one) => [one.id, one.name, givenIn(one), one.description]);
      output.print(
        roles.map(({ sortKey: _, ...role }) => wire(role)),
        table(['ID', 'NAME', 'GIVEN IN', 'DESCRIPTION'], rows),
        'What each permits: latchkey role list --json',
      );
    });
}

function givenIn({ isAvailableInRootTeam: root, isAvailableInNonRootTeam: others }: Role): string {
  if (root && others) return 'every team';
  if (root) return 'the root team';
  return others ? 'teams other than the root team' : '';
}
