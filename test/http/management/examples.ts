/** One good request for every operation of the API, on objects of one team made for it. */
import { randomBytes, randomUUID } from 'node:crypto';
import { OPERATOR } from '../../../src/domain/audit.ts';
import type { OperationId } from '../../../src/domain/authorization.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import type { Api, TestUser } from '../../support/api.ts';
import { createTestApp, createTestClient } from '../../support/flows.ts';
import type { TestServer } from '../../support/server.ts';

export interface Example {
  path: string;
  body?: object;
}

/** What there is to act on: a team, and short ways to make things that belong to it. */
export interface World {
  server: TestServer;
  api: Api;
  teamId: string;
  /** Whose the personal keys and consents are. */
  owner: TestUser;
}

const KEYS = '/api/preview/teamkeys';
const OWN_KEYS = '/api/v1/apikeys';
const CUSTOM = '/api/v1/providers/custom';
const APPS = '/api/v1/oauth2/apps';
const CLIENTS = '/api/v1/oauth2/clients';
const SERVERS = '/api/v1/resource_servers';
const RETIREMENTS = '/api/v1/key_retirements';
const USAGE = '/api/v1/credential_usage';
const LATER = '2099-01-31T00:00:00Z';

type Make = (world: World) => Promise<Example>;

async function teamKey({ server, teamId }: World): Promise<string> {
  return `${KEYS}/${(await server.domain.apiKeys.createTeam({ teamId, name: 'Push' }, OPERATOR)).key.id}`;
}

async function ownKey({ server, owner }: World): Promise<string> {
  const { userId, teamId } = owner;
  return `${OWN_KEYS}/${(await server.domain.apiKeys.createPersonal({ userId, teamId, name: 'Script' }, OPERATOR)).key.id}`;
}

async function provider({ server, teamId }: World): Promise<string> {
  return `${CUSTOM}/${(await server.domain.providers.createCustom({ name: 'Payroll', teamId }, OPERATOR)).id}`;
}

async function user({ api, teamId }: World): Promise<string> {
  return `/api/v1/users/${(await api.user('Viewer', teamId)).userId}`;
}

async function app({ server }: World): Promise<string> {
  return `${APPS}/${(await createTestApp(server)).id}`;
}

async function client({ server, teamId }: World): Promise<string> {
  return `${CLIENTS}/${(await createTestClient(server, teamId)).id}`;
}

async function secretOf(world: World, owner: string, kind: 'app' | 'client'): Promise<string> {
  const { clientSecrets } = world.server.domain;
  const { secret } = await clientSecrets.add({ kind, id: owner.split('/').at(-1)! }, {}, OPERATOR);
  return `${owner}/secrets/${secret.id}`;
}

async function resourceServer({ server }: World): Promise<string> {
  const { rows } = await server.db.query<{ id: string }>(
    `INSERT INTO resource_servers (identifier, name, access_token_ttl_seconds, signing_alg)
     VALUES ($1, 'Reports', 600, 'ES256') RETURNING id`,
    [`https://${randomUUID()}.example.com`],
  );
  return `${SERVERS}/${rows[0]!.id}`;
}

async function keyId({ server, teamId }: World): Promise<string> {
  return (await server.domain.apiKeys.createTeam({ teamId, name: 'Old' }, OPERATOR)).key.id;
}

async function retirement(world: World): Promise<string> {
  const input = { keyId: await keyId(world), retiresAt: new Date(LATER) };
  return `${RETIREMENTS}/${(await world.server.domain.retirements.create(input, { teamId: world.teamId }, OPERATOR)).id}`;
}

async function consent({ server, owner }: World): Promise<string> {
  const { clientId } = await createTestApp(server);
  await server.db.query(
    `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
     VALUES ($1, $2, $3, $4, '{}', now() + interval '1 day')`,
    [randomUUID(), owner.userId, owner.teamId, clientId],
  );
  return `/api/v1/users/self/connected_apps/${clientId}`;
}

const at =
  (make: (world: World) => Promise<string>, suffix = '', body?: object): Make =>
  async (world) => ({ path: `${await make(world)}${suffix}`, ...(body && { body }) });
const fixed =
  (path: string, body?: object): Make =>
  async () => ({ path, ...(body && { body }) });

const APP = { name: 'App', base_url: 'https://app.example.com', redirect_uris: ['https://app.example.com/callback'] };

export const EXAMPLES: Record<OperationId, Make> = {
  'providers.list': fixed('/api/v1/providers'),
  'custom_providers.list': fixed(CUSTOM),
  'custom_providers.get': at(provider),
  'custom_providers.create': async ({ teamId }) => ({ path: CUSTOM, body: { name: 'Payroll', team_id: teamId } }),
  'custom_providers.update': at(provider, '', { name: 'Pay' }),
  'custom_providers.delete': at(provider),
  'team_keys.list': async ({ teamId }) => ({ path: `${KEYS}?filter=team_id+eq+%22${teamId}%22` }),
  'team_keys.get': at(teamKey),
  'team_keys.create': async ({ teamId }) => ({ path: KEYS, body: { name: 'Push', team_id: teamId } }),
  'team_keys.update': at(teamKey, '', { name: 'Pull' }),
  'team_keys.revoke': at(teamKey, ':revoke', {}),
  'team_keys.reinstate': at(teamKey, ':reinstate', {}),
  'team_keys.rotate': at(teamKey, ':rotate', {}),
  'team_keys.delete': at(teamKey),
  'api_keys.list': fixed(OWN_KEYS),
  'api_keys.get': at(ownKey),
  'api_keys.create': async ({ owner }) => ({
    path: OWN_KEYS,
    body: { name: 'Script', team_id: owner.teamId, scopes: ['apikeys:write'] },
  }),
  'api_keys.update': at(ownKey, '', { name: 'Other' }),
  'api_keys.revoke': at(ownKey, ':revoke', {}),
  'api_keys.reinstate': at(ownKey, ':reinstate', {}),
  'api_keys.rotate': at(ownKey, ':rotate', {}),
  'api_keys.delete': at(ownKey),
  'api_keys.import': async ({ teamId }) => ({
    path: `${OWN_KEYS}:import`,
    body: { keys: [{ digest: randomBytes(32).toString('hex'), algorithm: 'sha256', name: 'Old', team: teamId }] },
  }),
  'teams.list': fixed('/api/v1/teams'),
  'teams.get': async ({ teamId }) => ({ path: `/api/v1/teams/${teamId}` }),
  'teams.create': async () => ({ path: '/api/v1/teams', body: { name: `Team ${randomUUID()}` } }),
  'teams.replace': async ({ teamId }) => ({ path: `/api/v1/teams/${teamId}`, body: { name: `Team ${randomUUID()}` } }),
  'teams.update': async ({ teamId }) => ({ path: `/api/v1/teams/${teamId}`, body: { description: 'Changed' } }),
  'teams.delete': async ({ api }) => ({ path: `/api/v1/teams/${await api.team()}` }),
  'users.list': fixed('/api/v1/users'),
  'users.get': at(user),
  'users.create': async ({ teamId }) => ({
    path: '/api/v1/users',
    body: {
      name: 'New',
      email: `${randomUUID()}@example.com`,
      password: 'a long enough pass phrase',
      // No role can be given by a credential that carries one permission only; see users.test.ts.
      team_roles: teamId === ROOT_TEAM_ID ? [] : [{ team_id: teamId, role_id: ROLE_IDS.Viewer }],
    },
  }),
  'users.update': async (world) => ({ path: await user(world), body: { team_roles: [] } }),
  'users.delete': at(user),
  'roles.list': fixed('/api/v1/roles'),
  'oauth_apps.list': fixed(APPS),
  'oauth_apps.get': at(app),
  'oauth_apps.create': fixed(APPS, APP),
  'oauth_apps.update': at(app, '', { name: 'Other' }),
  'oauth_apps.enable': at(app, ':enable', {}),
  'oauth_apps.disable': at(app, ':disable', {}),
  'oauth_apps.delete': at(app),
  'oauth_app_secrets.create': at(app, '/secrets', {}),
  'oauth_app_secrets.delete': async (world) => ({ path: await secretOf(world, await app(world), 'app') }),
  'oauth_clients.list': fixed(CLIENTS),
  'oauth_clients.get': at(client),
  'oauth_clients.create': async ({ teamId }) => ({
    path: CLIENTS,
    body: { name: 'Service', team_id: teamId, allowed_scopes: ['oauth2clients:write'] },
  }),
  'oauth_clients.update': at(client, '', { name: 'Other' }),
  'oauth_clients.enable': at(client, ':enable', {}),
  'oauth_clients.disable': at(client, ':disable', {}),
  'oauth_clients.delete': at(client),
  'oauth_client_secrets.create': at(client, '/secrets', {}),
  'oauth_client_secrets.delete': async (world) => ({ path: await secretOf(world, await client(world), 'client') }),
  'sign_in_settings.get': fixed('/api/v1/settings/sign-in'),
  'sign_in_settings.update': fixed('/api/v1/settings/sign-in', { oauth2_authorization_server_enabled: true }),
  'signing_keys.list': fixed('/api/v1/signing_keys'),
  'signing_keys.rotate': fixed('/api/v1/signing_keys:rotate', { alg: 'EdDSA' }),
  'signing_keys.delete': async ({ server }) => {
    const [made] = await server.domain.signingKeys.rotate({ alg: 'EdDSA' }, OPERATOR);
    return { path: `/api/v1/signing_keys/${made!.kid}` };
  },
  'resource_servers.list': fixed(SERVERS),
  'resource_servers.get': at(resourceServer),
  'resource_servers.create': async () => ({
    path: SERVERS,
    body: { identifier: `https://${randomUUID()}.example.com`, name: 'Reports' },
  }),
  'resource_servers.update': at(resourceServer, '', { name: 'Other' }),
  'resource_servers.delete': at(resourceServer),
  'audit_events.list': fixed('/api/v1/audit_events'),
  'credentials.list': async ({ teamId }) => ({ path: `/api/v1/credentials?team_id=${teamId}` }),
  'credential_usage.list': async ({ teamId }) => ({ path: `${USAGE}?filter=team_id+eq+%22${teamId}%22` }),
  'credential_usage.keys': async ({ teamId }) => ({ path: `${USAGE}/keys?team_id=${teamId}` }),
  'key_retirements.list': async ({ teamId }) => ({ path: `${RETIREMENTS}?filter=team_id+eq+%22${teamId}%22` }),
  'key_retirements.get': at(retirement),
  'key_retirements.create': async (world) => ({
    path: RETIREMENTS,
    body: { key_id: await keyId(world), retires_at: LATER },
  }),
  'key_retirements.update': at(retirement, '', { replacement_url: 'https://example.com/new' }),
  'key_retirements.delete': at(retirement),
  'connected_apps.list': fixed('/api/v1/users/self/connected_apps'),
  'connected_apps.delete': at(consent),
};
