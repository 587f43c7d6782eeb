/**
 * What the demo starts with: a team, a person, an app, two clients and two keys, made once through the `latchkey` command
 * line. Their ids and secrets are shown only when they are made, so they are kept beside the database, for its owner only.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from './programs.ts';
import type { Login } from './start.ts';

/** An app's or client's id and secret, as the variables the programs read. */
export interface ClientVariables extends Record<string, string> {
  CLIENT_ID: string;
  CLIENT_SECRET: string;
}

interface Kept {
  admin?: Login;
  team?: string;
  user?: Login;
  /** Under the app's own address: on another port it is another app. */
  apps?: Record<string, ClientVariables>;
  backend?: ClientVariables;
  resourceServer?: ClientVariables;
  personalKey?: string;
  teamKey?: string;
}

/** The first administrator's login, made up on the first start. */
export async function bootstrapAdmin(directory: string): Promise<Login> {
  const kept = await read(directory);
  const { admin = { email: 'admin@example.com', password: randomBytes(12).toString('base64url') } } = kept;
  await write(directory, { ...kept, admin });
  return admin;
}

/**
 * Makes what is missing and keeps each thing as soon as it is made.
 * @param appUrl where the third-party app lives
 * @param env the server's variables, so that the command line finds its database
 */
export async function seed(directory: string, appUrl: string, env: Record<string, string>) {
  const kept = await read(directory);
  let writing = Promise.resolve();

  async function keep<T>(more: Partial<Kept>, made: T): Promise<T> {
    Object.assign(kept, more);
    writing = writing.then(() => write(directory, kept));
    await writing;
    return made;
  }

  async function latchkey(command: string, options: Record<string, string>): Promise<Record<string, string>> {
    const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    return JSON.parse(await runProgram('src/cli/latchkey.js', [...command.split(' '), ...words, '--json'], env));
  }

  async function makeTeam(): Promise<string> {
    const { id } = await latchkey('team create', { name: 'Demo team' });
    return keep({ team: id! }, id!);
  }

  async function makeUser(): Promise<Login> {
    const person = { email: 'demo@example.com', name: 'Demo Person' };
    const { email, password } = await latchkey('user create', { ...person, team, role: 'Viewer' });
    const user = { email: email!, password: password! };
    return keep({ user }, user);
  }

  async function makeApp(): Promise<ClientVariables> {
    const app = variables(
      await latchkey('app create', {
        name: 'Report Viewer',
        'base-url': appUrl,
        'redirect-uri': `${appUrl}/callback`,
        'post-logout-redirect-uri': `${appUrl}/`,
        scopes: 'openid profile email offline_access providers:read',
      }),
    );
    return keep({ apps: { ...kept.apps, [appUrl]: app } }, app);
  }

  async function makeClient(as: 'backend' | 'resourceServer', name: string, scopes: string): Promise<ClientVariables> {
    const client = variables(await latchkey('client create', { name, team, scopes }));
    return keep({ [as]: client }, client);
  }

  async function makeKey(as: 'personalKey' | 'teamKey', options: Record<string, string>): Promise<string> {
    const { access_key } = await latchkey('key create', { team, ...options });
    return keep({ [as]: access_key! }, access_key!);
  }

  const team = kept.team ?? (await makeTeam());
  const [user, app, backend, resourceServer, teamKey] = await Promise.all([
    kept.user ?? makeUser(),
    kept.apps?.[appUrl] ?? makeApp(),
    kept.backend ?? makeClient('backend', 'Nightly import', 'providers:read'),
    kept.resourceServer ?? makeClient('resourceServer', 'Reports API', 'credentials:introspect'),
    kept.teamKey ?? makeKey('teamKey', { name: 'Build pipeline' }),
  ]);
  const personal = kept.personalKey ?? (await makeKey('personalKey', { name: 'My script', user: user.email }));
  return { user, app, backend, resourceServer, keys: { personal, team: teamKey } };
}

function variables({ client_id, client_secret }: Record<string, string>): ClientVariables {
  return { CLIENT_ID: client_id!, CLIENT_SECRET: client_secret! };
}

const fileIn = (directory: string) => join(directory, 'seed.json');

async function read(directory: string): Promise<Kept> {
  return readFile(fileIn(directory), 'utf8').then(JSON.parse, () => ({}));
}

async function write(directory: string, kept: Kept): Promise<void> {
  // As root the database runs as another user, who must be able to pass through.
  await mkdir(directory, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
  const draft = `${fileIn(directory)}.new`;
  await writeFile(draft, JSON.stringify(kept, null, 2), { mode: 0o600 });
  await rename(draft, fileIn(directory));
}
