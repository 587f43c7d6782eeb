/** Users as commands show them. */
import { OPERATOR } from '../domain/audit.ts';
import type { Caller } from '../domain/authorization.ts';
import { PERMISSIONS, ROOT_TEAM_ID } from '../domain/permissions.ts';
import { DIGEST_FREQUENCIES, PERSONAS } from '../domain/user-input.ts';
import type { UserOptions } from '../domain/user-options.ts';
import type { User } from '../domain/users.ts';
import { fields, type Output, wire } from './output.ts';
import type { Session } from './session.ts';

/** A user, and what the operator may do with it. */
export type SeenUser = User & { options: UserOptions };

const CALLER: Caller = {
  actor: OPERATOR,
  teamId: ROOT_TEAM_ID,
  userId: undefined,
  permissions: new Set(Object.keys(PERMISSIONS)),
};

export function see({ domain }: Session, users: readonly User[]): Promise<SeenUser[]> {
  return domain.users.withOptions(users, CALLER);
}

/** @param password one that was made up: this is the only time it is shown */
export function printUser(output: Output, user: SeenUser, password?: string): void {
  output.print(
    { ...toWire(user), ...(password && { password }) },
    fields({ ...describe(user), password }),
    ...(password ? ['The password is not shown again.'] : []),
  );
}

function describe(user: User) {
  return {
    id: user.id,
    email: user.email,
    name: user.name,
    display_name: user.displayName,
    given_name: user.givenName,
    family_name: user.familyName,
    persona: nameIn(PERSONAS, user.persona),
    enabled: user.enabled,
    expires: user.expiresAt,
    roles: describeRoles(user),
    last_login: user.lastLoginAt ?? (user.hasPassword ? 'never' : 'never: has no password'),
  };
}

/** Which roles in which team, in one line. */
export function describeRoles({ teamRoles }: User): string {
  return teamRoles.map(({ teamName, roleName }) => `${roleName} in ${teamName}`).join(', ');
}

/** The user as the management API shows it. */
export function toWire(user: SeenUser & { sortKey?: string }): Record<string, unknown> {
  // The time zone is the person's own business: the API does not show it.
  const { hasPassword: _has, version: _version, timeZone: _zone, sortKey: _sortKey, ...record } = user;
  return {
    ...wire(record),
    auth_provider_type: 'LOCAL',
    persona: nameIn(PERSONAS, user.persona),
    options: wire(user.options),
    team_roles: user.teamRoles.map(wire),
    digest_settings: user.digestSettings.map((digest) => ({
      ...wire(digest),
      frequency: nameIn(DIGEST_FREQUENCIES, digest.frequency),
    })),
  };
}

function nameIn(names: Readonly<Record<string, number>>, number: number): string | undefined {
  return Object.keys(names).find((name) => names[name] === number);
}
