/** `latchkey app …` */
import { type Command, Option } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { OauthApp, OauthAppInput } from '../domain/oauth-apps.ts';
import { AppError } from '../errors.ts';
import { jsonFile, scopes, several } from './arguments.ts';
import { addClientSecretCommands, describeSecrets, type WithSecrets, withoutNulls } from './client-secret.ts';
import type { Deps } from './deps.ts';
import { fields, table } from './output.ts';
import type { Session } from './session.ts';

const MOST_LISTED = 1_000;

interface Settings {
  name?: string;
  baseUrl?: string;
  redirectUri?: string[];
  postLogoutRedirectUri?: string[];
  scopes?: string[];
  authMethod?: string;
  jwks?: unknown;
  jwksUri?: string;
  idTokenAlg?: string;
  logoUrl?: string;
}

type Created = Settings & { name: string; baseUrl: string; redirectUri: string[]; public?: true };

export function addAppCommands(program: Command, deps: Deps): void {
  const app = program.command('app').description('OAuth2 apps: act for users, by their consent');
  addCreate(app, deps);
  addList(app, deps);
  addShow(app, deps);
  addUpdate(app, deps);
  addSwitch(app, deps);
  addDelete(app, deps);
  addClientSecretCommands(app, deps);
}

function addCreate(app: Command, { output, withSession }: Deps): void {
  withSettings(
    app
      .command('create')
      .description('register an app')
      .requiredOption('--name <name>', 'what users see when they are asked for consent')
      .requiredOption('--base-url <url>', 'where the app lives: https, or http on loopback')
      .requiredOption('--redirect-uri <uri>', 'where users are sent back to, in full; repeatable', several)
      .option('--public', "it runs on its users' devices and cannot keep a secret"),
  ).action(async (options: Created) => {
    const { created, secret, issuer } = await withSession(async (session) => {
      const { name, baseUrl, redirectUri: redirectUris } = options;
      const input: OauthAppInput = { ...toInput(options), name, baseUrl, redirectUris };
      const { app, secret } = await session.domain.oauthApps.create(
        { ...input, type: options.public && 'public' },
        OPERATOR,
      );
      return { created: await complete(session, app), secret, issuer: session.config.issuer };
    });
    const discovery = `${issuer}/.well-known/openid-configuration`;
    output.print(
      { ...toWire(created), ...(secret && { client_secret: secret }), discovery_url: discovery },
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

function addList(app: Command, { output, withSession }: Deps): void {
  app
    .command('list')
    .description(`list apps, oldest first, at most ${MOST_LISTED}`)
    .action(async () => {
      const apps = await withSession(async ({ domain }) =>
        domain.clientSecrets.attach('app', await domain.oauthApps.list({ limit: MOST_LISTED })),
      );
      const rows = apps.map((one) => [
        one.id,
        one.name,
        one.clientId,
        one.type,
        one.enabled,
        one.lastUsedAt ?? 'never',
      ]);
      output.print(
        apps.map(toWire),
        apps.length === 0
          ? 'There are no apps.'
          : table(['ID', 'NAME', 'CLIENT ID', 'TYPE', 'ENABLED', 'LAST USED'], rows),
        ...(apps.length < MOST_LISTED ? [] : ['There may be more.']),
      );
    });
}

function addShow(app: Command, { output, withSession }: Deps): void {
  app
    .command('show')
    .description('show one app')
    .argument('<app>', 'id or client_id')
    .action(async (reference: string) => {
      const found = await withSession(async (session) => complete(session, await find(session, reference)));
      output.print(toWire(found), fields(describe(found)));
    });
}

function addUpdate(app: Command, { output, withSession }: Deps): void {
  withSettings(
    app
      .command('update')
      .description('change what is given of an app; its type stays')
      .argument('<app>', 'id or client_id')
      .option('--name <name>', 'what users see when they are asked for consent')
      .option('--base-url <url>', 'where the app lives')
      .option('--redirect-uri <uri>', 'all places users are sent back to, in full; repeatable', several),
  ).action(async (reference: string, options: Settings) => {
    const changed = await withSession(async (session) => {
      const { id } = await find(session, reference);
      return complete(session, await session.domain.oauthApps.update(id, toInput(options), OPERATOR));
    });
    output.print(toWire(changed), fields(describe(changed)));
  });
}

function addSwitch(app: Command, { output, withSession }: Deps): void {
  app
    .command('enable')
    .description('switch an app on again; its users have to consent again')
    .argument('<app>', 'id or client_id')
    .action(async (reference: string) => {
      const changed = await withSession(async (session) => {
        const { id } = await find(session, reference);
        return complete(session, await session.domain.oauthApps.enable(id, OPERATOR));
      });
      output.print(toWire(changed), fields(describe(changed)));
    });
  app
    .command('disable')
    .description('switch an app off: every consent to it ends, with its tokens')
    .argument('<app>', 'id or client_id')
    .action(async (reference: string) => {
      const ended = await withSession(async (session) => {
        const { id } = await find(session, reference);
        return (await session.domain.oauthApps.disable(id, OPERATOR)).ended;
      });
      const counts = { ended_grants: ended.grants, ended_tokens: ended.tokens };
      output.print(counts, fields(counts));
    });
}

function addDelete(app: Command, { output, withSession }: Deps): void {
  app
    .command('delete')
    .description('end an app for good, with every consent to it and its tokens')
    .argument('<app>', 'id or client_id')
    .action(async (reference: string) => {
      const { was, ended } = await withSession(async (session) => {
        const was = await complete(session, await find(session, reference));
        return { was, ended: (await session.domain.oauthApps.delete(was.id, OPERATOR)).ended };
      });
      const counts = { ended_grants: ended.grants, ended_tokens: ended.tokens };
      output.print({ value: toWire(was), ...counts }, fields({ id: was.id, name: was.name, ...counts }));
    });
}

/** How an app or client proves who it is. */
export function withAuthentication(command: Command): Command {
  const methods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'];
  return command
    .addOption(new Option('--auth-method <method>', 'how it proves who it is').choices(methods))
    .option('--jwks <file>', 'its public keys (a JWK Set), for private_key_jwt', jsonFile)
    .option('--jwks-uri <url>', 'where its public keys are fetched from, instead of --jwks');
}

function withSettings(command: Command): Command {
  return withAuthentication(
    command
      .option('--post-logout-redirect-uri <uri>', 'where users are sent after logging out; repeatable', several)
      .option('--scopes <scopes>', 'what it may ask for (default openid profile email offline_access)', scopes)
      .addOption(
        new Option('--id-token-alg <alg>', 'how its ID tokens are signed').choices(['RS256', 'ES256', 'EdDSA']),
      )
      .option('--logo-url <url>', 'a picture of it, https'),
  );
}

function toInput(options: Settings) {
  return {
    name: options.name,
    baseUrl: options.baseUrl,
    redirectUris: options.redirectUri,
    postLogoutRedirectUris: options.postLogoutRedirectUri,
    allowedScopes: options.scopes,
    tokenEndpointAuthMethod: options.authMethod,
    jwks: options.jwks,
    jwksUri: options.jwksUri,
    idTokenSignedResponseAlg: options.idTokenAlg,
    logoUrl: options.logoUrl,
  };
}

async function find({ domain }: Session, reference: string): Promise<OauthApp> {
  const app = await domain.oauthApps.find(reference);
  if (app === undefined) throw new AppError('not_found', 'There is no such OAuth2 app.');
  return app;
}

async function complete({ domain }: Session, app: OauthApp): Promise<WithSecrets<OauthApp>> {
  return (await domain.clientSecrets.attach('app', [app]))[0]!;
}

function describe(app: WithSecrets<OauthApp>) {
  return {
    id: app.id,
    name: app.name,
    client_id: app.clientId,
    type: app.type,
    enabled: app.enabled,
    base_url: app.baseUrl,
    redirect_uris: app.redirectUris,
    allowed_scopes: app.allowedScopes,
    auth_method: app.tokenEndpointAuthMethod,
    secrets: describeSecrets(app),
    last_used: app.lastUsedAt ?? 'never',
  };
}

/** The app as the management API shows it. */
function toWire(app: WithSecrets<OauthApp>): Record<string, unknown> {
  return withoutNulls(app, ['jwks', 'jwks_uri', 'logo_url']);
}
