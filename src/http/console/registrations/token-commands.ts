/** What somebody pastes to try a new app or client: settings for its `.env`, an address for a browser, commands for a shell. */
import { createHash, randomBytes } from 'node:crypto';
import type { OauthApp } from '../../../domain/oauth-apps.ts';
import type { OauthClient } from '../../../domain/oauth-clients.ts';
import { isScope } from '../../../domain/permissions.ts';
import type { ResourceServers } from '../../../domain/resource-servers.ts';
import { shellQuote } from '../../shell-quote.ts';

export interface Snippet {
  title: string;
  text: string;
}

export interface TokenCommandsOptions {
  issuer: string;
  resourceServers: Pick<ResourceServers, 'findByScope'>;
}

/** @param secret undefined: a shell variable stands for it */
export async function appCommands(
  { issuer, resourceServers }: TokenCommandsOptions,
  app: OauthApp,
  secret: string | undefined,
): Promise<Snippet[]> {
  const [redirectUri = ''] = app.redirectUris;
  const { scope, resource } = await oneApi(resourceServers, app.allowedScopes);
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: app.clientId,
    redirect_uri: redirectUri,
    scope,
    ...(resource !== undefined && { resource }),
    state: randomBytes(12).toString('base64url'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  return [
    { title: '.env', text: envFile(issuer, app, secret, { REDIRECT_URI: redirectUri }) },
    {
      title: 'Try it: open this in a browser, allow it, and take the code out of the address you are sent to',
      text: `${issuer}/oauth2/authorize?${query}`,
    },
    {
      title: 'Then get tokens: set CODE to the code first',
      text: curl(`${issuer}/oauth2/token`, [
        ...proof(app, issuer, secret),
        'grant_type=authorization_code',
        '"code=$CODE"',
        `redirect_uri=${redirectUri}`,
        `code_verifier=${verifier}`,
        ...(resource === undefined ? [] : [`resource=${resource}`]),
      ]),
    },
  ];
}

/** @param secret undefined: a shell variable stands for it */
export async function clientCommands(
  { issuer, resourceServers }: TokenCommandsOptions,
  client: OauthClient,
  secret: string | undefined,
): Promise<Snippet[]> {
  const { scope, resource } = await oneApi(resourceServers, client.allowedScopes);
  const parameters = [
    ...proof(client, issuer, secret),
    'grant_type=client_credentials',
    `scope=${scope}`,
    ...(resource === undefined ? [] : [`resource=${resource}`]),
  ];
  const reads = resource === undefined && client.allowedScopes.includes('providers:read');
  const target = resource === undefined ? '' : `?${new URLSearchParams({ resource })}`;
  const getToken = curl(`${issuer}/oauth2/token`, parameters);
  return [
    { title: '.env', text: envFile(issuer, client, secret, {}) },
    { title: 'Get a token', text: getToken },
    {
      title: 'Call an API with it',
      text: `curl --include --header "Authorization: Bearer ${tokenFrom(getToken)}" \\\n  ${shellQuote(
        reads ? `${issuer}/api/v1/providers` : `${issuer}/oauth2/verify${target}`,
      )}`,
    },
  ];
}

/** The variable, or where that is not set a new token; one that needs an assertion is left to whoever signs it. */
function tokenFrom(getToken: string): string {
  if (getToken.startsWith('#')) return '$ACCESS_TOKEN';
  const silent = getToken.replace('curl ', 'curl --silent ');
  return `\${ACCESS_TOKEN:-$(${silent} |\n  sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')}`;
}

/** A token is for one API: the server's own if it is allowed anything there, otherwise the first it is allowed. */
async function oneApi(resourceServers: Pick<ResourceServers, 'findByScope'>, scopes: readonly string[]) {
  const own = scopes.filter(isScope);
  if (own.length > 0) return { scope: own.join(' '), resource: undefined };
  const server = await resourceServers.findByScope(scopes[0] ?? '');
  const there = scopes.filter((scope) => server?.scopes.some(({ name }) => name === scope));
  return { scope: there.join(' '), resource: server?.identifier };
}

type Owner = Pick<OauthApp, 'clientId' | 'tokenEndpointAuthMethod'>;

function envFile(issuer: string, owner: Owner, secret: string | undefined, more: Record<string, string>): string {
  const values = { ISSUER: issuer, CLIENT_ID: owner.clientId, ...(secret && { CLIENT_SECRET: secret }), ...more };
  return Object.entries(values)
    .map(([name, value]) => `${name}=${/^[\w:/.-]*$/.test(value) ? value : `"${value}"`}`)
    .join('\n');
}

/** Parameters as they are, other options with their dashes, and whatever is in quotes already. */
function proof({ clientId, tokenEndpointAuthMethod: method }: Owner, issuer: string, secret: string | undefined) {
  const shown = secret ?? '$CLIENT_SECRET';
  if (method === 'client_secret_basic') return [`--user "${clientId}:${shown}"`];
  if (method === 'client_secret_post') return [`client_id=${clientId}`, `"client_secret=${shown}"`];
  if (method === 'none') return [`client_id=${clientId}`];
  return [
    `# ASSERTION is a JWT you sign with your key: iss and sub ${clientId}, aud ${issuer}, a new jti, exp in a minute`,
    'client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    '"client_assertion=$ASSERTION"',
  ];
}

function curl(url: string, parts: readonly string[]): string {
  const comments = parts.filter((part) => part.startsWith('#'));
  const options = parts
    .filter((part) => !part.startsWith('#'))
    .map((part) =>
      part.startsWith('--') ? part : `--data-urlencode ${part.startsWith('"') ? part : shellQuote(part)}`,
    );
  return [...comments, ['curl', shellQuote(url), ...options].join(' \\\n  ').replace('curl \\\n  ', 'curl ')].join(
    '\n',
  );
}
