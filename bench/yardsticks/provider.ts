/**
 * oidc-provider with the least configuration that does what the workloads ask: JWT access tokens without asking for a
 * resource, opaque ones for the resource `/opaque`, refresh tokens, introspection, revocation, login and consent answered
 * at once. Not part of it: anything Latchkey adds.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import Provider, { type Configuration, type ResourceServer } from 'oidc-provider';

/** What every yardstick is told by whoever starts it. */
export interface YardstickSettings {
  port: number;
  /** JSON: `[[client_id, client_secret], …]`. */
  clientsFile: string;
  algorithm: 'ES256' | 'RS256';
}

/** Reads the settings a contender was started with. */
export function readSettings(): YardstickSettings {
  const { PORT, CLIENTS_FILE, ALGORITHM } = process.env;
  return { port: Number(PORT), clientsFile: CLIENTS_FILE ?? '', algorithm: ALGORITHM === 'RS256' ? 'RS256' : 'ES256' };
}

export function readClients(file: string): [id: string, secret: string][] {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** The metadata of one service client. */
export function serviceClient([client_id, client_secret]: [string, string]) {
  return {
    client_id,
    client_secret,
    token_endpoint_auth_method: 'client_secret_post' as const,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  };
}

/** The metadata of the one app that W2's flows go through. */
export const FLOW_APP = {
  client_id: 'app_bench',
  client_secret: 'bench-secret-bench-secret-bench-secret',
  token_endpoint_auth_method: 'client_secret_post' as const,
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: ['http://localhost:9/callback'],
  response_types: ['code' as const],
  id_token_signed_response_alg: 'RS256' as const,
};

/** Starts a provider with these additions and says `ready` on its output. */
export function serve({ port, algorithm }: YardstickSettings, additions: Configuration): void {
  const issuer = `http://localhost:${port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [newKey(algorithm), ...(algorithm === 'RS256' ? [] : [newKey('RS256')])] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: async () => ({ sub, email: sub }) }),
    issueRefreshToken: async () => true,
    rotateRefreshToken: () => true,
    scopes: ['openid', 'offline_access', 'profile', 'email', 'providers:read'],
    claims: { email: ['email'], profile: ['name'] },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `${issuer}/api`,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource): ResourceServer => {
          const scope = 'providers:read providers:write';
          return resource.includes('/opaque')
            ? {
                scope,
                audience: resource,
                accessTokenFormat: 'opaque',
                accessTokenTTL: resource.endsWith('/short') ? 2 : 600,
              }
            : {
                scope,
                audience: `${issuer}/api`,
                accessTokenFormat: 'jwt',
                accessTokenTTL: 600,
                jwt: { sign: { alg: algorithm } },
              };
        },
      },
    },
    ...additions,
  });
  const engine = provider.callback();
  createServer((request, response) => {
    if (request.url?.startsWith('/interaction/')) {
      answerInteraction(provider, request, response).catch((error: Error) =>
        response.writeHead(500).end(error.message),
      );
    } else {
      engine(request, response);
    }
  }).listen(port, '127.0.0.1', () => console.log('ready'));
}

/** Logs the one user in, or consents to everything, without showing a page. */
async function answerInteraction(
  provider: Provider,
  request: Parameters<Provider['interactionDetails']>[0],
  response: Parameters<Provider['interactionDetails']>[1],
): Promise<void> {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'bench@example.com' } });
  }
  const grant = new provider.Grant({ accountId: session!.accountId, clientId: String(params.client_id) });
  grant.addOIDCScope(String(params.scope));
  grant.addResourceScope(`${provider.issuer}/api`, String(params.scope));
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

function newKey(algorithm: 'ES256' | 'RS256') {
  const pair =
    algorithm === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...pair.privateKey.export({ format: 'jwk' }), alg: algorithm, use: 'sig', kid: `bench-${algorithm}` };
}
