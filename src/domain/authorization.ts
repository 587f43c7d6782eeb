/**
 * Who may do what: one table for every surface. An operation needs one permission, in the team the caller acts in, and
 * reaches as far as the table says. What a caller may do is its owner's permissions now ∩ the scopes of its credential.
 */
import { AppError } from '../errors.ts';
import type { Actor } from './audit.ts';
import type { Authority } from './authority.ts';
import { type Permission, ROOT_TEAM_ID } from './permissions.ts';

/**
 * How far an operation reaches:
 * - `team`: what belongs to the caller's team; acting in the root team, what belongs to any team. The rest is not found.
 * - `own`: what belongs to the user behind the caller, in the caller's team; `others` is the permission that, in the root
 *   team, reaches that of other users.
 * - `root`: what belongs to no team; only for callers that act in the root team.
 * - `any`: what is the same for everybody.
 */
export interface Rule {
  permission: Permission;
  reach: 'team' | 'own' | 'root' | 'any';
  others?: Permission;
}

/** Every operation of the management API and the console. */
export const OPERATIONS = {
  'providers.list': { permission: 'providers:read', reach: 'team' },
  'custom_providers.list': { permission: 'providers:read', reach: 'team' },
  'custom_providers.get': { permission: 'providers:read', reach: 'team' },
  'custom_providers.create': { permission: 'providers:write', reach: 'team' },
  'custom_providers.update': { permission: 'providers:write', reach: 'team' },
  'custom_providers.delete': { permission: 'providers:write', reach: 'team' },
  'team_keys.list': { permission: 'teamkeys:read', reach: 'team' },
  'team_keys.get': { permission: 'teamkeys:read', reach: 'team' },
  'team_keys.create': { permission: 'teamkeys:write', reach: 'team' },
  'team_keys.update': { permission: 'teamkeys:write', reach: 'team' },
  'team_keys.revoke': { permission: 'teamkeys:write', reach: 'team' },
  'team_keys.reinstate': { permission: 'teamkeys:write', reach: 'team' },
  'team_keys.rotate': { permission: 'teamkeys:write', reach: 'team' },
  'team_keys.delete': { permission: 'teamkeys:write', reach: 'team' },
  'api_keys.list': { permission: 'apikeys:read', reach: 'own', others: 'users:write' },
  'api_keys.get': { permission: 'apikeys:read', reach: 'own', others: 'users:write' },
  'api_keys.create': { permission: 'apikeys:write', reach: 'own' },
  'api_keys.update': { permission: 'apikeys:write', reach: 'own' },
  'api_keys.revoke': { permission: 'apikeys:write', reach: 'own', others: 'users:write' },
  'api_keys.reinstate': { permission: 'apikeys:write', reach: 'own', others: 'users:write' },
  'api_keys.rotate': { permission: 'apikeys:write', reach: 'own' },
  'api_keys.delete': { permission: 'apikeys:write', reach: 'own', others: 'users:write' },
  'api_keys.import': { permission: 'users:write', reach: 'root' },
  'teams.list': { permission: 'teams:read', reach: 'team' },
  'teams.get': { permission: 'teams:read', reach: 'team' },
  'teams.create': { permission: 'teams:write', reach: 'root' },
  'teams.replace': { permission: 'teams:write', reach: 'team' },
  'teams.update': { permission: 'teams:write', reach: 'team' },
  'teams.delete': { permission: 'teams:write', reach: 'root' },
  'users.list': { permission: 'users:read', reach: 'team' },
  'users.get': { permission: 'users:read', reach: 'team' },
  'users.create': { permission: 'users:write', reach: 'team' },
  'users.update': { permission: 'users:write', reach: 'team' },
  'users.delete': { permission: 'users:write', reach: 'root' },
  'roles.list': { permission: 'roles:read', reach: 'any' },
  'oauth_apps.list': { permission: 'oauth2apps:read', reach: 'root' },
  'oauth_apps.get': { permission: 'oauth2apps:read', reach: 'root' },
  'oauth_apps.create': { permission: 'oauth2apps:write', reach: 'root' },
  'oauth_apps.update': { permission: 'oauth2apps:write', reach: 'root' },
  'oauth_apps.enable': { permission: 'oauth2apps:write', reach: 'root' },
  'oauth_apps.disable': { permission: 'oauth2apps:write', reach: 'root' },
  'oauth_apps.delete': { permission: 'oauth2apps:write', reach: 'root' },
  'oauth_app_secrets.create': { permission: 'oauth2apps:write', reach: 'root' },
  'oauth_app_secrets.delete': { permission: 'oauth2apps:write', reach: 'root' },
  'oauth_clients.list': { permission: 'oauth2clients:read', reach: 'team' },
  'oauth_clients.get': { permission: 'oauth2clients:read', reach: 'team' },
  'oauth_clients.create': { permission: 'oauth2clients:write', reach: 'team' },
  'oauth_clients.update': { permission: 'oauth2clients:write', reach: 'team' },
  'oauth_clients.enable': { permission: 'oauth2clients:write', reach: 'team' },
  'oauth_clients.disable': { permission: 'oauth2clients:write', reach: 'team' },
  'oauth_clients.delete': { permission: 'oauth2clients:write', reach: 'team' },
  'oauth_client_secrets.create': { permission: 'oauth2clients:write', reach: 'team' },
  'oauth_client_secrets.delete': { permission: 'oauth2clients:write', reach: 'team' },
  'sign_in_settings.get': { permission: 'settings:read', reach: 'root' },
  'sign_in_settings.update': { permission: 'settings:write', reach: 'root' },
  'signing_keys.list': { permission: 'settings:read', reach: 'root' },
  'signing_keys.rotate': { permission: 'settings:write', reach: 'root' },
  'signing_keys.delete': { permission: 'settings:write', reach: 'root' },
  'resource_servers.list': { permission: 'resourceservers:read', reach: 'root' },
  'resource_servers.get': { permission: 'resourceservers:read', reach: 'root' },
  'resource_servers.create': { permission: 'resourceservers:write', reach: 'root' },
  'resource_servers.update': { permission: 'resourceservers:write', reach: 'root' },
  'resource_servers.delete': { permission: 'resourceservers:write', reach: 'root' },
  'audit_events.list': { permission: 'audit:read', reach: 'team' },
  'credentials.list': { permission: 'credentials:read', reach: 'team' },
  'credential_usage.list': { permission: 'credentials:read', reach: 'team' },
  'credential_usage.keys': { permission: 'credentials:read', reach: 'team' },
  'key_retirements.list': { permission: 'credentials:read', reach: 'team' },
  'key_retirements.get': { permission: 'credentials:read', reach: 'team' },
  'key_retirements.create': { permission: 'credentials:write', reach: 'team' },
  'key_retirements.update': { permission: 'credentials:write', reach: 'team' },
  'key_retirements.delete': { permission: 'credentials:write', reach: 'team' },
  'connected_apps.list': { permission: 'connectedapps:read', reach: 'own' },
  'connected_apps.delete': { permission: 'connectedapps:write', reach: 'own' },
} as const satisfies Record<string, Rule>;

export type OperationId = keyof typeof OPERATIONS;

/** Whoever asks for an operation, by whichever credential or session. */
export interface Caller {
  actor: Actor;
  /** The team it acts in. */
  teamId: string;
  /** The user it acts for; undefined for a team key or a client. */
  userId: string | undefined;
  /** What it may do in that team; in the root team: in every team. */
  permissions: ReadonlySet<string>;
}

/** Whether the caller acts in the root team, whose roles reach every team. */
export function actsInRoot({ teamId }: Pick<Caller, 'teamId'>): boolean {
  return teamId === ROOT_TEAM_ID;
}

/**
 * Call it before anything else of the operation. Objects are held against `teamReach` or `ownReach` by the statements.
 * @throws AppError `permission_denied` when the caller lacks the permission, or acts in a team where the operation is none
 */
export function authorize(caller: Caller, operation: OperationId): void {
  const { permission, reach }: Rule = OPERATIONS[operation];
  if (!caller.permissions.has(permission)) {
    throw new AppError('permission_denied', `This needs the permission ${permission}.`);
  }
  if (reach === 'root' && !actsInRoot(caller)) {
    throw new AppError('permission_denied', 'This can only be done with a credential of the root team.');
  }
}

/** The scope of an operation that reaches `team`: nothing narrower than the caller's team, or every team. */
export function teamReach(caller: Caller): { teamId?: string } {
  return actsInRoot(caller) ? {} : { teamId: caller.teamId };
}

/**
 * The scope of an operation that reaches `own`.
 * @throws AppError `permission_denied` when no user is behind the caller and it does not reach other users' either
 */
export function ownReach(caller: Caller, operation: OperationId): { teamId?: string; userId?: string } {
  const { others }: Rule = OPERATIONS[operation];
  if (others !== undefined && actsInRoot(caller) && caller.permissions.has(others)) return {};
  if (caller.userId === undefined) {
    throw new AppError(
      'permission_denied',
      'This belongs to users. Use a personal key, or a token an app got from one.',
    );
  }
  return { ...teamReach(caller), userId: caller.userId };
}

/**
 * For a team named in a query or body.
 * @throws AppError `not_found` when it is not within the caller's reach, as if there were no such team
 */
export function requireTeamInReach(caller: Caller, teamId: string): void {
  if (!actsInRoot(caller) && teamId !== caller.teamId) throw new AppError('not_found', 'There is no such team.');
}

/** What an actor may give to somebody else in a team: nobody gives what they may not do themselves. */
export async function grantable(
  authority: Pick<Authority, 'permissionsIn'>,
  actor: Actor,
  teamId: string,
): Promise<(permission: string) => boolean> {
  if (actor.kind === 'operator' || actor.kind === 'system') return () => true;
  const { permissions } = actor;
  if (permissions !== undefined) return (permission) => permissions.has(permission);
  const own = actor.kind === 'user' ? await authority.permissionsIn(actor.id, teamId) : undefined;
  return (permission) => own?.has(permission) ?? false;
}
