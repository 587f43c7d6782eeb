/** `latchkey provider …` */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { Provider } from '../domain/providers.ts';
import { AppError } from '../errors.ts';
import type { Deps } from './deps.ts';
import { fields, table, wire } from './output.ts';

const MOST_LISTED = 1_000;

interface CreateOptions {
  name: string;
  team: string;
  template?: string;
}

export function addProviderCommands(program: Command, deps: Deps): void {
  const provider = program.command('provider').description('data providers: what the policy of a team is about');
  addCreate(provider, deps);
  addList(provider, deps);
  addOne(provider, deps);
}

function addCreate(provider: Command, { output, withSession }: Deps): void {
  provider
    .command('create')
    .description('create a custom provider')
    .requiredOption('--name <name>', 'what it is called')
    .requiredOption('--team <team>', 'the team it belongs to (id or name)')
    .option('--template <template>', 'the template it is shown with')
    .action(async ({ name, team: word, template }: CreateOptions) => {
      const made = await withSession(async ({ domain, team }) => {
        const input = {
          name,
          teamId: (await team(word)).id,
          ...(template !== undefined && { customTemplate: template }),
        };
        return domain.providers.createCustom(input, OPERATOR);
      });
      output.print(toWire(made), describe(made));
    });
}

function addList(provider: Command, { output, withSession }: Deps): void {
  provider
    .command('list')
    .description(`list providers, oldest first, at most ${MOST_LISTED}`)
    .option('--team <team>', 'only those this team sees under its policy (id or name)')
    .action(async ({ team: word }: { team?: string }) => {
      const providers = await withSession(async ({ domain, team }) => {
        const teamId = word === undefined ? undefined : (await team(word)).id;
        return domain.providers.list({ teamId }, { limit: MOST_LISTED });
      });
      const rows = providers.map((one) => [one.id, one.name, one.teamId, one.createdAt]);
      output.print(
        providers.map(toWire),
        providers.length === 0 ? 'There are no providers.' : table(['ID', 'NAME', 'MADE BY TEAM', 'CREATED'], rows),
        ...(providers.length < MOST_LISTED ? [] : ['There may be more: narrow the list with --team.']),
      );
    });
}

function addOne(provider: Command, { output, withSession }: Deps): void {
  const id = ['<id>', 'id of the provider, as `provider list` shows it'] as const;
  provider
    .command('show')
    .description('show one provider')
    .argument(...id)
    .action(async (given: string) => {
      const found = await withSession(({ domain }) => domain.providers.findCustom(given, {}));
      if (found === undefined) throw new AppError('not_found', 'There is no such provider.');
      output.print(toWire(found), describe(found));
    });
  provider
    .command('update')
    .description('change what is given')
    .argument(...id)
    .option('--name <name>', 'what it is called')
    .option('--template <template>', 'the template it is shown with')
    .action(async (given: string, { name, template }: Partial<CreateOptions>) => {
      const changes = {
        ...(name !== undefined && { name }),
        ...(template !== undefined && { customTemplate: template }),
      };
      const changed = await withSession(({ domain }) => domain.providers.updateCustom(given, changes, {}, OPERATOR));
      output.print(toWire(changed), describe(changed));
    });
  provider
    .command('delete')
    .description('delete a provider for good')
    .argument(...id)
    .action(async (given: string) => {
      const deleted = await withSession(({ domain }) => domain.providers.deleteCustom(given, {}, OPERATOR));
      output.print(toWire(deleted), fields({ deleted: deleted.id, name: deleted.name }));
    });
}

function describe(one: Provider): string {
  return fields({ id: one.id, name: one.name, template: one.customTemplate, team: one.teamId, created: one.createdAt });
}

/** The provider as the management API shows it. */
function toWire({ id, name, customTemplate, teamId, createdAt, updatedAt }: Provider): Record<string, unknown> {
  return { ...wire({ id, name, customTemplate, teamId, createdAt, updatedAt }), type: 'CUSTOM' };
}
