/** `latchkey key …` */
import { type Command, Option } from 'commander';
import { ACTIVE, type ApiKey } from '../domain/api-keys.ts';
import { OPERATOR } from '../domain/audit.ts';
import { scopes, time } from './arguments.ts';
import type { Deps } from './deps.ts';
import { fields, table, wire } from './output.ts';

const MOST_LISTED = 1_000;

interface CreateOptions {
  name: string;
  team: string;
  user?: string;
  scopes?: string[];
  expires?: Date;
}

export function addKeyCommands(program: Command, deps: Deps): void {
  const key = program.command('key').description('API keys for scripts, personal and team');
  addCreate(key, deps);
  addList(key, deps);
  addChange(key, deps, 'revoke', 'switch a key off until it is reinstated');
  addChange(key, deps, 'reinstate', 'switch a revoked key on again');
  addChange(key, deps, 'delete', 'end a key for good');
}

function addCreate(key: Command, { output, withSession }: Deps): void {
  key
    .command('create')
    .description('create a key: for a team, or with --user for a person in that team')
    .requiredOption('--name <name>', 'what it is for')
    .requiredOption('--team <team>', 'the team it acts in (id or name)')
    .option('--user <user>', "make it this member's personal key (id or email)")
    .option('--scopes <scopes>', 'narrow a personal key to these permissions', scopes)
    .option('--expires <time>', 'when it ends: a time, or 90d (default never)', time)
    .action(async ({ name, team: teamWord, user: userWord, scopes, expires }: CreateOptions, command: Command) => {
      if (scopes && userWord === undefined) command.error('error: --scopes goes with --user');
      const { made, issuer } = await withSession(async ({ domain, config, team, user }) => {
        const common = { name, teamId: (await team(teamWord)).id, expiresAt: expires };
        const made =
          userWord === undefined
            ? await domain.apiKeys.createTeam(common, OPERATOR)
            : await domain.apiKeys.createPersonal({ ...common, userId: (await user(userWord)).id, scopes }, OPERATOR);
        return { made, issuer: config.issuer };
      });
      output.print(
        { ...toWire(made.key), access_key: made.text },
        fields({ ...describe(made.key), key: made.text }),
        `The key is not shown again. Try it:\n  curl -H 'Authorization: Bearer ${made.text}' ${issuer}/api/v1/providers`,
      );
    });
}

function addList(key: Command, { output, withSession }: Deps): void {
  key
    .command('list')
    .description(`list keys, oldest first, at most ${MOST_LISTED}`)
    .option('--team <team>', 'only of this team (id or name)')
    .option('--user <user>', 'only of this user (id or email)')
    .addOption(new Option('--kind <kind>', 'only of this kind').choices(['personal', 'team']))
    .action(async (options: { team?: string; user?: string; kind?: 'personal' | 'team' }) => {
      const keys = await withSession(async ({ domain, team, user }) => {
        const teamId = options.team === undefined ? undefined : (await team(options.team)).id;
        const userId = options.user === undefined ? undefined : (await user(options.user)).id;
        return domain.apiKeys.list({ teamId, userId, kind: options.kind }, { limit: MOST_LISTED });
      });
      const rows = keys.map((one) => Object.values(describe(one)));
      const heading = ['ID', 'NAME', 'KIND', 'TEAM', 'OWNER', 'STATUS', 'KEY', 'LAST USED', 'EXPIRES'];
      output.print(
        keys.map(toWire),
        keys.length === 0 ? 'There are no keys.' : table(heading, rows),
        ...(keys.length < MOST_LISTED ? [] : ['There may be more: narrow the list with --team, --user or --kind.']),
      );
    });
}

function addChange(key: Command, { output, withSession }: Deps, verb: 'revoke' | 'reinstate' | 'delete', what: string) {
  key
    .command(verb)
    .description(what)
    .argument('<id>', 'id of the key, as `key list` shows it')
    .action(async (id: string) => {
      const changed = await withSession(({ domain }) => domain.apiKeys[verb](id, {}, OPERATOR));
      output.print(toWire(changed), fields({ id: changed.id, name: changed.name, status: statusName(changed) }));
    });
}

function describe(key: ApiKey) {
  return {
    id: key.id,
    name: key.name,
    kind: key.kind,
    team: key.teamName,
    owner: key.ownerEmail,
    status: statusName(key),
    shown_as: `${key.prefix}…${key.lastFour}`,
    last_used: key.lastAccessAt.getTime() === key.createdAt.getTime() ? 'never' : key.lastAccessAt,
    expires: key.expiresAt,
  };
}

/** The key as the management API shows it; its text is there only when it is made. */
function toWire(key: ApiKey): Record<string, unknown> {
  return { ...wire(key), status: statusName(key), access_key: '' };
}

function statusName({ status }: ApiKey): string {
  return status === ACTIVE ? 'ACTIVE' : 'INACTIVE';
}
