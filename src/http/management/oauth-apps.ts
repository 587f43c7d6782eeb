/** OAuth2 Apps (wire contract): what acts for users by their consent. */
import { z } from 'zod';
import type { ClientSecret, ClientSecrets } from '../../domain/client-secrets.ts';
import type { OauthApp, OauthApps } from '../../domain/oauth-apps.ts';
import { found } from '../found.ts';
import { SECRET_TEXT } from './client-secrets.ts';
import { requireUnchanged } from './echo.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import { ECHO, ENDED, PROOF, proofToWire, RECORD, recordToWire, SENT_KEYS } from './registrations.ts';
import type { Noun } from './routes.ts';

const TYPES = ['confidential', 'public'] as const;

const APP = z
  .object({
    id: z.string(),
    client_id: z.string(),
    name: z.string(),
    base_url: z.string(),
    redirect_uris: z.array(z.string()),
    post_logout_redirect_uris: z.array(z.string()),
    allowed_scopes: z.array(z.string()),
    type: z.enum(TYPES),
    ...PROOF,
    id_token_signed_response_alg: z.string(),
    enabled: z.boolean(),
    logo_url: z.string().optional(),
    ...RECORD,
  })
  .meta({ id: 'OAuth2App' });

const SETTINGS = {
  name: z.string(),
  base_url: z.string().meta({ description: 'Where it lives: https, or http on loopback' }),
  redirect_uris: z
    .array(z.string())
    .max(100)
    .meta({
      description:
        'Where users are sent back to, each in full: the scheme of `base_url` and its host or a sub-domain of it. Public ' +
        'apps may also have http on loopback, any port, and private-use schemes. "Any redirect URI" is not offered',
    }),
  post_logout_redirect_uris: z.array(z.string()).max(100).optional(),
  allowed_scopes: z
    .array(z.string())
    .max(200)
    .optional()
    .meta({ description: 'What it may ask for; default openid, profile, email, offline_access' }),
  token_endpoint_auth_method: z
    .string()
    .optional()
    .meta({ description: 'client_secret_basic, client_secret_post, private_key_jwt; none for a public app' }),
  ...SENT_KEYS,
  id_token_signed_response_alg: z.string().optional().meta({ description: 'RS256 (default), ES256 or EdDSA' }),
  logo_url: z.string().nullable().optional().meta({ description: 'https; null for none' }),
};

const CREATE = z.strictObject({ ...SETTINGS, type: z.enum(TYPES).optional() });
const UPDATE = z.strictObject(SETTINGS).partial();

const TAG = 'OAuth2 apps';
const PATH = '/api/v1/oauth2/apps';
const VALUE = z.object({ value: APP });
const PROTECTED = Object.keys(APP.shape).filter((name) => !Object.hasOwn(SETTINGS, name));
const typeFilter = {
  operators: ['eq'] as const,
  parse: (text: string) => TYPES.find((type) => type === text),
  complaint: `must be ${TYPES.join(' or ')}`,
};

export interface OauthAppOptions {
  oauthApps: OauthApps;
  clientSecrets: Pick<ClientSecrets, 'attach'>;
}

/** `id` in a path is that or the client_id. */
export function createOauthAppOperations({ oauthApps, clientSecrets }: OauthAppOptions): Noun {
  const find = async (reference: string) => found(await oauthApps.find(reference), 'OAuth2 app');

  async function complete(app: OauthApp) {
    const [whole] = await clientSecrets.attach('app', [app]);
    return toWire(whole!);
  }

  return [
    list({
      id: 'oauth_apps.list',
      path: PATH,
      tag: TAG,
      summary: 'List the apps',
      item: APP,
      filters: { name: filter.text, client_id: filter.text, enabled: filter.boolean, type: typeFilter },
      orders: ['created_at', 'name', 'last_used_at'],
      search: 'the name or client_id',
      rows: async ({ page }) => clientSecrets.attach('app', await oauthApps.list(page)),
      toWire,
    }),
    operation({
      id: 'oauth_apps.create',
      method: 'POST',
      path: PATH,
      tag: TAG,
      summary: 'Register an app; its first secret, if it has one, is in this answer and never again',
      body: CREATE,
      answer: z.object({ value: APP.extend({ client_secret: SECRET_TEXT.optional() }) }),
      async handle({ body, caller }) {
        const { app, secret } = await oauthApps.create(
          {
            ...toInput(body),
            name: body.name,
            baseUrl: body.base_url,
            redirectUris: body.redirect_uris,
            type: body.type,
          },
          caller.actor,
        );
        const value = { ...(await complete(app)), ...(secret !== undefined && { client_secret: secret }) };
        return { body: { value }, version: app.version };
      },
    }),
    operation({
      id: 'oauth_apps.get',
      method: 'GET',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Read an app',
      versioned: true,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params }) {
        const app = await find(params.id);
        return { body: { value: await complete(app) }, version: app.version };
      },
    }),
    operation({
      id: 'oauth_apps.update',
      method: 'PATCH',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Change what is sent of an app; its type stays',
      versioned: true,
      body: UPDATE,
      protectedFields: PROTECTED,
      answer: VALUE,
      errors: ['not_found'],
      async handle({ params, body, echoed, caller, version }) {
        const before = await find(params.id);
        requireUnchanged(await complete(before), echoed, ECHO);
        const app = await oauthApps.update(before.id, toInput(body), caller.actor, { version });
        return { body: { value: await complete(app) }, version: app.version };
      },
    }),
    operation({
      id: 'oauth_apps.enable',
      method: 'POST',
      path: `${PATH}/{id}:enable`,
      tag: TAG,
      summary: 'Switch an app on again; users have to consent again',
      versioned: true,
      answer: z.object({}),
      errors: ['not_found'],
      async handle({ params, caller, version }) {
        await oauthApps.enable((await find(params.id)).id, caller.actor, { version });
        return { body: {} };
      },
    }),
    operation({
      id: 'oauth_apps.disable',
      method: 'POST',
      path: `${PATH}/{id}:disable`,
      tag: TAG,
      summary: 'Switch an app off: every consent to it ends, with its codes and tokens',
      versioned: true,
      answer: z.object(ENDED),
      errors: ['not_found'],
      async handle({ params, caller, version }) {
        const { ended } = await oauthApps.disable((await find(params.id)).id, caller.actor, { version });
        return { body: { ended_grants: ended.grants, ended_tokens: ended.tokens } };
      },
    }),
    operation({
      id: 'oauth_apps.delete',
      method: 'DELETE',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Delete an app for good: every consent to it ends, with its codes and tokens',
      versioned: true,
      answer: z.object({ value: APP, ...ENDED }),
      errors: ['not_found'],
      async handle({ params, caller, version }) {
        const before = await find(params.id);
        // Read before they are gone.
        const value = await complete(before);
        const { ended } = await oauthApps.delete(before.id, caller.actor, { version });
        return { body: { value, ended_grants: ended.grants, ended_tokens: ended.tokens } };
      },
    }),
  ];
}

function toInput(body: z.output<typeof UPDATE>) {
  return {
    name: body.name,
    baseUrl: body.base_url,
    redirectUris: body.redirect_uris,
    postLogoutRedirectUris: body.post_logout_redirect_uris,
    allowedScopes: body.allowed_scopes,
    tokenEndpointAuthMethod: body.token_endpoint_auth_method,
    jwks: body.jwks,
    jwksUri: body.jwks_uri,
    idTokenSignedResponseAlg: body.id_token_signed_response_alg,
    logoUrl: body.logo_url,
  };
}

function toWire(app: OauthApp & { secrets: ClientSecret[] }) {
  return {
    id: app.id,
    client_id: app.clientId,
    name: app.name,
    base_url: app.baseUrl,
    redirect_uris: app.redirectUris,
    post_logout_redirect_uris: app.postLogoutRedirectUris,
    allowed_scopes: app.allowedScopes,
    type: app.type,
    ...proofToWire(app),
    id_token_signed_response_alg: app.idTokenSignedResponseAlg,
    enabled: app.enabled,
    ...(app.logoUrl !== null && { logo_url: app.logoUrl }),
    ...recordToWire(app),
  };
}
