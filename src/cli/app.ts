/** `latchkey app …` */
import { type Command, Option } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import { jsonFile, scopes, several } from './arguments.ts';
import type { Deps } from './deps.ts';
import { fields, wire } from './output.ts';

interface CreateOptions {
  name: string;
  baseUrl: string;
  redirectUri: string[];
  postLogoutRedirectUri?: string[];
  scopes?: string[];
  public?: boolean;
  authMethod?: string;
  jwks?: unknown;
  idTokenAlg?: string;
}

export function addAppCommands(program: Command, { output, withSession }: Deps): void {
  const app = program.command('app').description('OAuth2 apps: act for users, by their consent');
  app
    .command('create')
    .description('register an app')
    .requiredOption('--name <name>', 'what users see when they are asked for consent')
    .requiredOption('--base-url <url>', 'where the app lives: https, or http on loopback')
    .requiredOption('--redirect-uri <uri>', 'where users are sent back to, in full; repeatable', several)
    .option('--post-logout-redirect-uri <uri>', 'where users are sent after logging out; repeatable', several)
    .option('--scopes <scopes>', 'what it may ask for (default openid profile email offline_access)', scopes)
    .option('--public', "it runs on its users' devices and cannot keep a secret")
    .addOption(authMethodOption())
    .option('--jwks <file>', 'its public keys (a JWK Set), for private_key_jwt', jsonFile)
    .addOption(new Option('--id-token-alg <alg>', 'how its ID tokens are signed').choices(['RS256', 'ES256', 'EdDSA']))
    .action(async (options: CreateOptions) => {
      const { created, secret, issuer } = await withSession(async ({ domain, config }) => {
        const { app: created, secret } = await domain.oauthApps.create(toInput(options), OPERATOR);
        return { created, secret, issuer: config.issuer };
      });
      const discovery = `${issuer}/.well-known/openid-configuration`;
      output.print(
        { ...wire(created), ...(secret && { client_secret: secret }), discovery_url: discovery },
        fields({
          id: created.id,
          name: created.name,
          client_id: created.clientId,
          client_secret: secret,
          redirect_uris: created.redirectUris,
          allowed_scopes: created.allowedScopes,
          discovery,
        }),
        `${secret ? 'The secret is not shown again. ' : ''}Give the app the discovery URL and its client_id.`,
      );
    });
}

/** How an app or client proves who it is. */
export function authMethodOption(): Option {
  const methods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'];
  return new Option('--auth-method <method>', 'how it proves who it is').choices(methods);
}

function toInput(options: CreateOptions) {
  return {
    name: options.name,
    baseUrl: options.baseUrl,
    redirectUris: options.redirectUri,
    ...(options.postLogoutRedirectUri && { postLogoutRedirectUris: options.postLogoutRedirectUri }),
    ...(options.scopes && { allowedScopes: options.scopes }),
    ...(options.public && { type: 'public' as const }),
    ...(options.authMethod && { tokenEndpointAuthMethod: options.authMethod }),
    ...(options.jwks !== undefined && { jwks: options.jwks }),
    ...(options.idTokenAlg && { idTokenSignedResponseAlg: options.idTokenAlg }),
  };
}
