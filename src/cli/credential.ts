/** `latchkey credential …` */
import { type Command, Option } from 'commander';
import { CREDENTIAL_KINDS, type Credential, type CredentialKind } from '../domain/credentials.ts';
import { past, time } from './arguments.ts';
import { addCredentialUsage } from './credential-usage.ts';
import type { Deps } from './deps.ts';
import { table, wire } from './output.ts';

const MOST_LISTED = 1_000;

interface ListOptions {
  team?: string;
  user?: string;
  kind?: CredentialKind;
  unusedSince?: Date;
  expiresBefore?: Date;
  /** `--never-used`, or `--used`. */
  neverUsed?: true;
  used?: true;
  active?: true;
}

export function addCredentialCommands(program: Command, deps: Deps): void {
  const credential = program
    .command('credential')
    .description('everything that can act for a team: keys, clients, and apps by consent');
  addList(credential, deps);
  addCredentialUsage(credential, deps);
}

function addList(credential: Command, { output, withSession }: Deps): void {
  credential
    .command('list')
    .description(`list credentials of every kind, oldest first, at most ${MOST_LISTED}`)
    .option('--team <team>', 'only what acts for this team (id or name)')
    .option('--user <user>', 'only what acts for this user (id or email)')
    .addOption(new Option('--kind <kind>', 'only of this kind').choices(CREDENTIAL_KINDS))
    .option('--active', 'only what is neither revoked, disabled, expired nor given up')
    .option('--unused-since <time>', 'only what was not used since then: a time, or 30m, 12h, 90d ago', past)
    .option('--expires-before <time>', 'only what ends before then: a time, or 90d from now', time)
    .addOption(new Option('--never-used', 'only what was never used').conflicts('used'))
    .option('--used', 'only what was used')
    .action(async ({ team: teamWord, user: userWord, active, neverUsed, used, ...query }: ListOptions) => {
      const credentials = await withSession(async ({ domain, team, user }) => {
        const teamId = teamWord === undefined ? undefined : (await team(teamWord)).id;
        const userId = userWord === undefined ? undefined : (await user(userWord)).id;
        const narrowed = { ...query, teamId, userId, isActive: active, neverUsed: neverUsed ?? (used && false) };
        return domain.credentials.list(narrowed, { limit: MOST_LISTED });
      });
      const heading = ['ID', 'KIND', 'NAME', 'TEAM', 'OWNER', 'STATUS', 'SHOWN AS', 'LAST USED', 'EXPIRES', 'RETIRES'];
      output.print(
        credentials.map(toWire),
        credentials.length === 0 ? 'There are no such credentials.' : table(heading, credentials.map(describe)),
        ...(credentials.length < MOST_LISTED ? [] : ['There may be more: narrow the list, for example with --team.']),
      );
    });
}

function describe(one: Credential): unknown[] {
  return [
    one.id,
    one.kind,
    one.name,
    one.teamName,
    one.ownerEmail,
    status(one),
    one.clientId ?? one.prefix,
    one.lastUsedAt ?? 'never',
    one.expiresAt,
    one.retiresAt,
  ];
}

/** The credential as the management API shows it. */
function toWire({ sortKey: _, userId, ownerEmail, isActive, ...one }: Credential): Record<string, unknown> {
  const owner = userId === null ? null : { id: userId, email: ownerEmail };
  return { ...wire(one), owner, status: status({ isActive }) };
}

function status({ isActive }: Pick<Credential, 'isActive'>): string {
  return isActive ? 'ACTIVE' : 'INACTIVE';
}
