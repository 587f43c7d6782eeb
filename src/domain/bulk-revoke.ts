/**
 * Ending many credentials of any kind at once, each by its own rule: a key is revoked, a client disabled, the consent an
 * app acts by ended. Nothing that one caller may not do one by one can be done here.
 */
import { AppError } from '../errors.ts';
import type { ApiKeys } from './api-keys.ts';
import { authorize, type Caller, type OperationId, ownReach, teamReach } from './authorization.ts';
import type { ConnectedApps } from './connected-apps.ts';
import type { Credential, CredentialKind, Credentials } from './credentials.ts';
import { isUuid } from './names.ts';
import type { OauthClients } from './oauth-clients.ts';

/** As the inventory calls it: the id of a key or client, or of the consent of an app. */
export interface CredentialReference {
  kind: CredentialKind;
  id: string;
}

export interface EndedCredential extends CredentialReference {
  /** What it was before; undefined when the caller's reach has no such credential. */
  credential: Credential | undefined;
  /** `gone`: there is none, or it ended meanwhile. `failed`: nothing was changed, and it can be tried again. */
  outcome: 'ended' | 'not_permitted' | 'gone' | 'failed';
}

/** Most credentials of one call. */
export const MOST_AT_ONCE = 100;

export interface BulkRevoke {
  /** Those that are within the caller's reach, in the order of the references; `mayEnd` tells what the caller may do. */
  find(references: readonly CredentialReference[], caller: Caller): Promise<(Credential & { mayEnd: boolean })[]>;
  /**
   * Ends them one after the other; what one of them comes to changes nothing for the rest. Repeating it is harmless.
   * @throws AppError `invalid_argument` for more than `MOST_AT_ONCE`, before anything is ended
   */
  end(references: readonly CredentialReference[], caller: Caller): Promise<EndedCredential[]>;
}

export interface BulkRevokeOptions {
  apiKeys: Pick<ApiKeys, 'revoke'>;
  oauthClients: Pick<OauthClients, 'disable'>;
  connectedApps: Pick<ConnectedApps, 'disconnect'>;
  credentials: Pick<Credentials, 'list'>;
}

export function createBulkRevoke({ apiKeys, oauthClients, connectedApps, credentials }: BulkRevokeOptions): BulkRevoke {
  async function findAll(references: readonly CredentialReference[], caller: Caller) {
    if (references.length > MOST_AT_ONCE) {
      throw new AppError('invalid_argument', `Choose at most ${MOST_AT_ONCE} credentials.`);
    }
    const ids = references.map(({ id }) => id).filter(isUuid);
    const found = ids.length === 0 ? [] : await credentials.list({ ids, ...teamReach(caller) }, { limit: ids.length });
    return new Map(found.map((one) => [`${one.kind} ${one.id}`, one]));
  }

  async function end(one: Credential, caller: Caller): Promise<void> {
    const reach = reachOf(one, caller);
    const { id, userId, teamId, clientId } = one;
    if (one.kind === 'oauth2_client') await oauthClients.disable(id, reach, caller.actor);
    else if (one.kind === 'oauth2_app') {
      await connectedApps.disconnect(clientId ?? '', { userId: userId ?? '', teamId }, caller.actor);
    } else {
      await apiKeys.revoke(id, { kind: one.kind === 'team_key' ? 'team' : 'personal', ...reach }, caller.actor);
    }
  }

  return {
    async find(references, caller) {
      const known = await findAll(references, caller);
      return references.flatMap(({ kind, id }) => {
        const one = known.get(`${kind} ${id}`);
        return one === undefined ? [] : [{ ...one, mayEnd: mayEnd(one, caller) }];
      });
    },
    async end(references, caller) {
      const known = await findAll(references, caller);
      const ended: EndedCredential[] = [];
      // Consents of one user to one app in one team end together, with the first of them.
      const consents = new Set<string>();
      for (const { kind, id } of references) {
        const credential = known.get(`${kind} ${id}`);
        const consent = kind === 'oauth2_app' && credential ? consentOf(credential) : undefined;
        const isEnded = consent !== undefined && consents.has(consent);
        const outcome =
          credential === undefined ? 'gone' : isEnded ? 'ended' : await outcomeOf(() => end(credential, caller));
        if (consent !== undefined && outcome === 'ended') consents.add(consent);
        ended.push({ kind, id, credential, outcome });
      }
      return ended;
    },
  };
}

/** The permission that ending one of a kind needs. */
const OPERATION: Record<Exclude<CredentialKind, 'oauth2_app'>, OperationId> = {
  personal_key: 'api_keys.revoke',
  team_key: 'team_keys.revoke',
  oauth2_client: 'oauth_clients.disable',
};

/**
 * What the caller may end of this kind.
 * @throws AppError `permission_denied` when this one is not in it
 */
function reachOf(one: Credential, caller: Caller): { teamId?: string; userId?: string } {
  if (one.kind !== 'oauth2_app' && one.kind !== 'personal_key') {
    authorize(caller, OPERATION[one.kind]);
    return teamReach(caller);
  }
  const isOwn = one.userId === caller.userId;
  // A consent of somebody else is ended by whoever may end that user's keys.
  const operation = one.kind === 'oauth2_app' && isOwn ? 'connected_apps.delete' : OPERATION.personal_key;
  authorize(caller, operation);
  const reach = ownReach(caller, operation);
  if (reach.userId !== undefined && !isOwn) throw new AppError('permission_denied', 'This belongs to another user.');
  return reach;
}

function mayEnd(one: Credential, caller: Caller): boolean {
  try {
    reachOf(one, caller);
    return true;
  } catch (error) {
    if (error instanceof AppError && error.kind === 'permission_denied') return false;
    throw error;
  }
}

async function outcomeOf(work: () => Promise<void>): Promise<EndedCredential['outcome']> {
  try {
    await work();
    return 'ended';
  } catch (error) {
    // A mistake of ours is not for the list of results.
    if (!(error instanceof AppError) || error.kind === 'internal') throw error;
    if (error.kind === 'permission_denied') return 'not_permitted';
    return error.kind === 'not_found' ? 'gone' : 'failed';
  }
}

function consentOf({ clientId, userId, teamId }: Credential): string {
  return `${clientId} ${userId} ${teamId}`;
}
