/**
 * Checks credentials in this very process: the options of the published resource middleware, with the parts that live here
 * in place of its remote ones. On top of what a credential says stands what its owner may do at this moment.
 */
import { type ApiKeys, subjectOf } from '../domain/api-keys.ts';
import { type CredentialUses, useOf } from '../domain/credential-uses.ts';
import { derivationOf, keyWord } from '../domain/derivation.ts';
import type { LastUsed } from '../domain/last-used.ts';
import { isPermission } from '../domain/permissions.ts';
import type { ResourceServer } from '../domain/resource-servers.ts';
import { noticeOf } from '../domain/retirements.ts';
import type { Revocations } from '../domain/revocations.ts';
import { rightsBehind, type TokenRightsOptions } from '../domain/token-rights.ts';
import type { Principal, ResourceOptions } from '../resource/index.ts';

export interface LocalCheckOptions extends TokenRightsOptions {
  issuer: string;
  publishedKeys: NonNullable<ResourceOptions['jwks']>;
  isRevoked: Revocations['isRevoked'];
  apiKeys: TokenRightsOptions['apiKeys'] & Pick<ApiKeys, 'check' | 'mayBeImported'>;
  lastUsed: Pick<LastUsed, 'touch'>;
  credentialUses: Pick<CredentialUses, 'count'>;
  /** Told what kept credentials from being checked. */
  onError: (error: unknown) => void;
}

/** An API whose credentials are checked here. */
export interface LocalApi {
  /** Its identifier, the `aud` of its tokens. */
  audience: string;
  /** Whether a scope word means something there. */
  hasScope(word: string): boolean;
  acceptsApiKeys: boolean;
  /** Seconds; tokens of before were issued for another API under this name. */
  since: number;
}

export interface LocalCheck {
  options: ResourceOptions;
  /** The principal of an admitted request with what counts at this moment of its scopes. Notes the use of its consent. */
  narrow(principal: Principal): Principal;
}

/** The server's own API. */
export function ownApi(audience: string): LocalApi {
  return { audience, hasScope: isPermission, acceptsApiKeys: true, since: 0 };
}

/** A registered resource server. */
export function registeredApi({ identifier, scopes, acceptsApiKeys, createdAt }: ResourceServer): LocalApi {
  const words = new Set(scopes.map(({ name }) => name));
  const since = Math.floor(createdAt.getTime() / 1000);
  return { audience: identifier, hasScope: (word) => words.has(word), acceptsApiKeys, since };
}

/** Notes that an admitted request was one more of its credential; of a token that was got for a key, of that. */
export function countUse(uses: Pick<CredentialUses, 'count'>, principal: Principal): void {
  const { teamId, credential, clientId = '', claims } = principal;
  const keyId = derivationOf({ derived_from: claims?.derived_from })?.keyId;
  const ofToken = keyId === undefined ? clientId : keyWord(keyId);
  const id = credential.kind === 'access_token' ? ofToken : credential.id;
  const use = useOf({ teamId, credential: credential.kind, id });
  if (use !== undefined) uses.count(use);
}

/** What `authenticate` or `createAuthenticator` of the middleware need to check the credentials of `api` in this process. */
export function createResourceOptions(options: LocalCheckOptions, api: LocalApi): LocalCheck {
  const { issuer, apiKeys, lastUsed } = options;
  // What was found behind a token when it was checked, for what follows a moment later in the same request.
  const rightsOf = new WeakMap<object, ReadonlySet<string>>();

  const verifyApiKey: NonNullable<ResourceOptions['verifyApiKey']> = async (text) => {
    const key = await apiKeys.check(text);
    if (key === undefined) return undefined;
    if ('retired' in key) {
      // Whoever still calls with it is to be found.
      options.credentialUses.count({ teamId: key.teamId, kind: `${key.kind}_key`, credential: key.id });
      return { retired: noticeOf(key.retired) };
    }
    return {
      kind: key.kind === 'personal' ? 'user' : 'team',
      credential: { kind: key.kind === 'personal' ? 'personal_key' : 'team_key', id: key.id },
      subject: subjectOf(key),
      teamId: key.teamId,
      scopes: [...key.scopes].filter(api.hasScope),
      ...(key.expiresAt && { expiresAt: Math.floor(key.expiresAt.getTime() / 1000) }),
      ...(key.retirement && { notice: noticeOf(key.retirement) }),
    };
  };

  return {
    options: {
      issuer,
      audience: api.audience,
      jwks: options.publishedKeys,
      onError: options.onError,
      // Ended before its time: the token itself, its consent, what it was made from, or whoever it was issued to or for.
      async isRevoked(claims) {
        if (options.isRevoked(claims) || Number(claims.iat) < api.since) return true;
        if (!api.acceptsApiKeys && derivationOf({ derived_from: claims.derived_from })?.keyId !== undefined)
          return true;
        const rights = await rightsBehind(options, claims);
        if (rights !== undefined) rightsOf.set(claims, rights);
        return rights === undefined;
      },
      legacyKeys: apiKeys.mayBeImported,
      ...(api.acceptsApiKeys && { verifyApiKey }),
    },
    narrow(principal) {
      // A key's scopes are what it may do now already.
      if (principal.credential.kind !== 'access_token') return principal;
      const grantId = principal.claims?.grant_id;
      if (typeof grantId === 'string') lastUsed.touch('grants', grantId);
      const rights = rightsOf.get(principal.claims ?? {});
      return { ...principal, scopes: principal.scopes.filter((scope) => api.hasScope(scope) && rights?.has(scope)) };
    },
  };
}
