/** What can be set about a team: how it must look, what it changes, and what only the root team may set. */
import { isDeepStrictEqual } from 'node:util';
import { AppError, type FieldViolation, invalidField } from '../errors.ts';
import type { Queryable } from '../storage/pool.ts';
import { lockProvidersToName } from '../storage/providers.ts';
import type { NewTeam, TeamChanges, TeamRecord } from '../storage/teams.ts';
import { given } from './given.ts';
import { checkName, checkText, isUuid } from './names.ts';
import { PROVIDER_TYPES } from './providers.ts';

/** How a team's policy works; the integers are those of the wire. */
export const POLICY_TYPES = { UNBOUND: 1, PROVIDER_ID_SET: 2 } as const;

/** `name` and `ssoAlias` at most 255 characters, `description` at most 1,000. */
export interface TeamInput {
  name: string;
  description?: string | undefined;
  /** Default UNBOUND: sees every provider. PROVIDER_ID_SET: those named, and what it made itself. */
  policyType?: NewTeam['policyType'] | undefined;
  /** At most 1,000. Kept under either policy. */
  providers?: readonly NamedProvider[] | undefined;
  /** When there are any, the team sees no provider of another type. */
  providerTypes?: readonly number[] | undefined;
  /** What a single sign-on calls the team. */
  ssoAlias?: string | undefined;
}

/** A provider by its id; whoever says more about it must be right. */
export interface NamedProvider {
  id: string;
  name?: string | undefined;
  type?: number | undefined;
}

const LONGEST_DESCRIPTION = 1_000;
const MOST_PROVIDERS = 1_000;

const DEFAULTS = { description: '', policyType: POLICY_TYPES.UNBOUND, providerTypes: [], ssoAlias: '' };

// What a team's own administrators may change; the rest decides what the team sees and who comes into it.
const OWN: readonly string[] = ['name', 'description'];

const WIRE_NAMES = {
  name: 'name',
  description: 'description',
  policyType: 'policy_type',
  providers: 'providers',
  providerTypes: 'provider_types',
  ssoAlias: 'sso_alias',
} as const;

/**
 * Everything about a team, except the providers it names; what is left out of `input` is its default.
 * @throws AppError `invalid_argument`
 */
export function checkNewTeam(input: TeamInput): NewTeam {
  return { ...DEFAULTS, ...checkChanges(input), name: checkName('name', input.name) };
}

/**
 * What is given of it, except the providers it names.
 * @throws AppError `invalid_argument`
 */
export function checkChanges({
  name,
  description,
  policyType,
  providerTypes,
  ssoAlias,
}: Partial<TeamInput>): TeamChanges {
  return given({
    name: name === undefined ? undefined : checkName('name', name),
    description: description === undefined ? undefined : checkText('description', description, LONGEST_DESCRIPTION),
    policyType,
    providerTypes: providerTypes && [...new Set(providerTypes)].sort(),
    ssoAlias: ssoAlias === undefined ? undefined : checkText('sso_alias', ssoAlias),
  });
}

/**
 * The ids of the providers named, each once; they cannot end before the transaction does.
 * @param reach whose providers can be named: every team's, or those of one team and those its policy names already
 * @throws AppError `not_found` naming the field of one that does not exist within reach, `invalid_argument`
 */
export async function lockNamedProviders(
  tx: Queryable,
  providers: readonly NamedProvider[],
  reach: { teamId?: string | undefined },
): Promise<string[]> {
  if (providers.length > MOST_PROVIDERS) throw invalidField('providers', `must be at most ${MOST_PROVIDERS}`);
  const ids = [...new Set(providers.map(({ id }) => id))].sort();
  const rows = await lockProvidersToName(tx, ids.filter(isUuid), reach);
  const names = new Map(rows.map(({ id, name }) => [id, name]));
  for (const [index, { id, name, type }] of providers.entries()) {
    const field = `providers.${index}`;
    if (!names.has(id)) throw noSuchProvider({ field: `${field}.id`, description: 'There is no such provider.' });
    if (name !== undefined && name !== names.get(id)) throw invalidField(`${field}.name`, 'cannot be changed here');
    if (type !== undefined && type !== PROVIDER_TYPES.CUSTOM) throw invalidField(`${field}.type`, 'cannot be changed');
  }
  return ids;
}

/** What would be different about the team, in the names of the wire. `providers` are ids. */
export function changesOf(team: TeamRecord, wanted: TeamChanges & { providers?: string[] }): string[] {
  const current = { ...team, providers: team.providers.map(({ id }) => id).sort() };
  const keys = Object.keys(WIRE_NAMES) as (keyof typeof WIRE_NAMES)[];
  return keys
    .filter((key) => wanted[key] !== undefined && !isDeepStrictEqual(wanted[key], current[key]))
    .map((key) => WIRE_NAMES[key]);
}

/**
 * For a caller of the team itself.
 * @param changed as `changesOf` answers
 * @throws AppError `permission_denied` naming what only the root team may change
 */
export function requireOwn(changed: readonly string[]): void {
  const others = changed.filter((name) => !OWN.includes(name));
  if (others.length === 0) return;
  const description = 'can only be changed with a credential of the root team; send it as it is now';
  throw new AppError('permission_denied', `${others.join(', ')}: ${description}`, {
    fields: others.map((field) => ({ field, description })),
  });
}

/** @throws AppError `failed_precondition` for what would make the root team see less than everything */
export function requireUnbound({ policyType, providerTypes = [] }: TeamChanges): void {
  if (policyType === POLICY_TYPES.PROVIDER_ID_SET || providerTypes.length > 0) {
    throw new AppError('failed_precondition', 'The root team sees every provider and cannot be bound.');
  }
}

function noSuchProvider(violation: FieldViolation): AppError {
  return new AppError('not_found', `${violation.field}: ${violation.description}`, { fields: [violation] });
}
