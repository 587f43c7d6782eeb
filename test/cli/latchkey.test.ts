import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCommand } from '../../src/cli/index.ts';
import { OPERATIONS } from '../../src/domain/authorization.ts';
import { classify, digestOf } from '../../src/domain/secret-text.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';

const LATCHKEY = join(import.meta.dirname, '../../src/cli/latchkey.js');

const COMMAND_OF = {
  'providers.list': 'provider list',
  'custom_providers.list': 'provider list',
  'custom_providers.get': 'provider show',
  'custom_providers.create': 'provider create',
  'custom_providers.update': 'provider update',
  'custom_providers.delete': 'provider delete',
  'team_keys.list': 'key list',
  'team_keys.get': 'key show',
  'team_keys.create': 'key create',
  'team_keys.update': 'key rename',
  'team_keys.revoke': 'key revoke',
  'team_keys.reinstate': 'key reinstate',
  'team_keys.rotate': 'key rotate',
  'team_keys.delete': 'key delete',
  'api_keys.list': 'key list',
  'api_keys.get': 'key show',
  'api_keys.create': 'key create',
  'api_keys.update': 'key rename',
  'api_keys.revoke': 'key revoke',
  'api_keys.reinstate': 'key reinstate',
  'api_keys.rotate': 'key rotate',
  'api_keys.delete': 'key delete',
  'api_keys.import': 'key import',
  'teams.list': 'team list',
  'teams.get': 'team show',
  'teams.create': 'team create',
  'teams.replace': 'team update',
  'teams.update': 'team update',
  'teams.delete': 'team delete',
  'users.list': 'user list',
  'users.get': 'user show',
  'users.create': 'user create',
  'users.update': 'user update',
  'users.delete': 'user delete',
  'roles.list': 'role list',
  'oauth_apps.list': 'app list',
  'oauth_apps.get': 'app show',
  'oauth_apps.create': 'app create',
  'oauth_apps.update': 'app update',
  'oauth_apps.enable': 'app enable',
  'oauth_apps.disable': 'app disable',
  'oauth_apps.delete': 'app delete',
  'oauth_app_secrets.create': 'app secret add',
  'oauth_app_secrets.delete': 'app secret delete',
  'oauth_clients.list': 'client list',
  'oauth_clients.get': 'client show',
  'oauth_clients.create': 'client create',
  'oauth_clients.update': 'client update',
  'oauth_clients.enable': 'client enable',
  'oauth_clients.disable': 'client disable',
  'oauth_clients.delete': 'client delete',
  'oauth_client_secrets.create': 'client secret add',
  'oauth_client_secrets.delete': 'client secret delete',
  'sign_in_settings.get': 'settings show',
  'sign_in_settings.update': 'settings set',
  'signing_keys.list': 'signing-key list',
  'signing_keys.rotate': 'signing-key rotate',
  'signing_keys.delete': 'signing-key delete',
  'resource_servers.list': 'resource-server list',
  'resource_servers.get': 'resource-server show',
  'resource_servers.create': 'resource-server create',
  'resource_servers.update': 'resource-server update',
  'resource_servers.delete': 'resource-server delete',
  'audit_events.list': 'audit list',
  'credentials.list': 'credential list',
  'credential_usage.list': 'credential usage',
  'credential_usage.keys': 'credential callers',
  'key_retirements.list': 'retirement list',
  'key_retirements.get': 'retirement show',
  'key_retirements.create': 'retirement create',
  'key_retirements.update': 'retirement update',
  'key_retirements.delete': 'retirement delete',
  'connected_apps.list': 'user connected-apps',
  'connected_apps.delete': 'user disconnect',
};

interface Ended {
  code: number;
  out: string;
  err: string;
}

/** The program itself, in a clean environment: what the shell has set must not change what is tested. */
function spawned(file: string, args: string[], env: Record<string, string> = {}, input = ''): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [file, ...args], { env, timeout: 20_000 }, (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
    child.stdin?.end(input);
  });
}

/** The same without starting a process, which takes forty times as long. */
async function latchkey(...args: string[]): Promise<Ended> {
  const said = { out: '', err: '' };
  const sink = (name: 'out' | 'err') => ({
    write(text: string) {
      said[name] += text;
    },
  });
  return { code: await runCommand(args, sink('out'), sink('err')), ...said };
}

async function json(...args: string[]) {
  const { code, out, err } = await latchkey(...args, '--json');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out);
}

let all: Credentials;
let env: Record<string, string>;
beforeAll(async () => {
  all = await openCredentials();
  const { rows } = await all.db.query<{ name: string }>('SELECT current_database() AS name');
  const url = new URL(process.env.LATCHKEY_TEST_DATABASE!);
  url.pathname = `/${rows[0]!.name}`;
  env = { DATABASE_URL: url.href, SECRET: 's'.repeat(32), ISSUER: 'https://auth.example.com' };
  Object.assign(process.env, env);
});
afterAll(() => all.close());

describe('what is said to people and programs', () => {
  test('--help names every command and needs no configuration', async () => {
    const { code, out } = await spawned(LATCHKEY, ['--help']);
    expect(code).toBe(0);
    const names = [...out.slice(out.indexOf('Commands:')).matchAll(/^ {2}([a-z-]+) /gm)].map(([, name]) => name);
    expect(names).toEqual([
      ...['serve', 'migrate', 'user', 'team', 'role', 'app', 'client', 'key', 'credential'],
      ...['retirement', 'audit', 'provider'],
      ...['resource-server', 'settings', 'signing-key', 'check-api', 'help'],
    ]);
  });

  test('every operation of the management API has a command', async () => {
    expect(Object.keys(COMMAND_OF).toSorted()).toEqual(Object.keys(OPERATIONS).toSorted());
    for (const command of new Set(Object.values(COMMAND_OF))) {
      const { code, out } = await latchkey(...command.split(' '), '--help');
      expect([code, out]).toEqual([0, expect.stringMatching(new RegExp(`^Usage: latchkey ${command} \\[`))]);
    }
  });

  test('words that are not understood end with 2, failures with 1, both as JSON when asked', async () => {
    const [nothing, unknown, missing, argument, failed, plain] = await Promise.all([
      latchkey(),
      latchkey('key', 'list', '--bogus', '--json'),
      latchkey('team', 'create'),
      latchkey('user', 'create', '--email', 'a@example.com', '--password', 'hunter2hunter2', '--json'),
      spawned(LATCHKEY, ['key', 'revoke', 'nope', '--json'], env),
      latchkey('key', 'revoke', 'nope'),
    ]);
    expect(nothing!.err).toContain('Usage: latchkey');
    expect([nothing!.code, unknown!.code, missing!.code, argument!.code]).toEqual([2, 2, 2, 2]);
    expect(JSON.parse(unknown!.err)).toEqual({
      error: { kind: 'invalid_argument', message: "unknown option '--bogus'" },
    });
    expect(missing!.err).toContain("error: required option '--name <name>' not specified");
    expect(JSON.parse(argument!.err).error.message).toContain("unknown option '--password'");
    expect([failed!.code, failed!.out]).toEqual([1, '']);
    expect(JSON.parse(failed!.err)).toEqual({ error: { kind: 'not_found', message: 'There is no such API key.' } });
    expect(plain).toEqual({ code: 1, out: '', err: 'error: There is no such API key.\n' });
  });

  test('a bad configuration and a database that is away are told apart, without the password', async () => {
    const away = { ...env, DATABASE_URL: 'postgres://u:hidden-password@127.0.0.1:1/x' };
    const [configuration, database] = await Promise.all([
      spawned(LATCHKEY, ['migrate', '--json'], { DATABASE_URL: away.DATABASE_URL }),
      spawned(LATCHKEY, ['migrate', '--json'], away),
    ]);
    expect(JSON.parse(configuration.err).error).toMatchObject({
      kind: 'invalid_argument',
      fields: [{ field: 'SECRET' }],
    });
    expect(JSON.parse(database.err).error).toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect([configuration.code, database.code]).toEqual([1, 1]);
    expect(configuration.err + database.err).not.toContain('hidden-password');
  });
});

test('a team, its people and their keys, from nothing to the end', async () => {
  const team = await json('team', 'create', '--name', 'Sales');
  expect(team).toMatchObject({ name: 'Sales', policy_type: 'UNBOUND' });
  const create = ['user', 'create', '--team', 'sales', '--role', 'Operator', '--email'];
  const [ada, bob] = await Promise.all([
    spawned(LATCHKEY, [...create, 'ada@example.com', '--password-stdin', '--json'], env, 'correct horse battery\n'),
    json(...create, 'bob@example.com'),
  ]);
  expect(JSON.parse(ada.out)).toMatchObject({
    email: 'ada@example.com',
    team_roles: [{ team_id: team.id, team_name: 'Sales', role_name: 'Operator' }],
  });
  expect(ada.out).not.toContain('correct horse');
  expect(bob.password).toMatch(/^[\w-]{20}$/);

  const [personal, shared, shown] = await Promise.all([
    json(
      'key',
      'create',
      '--name',
      'laptop',
      '--team',
      team.id,
      '--user',
      'Ada@example.com',
      '--scopes',
      'providers:read',
    ),
    json('key', 'create', '--name', 'push', '--team', 'Sales', '--expires', '90d'),
    latchkey('key', 'create', '--name', 'seen', '--team', 'Sales'),
  ]);
  expect(personal).toMatchObject({
    kind: 'personal',
    owner_email: 'ada@example.com',
    scopes: ['providers:read'],
    status: 'ACTIVE',
  });
  expect([classify(personal.access_key), classify(shared.access_key)]).toEqual(['personal', 'team']);
  expect((await all.apiKeys.verify(personal.access_key))?.scopes).toEqual(new Set(['providers:read']));
  expect(Date.parse(shared.expires_at) - Date.now()).toBeGreaterThan(89 * 86_400_000);
  const text = /lkt_[\w-]{48}/.exec(shown.out)?.[0];
  expect(await all.apiKeys.verify(text!)).toBeDefined();
  expect(shown.out).toContain(`curl -H 'Authorization: Bearer ${text}' https://auth.example.com/api/v1/providers`);

  const listed = await json('key', 'list', '--team', 'Sales', '--kind', 'personal');
  expect(listed).toEqual([{ ...personal, access_key: '' }]);

  expect(await json('key', 'revoke', personal.id)).toMatchObject({ id: personal.id, status: 'INACTIVE' });
  expect(await json('key', 'reinstate', personal.id)).toMatchObject({ status: 'ACTIVE' });
  expect(await json('key', 'delete', personal.id)).toMatchObject({ status: 'INACTIVE' });
  expect(await json('key', 'list', '--user', 'ada@example.com')).toEqual([]);
  const { rows } = await all.db.query('SELECT DISTINCT actor_kind FROM audit_events WHERE target_id = $1', [
    personal.id,
  ]);
  expect(rows).toEqual([{ actor_kind: 'operator' }]);
});

test('an app and a client get an id and a secret, and the client a second secret', async () => {
  const uri = 'http://localhost:8080/callback';
  const [app, client, bad] = await Promise.all([
    json(
      'app',
      'create',
      '--name',
      'Web',
      '--base-url',
      'http://localhost:8080',
      '--redirect-uri',
      uri,
      '--redirect-uri',
      `${uri}/2`,
    ),
    latchkey('client', 'create', '--name', 'Service', '--team', 'Root', '--scopes', 'providers:read, teams:read'),
    latchkey('app', 'create', '--name', 'Web', '--base-url', 'http://localhost:8080', '--redirect-uri', '*', '--json'),
  ]);
  expect(app).toMatchObject({
    redirect_uris: [uri, `${uri}/2`],
    discovery_url: 'https://auth.example.com/.well-known/openid-configuration',
  });
  expect(classify(app.client_secret)).toBe('secret');
  expect(JSON.parse(bad!.err).error).toMatchObject({ kind: 'invalid_argument', fields: [{ field: 'redirect_uris' }] });

  const [, id, secret] = /curl https:\/\/auth\.example\.com\/oauth2\/token -u '(svc_[\w-]+):(lks_[\w-]+)' /.exec(
    client!.out,
  )!;
  const kept = await all.registrations.findForProtocol(id!);
  expect(kept?.record.allowedScopes).toEqual(['providers:read', 'teams:read']);
  expect(kept?.secrets.map(({ digest }) => digest)).toEqual([digestOf(secret!)]);
  const added = await json('client', 'secret', 'add', id!, '--overlap', '3600');
  expect(added).toMatchObject({ client_id: id, expires_at: null });
  const live = await all.secrets.list({ kind: 'client', id: kept!.record.id });
  expect(live.map(({ expiresAt }) => expiresAt !== null)).toEqual([true, false]);
});

test('signing keys are rotated, and there is always one that signs', async () => {
  const [rotated] = await json('signing-key', 'rotate', '--alg', 'ES256');
  expect(rotated).toMatchObject({ alg: 'ES256', kid: expect.any(String) });
  expect(Date.parse(rotated.signs_from)).toBeGreaterThan(Date.now());
  const { rows } = await all.db.query("SELECT kid FROM signing_keys WHERE alg = 'ES256' AND signs_from <= now()");
  expect(rows).toHaveLength(1);
  const listed = await json('signing-key', 'list');
  expect(listed[0]).toEqual({ ...rotated, state: 'waiting' });
  expect(listed.filter(({ alg }: { alg: string }) => alg === 'ES256')).toHaveLength(2);
  expect((await latchkey('signing-key', 'list')).out).toMatch(/^ALG +KID +STATE +CREATED +SIGNS FROM +EXPIRES\n/);
  const leaked = listed.find(
    ({ alg, state }: { alg: string; state: string }) => alg === 'ES256' && state === 'signing',
  );
  const deleted = await json('signing-key', 'delete', leaked.kid);
  expect(deleted).toEqual({ ...leaked, replaced_by: expect.objectContaining({ alg: 'ES256', state: 'signing' }) });
  const left = (await json('signing-key', 'list')).filter(({ alg }: { alg: string }) => alg === 'ES256');
  expect(left.map(({ kid, state }: { kid: string; state: string }) => [kid, state])).toEqual([
    [deleted.replaced_by.kid, 'signing'],
    [rotated.kid, 'published'],
  ]);
  expect(await latchkey('signing-key', 'delete', leaked.kid)).toMatchObject({
    code: 1,
    err: expect.stringContaining('There is no such signing key'),
  });
});

test('a schema that is behind is migrated on request only', async () => {
  const { rows } = await all.db.query("DELETE FROM migrations WHERE name LIKE '%imported-keys' RETURNING name");
  await all.db.query('DROP TABLE imported_keys, imported_key_heads');
  await all.db.query('ALTER TABLE api_keys DROP COLUMN external_id');
  expect(await latchkey('key', 'list')).toMatchObject({ code: 1, err: expect.stringContaining('latchkey migrate') });
  expect(await json('migrate')).toEqual({ applied: rows.map(({ name }) => name) });
  expect(await json('migrate')).toEqual({ applied: [] });
});

test('installed below node_modules it runs what was built', async () => {
  const root = await mkdtemp(join(tmpdir(), 'latchkey-installed-'));
  const home = join(root, 'node_modules/latchkey');
  for (const folder of ['src/cli', 'dist/cli']) await mkdir(join(home, folder), { recursive: true });
  await copyFile(LATCHKEY, join(home, 'src/cli/latchkey.js'));
  await writeFile(join(home, 'package.json'), '{"type":"module"}');
  await writeFile(join(home, 'dist/cli/index.js'), 'export async function main() { console.log("built"); }');
  expect(await spawned(join(home, 'src/cli/latchkey.js'), [])).toEqual({ code: 0, out: 'built\n', err: '' });
  await rm(root, { recursive: true });
});
