/** OAuth2 Apps: registered, changed, switched off and deleted. What they may ask for and where they send people back. */
import { AppError, invalidField } from '../errors.ts';
import {
  deleteGrantsOfOauthApp,
  deleteOauthApp,
  findOauthApp,
  insertOauthApp,
  listOauthApps,
  lockOauthApp,
  type OauthAppRecord,
  type OauthAppSettings,
  updateOauthApp,
  updateOauthAppEnabled,
} from '../storage/oauth-apps.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { checkAppScopes, DEFAULT_APP_SCOPES } from './allowed-scopes.ts';
import type { Actor, Audit } from './audit.ts';
import { checkClientAuthentication, usesSecret } from './client-authentication.ts';
import { createClientId, kindOfClientId } from './client-id.ts';
import { insertFirstSecret } from './client-secrets.ts';
import { creatorOf } from './creator.ts';
import { given } from './given.ts';
import { checkName, isUuid } from './names.ts';
import { checkBaseUrl, checkRedirectUris } from './redirect-uris.ts';

export type OauthApp = OauthAppRecord;

/** What whoever registers an app says about it; what is left out takes its default. */
export interface OauthAppInput {
  name: string;
  baseUrl: string;
  /** At least one, each in full. */
  redirectUris: string[];
  postLogoutRedirectUris?: string[];
  /** Default: openid profile email offline_access. */
  allowedScopes?: string[];
  /** Default confidential. */
  type?: 'confidential' | 'public';
  tokenEndpointAuthMethod?: string;
  /** A JWK Set of public keys; with private_key_jwt. */
  jwks?: unknown;
  /** RS256 (default), ES256 or EdDSA. */
  idTokenSignedResponseAlg?: string;
}

export interface OauthApps {
  /**
   * Registers an app. `secret` is its first client secret, for the methods that use one, and is never available again.
   * @throws AppError `invalid_argument` naming the field
   */
  create(input: OauthAppInput, actor: Actor): Promise<{ app: OauthApp; secret: string | undefined }>;
  /** By id or client_id. */
  find(reference: string): Promise<OauthApp | undefined>;
  /** In the order they were registered (default the first 1,000). */
  list(page?: { limit?: number; after?: { createdAt: Date; id: string } }): Promise<OauthApp[]>;
  /** Changes what is given; the type of an app stays. This and the following throw AppError `not_found`. */
  update(id: string, changes: Partial<Omit<OauthAppInput, 'type'>>, actor: Actor): Promise<OauthApp>;
  enable(id: string, actor: Actor): Promise<OauthApp>;
  /** Switches the app off and ends every consent given to it, with its codes and tokens. Repeating it is harmless. */
  disable(id: string, actor: Actor): Promise<{ app: OauthApp; endedGrants: number }>;
  /** Ends the app for good, and every consent given to it, with its codes and tokens. */
  delete(id: string, actor: Actor): Promise<{ app: OauthApp; endedGrants: number }>;
}

const ID_TOKEN_ALGS = ['RS256', 'ES256', 'EdDSA'];

export function createOauthApps({ db, audit }: { db: Database; audit: Audit }): OauthApps {
  /** Locks the app, changes it, and records that, all or nothing. */
  function change<T>(id: string, work: (tx: Queryable, app: OauthApp) => Promise<T>): Promise<T> {
    return db.transaction(async (tx) => {
      const app = isUuid(id) ? await lockOauthApp(tx, id) : undefined;
      if (app === undefined) throw new AppError('not_found', 'There is no such OAuth2 app.');
      return work(tx, app);
    });
  }

  function log(tx: Queryable, verb: string, app: OauthApp, actor: Actor, details: object = {}): Promise<void> {
    return audit.record(tx, {
      action: `oauth_app.${verb}`,
      actor,
      target: { kind: 'oauth_app', id: app.id },
      details: { client_id: app.clientId, name: app.name, ...details },
    });
  }

  return {
    async create(input, actor) {
      const type = checkType(input.type);
      const settings = checkSettings(type, input);
      return db.transaction(async (tx) => {
        const clientId = createClientId('app_');
        const app = await insertOauthApp(tx, { ...settings, clientId, type, createdBy: creatorOf(actor) });
        await log(tx, 'created', app, actor, { redirect_uris: app.redirectUris, allowed_scopes: app.allowedScopes });
        if (!usesSecret(app.tokenEndpointAuthMethod)) return { app, secret: undefined };
        const { text } = await insertFirstSecret(tx, { kind: 'app', id: app.id });
        return { app, secret: text };
      });
    },
    async find(reference) {
      if (isUuid(reference)) return findOauthApp(db, 'id', reference);
      return kindOfClientId(reference) === 'app' ? findOauthApp(db, 'client_id', reference) : undefined;
    },
    list: ({ limit = 1_000, after } = {}) => listOauthApps(db, { limit, after }),
    update: (id, changes, actor) =>
      change(id, async (tx, before) => {
        // Checked as a whole: a new base URL may leave old redirect URIs outside it.
        const { jwks, ...rest } = before;
        const method = changes.tokenEndpointAuthMethod ?? before.tokenEndpointAuthMethod;
        const keys = method === 'private_key_jwt' ? jwks : undefined;
        const settings = checkSettings(before.type, { ...rest, jwks: keys, ...given(changes) });
        const app = await updateOauthApp(tx, id, settings);
        await log(tx, 'updated', app!, actor, { changed: Object.keys(given(changes)) });
        return app!;
      }),
    enable: (id, actor) =>
      change(id, async (tx, before) => {
        if (before.enabled) return before;
        const app = await updateOauthAppEnabled(tx, id, true);
        await log(tx, 'enabled', app!, actor);
        return app!;
      }),
    disable: (id, actor) =>
      change(id, async (tx, before) => {
        const endedGrants = await deleteGrantsOfOauthApp(tx, before.clientId);
        if (!before.enabled) return { app: before, endedGrants };
        const app = await updateOauthAppEnabled(tx, id, false);
        await log(tx, 'disabled', app!, actor, { ended_grants: endedGrants });
        return { app: app!, endedGrants };
      }),
    delete: (id, actor) =>
      change(id, async (tx, before) => {
        const endedGrants = await deleteGrantsOfOauthApp(tx, before.clientId);
        const app = await deleteOauthApp(tx, id);
        await log(tx, 'deleted', before, actor, { ended_grants: endedGrants });
        return { app: app!, endedGrants };
      }),
  };
}

function checkType(type: string = 'confidential'): 'confidential' | 'public' {
  if (type !== 'confidential' && type !== 'public') throw invalidField('type', 'must be confidential or public');
  return type;
}

function checkSettings(type: 'confidential' | 'public', input: OauthAppInput): OauthAppSettings {
  const baseUrl = checkBaseUrl(input.baseUrl);
  const idTokenSignedResponseAlg = input.idTokenSignedResponseAlg ?? 'RS256';
  if (!ID_TOKEN_ALGS.includes(idTokenSignedResponseAlg)) {
    throw invalidField('id_token_signed_response_alg', `must be one of ${ID_TOKEN_ALGS.join(', ')}`);
  }
  if (input.redirectUris.length === 0) {
    throw invalidField('redirect_uris', 'name at least one; "any redirect URI" is not offered (RFC 9700 §2.1)');
  }
  return {
    name: checkName('name', input.name),
    baseUrl,
    redirectUris: checkRedirectUris('redirect_uris', input.redirectUris, { baseUrl, type }),
    postLogoutRedirectUris: checkRedirectUris('post_logout_redirect_uris', input.postLogoutRedirectUris ?? [], {
      baseUrl,
      type,
    }),
    allowedScopes: checkAppScopes(input.allowedScopes ?? DEFAULT_APP_SCOPES),
    idTokenSignedResponseAlg,
    ...checkClientAuthentication(type, input),
  };
}
