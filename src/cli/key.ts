/** `latchkey key …` */
import { type Command, Option } from 'commander';
import { ACTIVE, type ApiKey, INACTIVE, type NewKey } from '../domain/api-keys.ts';
import { OPERATOR } from '../domain/audit.ts';
import { PERMISSIONS } from '../domain/permissions.ts';
import { AppError } from '../errors.ts';
import { scopes, seconds, time } from './arguments.ts';
import type { Deps } from './deps.ts';
import { addKeyImport } from './key-import.ts';
import { fields, type Output, table, wire } from './output.ts';

const MOST_LISTED = 1_000;
const ID = 'id of the key, as `key list` shows it';

const STATUS = { active: ACTIVE, inactive: INACTIVE };

interface ListOptions {
  team?: string;
  user?: string;
  kind?: 'personal' | 'team';
  status?: keyof typeof STATUS;
  name?: string;
}

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
  addShow(key, deps);
  addRename(key, deps);
  addRotate(key, deps);
  addChange(key, deps, 'revoke', 'switch a key off until it is reinstated');
  addChange(key, deps, 'reinstate', 'switch a revoked key on again');
  addChange(key, deps, 'delete', 'end a key for good');
  addKeyImport(key, deps);
}

function addCreate(key: Command, { output, withSession }: Deps): void {
  key
    .command('create')
    .description('create a key: for a team, or with --user for a person in that team')
    .requiredOption('--name <name>', 'what it is for')
    .requiredOption('--team <team>', 'the team it acts in (id or name)')
    .option('--user <user>', "make it this member's personal key (id or email)")
    .option(
      '--scopes <scopes>',
      'what a personal key may do (default: what its owner may, but not make credentials or manage users; all: everything)',
      keyScopes,
    )
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
      const mayTry = scopes === undefined || scopes.includes('providers:read');
      const tryIt = `Try it:\n  curl -H 'Authorization: Bearer ${made.text}' ${issuer}/api/v1/providers`;
      printNew(output, made, `The key is not shown again.${mayTry ? ` ${tryIt}` : ''}`);
    });
}

/** Scopes; the word `all` is every permission there is. */
function keyScopes(words: string, before: string[] = []): string[] {
  const named = scopes(words, before);
  return named.includes('all') ? Object.keys(PERMISSIONS) : named;
}

function addList(key: Command, { output, withSession }: Deps): void {
  key
    .command('list')
    .description(`list keys, oldest first, at most ${MOST_LISTED}`)
    .option('--team <team>', 'only of this team (id or name)')
    .option('--user <user>', 'only of this user (id or email)')
    .addOption(new Option('--kind <kind>', 'only of this kind').choices(['personal', 'team']))
    .addOption(new Option('--status <status>', 'only those switched on, or off').choices(Object.keys(STATUS)))
    .option('--name <name>', 'only those called so')
    .action(async (options: ListOptions) => {
      const conditions = [
        ...(options.status ? [{ field: 'status', operator: 'eq' as const, value: STATUS[options.status] }] : []),
        ...(options.name ? [{ field: 'name', operator: 'eq' as const, value: options.name }] : []),
      ];
      const keys = await withSession(async ({ domain, team, user }) => {
        const teamId = options.team === undefined ? undefined : (await team(options.team)).id;
        const userId = options.user === undefined ? undefined : (await user(options.user)).id;
        return domain.apiKeys.list({ teamId, userId, kind: options.kind }, { limit: MOST_LISTED, conditions });
      });
      const rows = keys.map((one) => Object.values(describe(one)));
      const heading = ['ID', 'NAME', 'KIND', 'TEAM', 'OWNER', 'STATUS', 'KEY', 'LAST USED', 'EXPIRES', 'RETIRES'];
      output.print(
        keys.map(({ sortKey: _, ...one }) => toWire(one)),
        keys.length === 0 ? 'There are no keys.' : table(heading, rows),
        ...(keys.length < MOST_LISTED ? [] : ['There may be more: narrow the list with its options.']),
      );
    });
}

function addShow(key: Command, { output, withSession }: Deps): void {
  key
    .command('show')
    .description('show one key')
    .argument('<id>', ID)
    .action(async (id: string) => {
      const found = await withSession(({ domain }) => domain.apiKeys.find(id));
      if (found === undefined) throw new AppError('not_found', 'There is no such API key.');
      output.print(toWire(found), fields({ ...describe(found), scopes: found.scopes, external_id: found.externalId }));
    });
}

function addRename(key: Command, { output, withSession }: Deps): void {
  key
    .command('rename')
    .description('change what a key is called')
    .argument('<id>', ID)
    .argument('<name>', 'what it is for')
    .action(async (id: string, name: string) => {
      const renamed = await withSession(({ domain }) => domain.apiKeys.rename(id, name, {}, OPERATOR));
      output.print(toWire(renamed), fields(describe(renamed)));
    });
}

function addRotate(key: Command, { output, withSession }: Deps): void {
  key
    .command('rotate')
    .description('give a key another text')
    .argument('<id>', ID)
    .option('--overlap <seconds>', 'how long the text it had stays good (default 0, at most 30 days)', seconds)
    .action(async (id: string, { overlap: overlapSeconds }: { overlap?: number }) => {
      const options = overlapSeconds === undefined ? {} : { overlapSeconds };
      const rotated = await withSession(({ domain }) => domain.apiKeys.rotate(id, options, {}, OPERATOR));
      const until = rotated.key.previousExpiresAt?.toISOString();
      const before =
        until === undefined ? 'The one before is refused from now on.' : `The one before works until ${until}.`;
      printNew(output, rotated, `The key is not shown again. ${before}`);
    });
}

function addChange(key: Command, { output, withSession }: Deps, verb: 'revoke' | 'reinstate' | 'delete', what: string) {
  key
    .command(verb)
    .description(what)
    .argument('<id>', ID)
    .action(async (id: string) => {
      const changed = await withSession(({ domain }) => domain.apiKeys[verb](id, {}, OPERATOR));
      output.print(toWire(changed), fields({ id: changed.id, name: changed.name, status: statusName(changed) }));
    });
}

function printNew(output: Output, { key, text }: NewKey, hint: string): void {
  output.print({ ...toWire(key), access_key: text }, fields({ ...describe(key), key: text }), hint);
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
    retires: key.retiresAt,
  };
}

/** The key as the management API shows it; its text is there only when it is made. */
function toWire(key: ApiKey): Record<string, unknown> {
  return { ...wire(key), status: statusName(key), access_key: '' };
}

function statusName({ status }: ApiKey): string {
  return status === ACTIVE ? 'ACTIVE' : 'INACTIVE';
}
