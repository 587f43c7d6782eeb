/** `latchkey retirement …` */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import { isUuid } from '../domain/names.ts';
import type { RetirementDetails } from '../domain/retirements.ts';
import { AppError, invalidField } from '../errors.ts';
import { time } from './arguments.ts';
import type { Deps } from './deps.ts';
import { fields, table, wire } from './output.ts';

const MOST_LISTED = 1_000;
const ID = 'its id, as `retirement list` shows it';

interface SubjectOptions {
  key?: string;
  team?: string;
  prefix?: string;
}

interface DayOptions {
  at?: Date;
  replacement?: string;
}

export function addRetirementCommands(program: Command, { output, withSession }: Deps): void {
  const retirement = program
    .command('retirement')
    .description(
      'API keys that are to be given up: callers are told with every answer, until a day after which keys fail',
    );
  const print = (one: RetirementDetails) => output.print(toWire(one), fields(describe(one)));

  retirement
    .command('create')
    .description('retire one key, all keys of a team, all that begin alike, or those of a team that do')
    .option('--key <id>', 'this key')
    .option('--team <team>', 'keys of this team (id or name)')
    .option('--prefix <prefix>', 'keys that begin so; lkp_ and lkt_ are all personal and all team keys made here')
    .requiredOption('--at <time>', 'when they stop working: a time, or 30m, 12h, 90d from now', time)
    .option('--replacement <url>', 'where what replaces them is described; answers link to it')
    .action(async ({ key: keyId, team: word, prefix, at, replacement }: SubjectOptions & DayOptions & { at: Date }) => {
      const [one, count] = await withSession(async ({ domain, team }) => {
        const teamId = word === undefined ? undefined : (await team(word)).id;
        const input = { keyId, teamId, prefix, retiresAt: at, replacementUrl: replacement };
        const made = await domain.retirements.create(input, {}, OPERATOR);
        return [made, await domain.retirements.countKeys(made)] as const;
      });
      const keys = count === 1 ? '1 key' : `${count} keys`;
      output.print(
        toWire(one),
        fields(describe(one)),
        `As far as their first characters tell, it concerns ${keys} now.`,
      );
    });
  retirement
    .command('list')
    .description(`list retirements, those that come first before others, at most ${MOST_LISTED}`)
    .option('--key <id>', 'only of this key itself')
    .option('--team <team>', 'only of keys of this team (id or name)')
    .action(async ({ key, team: word }: SubjectOptions) => {
      if (key !== undefined && !isUuid(key)) throw invalidField('key', 'must be the id of an API key, a UUID');
      const all = await withSession(async ({ domain, team }) => {
        const teamId = word === undefined ? undefined : (await team(word)).id;
        const conditions = key === undefined ? [] : [{ field: 'key_id', operator: 'eq' as const, value: key }];
        const order = { field: 'retires_at', descending: false };
        return domain.retirements.list({ teamId }, { limit: MOST_LISTED, conditions, order });
      });
      const rows = all.map((one) => Object.values(describe(one)));
      output.print(
        all.map(toWire),
        all.length === 0
          ? 'No key is to be given up.'
          : table(['ID', 'KEY', 'TEAM', 'PREFIX', 'DEPRECATED', 'RETIRES', 'REPLACEMENT'], rows),
      );
    });
  retirement
    .command('show')
    .description('show one retirement')
    .argument('<id>', ID)
    .action(async (id: string) => {
      const one = await withSession(({ domain }) => domain.retirements.find(id));
      if (one === undefined) throw new AppError('not_found', 'There is no such retirement.');
      print(one);
    });
  retirement
    .command('update')
    .description('change the day or the link; a later day makes keys good again whose day had come')
    .argument('<id>', ID)
    .option('--at <time>', 'when they stop working: a time, or 30m, 12h, 90d from now', time)
    .option('--replacement <url>', 'where what replaces them is described; empty for no link')
    .action(async (id: string, { at, replacement }: DayOptions) => {
      const changes = { retiresAt: at, replacementUrl: replacement === '' ? null : replacement };
      print(await withSession(({ domain }) => domain.retirements.update(id, changes, {}, OPERATOR)));
    });
  retirement
    .command('delete')
    .description('take one back: the keys are as before, also when their day had come')
    .argument('<id>', ID)
    .action(async (id: string) => {
      print(await withSession(({ domain }) => domain.retirements.delete(id, {}, OPERATOR)));
    });
}

function describe(one: RetirementDetails) {
  return {
    id: one.id,
    key: one.keyId && `${one.keyName} (${one.keyId})`,
    team: one.teamName,
    prefix: one.prefix,
    deprecated_at: one.createdAt,
    retires_at: one.retiresAt,
    replacement_url: one.replacementUrl,
  };
}

/** As the management API shows it. */
function toWire({ version: _, ...one }: RetirementDetails & { sortKey?: string }): Record<string, unknown> {
  const { sortKey: __, ...record } = one;
  return wire(record);
}
