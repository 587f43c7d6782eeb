/** `latchkey client …` */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { OauthClient } from '../domain/oauth-clients.ts';
import { AppError } from '../errors.ts';
import { withAuthentication } from './app.ts';
import { scopes } from './arguments.ts';
import { addClientSecretCommands, describeSecrets, type WithSecrets, withoutNulls } from './client-secret.ts';
import type { Deps } from './deps.ts';
import { fields, table } from './output.ts';
import type { Session } from './session.ts';

const MOST_LISTED = 1_000;

interface Settings {
  name?: string;
  scopes?: string[];
  description?: string;
  authMethod?: string;
  jwks?: unknown;
  jwksUri?: string;
}

type Created = Settings & { name: string; team: string; scopes: string[] };

export function addClientCommands(program: Command, deps: Deps): void {
  const client = program.command('client').description('OAuth2 clients: services that act for themselves in one team');
  addCreate(client, deps);
  addList(client, deps);
  addShow(client, deps);
  addUpdate(client, deps);
  addSwitch(client, deps, 'enable', 'switch a client on again');
  addSwitch(client, deps, 'disable', 'switch a client off: neither its secrets nor its tokens work any more');
  addDelete(client, deps);
  addClientSecretCommands(client, deps);
}

function addCreate(client: Command, { output, withSession }: Deps): void {
  withAuthentication(
    client
      .command('create')
      .description('create a client')
      .requiredOption('--name <name>', 'what the service is called')
      .requiredOption('--team <team>', 'the team it acts in (id or name)')
      .requiredOption('--scopes <scopes>', 'what it may do there, for example providers:read', scopes)
      .option('--description <text>', 'what it is for'),
  ).action(async (options: Created) => {
    const { created, secret, issuer } = await withSession(async (session) => {
      const teamId = (await session.team(options.team)).id;
      const input = { ...toInput(options), name: options.name, allowedScopes: options.scopes, teamId };
      const { client, secret } = await session.domain.oauthClients.create(input, OPERATOR);
      return { created: await complete(session, client), secret, issuer: session.config.issuer };
    });
    output.print(
      { ...toWire(created), ...(secret && { client_secret: secret }), token_endpoint: `${issuer}/oauth2/token` },
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

function addList(client: Command, { output, withSession }: Deps): void {
  client
    .command('list')
    .description(`list clients, oldest first, at most ${MOST_LISTED}`)
    .option('--team <team>', 'only of this team (id or name)')
    .action(async (options: { team?: string }) => {
      const clients = await withSession(async ({ domain, team }) => {
        const teamId = options.team === undefined ? undefined : (await team(options.team)).id;
        return domain.clientSecrets.attach(
          'client',
          await domain.oauthClients.list({ teamId }, { limit: MOST_LISTED }),
        );
      });
      const rows = clients.map((one) => [
        one.id,
        one.name,
        one.clientId,
        one.teamName,
        one.enabled,
        one.lastUsedAt ?? 'never',
      ]);
      output.print(
        clients.map(toWire),
        clients.length === 0
          ? 'There are no clients.'
          : table(['ID', 'NAME', 'CLIENT ID', 'TEAM', 'ENABLED', 'LAST USED'], rows),
        ...(clients.length < MOST_LISTED ? [] : ['There may be more: narrow the list with --team.']),
      );
    });
}

function addShow(client: Command, { output, withSession }: Deps): void {
  client
    .command('show')
    .description('show one client')
    .argument('<client>', 'id or client_id')
    .action(async (reference: string) => {
      const found = await withSession(async (session) => complete(session, await find(session, reference)));
      output.print(toWire(found), fields(describe(found)));
    });
}

function addUpdate(client: Command, { output, withSession }: Deps): void {
  withAuthentication(
    client
      .command('update')
      .description('change what is given of a client; its team stays')
      .argument('<client>', 'id or client_id')
      .option('--name <name>', 'what the service is called')
      .option('--scopes <scopes>', 'all it may do in its team', scopes)
      .option('--description <text>', 'what it is for'),
  ).action(async (reference: string, options: Settings) => {
    const changed = await withSession(async (session) => {
      const { id } = await find(session, reference);
      return complete(session, await session.domain.oauthClients.update(id, toInput(options), {}, OPERATOR));
    });
    output.print(toWire(changed), fields(describe(changed)));
  });
}

function addSwitch(client: Command, { output, withSession }: Deps, verb: 'enable' | 'disable', what: string): void {
  client
    .command(verb)
    .description(what)
    .argument('<client>', 'id or client_id')
    .action(async (reference: string) => {
      const changed = await withSession(async (session) => {
        const { id } = await find(session, reference);
        return complete(session, await session.domain.oauthClients[verb](id, {}, OPERATOR));
      });
      output.print(toWire(changed), fields(describe(changed)));
    });
}

function addDelete(client: Command, { output, withSession }: Deps): void {
  client
    .command('delete')
    .description('end a client for good, with its tokens')
    .argument('<client>', 'id or client_id')
    .action(async (reference: string) => {
      const was = await withSession(async (session) => {
        const was = await complete(session, await find(session, reference));
        await session.domain.oauthClients.delete(was.id, {}, OPERATOR);
        return was;
      });
      output.print({ value: toWire(was) }, `The client ${was.name} is deleted.`);
    });
}

function toInput(options: Settings) {
  return {
    name: options.name,
    description: options.description,
    allowedScopes: options.scopes,
    tokenEndpointAuthMethod: options.authMethod,
    jwks: options.jwks,
    jwksUri: options.jwksUri,
  };
}

async function find({ domain }: Session, reference: string): Promise<OauthClient> {
  const client = await domain.oauthClients.find(reference);
  if (client === undefined) throw new AppError('not_found', 'There is no such OAuth2 client.');
  return client;
}

async function complete({ domain }: Session, client: OauthClient): Promise<WithSecrets<OauthClient>> {
  return (await domain.clientSecrets.attach('client', [client]))[0]!;
}

function describe(client: WithSecrets<OauthClient>) {
  return {
    id: client.id,
    name: client.name,
    description: client.description,
    client_id: client.clientId,
    team: client.teamName,
    enabled: client.enabled,
    allowed_scopes: client.allowedScopes,
    auth_method: client.tokenEndpointAuthMethod,
    secrets: describeSecrets(client),
    last_used: client.lastUsedAt ?? 'never',
  };
}

/** The client as the management API shows it. */
function toWire(client: WithSecrets<OauthClient>): Record<string, unknown> {
  return withoutNulls(client, ['jwks', 'jwks_uri']);
}
