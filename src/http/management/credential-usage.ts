/** How requests are shared among kinds of credentials, day by day, and who still calls with keys. */
import { z } from 'zod';
import { requireTeamInReach, teamReach } from '../../domain/authorization.ts';
import {
  type CallingKey,
  type CredentialUses,
  type Days,
  lastDays,
  USE_KINDS,
  type Usage,
} from '../../domain/credential-uses.ts';
import { isUuid } from '../../domain/names.ts';
import { invalidField } from '../../errors.ts';
import { type FilterField, filter, parseTime } from './filter.ts';
import { RETIRES_AT } from './key-operations.ts';
import { list } from './list.ts';
import type { Noun } from './routes.ts';

const DEFAULT_DAYS = 30;

const day = z
  .string()
  .refine((text) => parseDay(text) !== undefined, { error: 'must be a day such as 2030-01-31' })
  .meta({ format: 'date', example: '2030-01-31' });

const USAGE = z
  .object({
    day: day.meta({ description: 'In UTC' }),
    team_id: z.string(),
    team_name: z.string(),
    kind: z.enum(USE_KINDS),
    requests: z.int().meta({ description: 'As far as this server was told of them' }),
    share: z.number().meta({ description: "Of all requests of the team's credentials on that day: 0 to 1" }),
  })
  .meta({ id: 'CredentialUsage' });

const CALLING_KEY = z
  .object({
    key_id: z.string(),
    kind: z.enum(['personal_key', 'team_key']),
    name: z.string().nullable().meta({ description: 'Null, like what follows from the key: it was deleted since' }),
    prefix: z.string().nullable(),
    last_four: z.string().nullable(),
    external_id: z.string().nullable().meta({ description: 'What the key was called where it was imported from' }),
    owner: z.object({ id: z.string(), email: z.string() }).nullable().meta({ description: 'Null for a team key' }),
    team_id: z.string(),
    team_name: z.string(),
    requests: z.int().meta({ description: 'In the days that were asked for' }),
    last_day: day.meta({ description: 'The last of these days on which it was used' }),
    retires_at: RETIRES_AT,
  })
  .meta({ id: 'CallingKey' });

const dayFilter: FilterField = {
  operators: ['eq', 'lt', 'le', 'gt', 'ge'],
  parse: parseDay,
  complaint: 'must be a day such as "2030-01-31"',
};

const kindFilter: FilterField = {
  operators: ['eq'],
  parse: (text) => USE_KINDS.find((one) => one === text),
  complaint: `must be one of ${USE_KINDS.join(', ')}`,
};

const TAG = 'Credential usage';
const PATH = '/api/v1/credential_usage';

const DAYS = z.strictObject({
  from: day.optional().meta({ description: `The first day, in UTC; default ${DEFAULT_DAYS - 1} days before the last` }),
  to: day.optional().meta({ description: 'The last day, in UTC; default today' }),
});

const TEAM = z.strictObject({
  team_id: z.string().refine(isUuid, { error: 'must be a UUID in lower case' }).optional(),
});

export function createCredentialUsageOperations({ credentialUses }: { credentialUses: CredentialUses }): Noun {
  return [
    list({
      id: 'credential_usage.list',
      path: PATH,
      tag: TAG,
      summary: 'Requests per day, team and kind of credential',
      description:
        'Of your team, or of any team within your reach. Counted are requests to this API and to `/oauth2/verify`, ' +
        'and those that resource servers with the middleware of this project report once a minute. Here they count ' +
        'also after the key has been given up, although they are refused.',
      item: USAGE,
      filters: { day: dayFilter, team_id: filter.uuid, kind: kindFilter },
      orders: ['day'],
      query: DAYS,
      rows({ caller, page, query }) {
        const { from, to } = daysOf(query);
        const isOpen = query.from === undefined && query.to === undefined;
        // Days in the filter take the place of the default ones.
        const days = isOpen && page.conditions.some(({ field }) => field === 'day') ? [] : between(from, to);
        return credentialUses.list(teamReach(caller), { ...page, conditions: [...page.conditions, ...days] });
      },
      toWire: usageToWire,
    }),
    list({
      id: 'credential_usage.keys',
      path: `${PATH}/keys`,
      tag: TAG,
      summary: 'Who still calls with API keys',
      description:
        'Keys of your team, or of any team within your reach, that were used in these days, team by team: a page ' +
        'costs the same however many there are. With `order_by=requests desc` all of them are added up first.',
      item: CALLING_KEY,
      filters: { team_id: filter.uuid },
      orders: ['team_id', 'requests'],
      query: TEAM.extend(DAYS.shape),
      rows({ caller, page, query: { team_id, ...days } }) {
        if (team_id !== undefined) requireTeamInReach(caller, team_id);
        const given = team_id === undefined ? [] : [{ field: 'team_id', operator: 'eq' as const, value: team_id }];
        const conditions = [...page.conditions, ...given];
        return credentialUses.listKeys({ ...daysOf(days), ...teamReach(caller) }, { ...page, conditions });
      },
      toWire: keyToWire,
    }),
  ];
}

function parseDay(text: string): string | undefined {
  return /^(?:19[7-9]\d|2\d{3})-\d{2}-\d{2}$/.test(text) && parseTime(`${text}T00:00:00Z`) !== undefined
    ? text
    : undefined;
}

/** @throws AppError `invalid_argument` when the first day comes after the last */
function daysOf({ from, to }: { from?: string | undefined; to?: string | undefined }): Days {
  const days = lastDays(DEFAULT_DAYS, to);
  if (from === undefined) return days;
  if (from > days.to) throw invalidField('from', 'must not come after the last day');
  return { from, to: days.to };
}

function between(from: string, to: string) {
  return [
    { field: 'day', operator: 'ge' as const, value: from },
    { field: 'day', operator: 'le' as const, value: to },
  ];
}

function usageToWire(one: Usage) {
  return {
    day: one.day,
    team_id: one.teamId,
    team_name: one.teamName,
    kind: one.kind,
    requests: one.requests,
    share: one.share,
  };
}

function keyToWire({ key, ...one }: CallingKey) {
  const owner = key?.userId ? { id: key.userId, email: key.ownerEmail ?? '' } : null;
  return {
    key_id: one.keyId,
    kind: one.kind,
    name: key?.name ?? null,
    prefix: key?.prefix ?? null,
    last_four: key?.lastFour ?? null,
    external_id: key?.externalId ?? null,
    owner,
    team_id: one.teamId,
    team_name: one.teamName,
    requests: one.requests,
    last_day: one.lastDay,
    retires_at: one.retiresAt?.toISOString() ?? null,
  };
}
