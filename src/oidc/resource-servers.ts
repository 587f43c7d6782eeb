/**
 * Resource indicators (RFC 8707): which API a token is for, and what its tokens look like (RFC 9068 JWTs). A request that
 * names no resource gets the server's own API; the others are registered.
 */
import Provider, { errors, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { Authority } from '../domain/authority.ts';
import { isScope, scopesWithin } from '../domain/permissions.ts';
import type { ResourceServer as RegisteredServer, ResourceServers } from '../domain/resource-servers.ts';
import type { SigningAlg } from '../domain/signing-keys.ts';
import { type GrantPayload, namedBy } from './adapter.ts';
import { allowedScopes, registrationFor } from './client-metadata.ts';
import { engineError } from './errors.ts';
import type { Step } from './internals.ts';
import { requireAllowed } from './scopes.ts';

/** An API that tokens can be for. */
export interface Target {
  /** Its identifier, the `aud` of its tokens. */
  resource: string;
  /** Whether a scope word means something there. */
  hasScope(word: string): boolean;
  /** Whether it has no scopes at all: then every client may ask for its tokens, which say who calls and no more. */
  isWithoutScopes: boolean;
  accessTokenTtl: number;
  alg: SigningAlg;
  /** Seconds; what was issued before was issued for another API under this name. */
  since: number;
  acceptsApiKeys: boolean;
  /** Whether it is the server's own API. */
  isOwn: boolean;
  /** The OAuth2 clients that are this API. */
  clientIds: readonly string[];
}

export interface TargetsOptions {
  /** The identifier of the server's own API. */
  defaultResource: string;
  accessTokenAlg: SigningAlg;
  accessTokenTtl: number;
  resourceServers: Pick<ResourceServers, 'findForProtocol' | 'listOfClient'>;
}

export interface Targets {
  /** Undefined when nothing is registered under that identifier. Failures are in the engine's words. */
  find(resource: string): Promise<Target | undefined>;
  /** The server's own API, and the registered ones that this client is. */
  ofClient(clientId: string): Promise<Target[]>;
  /**
   * The APIs a request names; its own one for none.
   * @param resource the request's parameter
   * @throws InvalidTarget when one of them is unknown, or there are too many
   */
  named(resource: unknown): Promise<Target[]>;
}

const MOST_RESOURCES = 10;

export function createTargets(options: TargetsOptions): Targets {
  const { defaultResource, resourceServers } = options;
  const own: Target = {
    resource: defaultResource,
    hasScope: isScope,
    isWithoutScopes: false,
    accessTokenTtl: options.accessTokenTtl,
    alg: options.accessTokenAlg,
    since: 0,
    acceptsApiKeys: true,
    isOwn: true,
    clientIds: [],
  };

  async function find(resource: string): Promise<Target | undefined> {
    if (resource === defaultResource) return own;
    const server = await resourceServers.findForProtocol(resource).catch((error: unknown) => {
      throw engineError(error);
    });
    return server && targetOf(server);
  }

  function targetOf(server: RegisteredServer): Target {
    const words = new Set(server.scopes.map(({ name }) => name));
    return {
      resource: server.identifier,
      hasScope: (word) => words.has(word),
      isWithoutScopes: words.size === 0,
      accessTokenTtl: server.accessTokenTtlSeconds,
      alg: server.signingAlg as SigningAlg,
      since: Math.floor(server.createdAt.getTime() / 1000),
      acceptsApiKeys: server.acceptsApiKeys,
      isOwn: false,
      clientIds: server.clientIds,
    };
  }

  return {
    find,
    ofClient: async (clientId) => [own, ...(await resourceServers.listOfClient(clientId)).map(targetOf)],
    async named(resource = defaultResource) {
      const named = [resource].flat();
      if (named.length > MOST_RESOURCES) throw new errors.InvalidTarget('too many resource indicators');
      return Promise.all(
        named.map(async (one) => {
          const target = await find(String(one));
          if (target === undefined) throw new errors.InvalidTarget();
          return target;
        }),
      );
    },
  };
}

/** The token endpoint's step before a code or refresh token is used up: a mistaken resource must not cost it. */
export function createCheckResource(targets: Targets): Step {
  return async (ctx, next) => {
    await targets.named(ctx.oidc.params!.resource);
    await next();
  };
}

/** What the engine asks about the API a token is for: how the token is made. */
export function serverInfo(target: Target, scopes: readonly string[]): ResourceServer {
  return {
    scope: scopes.join(' '),
    audience: target.resource,
    accessTokenFormat: 'jwt',
    accessTokenTTL: target.accessTokenTtl,
    jwt: { sign: { alg: target.alg } },
  } as ResourceServer;
}

export interface ResourceServersOptions {
  defaultResource: string;
  targets: Targets;
  authority: Pick<Authority, 'permissionsIn'>;
}

/** The `features.resourceIndicators` part of the engine's configuration. */
export function createResourceServers({ defaultResource, targets, authority }: ResourceServersOptions) {
  async function scopesFor(ctx: KoaContextWithOIDC, target: Target): Promise<string[]> {
    const client = ctx.oidc.client!;
    const grant = ctx.oidc.entities.Grant as GrantPayload | undefined;
    const allowed = [...allowedScopes(client)].filter(target.hasScope);
    if (allowed.length === 0 && !target.isWithoutScopes) {
      throw new errors.InvalidTarget('no scope of the requested resource is allowed to this client');
    }
    if (registrationFor(client).kind === 'client') {
      // No scope asked for: everything the client is allowed there, as machine clients expect.
      const asked = ctx.oidc.params!.scope ?? allowed.join(' ');
      if (asked !== '') ctx.oidc.params!.scope = requireAllowed(client, String(asked), [target]).join(' ');
      return allowed;
    }
    if (ctx.oidc.route !== 'token' || !grant?.teamId || !grant.accountId) return allowed;
    if (!namedBy(grant, defaultResource).includes(target.resource))
      throw new errors.InvalidTarget('access to it was not consented to');
    // A resource server sees only the token, so the token never says more than its user may do at this moment.
    const permissions = await authority.permissionsIn(grant.accountId, grant.teamId);
    return scopesWithin(allowed, permissions ?? new Set());
  }

  return {
    enabled: true,
    /** Also asked which one of several it is to be: only one of them can be meant without a word. */
    defaultResource: (_ctx: KoaContextWithOIDC, _client: unknown, oneOf?: string[]) =>
      oneOf === undefined || oneOf.includes(defaultResource) ? defaultResource : oneOf,
    useGrantedResource: () => true,
    async getResourceServerInfo(ctx: KoaContextWithOIDC, resource: string): Promise<ResourceServer> {
      const target = await targets.find(resource);
      if (target === undefined) throw new errors.InvalidTarget();
      const scopes = await scopesFor(ctx, target).catch((error: unknown) => Promise.reject(engineError(error)));
      return serverInfo(target, scopes);
    },
  };
}

interface Consumable {
  resource?: string | string[];
  consume(): Promise<void>;
}

/** Before a code or refresh token is used up: whatever resource it cannot be used for must not cost it. */
export function useResourceCheck(
  provider: Provider,
  { targets, defaultResource }: Pick<ResourceServersOptions, 'targets' | 'defaultResource'>,
): void {
  for (const Model of [provider.AuthorizationCode, provider.RefreshToken]) {
    const prototype = Model.prototype as unknown as Consumable;
    const { consume } = prototype;
    prototype.consume = async function consumeFor() {
      const { params, client } = Provider.ctx!.oidc;
      const granted = [this.resource ?? []].flat();
      const asked = [(params!.resource as string | string[] | undefined) ?? granted].flat();
      // Of several the server's own API is meant without a word, as in `defaultResource` above.
      const chosen = asked.includes(defaultResource) ? defaultResource : asked.length === 1 ? asked[0] : undefined;
      if (chosen === undefined || !granted.includes(chosen)) throw new errors.InvalidTarget();
      const target = await targets.find(chosen);
      if (target === undefined) throw new errors.InvalidTarget();
      if (!target.isWithoutScopes && ![...allowedScopes(client!)].some(target.hasScope))
        throw new errors.InvalidTarget();
      return consume.call(this);
    };
  }
}
