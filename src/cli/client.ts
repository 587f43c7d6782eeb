/** `latchkey client …` */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import { authMethodOption } from './app.ts';
import { jsonFile, scopes } from './arguments.ts';
import { addClientSecretCommands } from './client-secret.ts';
import type { Deps } from './deps.ts';
import { fields, wire } from './output.ts';

interface CreateOptions {
  name: string;
  team: string;
  scopes: string[];
  description?: string;
  authMethod?: string;
  jwks?: unknown;
}

export function addClientCommands(program: Command, deps: Deps): void {
  const { output, withSession } = deps;
  const client = program.command('client').description('OAuth2 clients: services that act for themselves in one team');
  client
    .command('create')
    .description('create a client')
    .requiredOption('--name <name>', 'what the service is called')
    .requiredOption('--team <team>', 'the team it acts in (id or name)')
    .requiredOption('--scopes <scopes>', 'what it may do there, for example providers:read', scopes)
    .option('--description <text>', 'what it is for')
    .addOption(authMethodOption())
    .option('--jwks <file>', 'its public keys (a JWK Set), for private_key_jwt', jsonFile)
    .action(async ({ team: word, scopes: allowedScopes, authMethod, ...options }: CreateOptions) => {
      const { created, secret, issuer } = await withSession(async ({ domain, config, team }) => {
        const input = { ...options, allowedScopes, teamId: (await team(word)).id, tokenEndpointAuthMethod: authMethod };
        const { client: created, secret } = await domain.oauthClients.create(input, OPERATOR);
        return { created, secret, issuer: config.issuer };
      });
      output.print(
        { ...wire(created), ...(secret && { client_secret: secret }), token_endpoint: `${issuer}/oauth2/token` },
        fields({
          id: created.id,
          name: created.name,
          team: created.teamName,
          client_id: created.clientId,
          client_secret: secret,
          allowed_scopes: created.allowedScopes,
        }),
        next(`${issuer}/oauth2/token`, created, secret),
      );
    });
  addClientSecretCommands(client, deps);
}

function next(
  endpoint: string,
  client: { clientId: string; tokenEndpointAuthMethod: string },
  secret?: string,
): string {
  if (secret === undefined) return `It gets tokens at ${endpoint} with a client assertion signed by its key.`;
  const proof =
    client.tokenEndpointAuthMethod === 'client_secret_post'
      ? `-d client_id=${client.clientId} -d client_secret=${secret}`
      : `-u '${client.clientId}:${secret}'`;
  return `The secret is not shown again. It gets tokens with:\n  curl ${endpoint} ${proof} -d grant_type=client_credentials`;
}
