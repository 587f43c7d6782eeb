/** `latchkey resource-server …` */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { ResourceServer } from '../domain/resource-servers.ts';
import { SIGNING_ALGS } from '../domain/signing-keys.ts';
import { AppError } from '../errors.ts';
import { seconds, several } from './arguments.ts';
import type { Deps } from './deps.ts';
import { fields, table, wire } from './output.ts';
import type { Session } from './session.ts';

const MOST_LISTED = 1_000;
const ID = 'its id, as `resource-server list` shows it';

interface SettingOptions {
  scope?: { name: string; description: string }[];
  ttl?: number;
  alg?: string;
  apiKeys?: boolean;
  client?: string[];
}

export function addResourceServerCommands(program: Command, { output, withSession }: Deps): void {
  const resourceServer = program
    .command('resource-server')
    .description('APIs of yours that tokens are issued for, with scopes of their own');
  const withOwn = <T>(work: (session: Session) => Promise<T>) =>
    withSession(async (session) => {
      await ensureBuiltIn(session);
      return work(session);
    });
  const print = (server: ResourceServer) => output.print(toWire(server), fields(describe(server)));

  addSettingOptions(
    resourceServer
      .command('create')
      .description('register an API')
      .requiredOption('--identifier <uri>', 'what clients ask for as `resource`, and the `aud` of its tokens')
      .requiredOption('--name <name>', 'what people know it as'),
  ).action(async ({ identifier, name, ...options }: SettingOptions & { identifier: string; name: string }) => {
    const input = { identifier, name, ...settings(options) };
    print(await withOwn(({ domain }) => domain.resourceServers.create(input, OPERATOR)));
  });
  resourceServer
    .command('list')
    .description(`list resource servers, oldest first, at most ${MOST_LISTED}`)
    .action(async () => {
      const servers = await withOwn(({ domain }) => domain.resourceServers.list({ limit: MOST_LISTED }));
      const rows = servers.map((one) => Object.values(describe(one)));
      output.print(
        servers.map(toWire),
        table(['ID', 'IDENTIFIER', 'NAME', 'BUILT IN', 'SECONDS', 'ALG', 'API KEYS', 'CLIENTS', 'SCOPES'], rows),
      );
    });
  resourceServer
    .command('show')
    .description('show one resource server')
    .argument('<id>', ID)
    .action(async (id: string) => {
      const server = await withOwn(({ domain }) => domain.resourceServers.find(id));
      if (server === undefined) throw new AppError('not_found', 'There is no such resource server.');
      print(server);
    });
  addSettingOptions(
    resourceServer
      .command('update')
      .description('change one; scopes and clients that are not named again end, where any are named')
      .argument('<id>', ID)
      .option('--name <name>', 'what people know it as'),
  ).action(async (id: string, { name, ...options }: SettingOptions & { name?: string }) => {
    const changes = { name, ...settings(options) };
    print(await withSession(({ domain }) => domain.resourceServers.update(id, changes, {}, OPERATOR)));
  });
  resourceServer
    .command('delete')
    .description('end one: nothing is issued for it any more, and its scopes end')
    .argument('<id>', ID)
    .action(async (id: string) => {
      print(await withSession(({ domain }) => domain.resourceServers.delete(id, {}, OPERATOR)));
    });
}

function addSettingOptions(command: Command): Command {
  return command
    .option('--scope <scope=description>', 'one of its scopes, and what it means; repeatable', scope)
    .option('--ttl <seconds>', 'life of an access token for it (default 600)', seconds)
    .addOption(new Option('--alg <alg>', 'how its tokens are signed (default ES256)').choices(SIGNING_ALGS))
    .option('--api-keys', 'let API keys open it too, as they do by default')
    .option('--no-api-keys', 'let access tokens alone open it')
    .option(
      '--client <client_id>',
      'an OAuth2 client that is this API, to introspect with; repeatable, empty for none',
      several,
    );
}

/** In a database no server has used yet its own API has no row, and its identifier must not be taken. */
async function ensureBuiltIn({ domain, config: { issuer, lifetimes, accessTokenAlg } }: Session): Promise<void> {
  const own = { identifier: `${issuer}/api`, ttl: lifetimes.accessToken, alg: accessTokenAlg };
  await domain.resourceServers.ensureBuiltIn(own);
}

function settings({ scope: scopes, ttl, alg, apiKeys, client }: SettingOptions) {
  // An empty word is how to say: none at all.
  const clientIds = client?.filter((one) => one !== '');
  return { scopes, accessTokenTtlSeconds: ttl, signingAlg: alg, acceptsApiKeys: apiKeys, clientIds };
}

function scope(word: string, before: NonNullable<SettingOptions['scope']> = []): SettingOptions['scope'] {
  const [, name, description = ''] = /^([^=\s]+)(?:=(.*))?$/s.exec(word) ?? [];
  if (name === undefined) throw new InvalidArgumentError('Use a scope, or scope=what it means.');
  return [...before, { name, description }];
}

function describe(server: ResourceServer) {
  return {
    id: server.id,
    identifier: server.identifier,
    name: server.name,
    built_in: server.isBuiltIn ? 'yes' : '',
    access_token_ttl_seconds: server.accessTokenTtlSeconds,
    signing_alg: server.signingAlg,
    accepts_api_keys: server.acceptsApiKeys ? 'yes' : 'no',
    client_ids: server.clientIds,
    scopes: server.scopes.map(({ name }) => name),
  };
}

/** As the management API shows it. */
function toWire({ version: _, ...server }: ResourceServer & { sortKey?: string }): Record<string, unknown> {
  const { sortKey: __, ...record } = server;
  return wire(record);
}
