/** `latchkey user …`: what changes or ends one */
import { type Command, Option } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import { PERSONAS } from '../domain/user-input.ts';
import { several, time } from './arguments.ts';
import type { Deps } from './deps.ts';
import { choosePassword, type PasswordOptions, withPassword } from './password.ts';
import type { Session } from './session.ts';
import { printUser, type SeenUser, see, toWire } from './user-output.ts';

/** What is the same to make a user with and to change in one. */
export interface Settings {
  name?: string;
  displayName?: string;
  givenName?: string;
  familyName?: string;
  persona?: keyof typeof PERSONAS;
}

interface UpdateOptions extends Settings {
  email?: string;
  /** False with --no-expires. */
  expires?: Date | false;
}

/** What to do with a user; the answer does not matter. */
type Change = (session: Session, userId: string) => Promise<unknown>;

export function addUserChangeCommands(user: Command, deps: Deps): void {
  addUpdate(user, deps);
  addSwitch(user, deps, 'enable', 'let a user in again');
  addSwitch(user, deps, 'disable', "shut a user out: sessions, consents and their tokens end, the user's keys stop");
  addPassword(user, deps);
  addRoles(user, deps);
  addRemove(user, deps);
  addDelete(user, deps);
}

/** The options for `Settings`. */
export function withSettings(command: Command): Command {
  return command
    .option('--name <name>', 'what the user is called')
    .option('--display-name <name>', 'what the user is shown as')
    .option('--given-name <name>', 'first name')
    .option('--family-name <name>', 'last name')
    .addOption(new Option('--persona <persona>', 'what kind of user it is').choices(Object.keys(PERSONAS)))
    .option('--expires <time>', 'from when on the user is shut out: a time, or 90d', time);
}

/** What the options say, as the domain takes it. */
export function toInput({ name, displayName, givenName, familyName, persona, expires }: Settings & { expires?: Date }) {
  return { name, displayName, givenName, familyName, persona: persona && PERSONAS[persona], expiresAt: expires };
}

function addUpdate(user: Command, { output, withSession }: Deps): void {
  withSettings(
    user
      .command('update')
      .description('change what is given of a user; roles and password have commands of their own')
      .argument('<user>', 'id or email')
      .option('--email <email>', 'what the user logs in with'),
  )
    .option('--no-expires', 'not shut out at any time')
    .action(async (word: string, { email, expires, ...settings }: UpdateOptions) => {
      const changes = { ...toInput(settings), email, expiresAt: expires === false ? null : expires };
      const change: Change = ({ domain }, id) => domain.users.update(id, changes, {}, OPERATOR);
      printUser(output, await withSession(changeOf(word, change)));
    });
}

function addSwitch(user: Command, { output, withSession }: Deps, verb: 'enable' | 'disable', what: string): void {
  user
    .command(verb)
    .description(what)
    .argument('<user>', 'id or email')
    .action(async (word: string) => {
      const change: Change = ({ domain }, id) => domain.users.setEnabled(id, verb === 'enable', OPERATOR);
      printUser(output, await withSession(changeOf(word, change)));
    });
}

function addPassword(user: Command, { output, withSession }: Deps): void {
  const command = user
    .command('password')
    .description('give a user another password, which logs them out; without an option one is made up and shown once')
    .argument('<user>', 'id or email');
  withPassword(command).action(async (word: string, options: PasswordOptions) => {
    const { password, generated } = await choosePassword(options);
    const change: Change = ({ domain }, id) => domain.users.setPassword(id, password, OPERATOR);
    printUser(output, await withSession(changeOf(word, change)), generated);
  });
}

function addRoles(user: Command, { output, withSession }: Deps): void {
  user
    .command('roles')
    .description('set the roles of a user in one team, and make them a member of it')
    .argument('<user>', 'id or email')
    .requiredOption('--team <team>', 'the team (id or name; Root is the root team)')
    .requiredOption('--role <role>', 'one of all their roles there; repeatable (`role list` shows them)', several)
    .action(async (word: string, { team: teamWord, role: roles }: { team: string; role: string[] }) => {
      const change: Change = async ({ domain, team }, userId) =>
        domain.memberships.setRoles({ userId, teamId: (await team(teamWord)).id, roles }, OPERATOR);
      printUser(output, await withSession(changeOf(word, change)));
    });
}

function addRemove(user: Command, { output, withSession }: Deps): void {
  user
    .command('remove')
    .description('take a user out of a team: personal keys and consents there end')
    .argument('<user>', 'id or email')
    .requiredOption('--team <team>', 'the team (id or name; Root is the root team)')
    .action(async (word: string, { team: teamWord }: { team: string }) => {
      const change: Change = async ({ domain, team }, userId) =>
        domain.memberships.remove({ userId, teamId: (await team(teamWord)).id }, OPERATOR);
      printUser(output, await withSession(changeOf(word, change)));
    });
}

function addDelete(user: Command, { output, withSession }: Deps): void {
  user
    .command('delete')
    .description('delete a user with memberships, personal keys, sessions and consents')
    .argument('<user>', 'id or email')
    .action(async (word: string) => {
      const was = await withSession(async (session) => {
        const [seen] = await see(session, [await session.user(word)]);
        return { ...seen!, ...(await session.domain.users.delete(seen!.id, OPERATOR)) };
      });
      output.print(toWire(was), `The user ${was.email} is deleted.`);
    });
}

function changeOf(word: string, change: Change) {
  return async (session: Session): Promise<SeenUser> => {
    const { id } = await session.user(word);
    await change(session, id);
    const [seen] = await see(session, [await session.user(id)]);
    return seen!;
  };
}
