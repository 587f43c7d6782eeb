/** `latchkey team …` */
import { type Command, Option } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import { POLICY_TYPES, type Team, type TeamInput } from '../domain/teams.ts';
import { several } from './arguments.ts';
import type { Deps } from './deps.ts';
import { fields, table, wire } from './output.ts';

const MOST_LISTED = 1_000;

type PolicyName = keyof typeof POLICY_TYPES;

interface Settings {
  name?: string;
  description?: string;
  policy?: PolicyName;
  provider?: string[];
  ssoAlias?: string;
}

export function addTeamCommands(program: Command, deps: Deps): void {
  const team = program.command('team').description('what credentials belong to');
  addCreate(team, deps);
  addList(team, deps);
  addShow(team, deps);
  addUpdate(team, deps);
  addDelete(team, deps);
}

function addCreate(team: Command, { output, withSession }: Deps): void {
  withSettings(
    team.command('create').description('create a team').requiredOption('--name <name>', 'what it is called'),
  ).action(async (options: Settings & { name: string }) => {
    const created = await withSession(({ domain }) =>
      domain.teams.create({ ...toInput(options), name: options.name }, OPERATOR),
    );
    output.print(toWire(created), fields(describe(created)));
  });
}

function addList(team: Command, { output, withSession }: Deps): void {
  team
    .command('list')
    .description(`list teams, oldest first, at most ${MOST_LISTED}`)
    .action(async () => {
      const teams = await withSession(({ domain }) => domain.teams.list({}, { limit: MOST_LISTED }));
      const rows = teams.map((one) => [one.id, one.name, policyName(one), one.userCount, one.description]);
      output.print(
        teams.map(toWire),
        table(['ID', 'NAME', 'POLICY', 'USERS', 'DESCRIPTION'], rows),
        ...(teams.length < MOST_LISTED ? [] : ['There may be more.']),
      );
    });
}

function addShow(team: Command, { output, withSession }: Deps): void {
  team
    .command('show')
    .description('show one team')
    .argument('<team>', 'id or name')
    .action(async (word: string) => {
      const found = await withSession((session) => session.team(word));
      output.print(toWire(found), fields(describe(found)));
    });
}

function addUpdate(team: Command, { output, withSession }: Deps): void {
  withSettings(
    team
      .command('update')
      .description('change what is given of a team')
      .argument('<team>', 'id or name')
      .option('--name <name>', 'another name'),
  )
    .addOption(new Option('--no-providers', 'let its policy name none').conflicts('provider'))
    .action(async (word: string, options: Settings & { providers: boolean }) => {
      const changes = { ...toInput(options), ...(!options.providers && { providers: [] }) };
      const changed = await withSession(async ({ domain, team: resolve }) =>
        domain.teams.update((await resolve(word)).id, changes, OPERATOR),
      );
      output.print(toWire(changed), fields(describe(changed)));
    });
}

function addDelete(team: Command, { output, withSession }: Deps): void {
  team
    .command('delete')
    .description('delete a team with its memberships, keys, clients, consents and providers')
    .argument('<team>', 'id or name')
    .action(async (word: string) => {
      const deleted = await withSession(async ({ domain, team: resolve }) => {
        const found = await resolve(word);
        await domain.teams.delete(found.id, OPERATOR);
        return found;
      });
      output.print({}, `The team ${deleted.name} is deleted, with everything that belonged to it.`);
    });
}

function withSettings(command: Command): Command {
  return command
    .option('--description <text>', 'what it is for')
    .addOption(new Option('--policy <policy>', 'which providers it sees').choices(Object.keys(POLICY_TYPES)))
    .option('--provider <id>', 'a provider its policy names; repeatable (`provider list` shows them)', several)
    .option('--sso-alias <alias>', 'what a single sign-on calls it');
}

function toInput({ name, description, policy, provider, ssoAlias }: Settings): Partial<TeamInput> {
  return {
    name,
    description,
    policyType: policy && POLICY_TYPES[policy],
    providers: provider?.map((id) => ({ id })),
    ssoAlias,
  };
}

function describe(team: Team) {
  return {
    id: team.id,
    name: team.name,
    description: team.description,
    policy: policyName(team),
    providers: team.providers.map(({ id, name }) => `${name} (${id})`),
    sso_alias: team.ssoAlias,
    users: team.userCount,
  };
}

/** The team as the management API shows it. */
function toWire(team: Team): Record<string, unknown> {
  const { isRoot: _root, version: _version, sortKey: _sortKey, ...record } = team as Team & { sortKey?: string };
  return {
    ...wire(record),
    policy_type: policyName(team),
    providers: team.providers.map((provider) => ({ ...provider, type: 'CUSTOM' })),
    provider_types: team.providerTypes.map(() => 'CUSTOM'),
  };
}

function policyName({ policyType }: Team): string {
  return policyType === POLICY_TYPES.UNBOUND ? 'UNBOUND' : 'PROVIDER_ID_SET';
}
