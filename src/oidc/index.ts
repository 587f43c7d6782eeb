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
import type { CredentialUses } from '../domain/credential-uses.ts';
import type { KeyGuesses } from '../domain/key-guesses.ts';
import type { LastUsed } from '../domain/last-used.ts';
import type { Registrations } from '../domain/registrations.ts';
import type { ResourceServers } from '../domain/resource-servers.ts';
import type { Revocations } from '../domain/revocations.ts';
import type { Sealing } from '../domain/sealing.ts';
import type { Sessions } from '../domain/sessions.ts';
import type { Settings } from '../domain/settings.ts';
import type { KeySet, SigningKeys } from '../domain/signing-keys.ts';
import { rightsBehind } from '../domain/token-rights.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database } from '../storage/pool.ts';
import { createAwaitLife, createVerifyAccessToken, useJwtAccessTokens } from './access-tokens.ts';
import { createFindAccount } from './account.ts';
import { createAdapterFactory, type GrantPayload } from './adapter.ts';
import { createActorOf, type RequestInfo, trailEvents } from './audit-trail.ts';
import { checkGrantType, requireAuthentication } from './client-authentication.ts';
import { registrationFor, useRegistrations } from './client-metadata.ts';
import { createConfiguration, type EnginePages } from './configuration.ts';
import { completeDiscovery } from './discovery.ts';
import { createInteractions } from './interactions.ts';
import { addProperty, useSteps } from './internals.ts';
import { createAllowedPolicy, createIntrospectStep } from './introspection.ts';
import { createOutboundFetch, type OutboundFetch } from './outbound.ts';
import {
  createCheckResource,
  createResourceServers,
  createTargets,
  type Targets,
  useResourceCheck,
} from './resource-servers.ts';
import { createRevocation } from './revocation.ts';
import { createRevocationFeed, type RevocationFeed } from './revocation-feed.ts';
import { createCheckScope } from './scopes.ts';
import { type BrowserSessions, createBrowserSessions } from './session.ts';
import type { SessionOrigin } from './session-adapter.ts';
import { createRequireEnabled, createSessionTtl, useSessionLifetimes } from './sign-in-settings.ts';
import { exchangedClaims, TOKEN_EXCHANGE, useTokenExchange } from './token-exchange/index.ts';
import { createUsageEndpoint } from './usage.ts';

export interface EngineOptions {
  config: Pick<Config, 'issuer' | 'lifetimes' | 'accessTokenAlg'>;
  db: Database;
  notifications: Notifications;
  sealing: Sealing;
  audit: Audit;
  authority: Authority;
  registrations: Registrations;
  resourceServers: Pick<ResourceServers, 'findForProtocol' | 'listOfClient'>;
  settings: Pick<Settings, 'current' | 'latest'>;
  sessions: Pick<Sessions, 'touch' | 'endByUid'>;
  apiKeys: ApiKeys;
  keyGuesses: KeyGuesses;
  signingKeys: SigningKeys;
  revocations: Revocations;
  lastUsed: LastUsed;
  credentialUses: Pick<CredentialUses, 'report' | 'count'>;
  pages: EnginePages;
  requestInfo: RequestInfo;
  /** Identifier of the server's own API: the `aud` of a token that names no other resource. */
  defaultResource: string;
  onError: (error: unknown, req: IncomingMessage | undefined) => void;
  /** Told the number of entries when the revocation list has become a long one. */
  onLongRevocationList?: (entries: number) => void;
  /** How addresses that clients name are fetched (default: from the public internet only). */
  outboundFetch?: OutboundFetch;
}

export interface Engine {
  /** Answers one request; the caller has checked its Host. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>;
  interactions: ReturnType<typeof createInteractions>;
  /** Who is logged in with a browser. */
  sessionOf: BrowserSessions['sessionOf'];
  browserSessions: BrowserSessions;
  /** The public keys tokens of this server can be verified with, now; the same object until they change. */
  publishedKeys(): { keys: JWK[] };
  /** Where resource servers learn what ended; mount it before `handle`. */
  revocationFeed: RevocationFeed;
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
  const revocationFeed = createRevocationFeed({
    issuer: config.issuer,
    alg: config.accessTokenAlg,
    revocations: options.revocations,
    isAvailable: () => notifications.available,
    onLongList: options.onLongRevocationList,
  });
  const takeUsage = createUsageEndpoint({
    ...options,
    addressOf: (req) => options.requestInfo(req).ip,
  });
  let published: { keys: JWK[] } = { keys: [] };
  let provider: Provider;
  let handle: (req: IncomingMessage, res: ServerResponse) => Promise<void>;
  const browserSessions = createBrowserSessions({
    ...options,
    issuer: config.issuer,
    provider: () => provider,
    sessionTtl: createSessionTtl(settings),
    originOf: createOriginOf(options.requestInfo),
  });
  let timer: NodeJS.Timeout | undefined;
  let begun = 0;
  let built = 0;

  // The engine cannot swap keys, but building it takes a millisecond: a change of keys is a new provider.
  async function rebuild(): Promise<void> {
    begun += 1;
    const mine = begun;
    const keys = await signingKeys.current();
    // What was begun later has read newer keys.
    if (keys.signing.length === 0 || mine < built) return;
    built = mine;
    published = { keys: keys.published };
    revocationFeed.signWith(keys);
    provider = createProvider(options, keys, targets);
    provider.use(takeUsage(provider));
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
    sessionOf: browserSessions.sessionOf,
    browserSessions,
    publishedKeys: () => published,
    revocationFeed,
    close: () => clearTimeout(timer),
  };
}

function createProvider(options: EngineOptions, keys: KeySet, targets: Targets): Provider {
  const { config, db, sealing, audit, authority, settings, revocations, lastUsed, defaultResource, onError } = options;
  const awaitLife = createAwaitLife(revocations, (claims) => rightsBehind(options, claims));
  const provider = new Provider(
    config.issuer,
    createConfiguration({
      ...config,
      cookieKeys: sealing.keysFor('cookies'),
      signingKeys: keys.signing,
      adapter: createAdapterFactory({ db, sealing, reuseGrace: config.lifetimes.reuseGrace }),
      findAccount: createFindAccount(authority),
      extraTokenClaims,
      // An exchange chose its moment before its last look at the subject: what ended since then ends the token too.
      beforeSigning: async (ctx, token, jwt) =>
        exchangedClaims(token as object) === undefined ? awaitLife(ctx, token, jwt) : undefined,
      defaultResource,
      resourceServers: createResourceServers({ defaultResource, targets, authority }),
      mayIntrospect: createAllowedPolicy({ targets, defaultResource }),
      sessionTtl: createSessionTtl(settings),
      pages: options.pages,
      outboundFetch: options.outboundFetch ?? createOutboundFetch(),
    }),
  );
  provider.proxy = true;

  const actorOf = createActorOf(options.requestInfo);
  const verifyAccessToken = createVerifyAccessToken(config.issuer, keys, revocations);
  addProperty(provider, 'Grant', 'teamId');
  addProperty(provider, 'Grant', 'named');
  useSessionLifetimes(provider, settings, createOriginOf(options.requestInfo));
  useRegistrations(provider, {
    registrations: options.registrations,
    onSecretUsed: (id) => lastUsed.touch('client_secrets', id),
  });
  useResourceCheck(provider, { targets, defaultResource });
  useJwtAccessTokens(provider, verifyAccessToken, defaultResource);
  const checkResource = createCheckResource(targets);
  const exchangeKey = useTokenExchange(provider, {
    ...options,
    targets,
    verifyAccessToken,
    addressOf: (ctx) => options.requestInfo(ctx.req).ip,
  });
  const revocation = createRevocation({ ...options, actorOf, verifyAccessToken });
  useSteps(provider, {
    requireEnabled: createRequireEnabled(settings),
    checkScope: createCheckScope(targets),
    requireAuthentication: (ctx, next) =>
      exchangeKey(ctx, () => revocation.withoutClient(ctx, () => requireAuthentication(ctx, next))),
    checkGrantType: (ctx, next) =>
      // An exchange uses nothing up, and says itself what is wrong with its resource.
      checkGrantType(ctx, () => (ctx.oidc.params!.grant_type === TOKEN_EXCHANGE ? next() : checkResource(ctx, next))),
    introspect: createIntrospectStep({ ...options, issuer: config.issuer, verifyAccessToken, targets }),
    revoke: revocation.withClient,
  });
  provider.use(completeDiscovery(config.issuer));
  trailEvents(provider, audit, actorOf);
  provider.on('grant.success', (ctx) => {
    // A key may come without a client.
    const registration = ctx.oidc.client && registrationFor(ctx.oidc.client);
    if (registration)
      lastUsed.touch(registration.kind === 'app' ? 'oauth_apps' : 'oauth_clients', registration.record.id);
    const { Grant, Account } = ctx.oidc.entities;
    if (Grant) lastUsed.touch('grants', Grant.jti);
    if (Account && ctx.oidc.params?.grant_type === 'refresh_token') lastUsed.touch('users', Account.accountId);
  });
  provider.on('server_error', (ctx, error) => onError(error, ctx.req));
  (provider as NodeJS.EventEmitter).on('error', (error: unknown) => onError(error, undefined));
  return provider;
}

/** Where a browser's session is used from. */
function createOriginOf(requestInfo: RequestInfo): (req: IncomingMessage) => SessionOrigin {
  return (req) => ({ ip: requestInfo(req).ip, userAgent: req.headers['user-agent'] ?? '' });
}

/** RFC 9068 §2.2.3 leaves room for them: the team a token acts in, and the consent it hangs on. */
function extraTokenClaims(
  ctx: KoaContextWithOIDC,
  token: { kind: string; grantId?: string },
): Record<string, unknown> | undefined {
  const exchanged = exchangedClaims(token);
  if (exchanged !== undefined) return exchanged;
  if (token.kind === 'ClientCredentials') {
    const registration = registrationFor(ctx.oidc.client!);
    return registration.kind === 'client' ? { team_id: registration.record.teamId } : undefined;
  }
  const grant = ctx.oidc.entities.Grant as GrantPayload | undefined;
  return grant?.teamId && token.grantId ? { team_id: grant.teamId, grant_id: token.grantId } : undefined;
}
