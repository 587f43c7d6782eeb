/** OAuth2 Clients (wire contract): services that act for themselves in one team. */
import { z } from 'zod';
import { type Caller, requireTeamInReach, teamReach } from '../../domain/authorization.ts';
import type { ClientSecret, ClientSecrets } from '../../domain/client-secrets.ts';
import type { OauthClient, OauthClients } from '../../domain/oauth-clients.ts';
import { found } from '../found.ts';
import { SECRET_TEXT } from './client-secrets.ts';
import { requireUnchanged } from './echo.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import { ECHO, ENDED, PROOF, proofToWire, RECORD, recordToWire, SENT_KEYS } from './registrations.ts';
import type { Noun } from './routes.ts';

const CLIENT = z
  .object({
    id: z.string(),
    client_id: z.string(),
    name: z.string(),
    description: z.string(),
    team_id: z.string(),
    team_name: z.string(),
    allowed_scopes: z.array(z.string()),
    enabled: z.boolean(),
    ...PROOF,
    ...RECORD,
  })
  .meta({ id: 'OAuth2Client' });

const SETTINGS = {
  name: z.string(),
  description: z.string().optional(),
  allowed_scopes: z
    .array(z.string())
    .max(200)
    .meta({ description: 'Permissions, at least one, each of which you must have in its team yourself' }),
  token_endpoint_auth_method: z
    .string()
    .optional()
    .meta({ description: 'client_secret_basic, client_secret_post or private_key_jwt' }),
  ...SENT_KEYS,
};

const CREATE = z.strictObject({ ...SETTINGS, team_id: z.string() });
const UPDATE = z.strictObject(SETTINGS).partial();

const TAG = 'OAuth2 clients';
const PATH = '/api/v1/oauth2/clients';
const VALUE = z.object({ value: CLIENT });
const PROTECTED = Object.keys(CLIENT.shape).filter((name) => !Object.hasOwn(SETTINGS, name));
const GUARD = 'Whoever does it can act as the client, and must have every one of its scopes in its team.';
// Clients act for no user, so no consent hangs on them.
const NOTHING_ENDED = { ended_grants: 0, ended_tokens: 0 };

export interface OauthClientOptions {
  oauthClients: OauthClients;
  clientSecrets: Pick<ClientSecrets, 'attach'>;
}

/** `id` in a path is that or the client_id. */
export function createOauthClientOperations({ oauthClients, clientSecrets }: OauthClientOptions): Noun {
  const find = async (reference: string, caller: Caller) =>
    found(await oauthClients.find(reference, teamReach(caller)), 'OAuth2 client');

  async function complete(client: OauthClient) {
    const [whole] = await clientSecrets.attach('client', [client]);
    return toWire(whole!);
  }

  return [
    list({
      id: 'oauth_clients.list',
      path: PATH,
      tag: TAG,
      summary: 'List the clients of your team, or of all teams within your reach',
      item: CLIENT,
      filters: { team_id: filter.uuid, name: filter.text, client_id: filter.text, enabled: filter.boolean },
      orders: ['created_at', 'name', 'last_used_at'],
      search: 'the name or client_id',
      rows: async ({ caller, page }) =>
        clientSecrets.attach('client', await oauthClients.list(teamReach(caller), page)),
      toWire,
    }),
    operation({
      id: 'oauth_clients.create',
      method: 'POST',
      path: PATH,
      tag: TAG,
      summary: 'Create a client; its first secret, if it has one, is in this answer and never again',
      body: CREATE,
      answer: z.object({ value: CLIENT.extend({ client_secret: SECRET_TEXT.optional() }) }),
      errors: ['not_found'],
      async handle({ body, caller }) {
        requireTeamInReach(caller, body.team_id);
        const { client, secret } = await oauthClients.create(
          { ...toInput(body), name: body.name, allowedScopes: body.allowed_scopes, teamId: body.team_id },
          caller.actor,
        );
        const value = { ...(await complete(client)), ...(secret !== undefined && { client_secret: secret }) };
        return { body: { value }, version: client.version };
      },
    }),
    operation({
      id: 'oauth_clients.get',
      method: 'GET',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Read a client',
      versioned: true,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params, caller }) {
        const client = await find(params.id, caller);
        return { body: { value: await complete(client) }, version: client.version };
      },
    }),
    operation({
      id: 'oauth_clients.update',
      method: 'PATCH',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Change what is sent of a client; its team stays',
      description: `For how it proves who it is: ${GUARD}`,
      versioned: true,
      body: UPDATE,
      protectedFields: PROTECTED,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params, body, echoed, caller, version }) {
        const before = await find(params.id, caller);
        requireUnchanged(await complete(before), echoed, ECHO);
        const scope = { ...teamReach(caller), version };
        const client = await oauthClients.update(before.id, toInput(body), scope, caller.actor);
        return { body: { value: await complete(client) }, version: client.version };
      },
    }),
    operation({
      id: 'oauth_clients.enable',
      method: 'POST',
      path: `${PATH}/{id}:enable`,
      tag: TAG,
      summary: 'Switch a client on again',
      description: GUARD,
      versioned: true,
      answer: z.object({}),
      errors: ['not_found'],
      async handle({ params, caller, version }) {
        const { id } = await find(params.id, caller);
        await oauthClients.enable(id, { ...teamReach(caller), version }, caller.actor);
        return { body: {} };
      },
    }),
    operation({
      id: 'oauth_clients.disable',
      method: 'POST',
      path: `${PATH}/{id}:disable`,
      tag: TAG,
      summary: 'Switch a client off: neither its secrets nor its tokens work until it is switched on',
      versioned: true,
      answer: z.object(ENDED),
      errors: ['not_found'],
      async handle({ params, caller, version }) {
        const { id } = await find(params.id, caller);
        await oauthClients.disable(id, { ...teamReach(caller), version }, caller.actor);
        return { body: NOTHING_ENDED };
      },
    }),
    operation({
      id: 'oauth_clients.delete',
      method: 'DELETE',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Delete a client for good; its tokens end with it',
      versioned: true,
      answer: z.object({ value: CLIENT, ...ENDED }),
      errors: ['not_found'],
      async handle({ params, caller, version }) {
        const before = await find(params.id, caller);
        // Read before they are gone.
        const value = await complete(before);
        await oauthClients.delete(before.id, { ...teamReach(caller), version }, caller.actor);
        return { body: { value, ...NOTHING_ENDED } };
      },
    }),
  ];
}

function toInput(body: z.output<typeof UPDATE>) {
  return {
    name: body.name,
    description: body.description,
    allowedScopes: body.allowed_scopes,
    tokenEndpointAuthMethod: body.token_endpoint_auth_method,
    jwks: body.jwks,
    jwksUri: body.jwks_uri,
  };
}

function toWire(client: OauthClient & { secrets: ClientSecret[] }) {
  return {
    id: client.id,
    client_id: client.clientId,
    name: client.name,
    description: client.description,
    team_id: client.teamId,
    team_name: client.teamName,
    allowed_scopes: client.allowedScopes,
    enabled: client.enabled,
    ...proofToWire(client),
    ...recordToWire(client),
  };
}
