/**
 * Handing what a script does with a person's key over to a credential that stays when the person leaves: a team key, or a
 * client. Nobody makes one this way who could not make it otherwise.
 */
import { AppError, invalidField } from '../errors.ts';
import { lockApiKey } from '../storage/api-keys.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { findRolePermissions } from '../storage/roles.ts';
import { findUser } from '../storage/users.ts';
import { requireGrantable } from './allowed-scopes.ts';
import { isOver } from './api-key-checks.ts';
import { ACTIVE, type ApiKey, type ApiKeys } from './api-keys.ts';
import type { Audit } from './audit.ts';
import type { Authority } from './authority.ts';
import { authorize, type Caller, grantable, OPERATIONS, type Rule, teamReach } from './authorization.ts';
import { withinScopes } from './key-scopes.ts';
import { isUuid } from './names.ts';
import type { OauthClient, OauthClients } from './oauth-clients.ts';
import { ROOT_TEAM_ID, TEAM_KEY_PERMISSIONS } from './permissions.ts';

export interface KeyRights {
  key: ApiKey;
  /** What the key can do while its owner is let in: permissions that mean something there, and scopes of resource servers. */
  rights: readonly string[];
  /** What of that a client can do, too: all but what belongs to a person. */
  forClient: readonly string[];
  /** What of what a client can do a team key cannot. */
  beyondTeamKey: readonly string[];
  /** What a team key can do and this key cannot. */
  onlyTeamKey: readonly string[];
}

/** What is to take the place of a personal key. Without a name it is called as the key is. */
export type HandOver =
  | { kind: 'team_key'; name?: string | undefined; expiresAt?: Date | undefined }
  | { kind: 'oauth2_client'; name?: string | undefined; scopes: string[] };

/** The new credential with its text or secret, which is never available again. */
export type HandedOver =
  | { kind: 'team_key'; key: ApiKey; text: string }
  | { kind: 'oauth2_client'; client: OauthClient; secret: string };

export interface HandOvers {
  /**
   * A personal key of a user, and what would have to take its place.
   * @throws AppError `not_found` for a key that is not the user's, or not within the caller's reach
   */
  rightsOf(key: { id: string; userId: string }, caller: Caller): Promise<KeyRights>;
  /**
   * Makes a team key or a client in the team of a personal key. The key goes on until its owner leaves, so that whatever
   * uses it can be changed over first.
   * @throws AppError `permission_denied` when the caller may not change users, or not make such a credential, or may not
   *   do what it could; `invalid_argument`, also for scopes that the key has not; `failed_precondition` for a key that is
   *   revoked, expired or given up; `not_found` as `rightsOf`
   */
  handOver(key: { id: string; userId: string }, to: HandOver, caller: Caller): Promise<HandedOver>;
}

export interface HandOversOptions {
  db: Database;
  audit: Audit;
  authority: Pick<Authority, 'permissionsIn'>;
  apiKeys: Pick<ApiKeys, 'createTeam' | 'find'>;
  oauthClients: Pick<OauthClients, 'create'>;
}

export function createHandOvers({ db, audit, authority, apiKeys, oauthClients }: HandOversOptions): HandOvers {
  async function rightsOf({ id, userId }: { id: string; userId: string }, caller: Caller): Promise<KeyRights> {
    const scope = { kind: 'personal' as const, userId, ...teamReach(caller) };
    const key = isUuid(userId) ? await apiKeys.find(id, scope) : undefined;
    if (key === undefined) throw noSuchKey();
    const isRoot = key.teamId === ROOT_TEAM_ID;
    const rights = [...withinScopes(key.scopes, await rolesReach(key, caller))].filter(
      (word) => isRoot || !isOnly(word, 'root'),
    );
    const forClient = rights.filter((word) => !isOnly(word, 'own'));
    const isOfTeamKeys = (word: string) => (TEAM_KEY_PERMISSIONS as readonly string[]).includes(word);
    return {
      key,
      rights,
      forClient,
      beyondTeamKey: forClient.filter((word) => !isOfTeamKeys(word)),
      onlyTeamKey: TEAM_KEY_PERMISSIONS.filter((word) => !rights.includes(word)),
    };
  }

  /**
   * What the owner's roles permit in the team of the key, whether or not the owner is let in at the moment; as far as the
   * caller may know of them.
   */
  async function rolesReach({ userId, teamId }: ApiKey, caller: Caller): Promise<ReadonlySet<string>> {
    const roles = (await findUser(db, userId!, teamReach(caller)))?.teamRoles ?? [];
    const permissions = await findRolePermissions(db);
    const here = roles.filter((role) => role.teamId === teamId || role.teamId === ROOT_TEAM_ID);
    return new Set(here.flatMap(({ roleId }) => permissions.get(roleId) ?? []));
  }

  async function make(key: ApiKey, to: HandOver, caller: Caller): Promise<HandedOver> {
    const { actor } = caller;
    const { teamId } = key;
    const name = to.name ?? key.name;
    if (to.kind === 'team_key') {
      const made = await apiKeys.createTeam({ teamId, name, ...(to.expiresAt && { expiresAt: to.expiresAt }) }, actor);
      return { kind: 'team_key', ...made };
    }
    const { client, secret } = await oauthClients.create({ teamId, name, allowedScopes: to.scopes }, actor);
    return { kind: 'oauth2_client', client, secret: secret! };
  }

  async function record(tx: Queryable, key: ApiKey, made: HandedOver, { actor }: Caller): Promise<void> {
    const { kind, id, name, ...more } =
      made.kind === 'team_key'
        ? { kind: made.kind, id: made.key.id, name: made.key.name, to_prefix: made.key.prefix }
        : { kind: made.kind, id: made.client.id, name: made.client.name, to_client_id: made.client.clientId };
    await audit.record(tx, {
      action: 'api_key.handed_over',
      actor,
      teamId: key.teamId,
      target: { kind: 'api_key', id: key.id },
      details: {
        ...{ kind: key.kind, name: key.name, prefix: key.prefix, user_id: key.userId },
        ...{ to_kind: kind, to_id: id, to_name: name, ...more },
      },
    });
  }

  return {
    rightsOf,
    async handOver(reference, to, caller) {
      authorize(caller, 'users.update');
      authorize(caller, to.kind === 'team_key' ? 'team_keys.create' : 'oauth_clients.create');
      const { key, forClient } = await rightsOf(reference, caller);
      if (key.status !== ACTIVE || isOver(key.expiresAt)) throw opensNothing();
      if (to.kind === 'oauth2_client') requireWithin(to.scopes, forClient);
      // The client's scopes are held against the same by whoever makes it.
      else requireGrantable(TEAM_KEY_PERMISSIONS, await grantable(authority, caller.actor, key.teamId));
      return db.transaction((tx) =>
        db.within(tx, async () => {
          const made = await make(key, to, caller);
          // Last, as whoever changes resource servers does it; a key that has just ended has no successor.
          if ((await lockApiKey(tx, key.id, { kind: 'personal' })) === undefined) throw noSuchKey();
          await record(tx, key, made, caller);
          return made;
        }),
      );
    },
  };
}

/** Whether all that a permission permits reaches no further: to what belongs to a user, or to what the root team alone has. */
function isOnly(permission: string, reach: Rule['reach']): boolean {
  const rules: Rule[] = Object.values(OPERATIONS).filter((rule) => rule.permission === permission);
  return rules.length > 0 && rules.every((rule) => rule.reach === reach);
}

function requireWithin(scopes: readonly string[], rights: readonly string[]): void {
  if (scopes.length === 0) throw invalidField('scopes', 'name at least one');
  const others = scopes.filter((scope) => !rights.includes(scope));
  if (others.length > 0) throw invalidField('scopes', `more than the key could hand over: ${others.join(', ')}`);
}

function opensNothing(): AppError {
  return new AppError('failed_precondition', 'This key opens nothing any more, so there is nothing to hand over.');
}

function noSuchKey(): AppError {
  return new AppError('not_found', 'There is no such API key.');
}
