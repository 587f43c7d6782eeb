/** Our OAuth2 Apps and Clients as the client metadata the engine knows (RFC 7591 §2), and their secrets' comparison. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type Provider from 'oidc-provider';
import type { Client, ClientMetadata } from 'oidc-provider';
import { usesSecret } from '../domain/client-authentication.ts';
import type { Registration, Registrations } from '../domain/registrations.ts';
import { digestOf } from '../domain/secret-text.ts';
import { engineError } from './errors.ts';
import { TOKEN_EXCHANGE } from './token-exchange/request.ts';

// The engine wants a secret for clients that authenticate with one. Nobody knows this one: should our comparison ever
// be bypassed, no secret matches.
const UNKNOWABLE_SECRET = randomBytes(32).toString('base64url');

const registrationOf = new WeakMap<Client, Registration>();

/** The registration an engine client was built from. */
export function registrationFor(client: Client): Registration {
  const registration = registrationOf.get(client);
  if (registration === undefined) throw new Error('not a client of ours');
  return registration;
}

export interface ClientLookupOptions {
  registrations: Registrations;
  /** Called with the id of the secret that matched. */
  onSecretUsed: (secretId: string) => void;
}

/**
 * Makes `provider` find its clients in our tables. The engine's own lookup keeps 100 built clients and hashes the metadata
 * on every request; here a built client lives exactly as long as the cached registration it was built from. That is a minute
 * at most, and bounds how long keys fetched from a `jwks_uri` are good: the engine looks for new ones only when none fits.
 */
export function useRegistrations(provider: Provider, { registrations, onSecretUsed }: ClientLookupOptions): void {
  const built = new WeakMap<Registration, Client>();
  const EngineClient = provider.Client as unknown as {
    new (metadata: ClientMetadata): Client;
    find(id: string): Promise<Client | undefined>;
  };

  EngineClient.find = async (id) => {
    const registration = await registrations
      .findForProtocol(id)
      .catch((error: unknown) => Promise.reject(engineError(error)));
    if (registration === undefined || !registration.record.enabled) return undefined;
    let client = built.get(registration);
    if (client === undefined) {
      client = new EngineClient(toMetadata(registration));
      built.set(registration, client);
      registrationOf.set(client, registration);
    }
    return client;
  };

  provider.Client.prototype.compareClientSecret = function compareClientSecret(this: Client, actual: string): boolean {
    const digest = digestOf(actual);
    let matched: string | undefined;
    // All are compared, so that the time taken does not tell which one matched.
    for (const secret of registrationFor(this).secrets) {
      const live = secret.expiresAt === null || secret.expiresAt.getTime() > Date.now();
      if (timingSafeEqual(secret.digest, digest) && live) matched = secret.id;
    }
    if (matched !== undefined) onSecretUsed(matched);
    return matched !== undefined;
  };
}

function toMetadata(registration: Registration): ClientMetadata {
  const { record } = registration;
  const common = {
    client_id: record.clientId,
    client_name: record.name,
    token_endpoint_auth_method: record.tokenEndpointAuthMethod as ClientMetadata['token_endpoint_auth_method'],
    ...(usesSecret(record.tokenEndpointAuthMethod) && { client_secret: UNKNOWABLE_SECRET }),
    ...(record.jwks && { jwks: record.jwks as ClientMetadata['jwks'] }),
    ...(record.jwksUri && { jwks_uri: record.jwksUri }),
  };
  if (registration.kind === 'client') {
    return { ...common, grant_types: ['client_credentials', TOKEN_EXCHANGE], response_types: [], redirect_uris: [] };
  }
  const app = registration.record;
  const native = app.type === 'public' && !app.redirectUris.every((uri) => uri.startsWith('https:'));
  return {
    ...common,
    application_type: native ? 'native' : 'web',
    grant_types: [
      'authorization_code',
      ...(app.allowedScopes.includes('offline_access') ? ['refresh_token'] : []),
      // Whoever cannot prove who it is cannot act for anybody else (RFC 8693 §5).
      ...(app.type === 'confidential' ? [TOKEN_EXCHANGE] : []),
    ],
    response_types: ['code'],
    redirect_uris: app.redirectUris,
    post_logout_redirect_uris: app.postLogoutRedirectUris,
    id_token_signed_response_alg: app.idTokenSignedResponseAlg as ClientMetadata['id_token_signed_response_alg'],
  };
}

/** The origins whose scripts may call the token endpoints for this client: public apps, from where they are served (RFC 6749 §2.1). */
export function allowsOrigin(client: Client, origin: string): boolean {
  const registration = registrationFor(client);
  if (registration.kind !== 'app' || registration.record.type !== 'public' || origin === 'null') return false;
  return registration.record.redirectUris.some((uri) => URL.parse(uri)?.origin === origin);
}

/** Every scope `client` may ask for. */
export function allowedScopes(client: Client): ReadonlySet<string> {
  return new Set(registrationFor(client).record.allowedScopes);
}
