/** `latchkey user …` */
import { type Command, Option } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import { several } from './arguments.ts';
import { addConnectedAppCommands } from './connected-app.ts';
import type { Deps } from './deps.ts';
import { table } from './output.ts';
import { choosePassword, type PasswordOptions, withPassword } from './password.ts';
import { addUserChangeCommands, type Settings, toInput, withSettings } from './user-change.ts';
import { describeRoles, printUser, see, toWire } from './user-output.ts';

const MOST_LISTED = 1_000;

interface CreateOptions extends Settings, PasswordOptions {
  email: string;
  /** False with --no-password. */
  password: boolean;
  expires?: Date;
  team?: string;
  role?: string[];
}

interface ListOptions {
  team?: string;
  email?: string;
  name?: string;
  enabled?: 'true' | 'false';
}

export function addUserCommands(program: Command, deps: Deps): void {
  const user = program.command('user').description('people who log in, and their roles in teams');
  addCreate(user, deps);
  addList(user, deps);
  addShow(user, deps);
  addUserChangeCommands(user, deps);
  addConnectedAppCommands(user, deps);
}

function addCreate(user: Command, { output, withSession }: Deps): void {
  const create = user
    .command('create')
    .description('create a user; without a password option one is made up and shown once')
    .requiredOption('--email <email>', 'what the user logs in with');
  withPassword(
    withSettings(create)
      .option('--team <team>', 'make the user a member of this team (id or name; Root is the root team)')
      .option('--role <role>', 'role in that team; repeatable (`role list` shows them; default Viewer)', several),
  )
    .option('--no-password', 'without a password: cannot log in, can own keys')
    .action(async (options: CreateOptions, command: Command) => {
      const { team: word, role: roles = ['Viewer'], email } = options;
      if (options.role && word === undefined) command.error('error: --role goes with --team');
      const { password, generated } = options.password ? await choosePassword(options) : {};
      const created = await withSession(async (session) => {
        const teamRoles = word === undefined ? [] : [{ teamId: (await session.team(word)).id, roles }];
        const input = { ...toInput(options), email, password, teamRoles };
        return (await see(session, [await session.domain.users.create(input, OPERATOR)]))[0]!;
      });
      printUser(output, created, generated);
    });
}

function addList(user: Command, { output, withSession }: Deps): void {
  user
    .command('list')
    .description(`list users, oldest first, at most ${MOST_LISTED}`)
    .option('--team <team>', 'only members of this team (id or name)')
    .option('--email <email>', 'only the one with this email')
    .option('--name <name>', 'only those called so')
    .addOption(new Option('--enabled <enabled>', 'only those switched on, or off').choices(['true', 'false']))
    .action(async ({ team: word, email, name, enabled }: ListOptions) => {
      const users = await withSession(async (session) => {
        const wanted = {
          team_id: word === undefined ? undefined : (await session.team(word)).id,
          email,
          name,
          enabled: enabled && enabled === 'true',
        };
        const conditions = Object.entries(wanted).flatMap(([field, value]) =>
          value === undefined ? [] : [{ field, operator: 'eq' as const, value }],
        );
        return see(session, await session.domain.users.list({}, { limit: MOST_LISTED, conditions }));
      });
      const rows = users.map((one) => [
        one.id,
        one.email,
        one.name,
        one.enabled,
        one.expiresAt,
        one.lastLoginAt ?? 'never',
        describeRoles(one),
      ]);
      output.print(
        users.map(toWire),
        users.length === 0
          ? 'There are no such users.'
          : table(['ID', 'EMAIL', 'NAME', 'ENABLED', 'EXPIRES', 'LAST LOGIN', 'ROLES'], rows),
        ...(users.length < MOST_LISTED ? [] : ['There may be more: narrow the list, for example with --team.']),
      );
    });
}

function addShow(user: Command, { output, withSession }: Deps): void {
  user
    .command('show')
    .description('show one user')
    .argument('<user>', 'id or email')
    .action(async (word: string) => {
      const [found] = await withSession(async (session) => see(session, [await session.user(word)]));
      printUser(output, found!);
    });
}
