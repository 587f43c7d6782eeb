/** Our policy in the engine's vocabulary: features, lifetimes, cookies, routes. Everything not offered is switched off here. */

import type { JWK } from 'jose';
import { type Configuration, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';
import type { Lifetimes } from '../config.ts';
import { IDENTITY_SCOPES } from '../domain/permissions.ts';
import type { createAwaitLife } from './access-tokens.ts';
import { CLAIMS } from './account.ts';
import { namedBy } from './adapter.ts';
import { allowsOrigin } from './client-metadata.ts';
import type { createAllowedPolicy } from './introspection.ts';
import type { OutboundFetch } from './outbound.ts';
import type { createResourceServers } from './resource-servers.ts';
import { atLeastOne } from './sign-in-settings.ts';

export const ROUTES = {
  authorization: '/oauth2/authorize',
  token: '/oauth2/token',
  jwks: '/oauth2/jwks',
  userinfo: '/oauth2/userinfo',
  introspection: '/oauth2/introspect',
  revocation: '/oauth2/revoke',
  pushed_authorization_request: '/oauth2/par',
  end_session: '/oauth2/logout',
};

export const CLIENT_AUTH_METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'] as const;

/** RFC 9864 calls EdDSA by its curve; libraries use either name. */
export const CLIENT_AUTH_SIGNING_ALGS = ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'] as const;

/** How the server's pages are drawn; the http room provides them. */
export interface EnginePages {
  renderEngineError(
    ctx: KoaContextWithOIDC,
    out: { error: string; error_description?: string },
    error: Error,
  ): Promise<void> | void;
  renderLogout(ctx: KoaContextWithOIDC, formHtml: string): Promise<void> | void;
  renderLoggedOut(ctx: KoaContextWithOIDC): Promise<void> | void;
}

export interface ConfigurationOptions {
  issuer: string;
  lifetimes: Lifetimes;
  cookieKeys: Buffer[];
  signingKeys: JWK[];
  adapter: Configuration['adapter'];
  findAccount: Configuration['findAccount'];
  extraTokenClaims: Configuration['extraTokenClaims'];
  /** What happens to a JWT access token last, with its claims in `payload`. */
  beforeSigning: ReturnType<typeof createAwaitLife>;
  /** Identifier of the server's own API. */
  defaultResource: string;
  resourceServers: ReturnType<typeof createResourceServers>;
  /** Who is told about a refresh token. */
  mayIntrospect: ReturnType<typeof createAllowedPolicy>;
  /** Seconds a browser session lives from now. */
  sessionTtl: (session: object) => number;
  pages: EnginePages;
  outboundFetch: OutboundFetch;
}

export function createConfiguration(options: ConfigurationOptions): Configuration {
  const { lifetimes, pages } = options;
  return {
    adapter: options.adapter,
    jwks: { keys: options.signingKeys as never },
    findAccount: options.findAccount,
    extraTokenClaims: options.extraTokenClaims,
    formats: { customizers: { jwt: options.beforeSigning as never } },
    fetch: options.outboundFetch as never,
    routes: ROUTES,
    scopes: Object.keys(IDENTITY_SCOPES),
    claims: CLAIMS,
    responseTypes: ['code'],
    subjectTypes: ['public'],
    clientAuthMethods: [...CLIENT_AUTH_METHODS],
    // RFC 9700 §2.1.1: PKCE for every client, S256 only (the engine knows no other).
    pkce: { required: () => true },
    allowOmittingSingleRegisteredRedirectUri: false,
    clientBasedCORS: (_ctx, origin, client) => allowsOrigin(client, origin),
    extraClientMetadata: { properties: [] },
    clientDefaults: { id_token_signed_response_alg: 'RS256', response_types: ['code'] },
    enabledJWA: {
      // No symmetric algorithm anywhere: they would make a stored digest a usable key.
      idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'],
      clientAuthSigningAlgValues: [...CLIENT_AUTH_SIGNING_ALGS],
      dPoPSigningAlgValues: ['ES256', 'Ed25519', 'EdDSA', 'RS256', 'PS256'],
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: options.mayIntrospect as never },
      revocation: { enabled: true, allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId },
      pushedAuthorizationRequests: { enabled: true },
      dPoP: { enabled: true },
      userinfo: { enabled: true },
      resourceIndicators: options.resourceServers as never,
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: async (ctx, form) => pages.renderLogout(ctx, form),
        postLogoutSuccessSource: async (ctx) => pages.renderLoggedOut(ctx),
      },
      backchannelLogout: { enabled: false },
      claimsParameter: { enabled: false },
      deviceFlow: { enabled: false },
      registration: { enabled: false },
      requestObjects: { enabled: false },
    },
    renderError: async (ctx, out, error) => pages.renderEngineError(ctx, out, error),
    interactions: {
      url: (_ctx, interaction) => `/interaction/${interaction.uid}`,
      policy: createPolicy(options.defaultResource),
    },
    rotateRefreshToken: true,
    // design.md: granted whenever an app that may have it asks and the user consents, with or without openid or prompt=consent.
    issueRefreshToken: async (_ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    expiresWithSession: async (_ctx, token) => !(token as { scopes: Set<string> }).scopes.has('offline_access'),
    ttl: {
      // What ends nobody announces when its time has come: the token ends with it by itself.
      AccessToken: (ctx, token) =>
        atLeastOne(
          Math.min(
            token.resourceServer?.accessTokenTTL ?? lifetimes.accessToken,
            lifeLeft(ctx),
            remaining(ctx.oidc.entities.Grant?.exp),
          ),
        ),
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? lifetimes.accessToken,
      AuthorizationCode: lifetimes.authorizationCode,
      IdToken: lifetimes.idToken,
      // RFC 9700 §4.14.2: an unused one ends, and none outlives the consent it was given under.
      RefreshToken: (ctx) => atLeastOne(Math.min(lifetimes.refreshToken, remaining(ctx.oidc.entities.Grant?.exp))),
      Grant: lifetimes.grant,
      Interaction: lifetimes.interaction,
      Session: (_ctx, session) => options.sessionTtl(session),
    },
    cookies: createCookies(options),
  };
}

/** The cookie of a browser's session: its name, and how it is set. */
export function sessionCookie(issuer: string) {
  const secure = issuer.startsWith('https:');
  return {
    // The prefix makes browsers refuse a cookie planted by a neighbouring host or over plain http.
    name: secure ? '__Host-latchkey_session' : 'latchkey_session',
    options: { httpOnly: true, sameSite: 'lax', signed: true, secure, overwrite: true } as const,
  };
}

function createCookies({ issuer, cookieKeys }: ConfigurationOptions): Configuration['cookies'] {
  const { name, options: settings } = sessionCookie(issuer);
  const { secure } = settings;
  return {
    keys: cookieKeys as never,
    names: {
      session: name,
      interaction: secure ? '__Secure-latchkey_interaction' : 'latchkey_interaction',
      resume: secure ? '__Secure-latchkey_resume' : 'latchkey_resume',
    },
    long: settings,
    short: settings,
  };
}

function createPolicy(defaultResource: string) {
  const policy = interactionPolicy.base();
  const { Check } = interactionPolicy;
  policy.get('login')!.checks.add(
    new Check('account_gone', 'the account of this session is not available any more', 'login_required', (ctx) => {
      return ctx.oidc.session?.accountId !== undefined && ctx.oidc.account === undefined
        ? Check.REQUEST_PROMPT
        : Check.NO_NEED_TO_PROMPT;
    }),
  );
  policy.get('consent')!.checks.add(
    new Check('resource_not_named', 'access to this API was not consented to', 'consent_required', (ctx) => {
      const { Grant } = ctx.oidc.entities as { Grant?: { named?: string[] } };
      const named = Grant === undefined ? [] : namedBy(Grant, defaultResource);
      const isMissing = Object.keys(ctx.oidc.resourceServers ?? {}).some((one) => !named.includes(one));
      return isMissing ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT;
    }),
  );
  return policy;
}

/** Seconds until the user this is for expires. */
function lifeLeft(ctx: KoaContextWithOIDC): number {
  const { expiresAt } = (ctx.oidc.entities.Account ?? {}) as { expiresAt?: Date | undefined };
  return remaining(expiresAt && Math.floor(expiresAt.getTime() / 1000));
}

function remaining(exp: number | undefined): number {
  return exp === undefined ? Number.MAX_SAFE_INTEGER : exp - Math.floor(Date.now() / 1000);
}
