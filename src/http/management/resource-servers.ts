/** Resource servers (wire contract): the APIs tokens are issued for. */
import { z } from 'zod';
import type { ResourceServer, ResourceServers } from '../../domain/resource-servers.ts';
import { SIGNING_ALGS } from '../../domain/signing-keys.ts';
import { found } from '../found.ts';
import { requireUnchanged } from './echo.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const FIELDS = {
  name: z.string(),
  scopes: z
    .array(z.strictObject({ name: z.string(), description: z.string().optional() }))
    .max(200)
    .meta({
      description: 'Its own scopes and the words of the consent page for them. One scope word has one resource server',
    }),
  access_token_ttl_seconds: z.int().meta({ description: 'Life of an access token for it: 60 to 86400' }),
  signing_alg: z.enum(SIGNING_ALGS, `must be one of ${SIGNING_ALGS.join(', ')}`),
  accepts_api_keys: z.boolean().meta({ description: 'Whether API keys open it too; by default they do' }),
  client_ids: z.array(z.string()).meta({
    description:
      'OAuth2 clients, at most 20, that are this resource server: they may introspect what is presented to it, of every team',
  }),
};

const RESOURCE_SERVER = z
  .object({
    id: z.string(),
    identifier: z
      .string()
      .meta({ description: 'The `resource` a client asks for (RFC 8707), the `aud` of the tokens' }),
    name: z.string(),
    scopes: z.array(z.object({ name: z.string(), description: z.string() })),
    access_token_ttl_seconds: z.int(),
    signing_alg: z.enum(SIGNING_ALGS),
    accepts_api_keys: z.boolean(),
    client_ids: z.array(z.string()),
    is_built_in: z.boolean().meta({ description: "The server's own API: it cannot be changed" }),
    created_by: z.string().nullable(),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'ResourceServer' });

const TAG = 'Resource servers';
const PATH = '/api/v1/resource_servers';
const VALUE = z.object({ value: RESOURCE_SERVER });
const WHAT = 'resource server';
const PROTECTED = Object.keys(RESOURCE_SERVER.shape).filter((name) => !Object.hasOwn(FIELDS, name));

export function createResourceServerOperations({ resourceServers }: { resourceServers: ResourceServers }): Noun {
  return [
    list({
      id: 'resource_servers.list',
      path: PATH,
      tag: TAG,
      summary: "List the resource servers, the server's own API among them",
      item: RESOURCE_SERVER,
      filters: { identifier: filter.text, name: filter.text },
      orders: ['created_at', 'name'],
      search: 'the name or identifier',
      rows: ({ page }) => resourceServers.list(page),
      toWire,
    }),
    operation({
      id: 'resource_servers.create',
      method: 'POST',
      path: PATH,
      tag: TAG,
      summary: 'Register a resource server',
      description: 'Without scopes its tokens say who calls and no more, and every app and client may ask for them.',
      body: z.strictObject({
        identifier: z.string(),
        name: FIELDS.name,
        scopes: FIELDS.scopes.optional(),
        access_token_ttl_seconds: FIELDS.access_token_ttl_seconds.optional(),
        signing_alg: FIELDS.signing_alg.optional(),
        accepts_api_keys: FIELDS.accepts_api_keys.optional(),
        client_ids: FIELDS.client_ids.optional(),
      }),
      answer: VALUE,
      errors: ['already_exists'],
      async handle({ body: { identifier, ...body }, caller }) {
        const server = await resourceServers.create({ identifier, name: body.name, ...settings(body) }, caller.actor);
        return { body: { value: toWire(server) }, version: server.version };
      },
    }),
    operation({
      id: 'resource_servers.get',
      method: 'GET',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Read a resource server',
      versioned: true,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params }) {
        const server = found(await resourceServers.find(params.id), WHAT);
        return { body: { value: toWire(server) }, version: server.version };
      },
    }),
    operation({
      id: 'resource_servers.update',
      method: 'PATCH',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Change a resource server',
      description:
        'A scope that is left out of `scopes` ends, also for the apps, clients and keys that were allowed it.',
      versioned: true,
      body: z.strictObject(FIELDS).partial(),
      protectedFields: PROTECTED,
      answer: VALUE,
      errors: ['not_found', 'already_exists', 'failed_precondition'],
      async handle({ params, body, echoed, caller, version }) {
        requireUnchanged(toWire(found(await resourceServers.find(params.id), WHAT)), echoed);
        const changes = { name: body.name, ...settings(body) };
        const server = await resourceServers.update(params.id, changes, { version }, caller.actor);
        return { body: { value: toWire(server) }, version: server.version };
      },
    }),
    operation({
      id: 'resource_servers.delete',
      method: 'DELETE',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Delete a resource server: nothing is issued for it any more, and its scopes end',
      versioned: true,
      answer: VALUE,
      errors: ['not_found', 'failed_precondition'],
      async handle({ params, caller, version }) {
        const server = await resourceServers.delete(params.id, { version }, caller.actor);
        return { body: { value: toWire(server) } };
      },
    }),
  ];
}

function settings(body: {
  scopes?: { name: string; description?: string | undefined }[] | undefined;
  access_token_ttl_seconds?: number | undefined;
  signing_alg?: string | undefined;
  accepts_api_keys?: boolean | undefined;
  client_ids?: string[] | undefined;
}) {
  return {
    scopes: body.scopes,
    accessTokenTtlSeconds: body.access_token_ttl_seconds,
    signingAlg: body.signing_alg,
    acceptsApiKeys: body.accepts_api_keys,
    clientIds: body.client_ids,
  };
}

function toWire(server: ResourceServer) {
  return {
    id: server.id,
    identifier: server.identifier,
    name: server.name,
    scopes: server.scopes,
    access_token_ttl_seconds: server.accessTokenTtlSeconds,
    signing_alg: server.signingAlg as (typeof SIGNING_ALGS)[number],
    accepts_api_keys: server.acceptsApiKeys,
    client_ids: server.clientIds,
    is_built_in: server.isBuiltIn,
    created_by: server.createdBy,
    created_at: server.createdAt.toISOString(),
    updated_at: server.updatedAt.toISOString(),
  };
}
