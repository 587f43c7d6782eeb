/** `latchkey user …` */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { User } from '../domain/users.ts';
import { several } from './arguments.ts';
import type { Deps } from './deps.ts';
import { fields, wire } from './output.ts';
import { makePassword, promptPassword, readPassword } from './password.ts';

interface CreateOptions {
  email: string;
  name?: string;
  team?: string;
  role?: string[];
  /** False with --no-password. */
  password: boolean;
  passwordStdin?: boolean;
  passwordPrompt?: boolean;
}

export function addUserCommands(program: Command, { output, withSession }: Deps): void {
  const user = program.command('user').description('people who log in');
  user
    .command('create')
    .description('create a user; without a password option one is made up and shown once')
    .requiredOption('--email <email>', 'what the user logs in with')
    .option('--name <name>', 'what the user is called')
    .option('--team <team>', 'make the user a member of this team (id or name; Root is the root team)')
    .option('--role <role>', 'role in that team, repeatable: Admin, Operator, Viewer (default Viewer)', several)
    .option('--password-stdin', 'read the password from standard input')
    .option('--password-prompt', 'ask for the password at the terminal')
    .option('--no-password', 'without a password: cannot log in, can own keys')
    .action(async (options: CreateOptions, command: Command) => {
      const { team: word, role: roles = ['Viewer'], email, name } = options;
      if (options.role && word === undefined) command.error('error: --role goes with --team');
      const { password, generated } = await choosePassword(options);
      const created = await withSession(async ({ domain, team }) => {
        const teamRoles = word === undefined ? [] : [{ teamId: (await team(word)).id, roles }];
        return domain.users.create({ email, name, password, teamRoles }, OPERATOR);
      });
      const shown = { id: created.id, email: created.email, name: created.name, password: generated };
      output.print(
        { ...toWire(created), ...(generated && { password: generated }) },
        fields({ ...shown, team: word, roles: word && roles }),
        ...(generated ? ['The password is not shown again.'] : []),
      );
    });
}

async function choosePassword(options: CreateOptions): Promise<{ password?: string; generated?: string }> {
  if (!options.password) return {};
  if (options.passwordStdin) return { password: await readPassword() };
  if (options.passwordPrompt) return { password: await promptPassword() };
  const password = makePassword();
  return { password, generated: password };
}

function toWire({ version: _, teamRoles, digestSettings, ...user }: User): object {
  return { ...wire(user), team_roles: teamRoles.map(wire), digest_settings: digestSettings.map(wire) };
}
