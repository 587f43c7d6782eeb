/** OAuth2 Apps: registered, changed, switched off and deleted. What they may ask for and where they send people back. */
import { AppError, invalidField } from '../errors.ts';
import type { Page } from '../storage/listing.ts';
import {
  deleteGrantsOfOauthApp,
  deleteOauthApp,
  type EndedGrants,
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
import { changedFields } from './changed-fields.ts';
import {
  type ClientAuthenticationInput,
  changedAuthentication,
  checkClientAuthentication,
  usesSecret,
} from './client-authentication.ts';
import { createClientId, kindOfClientId } from './client-id.ts';
import { endSecrets, insertFirstSecret } from './client-secrets.ts';
import { creatorOf } from './creator.ts';
import { given } from './given.ts';
import { checkName, isUuid } from './names.ts';
import { checkOutboundUrl } from './outbound-urls.ts';
import { checkBaseUrl, checkRedirectUris } from './redirect-uris.ts';
import { holdRegisteredScopes } from './resource-servers.ts';
import { requireVersion } from './versions.ts';

export type OauthApp = OauthAppRecord;

/** What whoever registers an app says about it; what is left out takes its default. */
export interface OauthAppInput extends ClientAuthenticationInput {
  name: string;
  baseUrl: string;
  /** At least one, each in full. */
  redirectUris: string[];
  postLogoutRedirectUris?: string[] | undefined;
  /** Default: openid profile email offline_access. */
  allowedScopes?: string[] | undefined;
  /** Default confidential. */
  type?: 'confidential' | 'public' | undefined;
  /** RS256 (default), ES256 or EdDSA. */
  idTokenSignedResponseAlg?: string | undefined;
  /** A picture of it, https; null for none. */
  logoUrl?: string | null | undefined;
}

/** What may be changed of an app: its type stays. */
export type OauthAppChanges = { [Field in keyof Omit<OauthAppInput, 'type'>]?: OauthAppInput[Field] | undefined };

/** `version`: the one the caller read; another one by now is `precondition_failed`. */
export interface OauthAppScope {
  version?: string | undefined;
}

export interface OauthApps {
  /**
   * Registers an app. `secret` is its first client secret, for the methods that use one, and is never available again.
   * @throws AppError `invalid_argument` naming the field
   */
  create(input: OauthAppInput, actor: Actor): Promise<{ app: OauthApp; secret: string | undefined }>;
  /** By id or client_id. */
  find(reference: string): Promise<OauthApp | undefined>;
  /** One page; default order: as they were registered. Filters: name, client_id, enabled, type. */
  list(page: Page): Promise<(OauthApp & { sortKey: string })[]>;
  /**
   * Changes what is given. With a method that uses no secret its secrets end. This and the following throw AppError
   * `not_found`, `precondition_failed`.
   */
  update(id: string, changes: OauthAppChanges, actor: Actor, scope?: OauthAppScope): Promise<OauthApp>;
  /** Repeating it is harmless. What was ended stays ended. */
  enable(id: string, actor: Actor, scope?: OauthAppScope): Promise<OauthApp>;
  /** Switches the app off and ends every consent given to it, with its codes and tokens. Repeating it is harmless. */
  disable(id: string, actor: Actor, scope?: OauthAppScope): Promise<{ app: OauthApp; ended: EndedGrants }>;
  /** Ends the app for good, and every consent given to it, with its codes and tokens. */
  delete(id: string, actor: Actor, scope?: OauthAppScope): Promise<{ app: OauthApp; ended: EndedGrants }>;
}

const ID_TOKEN_ALGS = ['RS256', 'ES256', 'EdDSA'];

export function createOauthApps({ db, audit }: { db: Database; audit: Audit }): OauthApps {
  /** The app as it is, kept from others until the transaction ends. */
  async function hold(tx: Queryable, id: string, { version }: OauthAppScope): Promise<OauthApp> {
    const app = isUuid(id) ? await lockOauthApp(tx, id) : undefined;
    if (app === undefined) throw new AppError('not_found', 'There is no such OAuth2 app.');
    requireVersion(app, version);
    return app;
  }

  /** Locks the app, changes it, and records that, all or nothing. */
  function change<T>(id: string, scope: OauthAppScope, work: (tx: Queryable, app: OauthApp) => Promise<T>): Promise<T> {
    return db.transaction(async (tx) => work(tx, await hold(tx, id, scope)));
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
      return db.transaction(async (tx) => {
        const settings = checkSettings(type, input, await holdRegisteredScopes(tx));
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
    list: (page) => listOauthApps(db, page),
    update: (id, changes, actor, scope = {}) =>
      db.transaction(async (tx) => {
        // Before the app, as whoever changes resource servers does it.
        const otherScopes = await holdRegisteredScopes(tx);
        const before = await hold(tx, id, scope);
        // Checked as a whole: a new base URL may leave old redirect URIs outside it.
        const whole = { ...before, ...given(changes), ...changedAuthentication(before, changes) };
        const settings = checkSettings(before.type, whole, otherScopes);
        const changed = changedFields(before, settings);
        if (changed.length === 0) return before;
        const app = await updateOauthApp(tx, id, settings);
        await log(tx, 'updated', app!, actor, { changed });
        if (!usesSecret(settings.tokenEndpointAuthMethod)) await endSecrets(tx, audit, app!, actor);
        return app!;
      }),
    enable: (id, actor, scope = {}) =>
      change(id, scope, async (tx, before) => {
        if (before.enabled) return before;
        const app = await updateOauthAppEnabled(tx, id, true);
        await log(tx, 'enabled', app!, actor);
        return app!;
      }),
    disable: (id, actor, scope = {}) =>
      change(id, scope, async (tx, before) => {
        const ended = await deleteGrantsOfOauthApp(tx, before.clientId);
        if (!before.enabled) return { app: before, ended };
        const app = await updateOauthAppEnabled(tx, id, false);
        await log(tx, 'disabled', app!, actor, { ended_grants: ended.grants, ended_tokens: ended.tokens });
        return { app: app!, ended };
      }),
    delete: (id, actor, scope = {}) =>
      change(id, scope, async (tx, before) => {
        const ended = await deleteGrantsOfOauthApp(tx, before.clientId);
        await deleteOauthApp(tx, id);
        await log(tx, 'deleted', before, actor, { ended_grants: ended.grants, ended_tokens: ended.tokens });
        return { app: before, ended };
      }),
  };
}

function checkType(type: string = 'confidential'): 'confidential' | 'public' {
  if (type !== 'confidential' && type !== 'public') throw invalidField('type', 'must be confidential or public');
  return type;
}

/** @param otherScopes words that are scopes of registered resource servers */
function checkSettings(
  type: 'confidential' | 'public',
  input: OauthAppInput,
  otherScopes: ReadonlySet<string>,
): OauthAppSettings {
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
    allowedScopes: checkAppScopes(input.allowedScopes ?? DEFAULT_APP_SCOPES, otherScopes),
    idTokenSignedResponseAlg,
    logoUrl: input.logoUrl === undefined || input.logoUrl === null ? null : checkOutboundUrl('logo_url', input.logoUrl),
    ...checkClientAuthentication(type, input),
  };
}
