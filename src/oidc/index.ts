/**
 * The protocol room: tells the engine (oidc-provider) who we are. It owns policy, clients as the engine sees them,
 * persistence of the engine's models, signing keys in use, introspection and revocation. It owns no page and no SQL, and decides nothing
 * about users or keys: that is the domain's.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JWK } from 'jose';
import Provider, { type KoaContextWithOIDC } from 'oidc-provider';
import type { Config } from '../config.ts';
import type { ApiKeys } from '../domain/api-keys.ts';
import type { Audit } from '../domain/audit.ts';
import type { Authority } from '../domain/authority.ts';
import type { LastUsed } from '../domain/last-used.ts';
import type { Registrations } from '../domain/registrations.ts';
import type { ResourceServers } from '../domain/resource-servers.ts';
import type { RevokedTokens } from '../domain/revoked-tokens.ts';
import type { Sealing } from '../domain/sealing.ts';
import type { Settings } from '../domain/settings.ts';
import type { KeySet, SigningKeys } from '../domain/signing-keys.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database } from '../storage/pool.ts';
import { createVerifyAccessToken, useJwtAccessTokens } from './access-tokens.ts';
import { createFindAccount } from './account.ts';
import { createAdapterFactory, type GrantPayload } from './adapter.ts';
import { createActorOf, type RequestInfo, trailEvents } from './audit-trail.ts';
import { checkGrantType, requireAuthentication } from './client-authentication.ts';
import { registrationFor, useRegistrations } from './client-metadata.ts';
import { createConfiguration, type EnginePages } from './configuration.ts';
import { completeDiscovery } from './discovery.ts';
import { createInteractions } from './interactions.ts';
import { addProperty, useSteps } from './internals.ts';
import { createIntrospectStep } from './introspection.ts';
import { createOutboundFetch, type OutboundFetch } from './outbound.ts';
import {
  createCheckResource,
  createResourceServers,
  createTargets,
  type Targets,
  useResourceCheck,
} from './resource-servers.ts';
import { createRevokeStep } from './revocation.ts';
import { createCheckScope } from './scopes.ts';
import { createSessionOf } from './session.ts';
import { createRequireEnabled, createSessionTtl, useSessionLifetimes } from './sign-in-settings.ts';

export interface EngineOptions {
  config: Pick<Config, 'issuer' | 'lifetimes' | 'accessTokenAlg'>;
  db: Database;
  notifications: Notifications;
  sealing: Sealing;
  audit: Audit;
  authority: Authority;
  registrations: Registrations;
  resourceServers: Pick<ResourceServers, 'findForProtocol'>;
  settings: Pick<Settings, 'current' | 'latest'>;
  apiKeys: Pick<ApiKeys, 'verify' | 'mayBeImported'>;
  signingKeys: SigningKeys;
  revokedTokens: RevokedTokens;
  lastUsed: LastUsed;
  pages: EnginePages;
  requestInfo: RequestInfo;
  /** Identifier of the server's own API: the `aud` of a token that names no other resource. */
  defaultResource: string;
  onError: (error: unknown, req: IncomingMessage | undefined) => void;
  /** How addresses that clients name are fetched (default: from the public internet only). */
  outboundFetch?: OutboundFetch;
}

export interface Engine {
  /** Answers one request; the caller has checked its Host. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>;
  interactions: ReturnType<typeof createInteractions>;
  /** Who is logged in with a browser. */
  sessionOf: ReturnType<typeof createSessionOf>;
  /** The public keys tokens of this server can be verified with, now; the same object until they change. */
  publishedKeys(): { keys: JWK[] };
  close(): void;
}

/** The longest Node can wait in one timer; a later change is looked at again then. */
const LONGEST_WAIT_MS = 24 * 3600 * 1000;

/** The engine builds itself when `notifications` first connects: its keys are in the database. */
export function createEngine(options: EngineOptions): Engine {
  const { config, notifications, settings, signingKeys, onError } = options;
  const targets = createTargets({
    defaultResource: options.defaultResource,
    accessTokenAlg: config.accessTokenAlg,
    accessTokenTtl: config.lifetimes.accessToken,
    resourceServers: options.resourceServers,
  });
  let published: { keys: JWK[] } = { keys: [] };
  let provider: Provider;
  let handle: (req: IncomingMessage, res: ServerResponse) => Promise<void>;
  let timer: NodeJS.Timeout | undefined;

  // The engine cannot swap keys, but building it takes a millisecond: a change of keys is a new provider.
  async function rebuild(): Promise<void> {
    const keys = await signingKeys.current();
    if (keys.signing.length === 0) return;
    published = { keys: keys.published };
    provider = createProvider(options, keys, targets);
    handle = provider.callback() as unknown as typeof handle;
    clearTimeout(timer);
    if (keys.changesAt === undefined) return;
    const wait = Math.min(LONGEST_WAIT_MS, Math.max(0, keys.changesAt.getTime() - Date.now()) + 50);
    timer = setTimeout(() => rebuild().catch((error: unknown) => onError(error, undefined)), wait);
    timer.unref();
  }
  notifications.on('signing_keys', async (kid) => {
    if (kid === undefined) await rebuild();
    else await rebuild().catch((error: unknown) => onError(error, undefined));
  });

  const { host, protocol } = new URL(config.issuer);
  return {
    async handle(req, res) {
      // The engine builds its URLs from the request; whatever came in, they are the issuer's.
      req.headers['x-forwarded-host'] = host;
      req.headers['x-forwarded-proto'] = protocol.slice(0, -1);
      await handle(req, res);
    },
    interactions: createInteractions({
      provider: () => provider,
      defaultResource: options.defaultResource,
      targets,
      settings,
    }),
    sessionOf: createSessionOf(() => provider, options.authority),
    publishedKeys: () => published,
    close: () => clearTimeout(timer),
  };
}

function createProvider(options: EngineOptions, keys: KeySet, targets: Targets): Provider {
  const { config, db, sealing, audit, authority, settings, revokedTokens, lastUsed, defaultResource, onError } =
    options;
  const provider = new Provider(
    config.issuer,
    createConfiguration({
      ...config,
      cookieKeys: sealing.keysFor('cookies'),
      signingKeys: keys.signing,
      adapter: createAdapterFactory({ db, sealing, reuseGrace: config.lifetimes.reuseGrace }),
      findAccount: createFindAccount(authority),
      extraTokenClaims,
      defaultResource,
      resourceServers: createResourceServers({ defaultResource, targets, authority }),
      sessionTtl: createSessionTtl(settings),
      pages: options.pages,
      outboundFetch: options.outboundFetch ?? createOutboundFetch(),
    }),
  );
  provider.proxy = true;

  const actorOf = createActorOf(options.requestInfo);
  const verifyAccessToken = createVerifyAccessToken(config.issuer, keys, revokedTokens);
  addProperty(provider, 'Grant', 'teamId');
  addProperty(provider, 'Grant', 'named');
  useSessionLifetimes(provider, settings);
  useRegistrations(provider, {
    registrations: options.registrations,
    onSecretUsed: (id) => lastUsed.touch('client_secrets', id),
  });
  useResourceCheck(provider, { targets, defaultResource });
  useJwtAccessTokens(provider, verifyAccessToken, defaultResource);
  const checkResource = createCheckResource(targets);
  useSteps(provider, {
    requireEnabled: createRequireEnabled(settings),
    checkScope: createCheckScope(targets),
    requireAuthentication,
    checkGrantType: (ctx, next) => checkGrantType(ctx, () => checkResource(ctx, next)),
    introspect: createIntrospectStep({ ...options, issuer: config.issuer, verifyAccessToken, targets }),
    revoke: createRevokeStep({ db, audit, actorOf, revokedTokens, verifyAccessToken }),
  });
  provider.use(completeDiscovery(config.issuer));
  trailEvents(provider, audit, actorOf);
  provider.on('grant.success', (ctx) => {
    const { kind, record } = registrationFor(ctx.oidc.client!);
    lastUsed.touch(kind === 'app' ? 'oauth_apps' : 'oauth_clients', record.id);
    const { Grant, Account } = ctx.oidc.entities;
    if (Grant) lastUsed.touch('grants', Grant.jti);
    if (Account && ctx.oidc.params?.grant_type === 'refresh_token') lastUsed.touch('users', Account.accountId);
  });
  provider.on('server_error', (ctx, error) => onError(error, ctx.req));
  (provider as NodeJS.EventEmitter).on('error', (error: unknown) => onError(error, undefined));
  return provider;
}

/** RFC 9068 §2.2.3 leaves room for them: the team a token acts in, and the consent it hangs on. */
function extraTokenClaims(
  ctx: KoaContextWithOIDC,
  token: { kind: string; grantId?: string },
): Record<string, string> | undefined {
  if (token.kind === 'ClientCredentials') {
    const registration = registrationFor(ctx.oidc.client!);
    return registration.kind === 'client' ? { team_id: registration.record.teamId } : undefined;
  }
  const grant = ctx.oidc.entities.Grant as GrantPayload | undefined;
  return grant?.teamId && token.grantId ? { team_id: grant.teamId, grant_id: token.grantId } : undefined;
}
