/** `latchkey credential usage` and `latchkey credential callers` */
import { type Command, InvalidArgumentError } from 'commander';
import { type CallingKey, lastDays, type Usage } from '../domain/credential-uses.ts';
import type { Deps } from './deps.ts';
import { table, wire } from './output.ts';

const MOST_LISTED = 1_000;
const DEFAULT_DAYS = 30;

interface UsageOptions {
  team?: string;
  days: number;
}

export function addCredentialUsage(credential: Command, { output, withSession }: Deps): void {
  withOptions(credential.command('usage'))
    .description(`requests per day, team and kind of credential, the newest day first, at most ${MOST_LISTED} rows`)
    .action(async ({ team: word, days }: UsageOptions) => {
      const usage = await withSession(async ({ domain, team }) => {
        const teamId = word === undefined ? undefined : (await team(word)).id;
        const { from, to } = lastDays(days);
        const conditions = [
          { field: 'day', operator: 'ge' as const, value: from },
          { field: 'day', operator: 'le' as const, value: to },
        ];
        const order = { field: 'day', descending: true };
        return domain.credentialUses.list({ teamId }, { limit: MOST_LISTED, conditions, order });
      });
      output.print(
        usage.map(usageToWire),
        usage.length === 0
          ? 'No requests were counted.'
          : table(['DAY', 'TEAM', 'KIND', 'REQUESTS', 'SHARE'], usage.map(describeUsage)),
        ...mayBeMore(usage),
      );
    });
  withOptions(credential.command('callers'))
    .description(`who still calls with API keys, those with the most requests first, at most ${MOST_LISTED}`)
    .action(async ({ team: word, days }: UsageOptions) => {
      const keys = await withSession(async ({ domain, team }) => {
        const teamId = word === undefined ? undefined : (await team(word)).id;
        const order = { field: 'requests', descending: true };
        return domain.credentialUses.listKeys({ ...lastDays(days), teamId }, { limit: MOST_LISTED, order });
      });
      output.print(
        keys.map(keyToWire),
        keys.length === 0
          ? 'Nobody called with a key.'
          : table(
              ['KEY', 'KIND', 'NAME', 'SHOWN AS', 'TEAM', 'OWNER', 'REQUESTS', 'LAST DAY', 'RETIRES'],
              keys.map(describeKey),
            ),
        ...mayBeMore(keys),
      );
    });
}

function withOptions(command: Command): Command {
  return command
    .option('--team <team>', 'only of this team (id or name)')
    .option(
      '--days <count>',
      `of how many days, today included (1 to 400; default ${DEFAULT_DAYS})`,
      days,
      DEFAULT_DAYS,
    );
}

function days(word: string): number {
  const count = /^\d{1,3}$/.test(word) ? Number(word) : 0;
  if (count < 1 || count > 400) throw new InvalidArgumentError('Use a number from 1 to 400.');
  return count;
}

function mayBeMore({ length }: readonly unknown[]): string[] {
  return length < MOST_LISTED ? [] : ['There may be more: see --team and --days.'];
}

function describeUsage({ day, teamName, kind, requests, share }: Usage): unknown[] {
  return [day, teamName, kind, requests, percent(share)];
}

function percent(share: number): string {
  return share > 0 && share < 0.001 ? '<0.1 %' : `${(share * 100).toFixed(1)} %`;
}

function usageToWire({ sortKey: _, id: __, ...one }: Usage): Record<string, unknown> {
  return wire(one);
}

function describeKey({ keyId, kind, key, teamName, requests, lastDay, retiresAt }: CallingKey): unknown[] {
  const name = key?.name ?? '(deleted)';
  return [keyId, kind, name, key?.prefix, teamName, key?.ownerEmail, requests, lastDay, retiresAt];
}

/** The key as the management API shows it. */
function keyToWire({ sortKey: _, id: __, key, ...one }: CallingKey): Record<string, unknown> {
  const {
    userId = null,
    ownerEmail = null,
    ...known
  } = key ?? { name: null, prefix: null, lastFour: null, externalId: null };
  return { ...wire({ ...known, ...one }), owner: userId === null ? null : { id: userId, email: ownerEmail } };
}
